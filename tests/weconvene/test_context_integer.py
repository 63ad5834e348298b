"""The entropy model in integers: near the float one, exact, and the same in every configuration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from integer_layers import random_layer
from torch import Tensor, nn
from weconvene_tiny import STEP, random_subbands, same, tiny_model, tiny_network

from wavelic.codec.weights import family
from wavelic.errors import ModelError, UsageError
from wavelic.nn.integer import IntegerConv2d
from wavelic.nn.integer_rows import RowConv, clear_frame, framed, inside
from wavelic.weconvene.context import LOG2_LOWEST, PER_OCTAVE, SCALES, features
from wavelic.weconvene.context_integer import (
    CENTRE_STEP,
    LIMIT,
    VALUE,
    IntegerContextModel,
    IntegerLevel,
    integer_convolution,
    low_from_residuals,
    low_residuals,
    step_code,
)
from wavelic.weconvene.subbands import BANDS, LEVELS, pack
from wavelic.weconvene.weights import load_small

Recorded = list[tuple[int, int, Tensor, Tensor]]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture(scope="module")
def entropy(network) -> IntegerContextModel:
    return IntegerContextModel(network.entropy)


def run(
    entropy: IntegerContextModel, low: Tensor, details: list[Tensor], step: int = STEP
) -> tuple[list[Tensor], Recorded]:
    """Code by rounding: the coefficients, and (level, slice, means, tables) of every slice."""
    packed = [pack(d) for d in details]
    calls: Recorded = []

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        calls.append((number, index, mean.clone(), table.clone()))
        target = packed[number - 1][:, list(entropy.passes[index].channels)]
        return (target - mean / VALUE).round().to(torch.int32)

    return entropy.code_subbands(low.round().to(torch.int32), step, coder), calls


def float_parameters(network, low: Tensor, values: list[Tensor], step: int) -> list[tuple[Tensor, Tensor]]:
    """log2 scales and means by the float model of every slice, from coefficients that are known already."""
    model, log2_step = network.entropy, torch.tensor([step / 32])
    parent, hidden, result = model.start(low), None, []
    for number in range(LEVELS, 0, -1):
        hidden = model.context(number, parent, hidden, log2_step)
        packed = pack(values[number - 1]) / VALUE
        done: list[Tensor] = []
        for part, net in zip(model.passes, model.level(number).slices, strict=True):
            scale, mean = net(hidden, features(torch.cat(done, 1)) if done else None)
            result.append((scale + model.base_scale(number, part.channels, log2_step), mean))
            done.append(packed[:, list(part.channels)])
        parent = values[number - 1] / VALUE
    return result


@pytest.mark.parametrize("weights", ["tiny", "shipped"])
def test_near_the_float_model(network, weights: str) -> None:
    if weights == "shipped":
        model = load_small(family("weconvene")[-1])
        entropy = model.entropy
        network = _dequantised(model)
    else:
        entropy = IntegerContextModel(network.entropy)
    low, details = random_subbands(256, 256)
    with torch.no_grad():
        values, calls = run(entropy, low, details)
        expected = float_parameters(network, low, values, STEP)
    off = total = 0
    for (_, _, mean, table), (scale, float_mean) in zip(calls, expected, strict=True):
        float_table = ((scale - LOG2_LOWEST) * PER_OCTAVE).round().clamp(0, SCALES - 1)
        distance = (table - float_table).abs()
        assert float(distance.max()) <= 2
        off, total = off + int((distance > 1).sum()), total + distance.numel()
        assert float((mean / VALUE - float_mean).abs().max()) <= 1 / 8
    assert off <= total / 1000


def _dequantised(model):
    """A float network with the very weights that the integers stand for: what is left is rounding of activations."""
    from wavelic.weconvene.configs import SMALL_PLANS
    from wavelic.weconvene.context import HEAD_SCALE
    from wavelic.weconvene.network import WeConveneSmall

    network = WeConveneSmall(SMALL_PLANS[model.card.architecture]).eval().requires_grad_(False)
    convs = dict(network.entropy.named_modules())
    for name, layer in model.entropy.convolutions():
        ratio = layer.multiplier.double() / 2.0 ** layer.shift.double()  # output units per sum
        unit = torch.full_like(ratio, 256.0)
        if name.endswith("head"):
            unit[: len(unit) // 2], unit[len(unit) // 2 :] = 64 * HEAD_SCALE, VALUE
        conv = convs[name]
        conv.weight.copy_(layer.weight.double() * (ratio * 256 / unit)[:, None, None, None])
        conv.bias.copy_(layer.bias.double() * ratio / unit)
    network.entropy.base.copy_(model.entropy.base / 64)
    return network


def reference(entropy: IntegerContextModel, low: Tensor, details: list[Tensor], channels_last: bool) -> list[Tensor]:
    """`code_subbands` written out with `IntegerConv2d` alone: int32 maps and the ordinary convolutions of torch."""
    batch, _, height, width = low.shape
    parent = torch.zeros(batch, BANDS, height // 2, width // 2, dtype=torch.int32)
    hidden, results = None, []
    order = torch.channels_last if channels_last else torch.contiguous_format
    for number in range(LEVELS, 0, -1):
        level = entropy.levels[min(number, 3) - 1]
        assert isinstance(level, IntegerLevel)
        if hidden is None:
            hidden = parent.new_zeros(batch, level.width, *parent.shape[2:])
        else:
            hidden = entropy.adapt[number - 1](hidden) if number < 3 else hidden
            hidden = hidden.repeat_interleave(2, 2).repeat_interleave(2, 3)
        octaves = torch.full((batch, 1, *parent.shape[2:]), (STEP - CENTRE_STEP) * 8, dtype=torch.int32)
        x = torch.cat((entropy.features(parent), hidden, octaves), 1).contiguous(memory_format=order)
        hidden = level.second(level.first(x).clamp_min(0)).clamp_min(0)
        target = pack(details[number - 1])
        values = torch.zeros(target.shape, dtype=torch.int32)
        known: list[Tensor] = []
        for part, net in zip(entropy.passes, level.slices, strict=True):
            y = net.from_context(hidden)
            if known:
                y = y + net.from_known(entropy.features(torch.cat(known, 1)).contiguous(memory_format=order))
            mean = net.head(net.mix(y.clamp(0, LIMIT)).clamp_min(0)).chunk(2, 1)[1]
            chosen = list(part.channels)
            values[:, chosen] = mean + (target[:, chosen] - mean / VALUE).round().to(torch.int32) * VALUE
            known.append(values[:, chosen])
        parent = nn.functional.pixel_shuffle(values, 2)
        results.append(parent)
    return results[::-1]


@pytest.mark.parametrize(
    ("threads", "onednn", "channels_last"), [(1, True, True), (1, False, False), (2, True, False), (4, False, True)]
)
def test_same_integers_in_every_configuration(
    entropy: IntegerContextModel, threads: int, onednn: bool, channels_last: bool
) -> None:
    """Products of rows and torch's own convolutions, in any layout, with any threads: the same coefficients."""
    low, details = random_subbands(128, 256, batch=2)
    torch.set_num_threads(threads)
    with torch.backends.mkldnn.flags(enabled=onednn):
        ours = run(entropy, low, details)[0]
        assert same(ours, reference(entropy, low, details, channels_last))
    torch.set_num_threads(1)
    assert same(ours, run(entropy, low, details)[0])
    alone = [run(entropy, low[i : i + 1], [d[i : i + 1] for d in details])[0] for i in range(2)]
    assert same(ours, [torch.cat(pair) for pair in zip(*alone, strict=True)])


def test_memory_that_was_never_written_is_never_used(entropy: IntegerContextModel) -> None:
    """Frames and unused columns are left as they come: filled with NaN, they change nothing."""
    low, details = random_subbands(128, 256, batch=2)
    expected = run(entropy, low, details)[0]
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(1).isnan()
        assert same(run(entropy, low, details)[0], expected)
    finally:
        torch.use_deterministic_algorithms(False)


def test_every_bit_depends_only_on_what_was_coded_before(entropy: IntegerContextModel) -> None:
    low, details = random_subbands(128, 128)
    before = run(entropy, low, details)[1]
    for number, index in [(6, 1), (2, 0), (1, 3)]:
        changed = [d.clone() for d in details]
        packed = pack(changed[number - 1])
        packed[:, list(entropy.passes[index].channels)] += 5
        changed[number - 1] = nn.functional.pixel_shuffle(packed, 2)
        after = run(entropy, low, changed)[1]
        at = (LEVELS - number) * len(entropy.passes) + index
        for (*_, mean, table), (*_, mean2, table2) in zip(before[: at + 1], after[: at + 1], strict=True):
            assert torch.equal(mean, mean2)
            assert torch.equal(table, table2)
        later = zip(before[at + 1 :], after[at + 1 :], strict=True)
        assert any(not torch.equal(a[2], b[2]) or not torch.equal(a[3], b[3]) for a, b in later)


def test_shipped_weights_are_exact() -> None:
    """No accumulation of any layer can leave the integers that its carrier holds exactly."""
    layers = load_small(family("weconvene")[-1]).entropy.convolutions()
    assert len(layers) > 40
    for _, layer in layers:
        worst = layer.weight.to(torch.int64).abs().sum((1, 2, 3)) * LIMIT + layer.bias.abs()
        assert torch.equal(worst, layer.worst_case())
        assert layer.input_limit == layer.output_limit == LIMIT
        for total, factor, shift in zip(worst.tolist(), layer.multiplier.tolist(), layer.shift.tolist(), strict=True):
            assert total <= 2**47  # int64 requantisation of `IntegerConv2d`
            assert 2 * total * factor + 2**shift + 1 <= 2**53  # float64 sums of `RowConv`, in units of 2^-(shift + 1)


@pytest.mark.parametrize(("kernel", "channels"), [(1, (5, 3)), (3, (4, 7)), (3, (1, 1)), (3, (5, 26))])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (60, 70)])
def test_rows_equal_the_layer(kernel: int, channels: tuple[int, int], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = random_layer(channels, kernel, input_limit=2047)
    order = torch.randperm(channels[0]).tolist()
    x = torch.randint(-2047, 2048, (2, channels[0], *size), dtype=torch.int32)
    maps = framed(x, 2, *size, channels[0] + 2)
    inside(maps)[..., order] = x.permute(0, 2, 3, 1).double()
    inside(maps)[..., channels[0] :] = 1e300  # further channels are not looked at
    found = RowConv(layer, order)(maps)
    assert torch.equal(inside(found).permute(0, 3, 1, 2).to(torch.int32), layer(x))
    positive = inside(RowConv(layer, order)(maps, 0)).permute(0, 3, 1, 2).to(torch.int32)
    assert torch.equal(positive, layer(x).clamp_min(0))
    assert float(clear_frame(found).sum()) == float(inside(found).sum())


def test_rows_refuse_what_could_be_rounded() -> None:
    one = torch.ones(1, dtype=torch.int64)
    weight = torch.full((1, 1, 1, 1), 1 << 15)

    def layer(limit: int, shift: int = 1, **more: int) -> IntegerConv2d:
        return IntegerConv2d(weight, one, one * (1 << 15), one * shift, limit, 9, **more)

    RowConv(layer((1 << 22) - 1))  # 2^15 * (2^22 - 1) * 2^15 * 2 is below 2^53
    with pytest.raises(UsageError, match="too large to be exact"):
        RowConv(layer((1 << 22) + 1))
    with pytest.raises(UsageError, match="too large to be exact"):
        RowConv(layer(1, shift=53))
    with pytest.raises(UsageError, match="stride 2"):
        RowConv(layer(1, stride=2))


def test_channels_that_died_can_be_quantised() -> None:
    conv = nn.Conv2d(2, 2, 1)
    conv.weight.data.zero_()
    conv.bias.data.copy_(torch.tensor([0.75, -2e-7]))
    layer = integer_convolution(conv, [256.0, 256.0])
    RowConv(layer)
    assert layer(torch.ones(1, 2, 1, 1, dtype=torch.int32)).flatten().tolist() == [192, 0]


def test_arrays_come_back_and_damaged_ones_are_refused(network, entropy: IntegerContextModel) -> None:
    low, details = random_subbands(128, 128)
    other = IntegerContextModel(tiny_network(seed=5).entropy)
    expected = run(entropy, low, details)[0]
    assert not same(run(other, low, details)[0], expected)
    arrays = entropy.arrays()
    assert all(value.dtype.kind == "i" for value in arrays.values())
    other.load_arrays(arrays)
    assert same(run(other, low, details)[0], expected)
    name = "levels.0.first.weight"
    for damaged in (
        {k: v for k, v in arrays.items() if k != name},
        {**arrays, "levels.9.first.weight": arrays[name]},
        {**arrays, name: arrays[name][:-1]},
    ):
        with pytest.raises(ModelError):
            other.load_arrays(damaged)
    huge = {**arrays, name: np.full_like(arrays[name], 1 << 15, dtype=np.int32)}
    huge["levels.0.first.bias"] = np.full_like(arrays["levels.0.first.bias"], 1 << 45, dtype=np.int64)
    with pytest.raises((ModelError, UsageError)):
        other.load_arrays(huge)


def test_lowest_band_residuals() -> None:
    low = np.random.default_rng(0).integers(-(1 << 24), 1 << 24, (3, 4, 5), np.int32)
    residual = low_residuals(low)
    np.testing.assert_array_equal(low_from_residuals(residual), low)
    flat = low_residuals(np.full((3, 4, 5), 9, np.int32))
    assert np.count_nonzero(flat) == 3
    for shape in ((3, 1, 1), (3, 1, 6), (3, 6, 1)):
        value = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        np.testing.assert_array_equal(low_from_residuals(low_residuals(value)), value)


def test_steps() -> None:
    assert [step_code(2.0**k) for k in (0, 6, 7)] == [0, CENTRE_STEP, 224]
    assert tiny_model().device.type == "cpu"
