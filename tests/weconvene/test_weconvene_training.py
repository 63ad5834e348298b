"""Training `weconvene`: resumable, exportable, and its loss is the paper's."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from weconvene_tiny import assert_same_integers

from wavelic.codec.weights import card_called, cards
from wavelic.container import read_container
from wavelic.errors import ModelError, UsageError
from wavelic.evaluation.metrics import ms_ssim_rgb
from wavelic.images import from_array
from wavelic.training.data import PackedImages
from wavelic.training.export import Export, export_run
from wavelic.training.loop import FINAL, LEVEL, save_objective, train
from wavelic.training.recipe import load_recipe
from wavelic.training.stages import Recipe
from wavelic.weconvene.config import CONFIGS, Config
from wavelic.weconvene.export import logistic_tables
from wavelic.weconvene.files import Encoding, decode
from wavelic.weconvene.network import Network
from wavelic.weconvene.quantizers import Coded, logistic_bits, quantize_by_cost
from wavelic.weconvene.rdoq import quantise
from wavelic.weconvene.stage import WeconveneStage
from wavelic.weconvene.training import RateDistortion, WeconveneTask
from wavelic.weconvene.units import LOG2_LOWEST, PER_OCTAVE, SCALES
from wavelic.weconvene.weights import float_state, integers_of, load_model, residual_costs

SETTINGS = ("defaults.batch=1", "defaults.crop=128", "defaults.validate_every=4", "defaults.checkpoint_every=2")
TINY = Config(analysis=8, synthesis=8, analysis_blocks=1, synthesis_blocks=1, contexts=(4, 6, 6))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(3):
        coarse = random.integers(0, 256, (20, 20, 3), np.uint8)
        picture = PIL.Image.fromarray(coarse).resize((256, 256), PIL.Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    arguments = (*SETTINGS, "stages.0.steps=4", f"data={pictures}", f"validation={pictures}", "name=whole")
    return train(_recipe(arguments), tmp_path_factory.mktemp("runs"))


def _recipe(arguments: tuple[str, ...], stages: int = 1) -> Recipe:
    """The first stages of the shipped recipe."""
    recipe = load_recipe("weconvene-cpu", arguments)
    recipe.stages = recipe.stages[:stages]
    return recipe


def _state(folder: Path) -> dict[str, torch.Tensor]:
    stage = next(path for path in folder.iterdir() if (path / FINAL).exists())
    return torch.load(stage / FINAL, weights_only=True)["objective"]


def test_weights_move_and_are_finite(run: Path) -> None:
    state = _state(run)
    assert all(torch.isfinite(value).all() for value in state.values())
    assert state["network.f.leave.weight"].abs().max() > 0  # zero before the first step
    assert state["network.entropy.base"].abs().max() > 0.5  # measured on crops


def test_a_run_goes_on_elsewhere(run: Path, pictures: Path, tmp_path: Path) -> None:
    """From weights kept in bfloat16: the first loss is near the last one's, and a missing file is named."""
    kept = tmp_path / "kept.safetensors"
    save_objective(run / "main" / FINAL, kept)
    assert kept.stat().st_size < 0.6 * (run / "main" / FINAL).stat().st_size
    arguments = (*SETTINGS, "stages.0.steps=1", f"data={pictures}", f"validation={pictures}", f"stages.0.init={kept}")
    after = _state(train(_recipe((*arguments, "name=on")), tmp_path))
    for name, value in _state(run).items():
        if name == "network.band_steps":
            assert torch.allclose(value, after[name], atol=0.02)
    with pytest.raises(UsageError, match="no-such-file"):
        train(_recipe((*arguments, "name=no", "stages.0.init=no-such-file.safetensors")), tmp_path)


def test_export_codes_pictures(run: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (card,) = export_run(run, Export(tmp_path, pictures, pictures, every=3))
    monkeypatch.setenv("WAVELIC_WEIGHTS", str(tmp_path))
    model = load_model(next(c for c in cards() if c.file_id == card.file_id))
    assert len(model.tables) == SCALES
    pixels = np.asarray(PIL.Image.open(pictures / "0.png"))[:100, :90]
    encoding = Encoding(from_array(pixels), model)
    result = decode(read_container(encoding.file(150)))
    assert result.pixels.shape == pixels.shape
    assert np.abs(result.pixels.astype(int) - encoding.reconstruction(150)).max() <= 1
    error = np.mean((result.pixels.astype(float) - pixels) ** 2)
    assert error < 200  # four steps of training: about what a plain wavelet codec with this step leaves


def test_shipped_weights_come_back_as_floats() -> None:
    card = card_called("weconvene", "weconvene")
    network = Network(CONFIGS["weconvene"])
    network.load_state_dict(float_state(card))
    assert_same_integers(integers_of(network.entropy, network.config), load_model(card).entropy)
    with pytest.raises(ModelError, match=r"no weights of weconvene-m fit 'weconvene'; there are none"):
        card_called("weconvene", "weconvene-m")


def test_configurations_differ_only_in_what_they_say() -> None:
    base = CONFIGS["weconvene"]
    assert replace(CONFIGS["weconvene-2d"], ordered_colours=True) == base
    wavelet, plain = CONFIGS["weconvene-wavelet"], CONFIGS["weconvene-plain"]
    assert replace(wavelet, layer="plain") == plain
    assert wavelet.contexts == base.contexts
    counts = [sum(p.numel() for p in Network(config).parameters()) for config in (base, wavelet, plain)]
    assert max(counts) < 15_000_000


def test_a_longer_synthesis_starts_as_the_shipped_one_and_is_trained_alone(pictures: Path, tmp_path: Path) -> None:
    """Nothing is trained but g, so that files stay as they are; before the first step pictures do, too."""
    settings = (
        "defaults.crop=128",
        "defaults.batch=1",
        f"data={pictures}",
        f"validation={pictures}",
        "stages.0.steps=3",
    )
    recipe = load_recipe("weconvene-synthesis", settings)
    task = WeconveneTask(recipe, recipe.stages[0])
    card = card_called("weconvene", *task.relatives)
    task.start(task.installed(card), PackedImages.from_folder(pictures, tmp_path / "cache", 128))
    shipped, network = Network(CONFIGS["weconvene"]), task.objective.network
    shipped.load_state_dict(float_state(card))
    grid, step = torch.randn(1, 192, 6, 6, generator=torch.Generator().manual_seed(0)) * 9, torch.tensor([5.0])
    with torch.no_grad():
        assert torch.equal(network.g(grid, step), shipped.g(grid, step))
    folder = train(recipe, tmp_path)
    after = {name.removeprefix("network."): value for name, value in _state(folder).items()}
    before = network.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} == {"g"}
    assert "g.blocks.5.leave.weight" in changed


def test_the_finish_of_the_shipped_weights(pictures: Path, tmp_path: Path) -> None:
    """It goes on from them, in the units that they have, and moves everything."""
    settings = (f"data={pictures}", f"validation={pictures}", "defaults.validation_steps=[48.0]")
    small = ("stages.0.steps=2", "stages.0.crop=128", "stages.0.batch=1")
    state = _state(train(load_recipe("weconvene-finish", (*settings, *small)), tmp_path))
    shipped = float_state(card_called("weconvene", "weconvene"))
    changed = {name for name, value in shipped.items() if not torch.equal(state[f"network.{name}"], value)}
    assert {"f", "g", "entropy", "band_steps"} == {name.split(".")[0] for name in changed}
    assert not any(name.endswith("exponents") for name in changed)


def test_all_stages_of_the_recipe(pictures: Path, tmp_path: Path) -> None:
    """All stages of the recipe: in floats, on coded symbols, and what the integers will compute."""
    settings = (*SETTINGS, "stages.1.crop=128", "stages.1.batch=1", "stages.0.steps=4", "stages.1.steps=2")
    settings = (*settings, "stages.2.steps=2", "stages.0.schedule=trapezoid", "defaults.validation_steps=[48.0]")
    folder = train(_recipe((*settings, f"data={pictures}", f"validation={pictures}"), stages=3), tmp_path)
    state = torch.load(folder / "integers" / FINAL, weights_only=True)["objective"]
    assert {int(v[1]) for k, v in state.items() if k.endswith("exponents")} != {5}  # chosen from crops
    assert (folder / "main" / LEVEL).exists()  # the trapezoid's level part; the last stage falls all the time
    assert not (folder / "integers" / LEVEL).exists()


def test_loss_is_equations_1_and_2() -> None:
    torch.manual_seed(0)
    objective = RateDistortion(Network(TINY), WeconveneStage(bfloat16=False)).eval()
    crops = torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8)
    step = torch.tensor([5.0, 6.5])
    with torch.no_grad():
        loss, bpp, mse = objective(crops, step)
        expected = (bpp + 3 * mse / (0.2 * 4.0**step)) * (2**step / 64) ** 1.2
        assert torch.allclose(loss, expected, rtol=1e-4)
        objective.stage = WeconveneStage(bfloat16=False, low_weight=2.0, high_weight=2.0)
        twice, *_ = objective(crops, step)
        assert torch.allclose(twice, expected + bpp * (2**step / 64) ** 1.2, rtol=1e-4)


def test_loss_with_ms_ssim() -> None:
    """The metric of the reports in the place of the squared error; it moves the synthesis."""
    torch.manual_seed(0)
    objective = RateDistortion(Network(TINY), WeconveneStage(bfloat16=False, metric="ms-ssim")).eval()
    coarse = torch.randint(0, 256, (2, 3, 24, 24)).float()
    crops = torch.nn.functional.interpolate(coarse, 256, mode="bicubic").clamp(0, 255).to(torch.uint8)
    step = torch.tensor([5.0, 7.5])
    with torch.no_grad():
        loss, bpp, _ = objective(crops, step)
        network = objective.network
        subbands, _ = network.code(network.analysis(crops.float(), step), step, Coded())
        shown = network.synthesis(subbands, step).round().clamp(0, 255)
    pairs = zip(shown.permute(0, 2, 3, 1), crops.permute(0, 2, 3, 1), strict=True)
    quality = torch.tensor([ms_ssim_rgb(b.numpy(), a.to(torch.uint8).numpy()) for a, b in pairs])
    expected = (bpp + 19500 * (1 - quality) / 4**step) * (2**step / 64) ** 1.2
    assert torch.allclose(loss, expected, rtol=1e-3)
    objective.train()(crops, step)[0].sum().backward()
    gradient = objective.network.g.leave.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0


def test_training_on_coded_symbols() -> None:
    """With RDOQ: bits of the symbols themselves, fewer than without, and gradients for scales, means and analysis."""
    torch.manual_seed(0)
    crops = torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8)
    objective = RateDistortion(Network(TINY), WeconveneStage(bfloat16=False, rdoq_lambda=0.1))
    objective.network.start_from(crops.float())
    torch.nn.init.normal_(objective.network.f.leave.weight, std=0.01)
    step = torch.tensor([5.0, 6.5])
    noisy = objective(crops, step, torch.Generator().manual_seed(1))
    noisy[0].sum().backward()
    entropy = objective.network.entropy.level(1)
    for name, parameter in [*entropy.heads[0].named_parameters(), *objective.network.f.leave.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    with torch.no_grad():
        bits = objective.eval()(crops, step)[1]
        assert torch.allclose(noisy[1], bits, rtol=1e-5)  # noise changes gradients, not the rate
        objective.stage = WeconveneStage(bfloat16=False)
        assert (objective(crops, step)[1] > bits).all()


def test_training_quantises_as_the_encoder() -> None:
    """Apart from values at which both choices cost about the same: tables are 16-bit fractions of the distribution."""
    tables = logistic_tables()
    random = np.random.default_rng(0)
    table = torch.from_numpy(random.integers(0, SCALES, 50_000).astype(np.uint8))
    scale = LOG2_LOWEST + table.float() / PER_OCTAVE
    target = torch.from_numpy(random.logistic(size=50_000).astype(np.float32)) * torch.exp2(scale).clamp(max=40)
    coded = quantise(target, table, torch.from_numpy(residual_costs(tables)), 0.1)
    same = quantize_by_cost(target, scale, 0.1) == coded
    assert same.float().mean() > 0.995
    assert torch.equal(quantize_by_cost(target, scale, 0.0), target.round())


@pytest.mark.parametrize("log2_scale", [-3.0, 0.0, 4.0])
def test_logistic_bits_are_those_of_the_discretised_logistic(log2_scale: float) -> None:
    values = torch.tensor([0.0, 0.4, 1.0, 3.0, -7.0, 30.0], dtype=torch.float64)
    scale = 2.0**log2_scale
    expected = []
    for value in values.abs().tolist():
        # upper tail, where differences of probabilities do not cancel
        def tail(x: float) -> float:
            return 1 / (1 + math.exp(min(x / scale, 700)))

        expected.append(-math.log2(max(tail(value - 0.5) - tail(value + 0.5), 1e-300)))
    bits = logistic_bits(values, torch.full_like(values, log2_scale))
    usable = torch.tensor(expected) < 200
    assert torch.allclose(bits[usable], torch.tensor(expected, dtype=torch.float64)[usable], rtol=1e-6, atol=1e-9)


def test_tables_without_counts_are_the_logistic() -> None:
    tables = logistic_tables()
    table = tables.table(40)  # a wide one
    middle = -tables.bounds[40][0]
    share = table[middle] / 2**tables.precision
    bits = logistic_bits(torch.zeros(1), torch.tensor([-4.5 + 40 / 5]))
    assert -math.log2(share) == pytest.approx(float(bits), rel=0.02)
