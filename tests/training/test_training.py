"""The training loop: reproducible, resumable after kill -9, the same under torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from wavelic.codec.architecture import Architecture
from wavelic.codec.architectures import architectures
from wavelic.errors import UsageError
from wavelic.nn.likelihood import gaussian_bits
from wavelic.training.data import CropSource, PackedImages
from wavelic.training.loop import FINAL, learning_rate, train
from wavelic.training.recipe import load_recipe, recipe_names
from wavelic.training.stages import Stage
from wavelic.training.task import make_task
from wavelic.wcae.network import build_autoencoder
from wavelic.wcae.objective import AutoencoderObjective

TINY = (
    "defaults.steps=12",
    "defaults.batch=2",
    "defaults.crop=64",
    "defaults.validate_every=6",
    "defaults.checkpoint_every=3",
    "stages=[{name: trunk, klt: true, schedule: constant}, {name: low, init: trunk, lambda_: 0.0005}]",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight smooth RGB images of different sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(8):
        coarse = random.integers(0, 256, (6, 7, 3), np.uint8)
        picture = PIL.Image.fromarray(coarse).resize((90 + 5 * number, 80 + 3 * number), PIL.Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.png")
    return folder


def _arguments(pictures: Path, name: str) -> tuple[str, ...]:
    return (*TINY, f"data={pictures}", f"validation={pictures}", f"name={name}")


def _weights(run: Path, stage: str = "low") -> dict[str, torch.Tensor]:
    return torch.load(run / stage / FINAL, weights_only=True)["objective"]


@pytest.fixture(scope="module")
def reference(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without interruption, on one thread."""
    torch.set_num_threads(1)
    return train(load_recipe("wcae-cpu", _arguments(pictures, "reference")), tmp_path_factory.mktemp("runs"))


def _command(pictures: Path, name: str, *launcher: str) -> list[str]:
    return [*(launcher or (sys.executable,)), "-m", "wavelic.training.loop", "wcae-cpu", *_arguments(pictures, name)]


def _environment(runs: Path) -> dict[str, str]:
    return {**os.environ, "WAVELIC_RUNS": str(runs), "OMP_NUM_THREADS": "1"}


def test_run_leaves_weights_and_log(reference: Path) -> None:
    rows = [json.loads(line) for line in (reference / "low" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [6, 12]
    assert {"loss", "bpp", "psnr"} == set(rows[0]["validation"])
    about = json.loads(torch.load(reference / "low" / FINAL, weights_only=True)["about"])
    assert about["model"] == "wcae"
    assert about["stage"]["lambda_"] == 0.0005
    assert about["step"] == 12


def test_training_lowers_the_loss(pictures: Path, tmp_path: Path) -> None:
    overrides = (*_arguments(pictures, "longer"), "stages=[{name: only, klt: true, steps: 60, validate_every: 10}]")
    run = train(load_recipe("wcae-cpu", overrides), tmp_path)
    losses = [json.loads(line)["validation"]["loss"] for line in (run / "only" / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.8 * losses[0]


def test_resumes_to_the_same_weights_after_kill_9(pictures: Path, reference: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(_command(pictures, "killed"), env=_environment(tmp_path))
    checkpoint = tmp_path / "killed" / "trunk" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "low" / FINAL).exists()
    subprocess.run(_command(pictures, "killed"), env=_environment(tmp_path), check=True)
    for stage in ("trunk", "low"):
        resumed, expected = _weights(tmp_path / "killed", stage), _weights(reference, stage)
        assert resumed.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(resumed[name], value), name


def test_stops_cleanly_when_asked(pictures: Path, tmp_path: Path) -> None:
    command = [*_command(pictures, "stopped"), "defaults.steps=100000"]
    process = subprocess.Popen(command, env=_environment(tmp_path), stderr=subprocess.PIPE, text=True)
    log = tmp_path / "stopped" / "trunk" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not log.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert "run again to continue" in errors
    state = torch.load(tmp_path / "stopped" / "trunk" / "checkpoint.pt", weights_only=True)
    assert 0 < state["step"] < 100000


def test_torchrun_with_two_processes(pictures: Path, tmp_path: Path) -> None:
    """Runs unchanged on two processes, which end with the same weights and train on different crops."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    subprocess.run(_command(pictures, "two", *launcher), env=_environment(tmp_path), check=True, capture_output=True)
    weights = _weights(tmp_path / "two")
    assert all(bool(value.isfinite().all()) for value in weights.values())
    rows = (tmp_path / "two" / "low" / "log.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == [6, 12]


def test_crops_are_a_function_of_the_key(pictures: Path, tmp_path: Path) -> None:
    images = PackedImages.from_folder(pictures, tmp_path, 64)
    again = PackedImages.from_folder(pictures, tmp_path, 64)
    first = images.random_crops(5, 64, 0, 7, 0)
    np.testing.assert_array_equal(first, again.random_crops(5, 64, 0, 7, 0))
    assert not np.array_equal(first, images.random_crops(5, 64, 0, 8, 0))
    assert not np.array_equal(first, images.random_crops(5, 64, 0, 7, 1))
    np.testing.assert_array_equal(images.image(3), np.asarray(PIL.Image.open(pictures / "3.png")))
    assert images.centre_crops(64).shape == (8, 64, 64, 3)


def test_resident_crops_are_those_cut_on_the_cpu(pictures: Path, tmp_path: Path) -> None:
    images = PackedImages.from_folder(pictures, tmp_path, 64)
    cut, gathered = (CropSource(images, torch.device("cpu"), resident=resident) for resident in (False, True))
    for step in range(8):
        expected = cut.batch(4, 48, 3, step, 0)
        batch = gathered.batch(4, 48, 3, step, 0)
        assert batch.shape == (4, 3, 48, 48)
        assert batch.dtype == torch.uint8
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(batch, expected)


def test_speed_is_logged_and_compiling_asked_for(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    for name in ("plain", "compiled"):
        more = ("defaults.compile=true",) if name == "compiled" else ()
        one_stage = "stages=[{name: low, steps: 2, validate_every: 2}]"
        train(load_recipe("wcae-cpu", (*_arguments(pictures, name), one_stage, *more)), tmp_path)
    assert len(compiled) == 1
    (row,) = (json.loads(line) for line in (tmp_path / "plain" / "low" / "log.jsonl").read_text().splitlines())
    assert row["speed"]["megapixels_per_second"] > 0
    assert 0 < row["speed"]["utilisation"] < 64
    compiled_weights = _weights(tmp_path / "compiled")
    for key, value in _weights(tmp_path / "plain").items():
        assert torch.equal(value, compiled_weights[key])


def test_data_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        PackedImages.from_folder(tmp_path / "missing", tmp_path, 64)
    PIL.Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    with pytest.raises(UsageError, match="at least 64"):
        PackedImages.from_folder(tmp_path, tmp_path / "cache", 64)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_sound(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.description
    assert recipe.stages
    for stage in {str(recipe.stages[0]): recipe.stages[0], str(recipe.stages[-1]): recipe.stages[-1]}.values():
        assert isinstance(make_task(recipe, stage).objective, torch.nn.Module)


@pytest.mark.parametrize("entry", architectures().values(), ids=list(architectures()))
def test_every_model_is_trained_or_refused_in_a_sentence(entry: Architecture, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"{{name: x, model: '{entry.name}', data: a, validation: b, stages: [{{name: main}}]}}")
    if entry.trainer is None:
        with pytest.raises(UsageError, match=r"it can be built but not trained; choose one of .*\bwcae\b"):
            load_recipe(str(path))
        return
    recipe = load_recipe(str(path))
    task = make_task(recipe, recipe.stages[0])
    assert any(value.requires_grad for group in task.parameter_groups() for value in group["params"])


def test_a_model_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="model 'nonesuch': there is no such architecture; choose one of "):
        load_recipe("wcae-cpu", ("model=nonesuch",))


def test_published_recipe_is_as_published() -> None:
    (stage,) = load_recipe("wcae").stages
    assert (stage.form, stage.lambda_, stage.batch, stage.crop, stage.learning_rate) == ("eq1", 0.0025, 8, 256, 1e-4)
    assert stage.steps == 100 * 16750 // 8
    assert stage.shared_prior
    assert stage.keep == "best"


@pytest.mark.parametrize("name", recipe_names())
def test_an_override_of_the_defaults_counts_for_every_stage(name: str) -> None:
    """Also for stages that have a value of their own in the file, as docs/recipes.md says."""
    recipe = load_recipe(name, ("defaults.steps=20", "defaults.seed=3"))
    assert {(stage.steps, stage.seed) for stage in recipe.stages} == {(20, 3)}


def test_the_later_of_two_overrides_counts() -> None:
    one_longer = load_recipe("wcae-cpu", ("defaults.steps=20", "stages.1.steps=30"))
    assert [stage.steps for stage in one_longer.stages] == [20, 30, 20, 20, 20, 20, 20]
    all_alike = load_recipe("wcae-cpu", ("stages.1.steps=30", "defaults.steps=20"))
    assert {stage.steps for stage in all_alike.stages} == {20}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("nonsense=1",), "nonsense"),
        (("defaults.steps=many",), "many"),
        (("defaults.name=same",), "share a name"),
        (("stages.0",), "key=value"),
        (("stages=[{name: a, init: b}]",), "not an earlier stage"),
    ],
)
def test_recipe_errors(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe("wcae-cpu", overrides)
    with pytest.raises(UsageError, match="wcae-cpu"):
        load_recipe("no-such-recipe")


def test_schedules() -> None:
    stage = Stage(steps=1000, learning_rate=1.0, warmup=10, schedule="cosine")
    assert learning_rate(stage, 0) == pytest.approx(0.1)
    assert learning_rate(stage, 500) == pytest.approx(0.505)
    assert learning_rate(stage, 999) == pytest.approx(0.01, abs=1e-4)
    assert learning_rate(Stage(learning_rate=0.3), 12345) == 0.3


def test_gaussian_bits_are_those_of_the_discretised_normal() -> None:
    code = torch.arange(-400, 401, dtype=torch.double)
    for mean, scale in ((0.0, 0.5), (0.3, 2.0), (-1.7, 40.0)):
        bits = gaussian_bits(code, torch.tensor(mean), torch.tensor(scale, dtype=torch.double))
        mass = torch.exp2(-bits)
        assert float(mass[bits < 29].sum()) == pytest.approx(1.0, abs=1e-6)
        assert int(code[bits.argmin()]) == round(mean)


def test_equation_1_and_the_usual_form_agree() -> None:
    """Both forms rank codes alike: eq1 is the usual objective with another lambda and scale."""
    torch.manual_seed(0)
    model = build_autoencoder("wcae")
    crops = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    usual = AutoencoderObjective(model, "rd", 0.01, shared_prior=False).eval()(crops)
    published = AutoencoderObjective(model, "eq1", 0.0025, shared_prior=False).eval()(crops)
    assert published.mse.item() == usual.mse.item()
    expected = usual.mse.item() / 127.5**2 + 0.0025 * usual.bpp.item() * 1024 / 96
    assert published.loss.item() == pytest.approx(expected, rel=1e-5)
    assert usual.loss.item() == pytest.approx(0.01 * usual.mse.item() + usual.bpp.item(), rel=1e-5)
