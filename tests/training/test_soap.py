"""SOAP for networks of many small layers: the reference's results, checkpoints, and steps that can be recorded."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wavelic.errors import UsageError
from wavelic.training.soap import SOAP

EVERY, LARGEST = 4, 8


def network() -> nn.Sequential:
    """Axes of 1, 3, 5, 8 and 12: without, with and too long for an eigenbasis; two layers of one shape."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 12, 1)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(12, 5, 1)).double()


def gradients(model: nn.Module, step: int) -> None:
    """Gradients of a step, the same for models with the same weights."""
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
    model.zero_grad()
    (model(x) - x.sum(1, keepdim=True)).square().mean().backward()


def soap(model: nn.Module) -> SOAP:
    return SOAP(model.parameters(), lr=3e-3, precondition_every=EVERY, largest=LARGEST)


def largest_difference(a: nn.Module, b: nn.Module) -> float:
    return max(float((p - q).detach().abs().max()) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_the_steps_of_the_reference() -> None:
    """In float64; later, tiny eigenvalues make differences of rounding grow."""
    import pytorch_optimizer as reference

    mine, theirs = network(), network()
    ours = soap(mine)
    other = reference.SOAP(
        theirs.parameters(), lr=3e-3, weight_decay=0.0, precondition_frequency=EVERY, max_precondition_dim=LARGEST
    )
    for step in range(12):
        for model, optimizer in ((mine, ours), (theirs, other)):
            gradients(model, step)
            optimizer.step()
    assert largest_difference(mine, network()) > 5e-3
    assert largest_difference(mine, theirs) < 1e-5


def test_a_checkpoint_goes_on_to_the_same_weights() -> None:
    through, stopped = network(), network()
    optimizer = soap(through)
    before = soap(stopped)
    for step in range(7):
        for model, each in ((through, optimizer), (stopped, before)):
            gradients(model, step)
            each.step()
    after = soap(stopped)
    after.load_state_dict(before.state_dict())
    for step in range(7, 14):
        for model, each in ((through, optimizer), (stopped, after)):
            gradients(model, step)
            each.step()
    assert largest_difference(through, stopped) == 0


def test_groups_have_step_sizes_of_their_own() -> None:
    model = network()
    still = model[1].weight.detach().clone()
    others = [p for p in model.parameters() if p is not model[1].weight]
    optimizer = SOAP([{"params": others}, {"params": [model[1].weight], "lr": 0.0}], lr=3e-3)
    for step in range(3):
        gradients(model, step)
        optimizer.step()
    assert torch.equal(model[1].weight, still)
    assert largest_difference(model, network()) > 1e-3


def test_a_gradient_that_went_away() -> None:
    model = network()
    optimizer = soap(model)
    gradients(model, 0)
    optimizer.step()
    model[0].weight.grad = None
    with pytest.raises(UsageError, match="have no gradient any more"):
        optimizer.step()


class _Recording:
    """Stands for a CUDA graph: the step again, on the crops in one place."""

    made = 0

    def __init__(self, step: Any, crops: Tensor, noise: torch.Generator) -> None:
        type(self).made += 1
        self.step = step

    def __call__(self, crops: Tensor) -> Any:
        return self.step(crops)


def test_what_is_recorded() -> None:
    """Squared error, but not MS-SSIM, which could not be."""
    from wavelic.threedm.stage import ThreedmStage
    from wavelic.threedm.training import ThreedmTask
    from wavelic.training.stages import Recipe
    from wavelic.weconvene.stage import WeconveneStage
    from wavelic.weconvene.training import WeconveneTask

    recipes = [Recipe("r", model, "", "") for model in ("weconvene", "3dm")]
    assert WeconveneTask(recipes[0], WeconveneStage()).capturable
    assert not WeconveneTask(recipes[0], WeconveneStage(metric="ms-ssim")).capturable
    assert ThreedmTask(recipes[1], ThreedmStage()).capturable
    assert not ThreedmTask(recipes[1], ThreedmStage(distortion="ms-ssim")).capturable


def test_recorded_training_is_training(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded on a GPU, taken step by step here, leads to the weights of the ordinary loop."""
    import numpy as np
    import PIL.Image

    from wavelic.training import loop
    from wavelic.training.recipe import load_recipe

    random = np.random.default_rng(0)
    PIL.Image.fromarray(random.integers(0, 256, (160, 160, 3), np.uint8)).save(tmp_path / "a.png")
    settings = ("defaults.batch=1", "defaults.crop=128", "defaults.validate_every=9", "stages.0.steps=5", "seed=3")
    settings = (*settings, "defaults.validation_steps=[48.0]")
    monkeypatch.setattr(loop, "CapturedStep", _Recording)
    results = []
    for name, recorded in (("plain", False), ("recorded", True)):
        recipe = load_recipe("weconvene-cpu", (f"data={tmp_path}", f"validation={tmp_path}", *settings, f"name={name}"))
        recipe.stages = recipe.stages[:1]
        if recorded:
            monkeypatch.setattr(loop.StageRunner, "may_capture", lambda self, optimizer: self.step >= 3)
        loop.train(recipe, tmp_path / "runs")
        results.append(loop.load_objective(tmp_path / "runs" / name / "main" / loop.FINAL))
    assert _Recording.made == 1
    for key, value in results[0].items():
        assert torch.equal(value, results[1][key]), key
