"""Convolutions that do what follows them: the numbers are those of one operation after the other."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu

from wavelic.nn import fused

torch.set_num_threads(1)


@pytest.mark.parametrize("usable", [True, False])
@pytest.mark.parametrize("grouped", [False, True])
def test_the_numbers_are_those_of_the_operations(usable: bool, grouped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not usable:
        monkeypatch.setattr(fused, "_works", lambda dtype: False)
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 16, 3, padding=1, groups=16) if grouped else nn.Conv2d(16, 16, 1)
    x, total = (torch.randn(2, 16, 9, 7).contiguous(memory_format=torch.channels_last) for _ in range(2))
    with torch.inference_mode():
        plain = layer(x)
        torch.testing.assert_close(fused.conv(layer, x), plain)
        torch.testing.assert_close(fused.conv(layer, x, 0.1), leaky_relu(plain, 0.1))
        expected = total + plain
        found = fused.add_conv(total, layer, x)
        positive = fused.conv_relu(x, layer.weight[:, :1].expand(-1, 16, -1, -1).contiguous())
    torch.testing.assert_close(found, expected)
    assert found.data_ptr() == total.data_ptr()
    torch.testing.assert_close(positive, conv2d(x, layer.weight[:, :1].expand(-1, 16, -1, -1)).relu())


def test_gradients_and_switched_off_onednn_take_the_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = nn.Conv2d(4, 4, 1), torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        expected = layer(x)
    monkeypatch.setattr(fused, "_works", lambda dtype: pytest.fail("must not be asked"))
    found = fused.conv(layer, x)
    assert found.requires_grad
    torch.testing.assert_close(found, expected)
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
        torch.testing.assert_close(fused.conv(layer, x), expected)


def test_a_torch_without_the_operations_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_arguments", lambda layer: ())
    fused._works.cache_clear()
    assert not fused._works(torch.float32)
    fused._works.cache_clear()
