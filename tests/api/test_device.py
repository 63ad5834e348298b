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

from wavelic.codec.architectures import build
from wavelic.codec.options import check_device
from wavelic.codec.weights import family
from wavelic.errors import UsageError
from wavelic.weconvene import planes as subband_planes
from wavelic.weconvene.weights import DeployedSmall

DEVICE = torch.device("meta")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tensors made inside are fake, and others become so on the way to the device."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # does not know the device
    tensor = torch.tensor  # would not be fake on that device
    monkeypatch.setattr(torch, "tensor", lambda data, device="cpu", **kind: tensor(data, **kind).to(device))
    monkeypatch.setattr(Tensor, "new_tensor", lambda self, data: tensor(data, dtype=self.dtype).to(self.device))
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
def small() -> DeployedSmall:
    """The shipped weights of weconvene, in tensors of this test's own."""
    from wavelic.weconvene.weights import _load_small

    return _load_small.__wrapped__(family("weconvene")[-1], "cpu")


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


def test_weconvene_transform(small: DeployedSmall, pretend: None, monkeypatch: pytest.MonkeyPatch) -> None:
    moved(small.network)
    moved(small.entropy)
    assert small.device == DEVICE
    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: 1.0)  # fake tensors have no values
    seen = []

    def samples(part: Tensor, channels: int, dtype: np.dtype[Any]) -> np.ndarray:
        seen.append(part.device)
        return np.zeros((*part.shape[1:], channels), dtype)

    monkeypatch.setattr(subband_planes, "denormalised", samples)
    planes = subband_planes.analyse(small, np.zeros((150, 200, 3), np.uint8), 64)
    subband_planes.synthesise(small, planes, 64, (0, 0, 200, 150), 3, np.dtype(np.uint8))
    assert planes.low.device.type == "cpu"
    assert set(seen) == {DEVICE}


def test_weconvene_contexts(small: DeployedSmall, pretend: None) -> None:
    moved(small.entropy)

    def coder(level: int, part: int, mean: Tensor, table: Tensor) -> Tensor:
        assert mean.device == table.device == DEVICE, (level, part)
        return torch.empty(mean.shape, dtype=torch.int32, device=DEVICE)

    low = torch.empty(1, 3, 4, 5, dtype=torch.int32, device=DEVICE)
    values = small.entropy.code_subbands(low, 64, coder)
    assert {value.device for value in values} == {DEVICE}


def test_no_such_device() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="cannot be used here"):
            check_device("cuda")
    with pytest.raises(UsageError, match="cannot be used here"):
        check_device("abacus")
