"""Training on a machine that is lent: packed, trained there, delivered in pieces, joined, trained on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from typer.testing import CliRunner

from wavelic.cli.main import app
from wavelic.errors import FormatError, UsageError
from wavelic.training import travel
from wavelic.training.loop import FINAL, load_objective, train
from wavelic.training.recipe import load_recipe

SETTINGS = ("model=weconvene", "defaults.batch=1", "defaults.crop=128", "defaults.validate_every=2", "seed=3")
SETTINGS = (*SETTINGS, "stages.0.steps=2", "stages.1.steps=1", "stages.1.crop=128", "stages.1.batch=1")


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
    assert manifest["pieces"] == len(list(out.glob("weights.*"))) > 2
    run = CliRunner().invoke(app, ["train-join", str(out), str(joined)])
    assert run.exit_code == 0, run.output
    trained = load_objective(away / "runs" / "away" / "finish" / FINAL)
    for name, value in load_objective(joined).items():
        assert torch.allclose(value.float(), trained[name].float(), rtol=2**-7, atol=1e-6), name
    recipe = load_recipe("weconvene-cpu", (*sources, *SETTINGS, f"stages.0.init={joined}", "stages.0.steps=1"))
    recipe.stages = recipe.stages[:1]
    train(recipe, tmp_path / "runs")
    assert len((out / "log.jsonl").read_text().splitlines()) == 2


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


@pytest.mark.parametrize(("model", "rdoq_lambda"), [("weconvene-m", 0.0), ("weconvene", 0.1)])
def test_training_steps_stay_on_their_device(model: str, rdoq_lambda: float) -> None:
    """On a device without values: nothing is made on another one, and nothing waits for a value."""
    from wavelic.weconvene.config import CONFIGS
    from wavelic.weconvene.network import Network
    from wavelic.weconvene.stage import WeconveneStage
    from wavelic.weconvene.training import RateDistortion

    stage = WeconveneStage(bfloat16=False, rdoq_lambda=rdoq_lambda)
    objective = RateDistortion(Network(CONFIGS[model]), stage).to("meta")
    crops = torch.empty((2, 3, 128, 128), dtype=torch.uint8, device="meta")
    loss, *_ = objective(crops, torch.full((2,), 6.0, device="meta"))
    loss.sum().backward()
    gradients = {parameter.grad.device.type for parameter in objective.parameters() if parameter.grad is not None}
    assert gradients == {"meta"}
