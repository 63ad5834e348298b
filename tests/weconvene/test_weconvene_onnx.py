"""Transforms as graphs: the same numbers as the codec's own, at sizes that were not traced, in torch and in ONNX."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from wavelic.weconvene.config import Config
from wavelic.weconvene.layout import LEVELS
from wavelic.weconvene.network import Transform
from wavelic.weconvene.onnx import (
    PARTS,
    UNIT,
    Analysis,
    Part,
    Synthesis,
    example,
    export_program,
    installed_transform,
    main,
    write_onnx,
)
from wavelic.weconvene.subbands import Subbands

OTHER_SIZES = ((2 * UNIT, 2 * UNIT, 1), (3 * UNIT, 5 * UNIT, 3))  # height, width, pictures


def small() -> Transform:
    """Networks of a few maps whose corrections are not zero, as those of new networks are."""
    torch.manual_seed(0)
    transform = Transform(Config(analysis=8, synthesis=8, analysis_blocks=1, synthesis_blocks=1))
    with torch.no_grad():
        for net in (transform.f, transform.g):
            net.leave.weight.normal_(0, 0.1)
        transform.band_steps.normal_(0, 0.1)
    return transform.eval()


def inputs(transform: Transform, part: Part, height: int, width: int, count: int = 1) -> tuple[torch.Tensor, ...]:
    """Inputs of a part, as `example` makes them, at a size of one's own."""
    log2_step = torch.linspace(4, 6, count)
    rgb = torch.rand(count, 3, height, width) * 255
    if part == "analysis":
        return rgb, log2_step
    bands = transform.analysis(rgb, log2_step)
    return bands.low, *bands.details, log2_step


def expected(transform: Transform, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """What the codec computes."""
    if len(given) == 2:
        bands = transform.analysis(*given)
        return bands.low, *bands.details
    return (transform.synthesis(Subbands(given[0], given[1:-1]), given[-1]),)


@pytest.fixture(scope="module", autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("part", PARTS)
def test_the_graphs_compute_what_the_codec_does(part: Part) -> None:
    transform = installed_transform()
    graph = (Analysis if part == "analysis" else Synthesis)(transform)
    for given in (example(transform, part), inputs(transform, part, 2 * UNIT, 4 * UNIT)):
        results = graph(*given)
        assert_close([results] if isinstance(results, torch.Tensor) else results, expected(transform, given))


def assert_close(results: Iterable[torch.Tensor], wanted: tuple[torch.Tensor, ...]) -> None:
    for result, tensor in zip(results, wanted, strict=True):
        torch.testing.assert_close(result, tensor, rtol=1e-4, atol=1e-3)


def test_the_program_of_the_analysis_takes_other_sizes_than_were_traced() -> None:
    transform = small()
    program = export_program(transform, "analysis").module()
    for height, width, count in OTHER_SIZES:
        given = inputs(transform, "analysis", height, width, count)
        assert_close(program(*given), expected(transform, given))


def test_program_and_onnx_file_of_the_synthesis_take_other_sizes(tmp_path: Path) -> None:
    transform = small()
    program = export_program(transform, "synthesis")
    path = tmp_path / "synthesis.onnx"
    write_onnx(program, "synthesis", path)
    onnx.checker.check_model(str(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    assert names == ["low", *(f"detail_{level}" for level in range(1, LEVELS + 1)), "log2_step"]
    for height, width, count in OTHER_SIZES:
        given = inputs(transform, "synthesis", height, width, count)
        assert_close([program.module()(*given)], expected(transform, given))
        found = session.run(["rgb"], {name: tensor.numpy() for name, tensor in zip(names, given, strict=True)})
        assert_close(map(torch.from_numpy, found), expected(transform, given))


def test_another_ending_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["onnx", "synthesis.tflite"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "name a file .onnx or .pt2" in capsys.readouterr().err
