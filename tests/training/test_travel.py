"""Training on a machine that is lent: packed, trained there, delivered in pieces, joined, trained on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typer.testing import CliRunner

from wavelic.cli.main import app
from wavelic.errors import FormatError, UsageError
from wavelic.training import travel
from wavelic.training.export import about_run
from wavelic.training.loop import CHECKPOINT, FINAL, load_objective, train
from wavelic.training.recipe import load_recipe

SETTINGS = ("model=weconvene", "defaults.batch=1", "defaults.crop=128", "defaults.validate_every=2", "seed=3")
SETTINGS = (*SETTINGS, "stages.0.steps=2", "stages.1.steps=1", "stages.2.steps=1", "defaults.validation_steps=[48.0]")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(3):
        coarse = PIL.Image.fromarray(random.integers(0, 256, (20, 20, 3), np.uint8))
        coarse.resize((256, 256), PIL.Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def test_there_and_back(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user does it, in a process that has nothing but the folder; then training goes on from what came back."""
    away, out, joined = tmp_path / "away", tmp_path / "out", tmp_path / "weights.safetensors"
    sources = (f"data={pictures}", f"validation={pictures}")
    run = CliRunner().invoke(app, ["train-pack", "weconvene-gpu", str(away), *sources, *SETTINGS])
    assert run.exit_code == 0, run.output
    assert {path.name for path in away.iterdir()} == {"go.sh", "plan.json", "train", "val", "wavelic.zip"}
    assert len(list((away / "train").iterdir())) == 3
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    there = subprocess.run(["sh", str(away / "go.sh"), str(out)], env=environment, capture_output=True, text=True)
    assert there.returncode == 0, there.stderr
    assert (away / "code" / "wavelic" / "training").is_dir()
    monkeypatch.setattr(travel, "PIECE", 1 << 20)
    travel.deliver([away / "runs" / "away" / name for name in ("main", "finish")], out)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["stage"] == "finish"
    assert manifest["about"]["step"] == 1
    assert manifest["pieces"] == len(list(out.glob("weights.*"))) > 2
    run = CliRunner().invoke(app, ["train-join", str(out), str(joined)])
    assert run.exit_code == 0, run.output
    trained = load_objective(away / "runs" / "away" / "finish" / FINAL)
    for name, value in load_objective(joined).items():
        assert torch.equal(value, trained[name]), name
    final = tmp_path / "away" / "finish" / FINAL
    run = CliRunner().invoke(app, ["train-join", str(out), str(final)])
    assert run.exit_code == 0, run.output
    assert about_run(final) == about_run(away / "runs" / "away" / "finish" / FINAL)
    assert all(torch.equal(value, trained[name]) for name, value in load_objective(final).items())
    recipe = load_recipe("weconvene-cpu", (*sources, *SETTINGS, f"stages.0.init={joined}", "stages.0.steps=1"))
    recipe.stages = recipe.stages[:1]
    train(recipe, tmp_path / "runs")
    assert len((out / "log.jsonl").read_text().splitlines()) == 2
    travel.deliver([_interrupted(away / "runs" / "away" / "main", tmp_path / "stopped")], out)
    with pytest.raises(UsageError, match=r"was not finished; name a \.safetensors file"):
        travel.join(out, final)


def _interrupted(stage: Path, folder: Path) -> Path:
    """A stage that has a checkpoint, and no end."""
    folder.mkdir()
    (folder / CHECKPOINT).write_bytes((stage / CHECKPOINT).read_bytes())
    return folder


def test_pictures_that_do_not_fit_are_coded(pictures: Path, tmp_path: Path) -> None:
    sources = (f"data={pictures}", f"validation={pictures}")
    for megabytes, suffix in ((8.0, ".png"), (1.9, ".avif")):
        away = tmp_path / suffix[1:]
        travel.pack("weconvene-gpu", away, sources, megabytes)
        assert {path.suffix for path in (away / "train").iterdir()} == {suffix}


def test_what_cannot_be_packed_or_joined(pictures: Path, tmp_path: Path) -> None:
    sources = (f"data={pictures}", f"validation={pictures}")
    with pytest.raises(UsageError, match="exists; give a folder that does not"):
        travel.pack("weconvene-gpu", tmp_path, sources)
    with pytest.raises(UsageError, match=r"6 pictures do not fit into 1\.4 MiB at quality 60; give fewer"):
        travel.pack("weconvene-gpu", tmp_path / "small", sources, megabytes=1.4)
    assert not (tmp_path / "small").exists()
    (tmp_path / "manifest.json").write_text('{"pieces": 1, "sha256": "00"}')
    with pytest.raises(FormatError, match="lacks pieces of the weights"):
        travel.join(tmp_path, tmp_path / "weights.safetensors")
    (tmp_path / "weights.0").write_bytes(b"cut short")
    with pytest.raises(FormatError, match="the last delivery was cut short"):
        travel.join(tmp_path, tmp_path / "weights.safetensors")


class _NoOtherDevice(TorchDispatchMode):
    """Refuses operations on tensors of the CPU, but for single numbers, which are a kernel's arguments."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            assert not isinstance(value, torch.Tensor) or value.device.type != "cpu" or value.dim() == 0, func
        return result


@pytest.mark.parametrize(
    "settings",
    [{}, {"rdoq_lambda": 0.1, "quantised": True}, {"metric": "ms-ssim"}],
    ids=["main", "integers", "ms-ssim"],
)
def test_training_steps_stay_on_their_device(settings: dict[str, Any]) -> None:
    """On a device without values: nothing is made on another one, and nothing waits for a value.

    So a step can be recorded as a CUDA graph.  Constants are made once, in the first pass.
    """
    from wavelic.nn.exact import set_quantised
    from wavelic.weconvene.config import Config
    from wavelic.weconvene.network import Network
    from wavelic.weconvene.stage import WeconveneStage
    from wavelic.weconvene.training import RateDistortion

    stage = WeconveneStage(bfloat16=False, **settings)
    with torch.device("meta"):
        network = Network(Config(16, 16, 1, 1, contexts=(16, 16, 16)))
    set_quantised(network.entropy, stage.quantised)
    objective = RateDistortion(network, stage)
    crops = torch.empty((1, 3, 256, 256), dtype=torch.uint8, device="meta")
    log2_step = torch.full((1,), 6.0, device="meta")
    with torch.no_grad():
        objective(crops, log2_step)
    with _NoOtherDevice():
        loss, *_ = objective(crops, log2_step)
        loss.sum().backward()
    gradients = {parameter.grad.device.type for parameter in objective.parameters() if parameter.grad is not None}
    assert gradients == {"meta"}
