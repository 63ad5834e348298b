"""Training: examples, the objective, the task, and what is exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from enhance_support import SMALL
from pictures import image

from wavelic.enhance.catalogue import find_enhance
from wavelic.enhance.drawings import KINDS, drawing
from wavelic.enhance.examples import Coding, coded, decoded
from wavelic.enhance.export import export_stages
from wavelic.enhance.network import Network
from wavelic.enhance.objective import Enhancement
from wavelic.enhance.signals import colour_components
from wavelic.enhance.stage import EnhanceStage
from wavelic.enhance.surfaces import surface
from wavelic.enhance.training import EnhanceTask, example
from wavelic.enhance.weights import load_network
from wavelic.errors import UsageError
from wavelic.images import from_array, write_image
from wavelic.jpeg2000 import decode_codestream
from wavelic.training.export import Export
from wavelic.training.loop import train
from wavelic.training.recipe import load_recipe

torch.set_num_threads(1)


@pytest.mark.parametrize("reversible", [False, True])
def test_an_example_is_what_libopenjp2_decodes(reversible: bool) -> None:
    pixels = image(64, 96)
    coding = Coding((0.5, 2.0), reversible)
    codestream = coded(pixels, coding)
    planes = np.stack(decode_codestream(codestream, max_layers=1).planes).astype(float)
    signal = decoded(codestream, 1).signals[0]
    expected = colour_components(planes.transpose(1, 2, 0), reversible)
    inside = torch.from_numpy((planes > 0) & (planes < 255)).all(0)
    assert (signal - expected).abs()[0][:, inside].max() < 2


@pytest.mark.parametrize("gray", [False, True])
def test_errors_are_those_of_the_decode(gray: bool) -> None:
    pixels = image(64, 64)
    task = EnhanceTask(load_recipe("enhance-cpu"), EnhanceStage(bfloat16=False))
    examples, originals = example(pixels, Coding((1.0,), False, gray))
    ours, plain = task.objective(examples[0], originals)
    assert torch.equal(ours, plain)  # a new network corrects nothing
    codestream = coded(pixels, Coding((1.0,), False, gray))
    planes = np.stack(decode_codestream(codestream).planes).astype(float)
    truth = np.rint(pixels @ np.array([0.299, 0.587, 0.114]))[None] if gray else pixels.transpose(2, 0, 1)
    assert float(plain[0, 0]) == pytest.approx(((planes - truth) ** 2).mean(), rel=0.1)


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, 0.0), (1.0, 0.0), (1.5, 4 * 0.5 * 1.2)])
def test_harm_counts_losses_and_not_gains(ratio: float, expected: float) -> None:
    """What `harm=4` adds to the loss: four times what the ratio is beyond 1, with weights 1, 0.1 and 0.1."""

    def errors(*_: object) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((3, 6), ratio), torch.ones(3, 6)

    crops = torch.from_numpy(image(64, 64)).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
    loss = {}
    for harm in (0.0, 4.0):
        task = EnhanceTask(load_recipe("enhance-cpu"), EnhanceStage(bfloat16=False, harm=harm, floor=0.0))
        loss[harm] = float(task.losses(errors, crops, 0.0, torch.Generator().manual_seed(0))["loss"])  # type: ignore[arg-type]
    assert loss[4.0] - loss[0.0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("reversible", [False, True])
def test_the_network_learns_an_example(reversible: bool) -> None:
    examples, originals = example(image(64, 64), Coding((0.8,), reversible))
    torch.manual_seed(0)
    objective = Enhancement(Network(SMALL))
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    for _ in range(25):
        ours, plain = objective(examples[0], originals)
        (ours / plain).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        ours, plain = objective(examples[0], originals)
    assert float(ours[0, 0] / plain[0, 0]) < 0.995


@pytest.mark.parametrize("draw", [drawing, *(kind for kind, _ in KINDS)])
def test_drawings_differ_and_are_repeatable(draw: Callable[[int, np.random.Generator], np.ndarray]) -> None:
    first, again, other = (draw(64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shares_of_the_kinds_of_drawings_are_all_there_is() -> None:
    assert sum(share for _, share in KINDS) == pytest.approx(1)


@pytest.mark.parametrize("bits", [10, 16])
def test_surfaces_are_gray_within_their_range_and_repeatable(bits: int) -> None:
    first, again, other = (surface(bits, np.random.default_rng(seed), 64) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3)
    assert int(max(first.max(), other.max())) < 2**bits
    assert (first == first[..., :1]).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_surface_of_a_photograph_looks_like_it() -> None:
    photograph = image(64, 64)
    made = surface(16, np.random.default_rng(3), 64, photograph)[..., 0]
    assert np.corrcoef(made.ravel(), photograph.mean(-1).ravel())[0, 1] > 0.8


@pytest.mark.parametrize("reversible", [False, True])
def test_errors_of_many_bits_are_those_of_the_decode(reversible: bool) -> None:
    pixels = surface(16, np.random.default_rng(0), 64)
    task = EnhanceTask(load_recipe("enhance-cpu"), EnhanceStage(bfloat16=False))
    coding = Coding((1.0,), reversible, gray=True, bits=16)
    examples, originals = example(pixels, coding)
    _, plain = task.objective(examples[0], originals)
    (seen,) = decode_codestream(coded(pixels, coding)).planes
    assert examples[0].levels[0].bits == 16
    assert float(plain[0, 0]) == pytest.approx(((seen.astype(float) - pixels[..., 0]) ** 2).mean(), rel=0.05)


@pytest.mark.parametrize("share", ["deep", "drawn"])
def test_shares_of_made_pictures_are_trained_on(share: str) -> None:
    task = EnhanceTask(load_recipe("enhance-cpu"), EnhanceStage(**{"bfloat16": False, "views": 1, share: 1.0}))
    crops = torch.from_numpy(image(64, 64)).permute(2, 0, 1)[None]
    losses = [task.losses(task.objective, crops, 0.0, torch.Generator().manual_seed(seed))["loss"] for seed in range(3)]
    assert all(float(loss.detach()) == pytest.approx(1.2) for loss in losses)  # a new network corrects nothing


def test_an_unknown_model_is_refused() -> None:
    recipe = load_recipe("enhance-cpu")
    recipe.model = "enhance-x"
    with pytest.raises(UsageError, match="no architecture"):
        EnhanceTask(recipe, EnhanceStage())


def test_a_short_run_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("train", "val"):
        (tmp_path / folder).mkdir()
        with open(tmp_path / folder / "a.png", "wb") as out:
            write_image(from_array(image(64, 64)), out, "png")
    overrides = {
        "data": tmp_path / "train",
        "validation": tmp_path / "val",
        "defaults.crop": 64,
        "defaults.batch": 1,
        "defaults.optimizer": "adam",
        "defaults.warmup": 0,
        "defaults.ema": 0.0,
        "defaults.drawn": 0.0,
        "defaults.lowest": 0.5,
        "defaults.schedule": "constant",
        "stages.0.steps": 2,
    }
    recipe = load_recipe("enhance-cpu", tuple(f"{key}={value}" for key, value in overrides.items()))
    run = train(recipe, tmp_path / "runs")
    log = (run / "main" / "log.jsonl").read_text()
    assert '"9/7"' in log
    cards = export_stages([run / "main" / "final.pt"], Export(tmp_path / "weights", tmp_path, tmp_path))
    monkeypatch.setenv("WAVELIC_WEIGHTS", str(tmp_path / "weights"))
    card = find_enhance()
    assert card.hash == cards[0].hash
    assert card.training["metrics"]["rates"] == [0.1, 0.25, 0.5, 1.0]
    network = load_network(card)
    task = EnhanceTask(recipe, recipe.stages[0])
    task.objective.load_state_dict(task.installed(card))
    for mine, theirs in zip(network.parameters(), task.objective.network.parameters(), strict=True):
        assert torch.equal(mine, theirs.to(mine.dtype))
