"""The training loop, and a few steps of every application on pictures made here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from applications import run
from applications.segmentation.task import confusion, scores
from applications.training import Recipe, learning_rate, make_optimizer, start_from, train
from wavelic.errors import UsageError


@pytest.fixture(autouse=True)
def _threads() -> None:
    torch.set_num_threads(1)


class Line:
    """Fits a line: the smallest task there is."""

    recipe = Recipe({"plain": 1}, steps=40, batch=8, learning_rate=0.05, optimizer="sgd", warmup=4, clip=10.0)

    def network(self, arm: str) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))

    def batch(self, random: torch.Generator) -> tuple[Tensor, ...]:
        x = torch.rand(8, 2, generator=random)
        return x, x[:, :1] - x[:, 1:]

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...], progress: float) -> Tensor:
        return (network(batch[0]) - batch[1]).square().mean()

    def score(self, network: nn.Module) -> dict[str, float]:
        return {}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "soap"])
def test_a_run_in_pieces_ends_as_one_in_one_go(optimizer: str, tmp_path: Path) -> None:
    task = Line()
    task.recipe = replace(task.recipe, optimizer=optimizer)
    whole, pieces = task.network("plain"), task.network("plain")
    outcome = train(task, whole, 3, tmp_path / "whole.pt")
    assert (outcome.steps, outcome.finished) == (40, True)
    assert outcome.loss < 0.5  # 1.2 at the start
    calls = 0
    while not train(task, pieces, 3, tmp_path / "pieces.pt", budget=1e-4).finished:
        pieces = task.network("plain")  # nothing survives but the checkpoint
        calls += 1
    assert calls > 1
    for a, b in zip(whole.state_dict().values(), pieces.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_run_that_starts_from_another(tmp_path: Path) -> None:
    task = Line()
    trained, further = task.network("plain"), task.network("plain")
    for checkpoint in ("none.pt", "unfinished.pt"):
        if checkpoint == "unfinished.pt":
            train(task, task.network("plain"), 3, tmp_path / checkpoint, budget=1e-4)
        with pytest.raises(UsageError, match="not there or not finished; train that recipe first"):
            start_from(further, tmp_path / checkpoint)
    train(task, trained, 3, tmp_path / "trained.pt")
    start_from(further, tmp_path / "trained.pt")
    for a, b in zip(trained.state_dict().values(), further.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    task = Line()
    train(task, task.network("plain"), 0, tmp_path / "run.pt", budget=0.0)
    task.recipe = Recipe({"plain": 1}, steps=41, batch=8, learning_rate=0.05)
    with pytest.raises(UsageError, match="another recipe"):
        train(task, task.network("plain"), 0, tmp_path / "run.pt")


def test_a_loss_that_explodes_ends_the_run(tmp_path: Path) -> None:
    task = Line()
    task.recipe = Recipe({"plain": 1}, steps=400, batch=8, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(UsageError, match="lower the learning rate"):
        train(task, nn.Linear(2, 1), 0, tmp_path / "run.pt")


def test_rates_and_what_decays() -> None:
    recipe = Recipe({}, steps=100, batch=1, learning_rate=1.0, weight_decay=0.1, warmup=10)
    assert [round(learning_rate(recipe, step), 3) for step in (0, 9, 10, 55, 99)] == [0.1, 1.0, 1.0, 0.5, 0.0]
    decaying, free = make_optimizer(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), recipe).param_groups
    assert [tuple(value.shape) for value in decaying["params"]] == [(3, 2)]
    assert (len(free["params"]), free["weight_decay"]) == (3, 0.0)
    with pytest.raises(UsageError, match="sgd, adamw or soap"):
        make_optimizer(nn.Linear(1, 1), Recipe({}, 1, 1, 1.0, "lion"))
    with pytest.raises(UsageError, match="which has none"):
        make_optimizer(nn.Linear(1, 1), Recipe({}, 1, 1, 1.0, "soap", weight_decay=0.1))


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, lossless=True)


def classification_data(folder: Path) -> None:
    random = np.random.default_rng(0)
    for part, rows, columns, ending in (("train", 1, 100, "avif"), ("test", 1, 50, "webp")):
        _save(folder / f"{part}_0.{ending}", random.integers(0, 256, (32 * rows, 32 * columns, 3), np.uint8))
    np.savez(folder / "labels.npz", train=np.arange(200, dtype=np.uint8) % 100, test=np.arange(100, dtype=np.uint8))


def denoising_data(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("polyu/train", "polyu/test", "cc15"):
        clean = random.integers(40, 200, (40, 52, 3), np.uint8)
        _save(folder / name / "a_clean.webp", clean)
        _save(folder / name / "a_noisy.webp", clean + random.integers(0, 20, clean.shape, np.uint8))


def segmentation_data(folder: Path) -> None:
    random = np.random.default_rng(0)
    for part in ("train", "test"):
        _save(folder / part / "images" / "a.webp", random.integers(0, 256, (70, 80, 3), np.uint8))
        _save(folder / part / "masks" / "a.png", random.integers(0, 12, (70, 80), np.uint8))


MADE = {
    "classification": (classification_data, {"top1", "top5"}),
    "denoising": (denoising_data, {"test_psnr", "test_noisy_psnr", "cc15_psnr", "cc15_noisy_psnr"}),
    "segmentation": (segmentation_data, {"mean_iou", "pixel_accuracy"}),
}


@pytest.mark.parametrize("name", MADE)
def test_every_arm_trains_and_is_scored(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, expected = MADE[name]
    make(tmp_path)
    words = [name, "--data", str(tmp_path), "--recipe", "smoke", "--runs", str(tmp_path / "runs")]
    words += ["--results", str(tmp_path / "results")]
    assert run.main(words) == 0
    assert torch.tensor(1e-40) * 1 > 0  # denormal numbers are numbers again
    runs = json.loads((tmp_path / "results" / f"{name}.json").read_text())["smoke"]["runs"]
    assert [entry["arm"] for entry in runs] == ["plain", "wavelet", "twin"]
    assert all(set(entry["scores"]) == expected for entry in runs)
    assert all(np.isfinite([entry["loss"], *entry["scores"].values()]).all() for entry in runs)
    printed = capsys.readouterr().out
    assert run.main(words) == 0  # all is done
    assert capsys.readouterr().out == ""
    assert "seed 0" in printed


def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["segmentation", "--data", str(tmp_path), "--recipe", "smoke"]) == 2
    assert run.main(["denoising", "--data", str(tmp_path / "none")]) == 2
    assert run.main(["denoising", "--data", str(tmp_path), "--recipe", "tpu"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") and "; " in line for line in lines)


def test_intersection_over_union_by_hand() -> None:
    mask, predicted = torch.tensor([[0, 0, 1], [1, 11, 11]]), torch.tensor([[0, 1, 1], [1, 5, 0]])
    # class 0: one hit of two pixels; class 1: two hits of three pixels
    assert scores(confusion(predicted, mask)) == {"mean_iou": 58.33, "pixel_accuracy": 75.0}
