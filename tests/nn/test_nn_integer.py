"""Integer layers: exactness against integer arithmetic, in every configuration; bounds; accuracy."""

from __future__ import annotations

import doctest
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
import torch
from integer_layers import integers, random_layer
from torch import Tensor, nn

from wavelic.errors import UsageError
from wavelic.nn import integer
from wavelic.nn.integer import EXACT_BOUND, IntegerConv2d, LookupTable, fixed_point, requantize


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def exact_sums(layer: IntegerConv2d, x: Tensor) -> Tensor:
    """The convolution in int64: no float anywhere."""
    x = x.to(torch.int64).clamp(-layer.input_limit, layer.input_limit)
    padded = nn.functional.pad(x, (layer.padding,) * 4)
    kernel = layer.weight.shape[-1]
    windows = padded.unfold(2, kernel, layer.stride).unfold(3, kernel, layer.stride)
    parts = zip(windows.chunk(layer.groups, 1), layer.weight.to(torch.int64).chunk(layer.groups, 0), strict=True)
    sums = [(part[:, None] * weight[None, :, :, None, None]).sum((2, 5, 6)) for part, weight in parts]
    return torch.cat(sums, 1) + layer.bias[:, None, None]


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "groups", "weight_bits", "input_limit"),
    [
        ((6, 5), 3, 1, 1, 10, 2047),
        ((7, 4), 3, 2, 1, 8, 32767),
        ((16, 24), 1, 1, 1, 12, 2047),
        ((12, 6), 3, 1, 3, 10, 2047),
        ((40, 8), 3, 1, 1, 13, 32767),  # beyond 2^24: float64
        ((1, 1), 5, 1, 1, 8, 127),
    ],
)
def test_equals_integer_arithmetic(
    channels: tuple[int, int], kernel: int, stride: int, groups: int, weight_bits: int, input_limit: int
) -> None:
    layer = random_layer(
        channels, kernel, stride=stride, groups=groups, weight_bits=weight_bits, input_limit=input_limit
    )
    x = integers(-input_limit - 3, input_limit + 3, (2, channels[0], 7, 6))
    sums = exact_sums(layer, x)
    assert torch.equal(layer.accumulate(x), sums)
    assert (sums.abs().amax((0, 2, 3)) <= layer.worst_case()).all()
    multiplier, shift = layer.multiplier.to(torch.int64), layer.shift.to(torch.int64)
    expected = torch.floor_divide(
        2 * sums * multiplier[:, None, None] + (1 << shift)[:, None, None], (2 << shift)[:, None, None]
    )
    assert torch.equal(layer(x), expected.clamp(-2047, 2047).to(torch.int32))


class SmallNet(nn.Sequential):
    """conv3, table, strided conv3, grouped conv1: about what a slice context needs."""

    def __init__(self, carrier: str) -> None:
        torch.manual_seed(1)
        leaky = LookupTable.from_function(
            lambda v: v if v > 0 else 0.01 * v, 2047, input_step=1.0, output_step=1.0, output_limit=2047
        )
        super().__init__(
            random_layer((8, 16), 3, weight_bits=6, carrier=carrier),
            leaky,
            random_layer((16, 24), 3, stride=2, weight_bits=6, carrier=carrier),
            leaky,
            random_layer((24, 6), 1, groups=3, weight_bits=6, carrier=carrier),
        )


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("onednn", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("carrier", ["float32", "float64"])
def test_same_integers_in_every_configuration(threads: int, onednn: bool, channels_last: bool, carrier: str) -> None:
    """Threads, oneDNN, memory format, batch of 1 or 3, carrier: one answer, that of integer arithmetic."""
    x = integers(-2047, 2047, (3, 8, 21, 18))
    reference = SmallNet("float64")
    expected = x
    for layer in reference:
        if isinstance(layer, IntegerConv2d):
            sums = exact_sums(layer, expected)
            expected = requantize(sums, layer.multiplier[:, None, None], layer.shift[:, None, None])
            expected = expected.clamp(-2047, 2047).to(torch.int32)
        else:
            expected = layer(expected)
    assert len(expected.unique()) > 100  # saturated or vanished outputs would agree too easily
    net = SmallNet(carrier)
    torch.set_num_threads(threads)
    given = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    with torch.backends.mkldnn.flags(enabled=onednn):
        assert torch.equal(net(given), expected)
        assert all(torch.equal(net(given[n : n + 1]), expected[n : n + 1]) for n in range(3))


def test_worst_case_is_attained_and_exact() -> None:
    """The input that drives a channel to its bound, with a bound just below 2^24."""
    weight = integers(1, 127, (1, 16, 3, 3)) * torch.where(torch.rand(1, 16, 3, 3) < 0.5, -1, 1)
    limit = (EXACT_BOUND["float32"] - 10_000) // int(weight.abs().sum())
    one = torch.tensor([1], dtype=torch.int32)
    layer = IntegerConv2d(weight, torch.tensor([9_999]), one, one, limit, 1 << 30)
    assert layer.carrier == torch.float32
    x = (weight.sign() * limit).to(torch.int32)
    assert layer.accumulate(x).item() == layer.worst_case().item() == int(weight.abs().sum()) * limit + 9_999


def test_carriers_that_are_too_small_are_refused() -> None:
    one = torch.tensor([1], dtype=torch.int32)

    def layer(bias: int, carrier: Any) -> IntegerConv2d:
        return IntegerConv2d(
            torch.ones(1, 1, 1, 1, dtype=torch.int32), torch.tensor([bias]), one, one, 1, 9, carrier=carrier
        )

    largest = EXACT_BOUND["float32"] - 1
    assert layer(largest, "auto").carrier == torch.float32
    assert layer(largest + 1, "auto").carrier == torch.float64
    with pytest.raises(UsageError, match="too large for carrier 'float32'; use fewer bits"):
        layer(largest + 1, "float32")
    # and rightly so: the sum does not exist in float32
    assert torch.tensor(float(largest + 1), dtype=torch.float32) + 1 == float(largest + 1)
    assert layer(largest + 1, "float64").accumulate(torch.ones(1, 1, 1, 1, dtype=torch.int32)).item() == largest + 2


def test_requantize_is_exact_rounding() -> None:
    for x in (0, 1, -1, 12345, -98765, (1 << 47) - 1, -(1 << 47)):
        for multiplier, shift in ((1, 0), (1, 1), (16384, 15), (32767, 30), (20001, 62), (32768, 1)):
            expected = math.floor(Fraction(x * multiplier, 1 << shift) + (Fraction(1, 2) if shift else 0))
            assert requantize(torch.tensor([x]), torch.tensor([multiplier]), torch.tensor([shift])).item() == expected


@pytest.mark.parametrize("ratio", [1e-9, 0.0123, 0.49999999, 0.99999999, 1.0, 77.7, 32768.0])
def test_fixed_point_is_close(ratio: float) -> None:
    multiplier, shift = fixed_point(ratio)
    assert 0 <= multiplier <= 1 << 15
    assert multiplier / 2**shift == pytest.approx(ratio, rel=2**-15)


def test_quantised_convolution_approaches_the_float_one() -> None:
    """More weight bits, less error; at 12 bits less than one output step and a half."""
    conv = nn.Conv2d(12, 10, 3, 2, 1)
    x = integers(-2047, 2047, (1, 12, 16, 16))
    with torch.no_grad():
        expected = conv(x.float() * 0.01) / 0.02
    errors = []
    for bits in (4, 8, 12):
        layer = IntegerConv2d.from_float(conv, 0.01, 0.02, weight_bits=bits)
        errors.append((layer(x) - expected).abs().max().item())
    assert errors[0] > 4 * errors[1] > 4 * errors[2]
    assert errors[2] < 1.5


def test_weights_survive_a_state_dict() -> None:
    first, second = random_layer((3, 4), 3), random_layer((3, 4), 3)
    x = integers(-2047, 2047, (1, 3, 5, 5))
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


def test_the_bound_is_proved_again_for_loaded_weights() -> None:
    layer, forced = random_layer((4, 2), 3, weight_bits=8), random_layer((4, 2), 3, weight_bits=8, carrier="float32")
    assert layer.carrier == torch.float32
    state = random_layer((4, 2), 3).state_dict()
    state["weight"] = torch.full_like(state["weight"], 32767)
    layer.load_state_dict(state)
    assert layer.carrier == torch.float64
    with pytest.raises(UsageError, match="too large for carrier 'float32'"):
        forced.load_state_dict(state)


def test_wrong_arguments() -> None:
    one = torch.tensor([1], dtype=torch.int32)
    weight = torch.ones(1, 1, 1, 1, dtype=torch.int32)
    with pytest.raises(UsageError, match="weight is not made of integers"):
        IntegerConv2d(weight.float(), one, one, one, 1, 1)
    with pytest.raises(UsageError, match="shift is not made of integers from 0 to 62"):
        IntegerConv2d(weight, one, one, one * 63, 1, 1)
    with pytest.raises(UsageError, match="limits 0, 1"):
        IntegerConv2d(weight, one, one, one, 0, 1)
    with pytest.raises(UsageError, match="take int32, got"):
        IntegerConv2d(weight, one, one, one, 1, 1)(torch.zeros(1, 1, 1, 1))
    with pytest.raises(UsageError, match="cannot quantise"):
        IntegerConv2d.from_float(nn.Conv2d(1, 1, 3, dilation=2), 1.0, 1.0)
    with pytest.raises(UsageError, match="give positive numbers"):
        IntegerConv2d.from_float(nn.Conv2d(1, 1, 3), 0.0, 1.0)
    with pytest.raises(UsageError, match="choose a larger output step"):
        fixed_point(1e6)
    with pytest.raises(UsageError, match="one odd-sized dimension"):
        LookupTable(torch.zeros(4, dtype=torch.int32))


def test_doctests() -> None:
    assert doctest.testmod(integer).failed == 0
