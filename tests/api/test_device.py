"""`--device cuda` without a GPU: the networks on a pretended device, where torch refuses to mix devices.

torch's FakeTensorMode carries shapes, types and devices through a computation without computing, and raises as CUDA
does if an operation gets tensors of two devices (convolutions are an exception).  The device is called "meta", because
CUDA's name needs a torch that was built with it; like CUDA it is not "cpu".  Values and exactness are not tested here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from weconvene_tiny import STEP, tiny_model

from wavelic.codec.architectures import build
from wavelic.codec.options import check_device
from wavelic.errors import UsageError
from wavelic.nn import exact
from wavelic.rect import Rect
from wavelic.weconvene import features, planes
from wavelic.weconvene.context import code_levels
from wavelic.weconvene.layout import LEVELS, SLICES
from wavelic.weconvene.units import STEP_UNIT
from wavelic.weconvene.weights import Model

DEVICE = torch.device("meta")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors made inside are fake, and others become so on the way to the device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # does not know the device
    tensor = torch.tensor  # would not be fake on that device
    monkeypatch.setattr(torch, "tensor", lambda data, device="cpu", **kind: tensor(data, **kind).to(device))
    monkeypatch.setattr(Tensor, "new_tensor", lambda self, data: tensor(data, dtype=self.dtype).to(self.device))
    features._pairs()  # is made once and kept: not as a fake
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        yield


def moved(module: nn.Module) -> Any:
    """The module with all its parameters and buffers on the device."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                fake = torch.empty(parameter.shape, dtype=parameter.dtype, device=DEVICE)
                part._parameters[name] = nn.Parameter(fake, requires_grad=False)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device=DEVICE)
    return module


@pytest.fixture
def model() -> Model:
    """A small random `weconvene`."""
    return tiny_model()


def test_the_mode_sees_mixed_devices(pretend: None) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        torch.zeros(3, device=DEVICE) + torch.zeros(3)


@pytest.mark.parametrize("name", ["wcae", "wcae-64", "nowcae"])
def test_autoencoders(name: str, pretend: None) -> None:
    network = moved(build(name))
    latent = network.analysis(torch.empty(1, 3, 64, 96, device=DEVICE))
    picture = network.synthesis(latent)
    assert (latent.device, picture.device, picture.shape) == (DEVICE, DEVICE, (1, 3, 64, 96))


@pytest.mark.parametrize("name", ["PO-P-U", "Hybrid(9/7)-5c", "Custom-5S-9c"])
def test_lifting(name: str, pretend: None) -> None:
    transform = moved(build(name))
    coefficients = transform.analysis(torch.empty(1, 3, 70, 90, device=DEVICE), 3)
    picture = transform.synthesis(coefficients)
    assert (coefficients.low.device, picture.device, picture.shape) == (DEVICE, DEVICE, (1, 3, 70, 90))


def test_weconvene_transform(model: Model, pretend: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for network in (model.transform, model.fast, model.entropy):
        moved(network)
    assert model.device == DEVICE
    seen = []

    def samples(part: Tensor, channels: int, dtype: np.dtype[Any]) -> np.ndarray:
        seen.append(part.device)
        return np.zeros((*part.shape[1:], channels), dtype)

    monkeypatch.setattr(planes, "denormalised", samples)
    for height, width in ((150, 200), (9, 40)):  # all levels, and too few for corrections by the networks
        found = planes.analyse(model, np.zeros((height, width, 3), np.uint8), STEP)
        assert {plane.device.type for plane in (found.low, *found.details)} == {"cpu"}
        planes.synthesise(model, found, STEP, Rect(0, 0, width, height), 3, np.dtype(np.uint8))
    assert seen == [DEVICE, DEVICE]


@pytest.mark.parametrize("backend", ["int_mm", "float32"])
def test_weconvene_contexts(backend: str, model: Model, pretend: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to compute integers on a GPU; which one is used depends on values, which fake tensors lack."""
    monkeypatch.setattr(exact, "_backend", lambda *_: backend)
    moved(model.entropy)
    called = []

    def coder(level: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        assert mean.device == table.device == DEVICE, (level, index)
        called.append((level, index))
        return torch.empty(mean.shape, dtype=torch.int32, device=DEVICE)

    low = torch.empty(1, 3, 4, 6, dtype=torch.int32, device=DEVICE)
    log2_step = torch.full((1,), STEP / STEP_UNIT, device=DEVICE)
    values = code_levels(model.entropy, low, log2_step, LEVELS, coder)
    assert {value.device for value in values} == {DEVICE}
    assert called == [(level, index) for level in range(LEVELS, 0, -1) for index in range(len(SLICES))]


def test_no_such_device() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="cannot be used here"):
            check_device("cuda")
    with pytest.raises(UsageError, match="cannot be used here"):
        check_device("abacus")
