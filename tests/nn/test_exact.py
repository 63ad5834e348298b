"""Exact convolutions: every way of computing them gives the integers that the definition says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from wavelic.errors import UsageError
from wavelic.nn import exact
from wavelic.nn.exact import LIMIT, SUM_BOUND, WEIGHT_LIMIT, ExactConv2d, QuantConv2d

#: Of weights as they are trained, and of any that a file may have.
LIMITS = (WEIGHT_LIMIT, 127)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random_layer(
    inputs: int, outputs: int, kernel: int, relu: bool, seed: int = 0, limit: int = WEIGHT_LIMIT
) -> ExactConv2d:
    """Weights up to the limit, and shifts at which results use the whole range."""
    random = torch.Generator().manual_seed(seed)
    layer = ExactConv2d(inputs, outputs, kernel, relu)
    span = min(limit, int(0.9 * SUM_BOUND / (LIMIT * inputs * kernel**2)))
    layer.weight.copy_(torch.randint(-span, span + 1, layer.weight.shape, generator=random))
    layer.bias.copy_(torch.randint(-20000, 20000, (outputs,), generator=random))
    layer.shift.copy_(torch.randint(6, 14, (outputs,), generator=random))
    layer.prove()
    return layer


def skip_without(backend: str, limit: int) -> None:
    """Skip a test on a machine that cannot compute layers with such weights in this way."""
    if not exact._agrees(backend, "cpu", limit <= WEIGHT_LIMIT):
        pytest.skip(f"this machine has no {backend} for weights up to {limit}")


def expected(layer: ExactConv2d, x: Tensor, residual: Tensor | None) -> Tensor:
    """The definition in int64: floor and the tie rule written out."""
    kernel = layer.kernel
    windows = nn.functional.unfold(x.double(), kernel, padding=kernel // 2).to(torch.int64)
    sums = layer.weight.long().flatten(1) @ windows + layer.bias.long()[:, None]
    sums = sums.view(len(x), -1, *x.shape[2:])
    shift = layer.shift.long()[:, None, None]
    if not layer.relu:
        return sums.double() / torch.exp2(shift.double())
    whole, rest = sums >> shift, sums - (sums >> shift << shift)
    if residual is not None:
        whole = whole + residual.long()
    half = torch.ones_like(shift) << (shift - 1)
    up = (rest > half) | ((rest == half) & (whole % 2 == 1))
    return (whole + up.long()).clamp(0, LIMIT)


@pytest.mark.parametrize("backend", ["onednn", "int_mm", "float32", "float64"])
@pytest.mark.parametrize(("kernel", "relu"), [(1, True), (3, True), (1, False), (3, False)])
@pytest.mark.parametrize(("inputs", "outputs", "size"), [(1, 1, (1, 1)), (19, 24, (3, 17)), (96, 7, (16, 9))])
@pytest.mark.parametrize("limit", LIMITS)
def test_every_backend_computes_the_definition(
    backend: str, kernel: int, relu: bool, inputs: int, outputs: int, size: tuple[int, int], limit: int
) -> None:
    skip_without(backend, limit)
    layer = random_layer(inputs, outputs, kernel, relu, limit=limit)
    random = torch.Generator().manual_seed(1)
    for batch in (1, 3):
        x = torch.randint(0, 256, (batch, inputs, *size), generator=random, dtype=torch.uint8)
        residual = torch.randint(0, 256, (batch, outputs, *size), generator=random, dtype=torch.uint8)
        for r in (None, residual) if relu else (None,):
            found = layer.compute(backend, x, None if r is None else r.clone())
            assert found.dtype == (torch.uint8 if relu else torch.float32)
            assert torch.equal(found.double(), expected(layer, x, r).double())


@pytest.mark.parametrize("backend", ["onednn", "int_mm", "float32"])
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(("kernel", "size"), [(1, (2, 2)), (1, (64, 96)), (3, (4, 6)), (3, (64, 96))])
def test_extreme_sums(backend: str, limit: int, kernel: int, size: tuple[int, int]) -> None:
    """Inputs and weights at their limits, where sums of a pair of products in 16 bits would saturate beyond 64."""
    skip_without(backend, limit)
    channels = 256 if kernel == 1 else 28
    layer = ExactConv2d(channels, 4, kernel, relu=False)
    layer.weight.copy_(torch.tensor([limit, -limit, limit, 0])[:, None, None, None])
    layer.weight[2, ::2] = -limit
    layer.prove()
    assert layer.narrow == (limit <= WEIGHT_LIMIT)
    x = torch.full((1, channels, *size), 255, dtype=torch.uint8)
    sums = layer.compute(backend, x)
    largest = channels * kernel**2 * limit * 255
    assert sums[0, :, 1, 1].tolist() == [largest, -largest, 0, 0]
    assert torch.equal(sums.double(), expected(layer, x, None).double())


def test_any_two_products_fit_in_16_bits() -> None:
    """What makes byte products of processors without VNNI exact; one more would not fit."""
    assert 2 * WEIGHT_LIMIT * LIMIT <= torch.iinfo(torch.int16).max < 2 * (WEIGHT_LIMIT + 1) * LIMIT


def test_layers_choose_by_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose pairs saturate computes narrow layers in bytes and others in floats."""
    used: list[bool] = []

    def saturating(self: ExactConv2d, x: Tensor, residual: Tensor | None) -> Tensor:
        used.append(self.narrow)
        pairs = self.weight.long().flatten(1).unflatten(1, (-1, 2)).abs().sum(2) * LIMIT
        sums = self._sums(x, "float64")
        return self._finish(sums if int(pairs.max()) < 1 << 15 else sums.clamp(-32768, 32767), residual)

    monkeypatch.setattr(ExactConv2d, "_onednn", saturating)
    exact._backend.cache_clear()
    assert [exact._backend("cpu", narrow) for narrow in (True, False)] == ["onednn", "float32"]
    used.clear()
    x = torch.full((1, 32, 5, 7), 255, dtype=torch.uint8)
    for limit in LIMITS:
        layer = random_layer(32, 16, 1, True, limit=limit)
        assert torch.equal(layer(x).long(), expected(layer, x, None))
    assert used == [True]
    monkeypatch.undo()
    exact._backend.cache_clear()


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("onednn", [True, False])
def test_threads_and_onednn_do_not_change_integers(threads: int, onednn: bool) -> None:
    layer = random_layer(64, 48, 3, True)
    x = torch.randint(0, 256, (2, 64, 33, 40), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    wanted = layer.compute("float64", x)
    torch.set_num_threads(threads)
    with torch.backends.mkldnn.flags(enabled=onednn):
        assert torch.equal(layer(x), wanted)
        assert torch.equal(layer.compute("float32", x), wanted)
    assert torch.equal(layer(x.contiguous(memory_format=torch.channels_last)), wanted)


def test_one_layer_computes_inputs_of_any_size_in_turn() -> None:
    """Weights are packed for few positions otherwise than for many."""
    layer = random_layer(24, 96, 3, True)
    random = torch.Generator().manual_seed(4)
    for size in ((8, 8), (16, 16), (1, 1), (1, 300), (9, 9), (10, 10)):
        x = torch.randint(0, 256, (2, 24, *size), generator=random, dtype=torch.uint8)
        assert torch.equal(layer(x), layer.compute("float64", x))


@pytest.mark.parametrize("backend", ["onednn", "int_mm", "float32"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_inputs_in_another_order(backend: str, kernel: int) -> None:
    skip_without(backend, WEIGHT_LIMIT)
    layer = random_layer(5, 8, kernel, True)
    x = torch.randint(0, 256, (2, 5, 7, 9), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    wanted = layer.compute("float64", x)
    ordered = ExactConv2d(5, 8, kernel)
    ordered.order = (4, 0, -1, 3, 1, 2)
    ordered.load_state_dict(layer.state_dict())
    assert torch.equal(ordered.compute(backend, x[:, [max(place, 0) for place in ordered.order]]), wanted)
    assert torch.equal(ordered.state_dict()["weight"], layer.weight)


def test_a_backend_that_errs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose 8-bit products saturate, and a torch without the operation, fall back to float32."""
    layer = random_layer(32, 16, 1, True)
    x = torch.randint(0, 256, (1, 32, 8, 8), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    wanted = layer(x)

    def wrong(self: ExactConv2d, x: Tensor, residual: Tensor | None) -> Tensor:
        return self._finish(self._sums(x, "float64").clamp(-32768, 32767), residual)

    def missing(self: ExactConv2d, x: Tensor, residual: Tensor | None) -> Tensor:
        raise AttributeError("no such operation")

    for broken in (wrong, missing):
        monkeypatch.setattr(ExactConv2d, "_onednn", broken)
        exact._backend.cache_clear()
        assert exact._backend("cpu", True) == exact._backend("cpu", False) == "float32"
        assert torch.equal(layer(x), wanted)
    monkeypatch.undo()
    exact._backend.cache_clear()


def test_what_could_be_inexact_is_refused() -> None:
    layer = ExactConv2d(512, 1, 1)
    layer.weight.fill_(64)
    layer.prove()  # 512 * 64 * 255 = 8355840
    layer.bias.fill_(SUM_BOUND - 8355840)
    with pytest.raises(UsageError, match="sums reach 8388608"):
        layer.prove()
    layer.bias.zero_()
    for shift in (-9, 16):
        layer.shift.fill_(shift)
        with pytest.raises(UsageError, match="shifts"):
            layer.load_state_dict(layer.state_dict())


@pytest.mark.parametrize(("kernel", "relu"), [(1, True), (3, True), (3, False)])
@pytest.mark.parametrize("exponents", [(5, 5), (3, 6), (7, 2)])
def test_the_trained_layer_behaves_as_its_integer_twin(kernel: int, relu: bool, exponents: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = QuantConv2d(24, 16, kernel, relu).requires_grad_(False)
    conv.weight[0], conv.bias[0] = 0, 0.5  # a channel that died
    conv.weight[1] *= 200
    conv.exponents.copy_(torch.tensor(exponents))
    conv.quantised = True
    layer = ExactConv2d.from_float(conv)
    x = torch.randint(0, 256, (2, 24, 9, 11), dtype=torch.uint8)
    unit = 2.0 ** exponents[1] if relu else 1.0
    residual = torch.randint(0, 256, (2, 16, 9, 11), dtype=torch.uint8) if relu else None
    floats = None if residual is None else residual / unit
    assert torch.equal(conv(x / 2.0 ** exponents[0], floats) * unit, layer(x, residual).float())
    again = QuantConv2d(24, 16, kernel, relu)
    layer.to_float(again)
    for name, value in ExactConv2d.from_float(again).state_dict().items():
        assert torch.equal(value, layer.state_dict()[name])


def test_quantised_training_has_gradients() -> None:
    torch.manual_seed(0)
    conv = QuantConv2d(4, 4, 3)
    conv.quantised = True
    conv(torch.rand(1, 4, 8, 8)).sum().backward()
    assert conv.weight.grad is not None
    assert float(conv.weight.grad.abs().max()) > 0


def test_networks_are_converted_in_place() -> None:
    network = nn.Sequential(QuantConv2d(2, 3), nn.ModuleList([QuantConv2d(3, 3, 3)]))
    exact.exact(network)
    assert [type(m) for m in network.modules() if not list(m.children())] == [ExactConv2d, ExactConv2d]


def test_exponents_fit() -> None:
    assert [exact.fitting_exponent(x) for x in (0.0, 1.0, 1.99, 7.9, 8.1, 300.0, 1e9)] == [7, 7, 7, 5, 4, 0, 0]
