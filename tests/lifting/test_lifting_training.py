"""Training lifting transforms: gradients, pre-training, the objective, and the loop around them."""

from __future__ import annotations

import copy
import json
import math
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from wavelic.errors import UsageError
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.training.objective import LEVELS, LiftingObjective, Plan, luma_planes, synthesis_norms
from wavelic.lifting.training.operators import (
    freeze_first_proposals,
    plain_state,
    trained_operators,
    use_trained_operators,
    wide_input_gradient,
)
from wavelic.lifting.training.oracle import Oracle, oracle_maps
from wavelic.lifting.training.progressive import progressive_error, selections
from wavelic.lifting.training.score import Validator, luma
from wavelic.lifting.training.task import transform_of
from wavelic.lifting.transform.steps import LUMA_STEPS, PRODUCT_STEPS
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting_card
from wavelic.training.export import Export, export_run
from wavelic.training.loop import FINAL, train
from wavelic.training.recipe import load_recipe
from wavelic.training.task import make_task

torch.set_num_threads(1)


def pictures(count: int, side: int, seed: int) -> np.ndarray:
    """Images of overlapping discs and stripes with sharp slanted edges, uint8 (count, side, side, 3)."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    images = np.empty((count, side, side, 3), np.uint8)
    for image in images:
        grey = np.full((side, side), random.uniform(60, 200))
        for _ in range(8):
            y, x, radius = random.uniform(0, side, 3)
            angle, period = random.uniform(0, math.pi), random.uniform(5, 40)
            inside = (rows - y) ** 2 + (columns - x) ** 2 < (0.4 * radius) ** 2
            wave = np.sign(np.sin((rows * math.sin(angle) + columns * math.cos(angle)) * 2 * math.pi / period))
            grey = np.where(inside, 128 + wave * random.uniform(10, 90), grey)
        image[:] = (grey + random.normal(0, 1, grey.shape)).clip(0, 255)[..., None]
    return images


def batch(count: int, side: int, seed: int) -> Tensor:
    """Luma of `pictures`, (count, 1, side, side) in [-0.5, 0.5]."""
    return luma_planes(torch.from_numpy(pictures(count, side, seed)).permute(0, 3, 1, 2))


def hybrid(scale: float = 5.0) -> LiftingTransform:
    torch.manual_seed(0)
    transform = build_lifting("Hybrid(9/7)-U16")
    with torch.no_grad():
        for operator in (transform.level.high_to_low, transform.level.low_to_high):
            operator.taps.mul_(scale)
    return transform


@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "shape"), [(1, 27, 11, (20, 23)), (3, 9, 13, (17, 14)), (1, 4, 5, (8, 9))]
)
def test_wide_input_gradient(inputs: int, outputs: int, size: int, shape: tuple[int, int]) -> None:
    gradient = torch.randn(2, outputs, *shape, dtype=torch.float64)
    taps = torch.randn(outputs, inputs, size, size, dtype=torch.float64)
    torch.testing.assert_close(wide_input_gradient(gradient, taps), functional.conv_transpose2d(gradient, taps))


def test_trained_operators_change_neither_values_nor_gradients() -> None:
    x = batch(2, 64, 1)
    plain = hybrid()
    fast = use_trained_operators(copy.deepcopy(plain), bfloat16=False)
    rough = use_trained_operators(copy.deepcopy(plain), bfloat16=True)
    results = []
    for transform in (plain, fast, rough):
        y = transform.analysis(x, LEVELS)
        bands = [band for level in y.levels for band in (level.lh, level.hl, level.hh)]
        loss = sum((band.abs() + 0.01).log().sum() for band in bands) + transform.synthesis(y.map(torch.tanh)).sum()
        loss.backward()
        gradients = plain_state({name: value.grad for name, value in transform.named_parameters()})
        results.append((loss.item(), gradients))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-6)
    assert results[1][1].keys() == results[0][1].keys()
    for name, expected in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
        cosine = functional.cosine_similarity(results[2][1][name].flatten(), expected.flatten(), dim=0)
        assert cosine > 0.9, name


def test_synthesis_norms_are_those_of_the_specification() -> None:
    norms = synthesis_norms("9/7")
    assert norms[4]["low"] == pytest.approx(33.92, abs=0.01)
    assert norms[0]["hl"] == norms[0]["lh"] == pytest.approx(1.011, abs=0.001)
    assert norms[0]["hh"] == pytest.approx(0.520, abs=0.001)


def test_oracle_maps_follow_orientation_and_ignore_brightness() -> None:
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    for k in range(8):
        angle = k * math.pi / 8
        wave = 0.2 * torch.sin((columns * math.cos(angle) + rows * math.sin(angle)) * 2 * math.pi / 8)
        maps = oracle_maps(wave[None, None], 1, 9)[0, :, 16:48, 16:48].mean((1, 2))
        assert int(maps[1:].argmax()) == k
        shifted = oracle_maps(wave[None, None] + 0.2, 1, 9)[0, :, 16:48, 16:48].mean((1, 2))
        torch.testing.assert_close(shifted, maps, atol=1e-4, rtol=1e-3)
    assert float(oracle_maps(torch.full((1, 1, 64, 64), 0.3), 3, 9).abs().max()) < 1e-5


def test_oracle_is_sampled_where_the_band_lies() -> None:
    x = batch(1, 64, 2)
    oracle = Oracle(x, 9)
    full = oracle_maps(x, 2, 9)
    torch.testing.assert_close(oracle.at((16, 16), ("low", "low")), full[..., ::4, ::4])
    torch.testing.assert_close(oracle.at((16, 16), ("high", "low")), full[..., 2::4, ::4])
    torch.testing.assert_close(oracle.at((16, 32), ("high", "full")), full[..., 2::4, ::2])


def test_progressive_selection_is_equation_8() -> None:
    transform, x = hybrid(), batch(2, 64, 3)
    with torch.no_grad():
        y = transform.analysis(x, 3)
        chosen = selections(y)
        decoded = transform.synthesis(chosen).unflatten(0, (-1, 2))
        assert decoded.shape[0] == 9
        order = [(level, name) for level in (2, 1, 0) for name in ("lh", "hl", "hh")]
        expected = torch.zeros(2)
        for i in range(9):
            bands = copy.deepcopy(y)
            for level, name in order[i:]:
                getattr(bands.levels[level], name).zero_()
            expected += (transform.synthesis(bands) - x).square().sum((1, 2, 3))
            torch.testing.assert_close(transform.synthesis(bands), decoded[i], atol=1e-5, rtol=0)
        torch.testing.assert_close(progressive_error(transform, y, x), expected, rtol=1e-4, atol=0)


def test_step_gives_the_rate() -> None:
    objective = LiftingObjective(build_lifting("CDF-9/7"), Plan(rate="coder", distortion=True))
    x = batch(2, 128, 4)
    steps = [objective.step_for(x, torch.full((2,), rate)) for rate in (0.1, 0.3, 1.0)]
    assert bool((steps[0] > steps[1]).all() and (steps[1] > steps[2]).all())


def test_without_learned_steps_every_objective_is_that_of_the_base() -> None:
    x, step = batch(2, 64, 5), torch.tensor([10.0, 30.0])
    for plan in (Plan(), Plan(rate="context"), Plan(progressive=True)):
        assert float(LiftingObjective(build_lifting("CDF-9/7"), plan)(x, step)["loss"]) == pytest.approx(1, abs=1e-5)
    terms = LiftingObjective(build_lifting("CDF-9/7"), Plan(rate="coder", distortion=True))(x, step)
    assert float(terms["gain"]) == pytest.approx(0, abs=1e-3)
    assert float(terms["loss"]) > 1  # D / D plus the rate
    with pytest.raises(UsageError, match="smooth"):
        LiftingObjective(build_lifting("CDF-9/7"), Plan(rate="none"))


@pytest.mark.parametrize("name", ["PO-P-U", "iWave++-P-U", "PO-U-P", "Custom-5S-5c"])
def test_other_structures_train(name: str) -> None:
    torch.manual_seed(0)
    transform = use_trained_operators(build_lifting(name), bfloat16=False)
    objective = LiftingObjective(transform, Plan(rate="coder", distortion=True))
    objective(batch(1, 32, 6), torch.tensor([20.0]))["loss"].backward()
    assert all(value.grad is not None and bool(value.grad.isfinite().all()) for value in transform.parameters())
    assert any(float(value.grad.abs().max()) > 0 for value in transform.parameters())


def test_frozen_proposals_stay_the_base_filter() -> None:
    transform = use_trained_operators(hybrid(), bfloat16=False)
    freeze_first_proposals(transform)
    optimizer = torch.optim.Adam(transform.parameters(), 1e-2)
    objective = LiftingObjective(transform, Plan(oracle=True))
    objective(batch(1, 64, 6), torch.tensor([20.0]))["loss"].backward()
    optimizer.step()
    for operator in trained_operators(transform):
        taps = operator.operator.taps.detach().unflatten(0, (-1, 9))
        assert float(taps[:, 0].abs().max()) == 0
        assert float(taps[:, 1:].abs().min()) > 0
        assert operator.operator.last.weight.grad is None  # oracle opacities need no network


RECIPE = """
name: small
model: Hybrid(9/7)-U16
description: for tests
data: {folder}
validation: {folder}
seed: 1
defaults: {{batch: 4, crop: 64, learning_rate: 3.0e-4, warmup: 5, clip: 1.0, validate_every: 20, checkpoint_every: 3,
  judged: 2, judged_side: 64, keep: last}}
stages:
{stages}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 patches to train on."""
    path = tmp_path_factory.mktemp("patches")
    for number, image in enumerate(pictures(200, 64, 7)):
        PIL.Image.fromarray(image).save(path / f"{number:03}.png")
    return path


def write_recipe(path: Path, folder: Path, *stages: str) -> str:
    path.write_text(RECIPE.format(folder=folder, stages="\n".join(f"  - {{{stage}}}" for stage in stages)))
    return str(path)


def held_out_cost(transform: LiftingTransform) -> float:
    """D + lambda R relative to CDF 9/7, zero-order code lengths of each transform's own bands, on unseen patches."""
    x = batch(24, 64, 99)
    costs = []
    for candidate in (transform, build_lifting("CDF-9/7")):
        objective = LiftingObjective(candidate, Plan(rate="histogram", distortion=True, penalty=0.0)).train()
        total = 0.0
        for step in (12.0, 24.0):
            steps = torch.full((len(x),), step)
            with torch.no_grad():
                assert objective.lengths is not None
                objective.lengths.counts.zero_()
                total += float(objective(x, steps)["loss"])
        costs.append(total)
    return costs[0] / costs[1]


def test_hybrid_beats_its_base_on_held_out_patches(folder: Path, tmp_path: Path) -> None:
    """Acceptance test 9 of the specification; then what the run leaves behind."""
    recipe = write_recipe(
        tmp_path / "r.yaml",
        folder,
        "name: smooth, batch: 2, steps: 10, rate: smooth",
        "name: coder, batch: 2, init: smooth, steps: 15, rate: coder, distortion: true, penalty: 0.02",
    )
    run = train(load_recipe(recipe), tmp_path)
    state = torch.load(run / "coder" / FINAL, weights_only=True)
    transform = transform_of("Hybrid(9/7)-U16", state["objective"])
    assert held_out_cost(build_lifting("CDF-9/7")) == pytest.approx(1)
    assert held_out_cost(transform) < 0.996
    rows = [json.loads(line) for line in (run / "coder" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [15]
    assert {"loss", "gain", "bpp", "h2l1", "h2l5"} <= rows[0]["train"].keys()
    assert {"bd_rate", "stock_psnr", "lowest", "highest", "clipped"} <= rows[0]["validation"].keys()
    cards = export_run(run, Export(tmp_path / "weights", folder, folder))
    assert [card.name for card in cards] == ["lifting", "lifting-luma"]
    for card, steps in zip(cards, (PRODUCT_STEPS, LUMA_STEPS), strict=True):
        assert (tmp_path / "weights" / f"{card.name}.safetensors").exists()
        shipped = load_lifting_card(card)
        assert shipped.steps == steps
        for name, value in shipped.state_dict().items():
            torch.testing.assert_close(value, transform.state_dict()[name].half().float())


def test_three_oracle_stages_and_progressive_selection_run(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(folder.glob("*.png"))[:8]:
        shutil.copy(path, few)
    recipe = write_recipe(
        tmp_path / "r.yaml",
        few,
        "name: proposals, batch: 1, steps: 2, rate: coder, distortion: true, oracle: true, train: proposals",
        "name: opacities, batch: 1, init: proposals, steps: 1, rate: coder, distortion: true, train: opacities",
        "name: all, batch: 1, init: opacities, steps: 1, rate: coder, distortion: true",
        "name: progressive, batch: 1, steps: 1, progressive: true",
    )
    run = train(load_recipe(recipe), tmp_path)
    states = [
        torch.load(run / stage / FINAL, weights_only=True)["objective"] for stage in ("proposals", "opacities", "all")
    ]
    for name in states[0]:
        if name.startswith("transform"):
            moved = [not torch.equal(a[name], b[name]) for a, b in pairwise(states)]
            assert moved == ([False, True] if name.endswith(".taps") else [True, True]), name
    assert (run / "progressive" / FINAL).exists()


def test_a_stopped_run_ends_with_the_same_weights(folder: Path, tmp_path: Path) -> None:
    stage = "name: only, batch: 1, steps: 2, rate: coder, distortion: true, last_half_width: 1.0"
    recipe = write_recipe(tmp_path / "r.yaml", folder, stage)
    whole = train(load_recipe(recipe), tmp_path / "a")
    train(load_recipe(recipe, ("stages.0.steps=1",)), tmp_path / "b")
    (tmp_path / "b" / "small" / "only" / FINAL).unlink()
    resumed = train(load_recipe(recipe), tmp_path / "b")
    for name, value in torch.load(whole / "only" / FINAL, weights_only=True)["objective"].items():
        assert torch.equal(torch.load(resumed / "only" / FINAL, weights_only=True)["objective"][name], value), name


def test_budget_ends_a_stage_and_drives_its_schedule(folder: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "r.yaml", folder, "name: only, steps: 100000, budget: 0.5, validate_every: 100000")
    run = train(load_recipe(recipe), tmp_path)
    about = json.loads(torch.load(run / "only" / FINAL, weights_only=True)["about"])
    assert 0 < about["step"] < 1000


def test_judge_gives_the_base_no_gain_and_knows_the_stock_picture() -> None:
    images = [luma(image) for image in pictures(2, 128, 8)]
    result = Validator(images, rates=(0.3, 0.6, 1.0, 1.5))(build_lifting("CDF-9/7"))
    assert result["bd_rate"] == pytest.approx(0)
    assert result["clipped"] == 0
    loud = Validator(images, rates=(0.3, 0.6, 1.0, 1.5))(hybrid(40.0))
    assert loud["stock_psnr"] < result["stock_psnr"] - 3


def test_train_key_is_checked(folder: Path, tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path / "r.yaml", folder, "name: only, train: nothing"))
    with pytest.raises(UsageError, match="opacities"):
        make_task(recipe, recipe.stages[0])
