"""Training 3DM-WeConvene: a newcomer's way from ten pictures to a decoded file, resuming, losses, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from threedm_small import CONFIG, picture, small, tiny_network

import wavelic
from wavelic.codec.weights import card_called
from wavelic.errors import UsageError
from wavelic.nn.exact import ExactConv2d, layers
from wavelic.threedm import config, training, weights
from wavelic.threedm import export as exporting
from wavelic.threedm.config import CODED, CONFIGS
from wavelic.threedm.entropy import integers_of
from wavelic.threedm.network import CodecNetwork
from wavelic.threedm.objective import RateDistortion
from wavelic.threedm.stage import ThreedmStage
from wavelic.threedm.training import ThreedmTask, TrainedNetwork
from wavelic.training.export import Export, export_run
from wavelic.training.loop import FINAL, train
from wavelic.training.recipe import load_recipe
from wavelic.training.task import make_task

SETTINGS = (
    "defaults.batch=1",
    "defaults.crop=64",
    "defaults.validate_every=20",
    "defaults.checkpoint_every=5",
    "defaults.validation_crops=1",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(10):
        coarse = PIL.Image.fromarray(random.integers(0, 256, (20, 20, 3), np.uint8))
        coarse.resize((256, 256), PIL.Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network `3dm` has few channels."""
    torch.set_num_threads(1)
    for module, names in ((config, "CODED"), (weights, "CODED"), (exporting, "CODED")):
        monkeypatch.setattr(module, names, {**CODED, "3dm": CONFIG})
    monkeypatch.setattr(training, "CONFIGS", {**CONFIGS, "3dm": CONFIG})


@pytest.mark.usefixtures("_tiny")
def test_ten_pictures_twenty_steps_export_encode_decode(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of docs/threedm.md, with fewer channels and smaller crops."""
    arguments = (*SETTINGS, "stages.0.steps=20", f"data={pictures}", f"validation={pictures}")
    run = train(load_recipe("3dm-cpu", arguments), tmp_path / "runs")
    state = torch.load(run / "main" / FINAL, weights_only=True)["objective"]
    assert all(torch.isfinite(value).all() for value in state.values())
    assert state["network.analysis.6.weight"].abs().max() > 0  # zero before the first step
    (card,) = export_run(run, Export(tmp_path / "weights", pictures, pictures, every=2))
    assert (card.family, card.training["step"]) == ("3dm", 20)
    monkeypatch.setenv("WAVELIC_WEIGHTS", str(tmp_path / "weights"))
    pixels = np.asarray(PIL.Image.open(pictures / "3.png"))[:100, :90]
    data = wavelic.encode(pixels, "3dm", 80)
    assert wavelic.open(data).info["model_hash"] == card.file_id.hex()
    decoded = wavelic.decode(data)
    assert np.mean((decoded.astype(float) - pixels) ** 2) < 150
    assert len(wavelic.encode(pixels, "3dm", 20)) < len(data)


@pytest.mark.usefixtures("_tiny")
def test_quantised_stages_follow_float_ones(pictures: Path, tmp_path: Path) -> None:
    arguments = (*SETTINGS, f"data={pictures}", f"validation={pictures}", "defaults.optimizer=adam")
    recipe = load_recipe("3dm-cpu", (*arguments, "stages.0.steps=2"))
    recipe.stages.append(replace(recipe.stages[0], name="quantised", init="main", steps=1, quantised=True))
    folder = train(recipe, tmp_path)
    state = torch.load(folder / "quantised" / FINAL, weights_only=True)["objective"]
    assert {int(v[1]) for k, v in state.items() if k.endswith("exponents")} != {5}  # chosen from crops


@pytest.mark.usefixtures("_tiny")
def test_a_run_that_broke_off_goes_on_to_the_same_weights(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (
        *SETTINGS,
        f"data={pictures}",
        f"validation={pictures}",
        "stages.0.steps=3",
        "defaults.checkpoint_every=2",
    )
    whole = train(load_recipe("3dm-cpu", arguments), tmp_path / "whole")
    losses, calls = ThreedmTask.losses, 0

    def failing(self: ThreedmTask, *arguments: Any) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("power cut")
        return losses(self, *arguments)

    monkeypatch.setattr(ThreedmTask, "losses", failing)
    with pytest.raises(RuntimeError, match="power cut"):
        train(load_recipe("3dm-cpu", arguments), tmp_path / "broken")
    broken = train(load_recipe("3dm-cpu", arguments), tmp_path / "broken")
    assert calls == 3 + 1  # from the checkpoint after step 2
    expected = torch.load(whole / "main" / FINAL, weights_only=True)["objective"]
    found = torch.load(broken / "main" / FINAL, weights_only=True)["objective"]
    assert all(torch.equal(value, found[name]) for name, value in expected.items())


def test_published_networks_train_at_one_lambda(pictures: Path) -> None:
    recipe = load_recipe("3dm-weconvene", (f"data={pictures}", f"validation={pictures}"))
    assert [stage.name for stage in recipe.stages][-2:] == ["printed", "worded"]
    assert sum(stage.steps for stage in recipe.stages[:4]) == 1_500_000
    printed, worded = recipe.stages[-2:]
    assert isinstance(printed, ThreedmStage)
    assert isinstance(worded, ThreedmStage)
    assert printed.low_weight > printed.high_weight
    assert worded.low_weight < worded.high_weight
    small_one = TrainedNetwork(small("3dm-weconvene"), printed)
    assert small_one.objective == RateDistortion(0.013, "mse", (1.05, 0.95))
    crops = picture(1, 64, 64).mul(255).byte()
    assert torch.equal(small_one.eval()(crops, torch.ones(1)).loss, small_one(crops, torch.zeros(1)).loss)


@pytest.mark.usefixtures("_tiny")
def test_rates_outside_what_files_have_are_refused() -> None:
    recipe = load_recipe("3dm-cpu", ("defaults.lowest=-4",))
    with pytest.raises(UsageError, match=r"expected -3\.0\.\.3\.0"):
        _ = make_task(recipe, recipe.stages[0]).rates  # type: ignore[attr-defined]
    recipe = load_recipe("3dm-cpu", ("defaults.lambda_=0.03125",))
    assert make_task(recipe, recipe.stages[0]).rates == (2.0, 2.0)  # type: ignore[attr-defined]


def test_loss_is_equations_1_and_2_with_a_lambda_for_every_crop() -> None:
    trained = TrainedNetwork(tiny_network(), ThreedmStage(balance=0.5, low_weight=2.0, high_weight=2.0)).eval()
    crops = picture(2, 64, 64).mul(255).byte()
    rate = torch.tensor([-1.0, 2.0])
    with torch.no_grad():
        terms = trained(crops, rate)
        network = trained.network(crops.float() / 255, rate)
    hyper = network.hyper_bits / 64**2
    lambdas = 2.0 ** (rate - 7)
    expected = (lambdas * terms.distortion + 2 * (terms.bpp - hyper) + hyper) * (2**rate) ** -0.5
    torch.testing.assert_close(terms.loss, expected.mean(), rtol=1e-4, atol=1e-4)
    assert terms.bpp.shape == terms.distortion.shape == (2,)


def test_shipped_weights_come_back_as_floats() -> None:
    card = card_called("3dm", "3dm")
    network = CodecNetwork(CODED["3dm"])
    network.load_state_dict(weights.float_state(card))
    shipped, again = weights.load_model(card).entropy, integers_of(network.entropy, network.config)
    assert torch.equal(shipped.base, again.base)
    pairs = [pair for pair in zip(shipped.modules(), again.modules(), strict=True) if isinstance(pair[0], ExactConv2d)]
    assert len(pairs) == len(layers(network.entropy)) > 100
    for stored, made in pairs:
        # the same values, perhaps in units twice or half as large
        before, after = (m.weight.double() * 2.0 ** -m.shift.double()[:, None, None, None] for m in (stored, made))
        unit = 2.0 ** -made.shift.double()[:, None, None, None]
        assert bool(((before - after).abs() <= unit / 2).all())


def test_twins_differ_only_in_what_they_say() -> None:
    base = CODED["3dm"]
    assert replace(CODED["3dm-plain"], levels=2, channel_levels=1, split="3d") == base
    assert replace(CODED["3dm-2d"], split="3d", low_parts=2, high_parts=5) == base
    assert replace(CODED["3dm-l"], exact=False, gains=False) == CONFIGS["3dm-weconvene"]
