"""The context model: floats in training, integers in coding, one walk; exact, causal and the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from weconvene_tiny import (
    CONFIG,
    STEP,
    assert_same_integers,
    calibrated,
    random_subbands,
    same,
    tiny_model,
    tiny_network,
)

from wavelic.codec.weights import family
from wavelic.nn import exact
from wavelic.nn.exact import ExactConv2d
from wavelic.weconvene.context import ContextModel, code_levels
from wavelic.weconvene.features import PARENT_ORDER, features, integer_order, low_features, parent_features
from wavelic.weconvene.layout import LEVELS
from wavelic.weconvene.network import Network
from wavelic.weconvene.subbands import pack, unpack
from wavelic.weconvene.tile_reader import low_from_residuals, low_residuals
from wavelic.weconvene.units import (
    COARSEST,
    FEATURE,
    FINEST,
    LOG2_LOWEST,
    PER_OCTAVE,
    SCALES,
    STEP_UNIT,
    VALUE,
    step_code,
)
from wavelic.weconvene.weights import float_state, integers_of, load_model

Recorded = list[tuple[int, int, Tensor, Tensor]]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network() -> Network:
    return calibrated(tiny_network())


@pytest.fixture(scope="module")
def entropy(network: Network) -> ContextModel:
    return integers_of(network.entropy, network.config)


def run(
    entropy: ContextModel, low: Tensor, details: list[Tensor], step: int = STEP, levels: int = LEVELS
) -> tuple[list[Tensor], Recorded]:
    """Code by rounding: the coefficients in 1/16 step, and (level, slice, means, tables) of every slice."""
    packed = [pack(d) for d in details]
    calls: Recorded = []

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        calls.append((number, index, mean.clone(), table.clone()))
        target = packed[number - 1][:, list(entropy.slices[index].channels)]
        return (target - mean / VALUE).round().to(torch.int32) * VALUE + mean

    with torch.inference_mode():
        whole = low.round().to(torch.int32)
        return code_levels(entropy, whole, torch.full((1,), step / STEP_UNIT), levels, coder), calls


@pytest.mark.parametrize("weights", ["tiny", "shipped"])
@pytest.mark.parametrize("step", [FINEST, STEP, COARSEST])
def test_integers_are_those_of_the_quantised_float_model(network: Network, weights: str, step: int) -> None:
    """Given the same coefficients, means differ by their rounding alone and tables by that of the scales."""
    if weights == "shipped":
        card = family("weconvene")[-1]
        entropy = load_model(card).entropy
        network = Network(load_model(card).transform.config)
        network.load_state_dict(float_state(card))
        network.eval()
        exact.set_quantised(network.entropy, True)
    else:
        entropy = integers_of(network.entropy, network.config)
    low, details = random_subbands(256, 256)
    values, calls = run(entropy, low, details, step)
    known = {number: pack(v) / VALUE for number, v in enumerate(values, 1)}
    expected: list[tuple[Tensor, Tensor]] = []

    def coder(number: int, index: int, mean: Tensor, scale: Tensor) -> Tensor:
        expected.append((mean, scale))
        return known[number][:, list(entropy.slices[index].channels)]

    with torch.no_grad():
        code_levels(network.entropy, low.round(), torch.full((1,), step / STEP_UNIT), LEVELS, coder)
    for (_, _, mean, table), (float_mean, scale) in zip(calls, expected, strict=True):
        assert float((mean / VALUE - float_mean).abs().max()) <= 0.5 / VALUE + 1e-4
        float_table = ((scale - LOG2_LOWEST) * PER_OCTAVE).clamp(0, SCALES - 1)
        # half a table, and the rounding of scale and base to 1/64 octave each
        assert float((table - float_table).abs().max()) <= 0.5 + PER_OCTAVE / 64 + 1e-3


@pytest.mark.parametrize(("threads", "onednn"), [(1, False), (2, True), (4, False)])
def test_same_integers_in_every_configuration(entropy: ContextModel, threads: int, onednn: bool) -> None:
    low, details = random_subbands(128, 256, batch=2)
    expected = run(entropy, low, details)[0]
    torch.set_num_threads(threads)
    with torch.backends.mkldnn.flags(enabled=onednn):
        assert same(run(entropy, low, details)[0], expected)
    torch.set_num_threads(1)
    alone = [run(entropy, low[i : i + 1], [d[i : i + 1] for d in details])[0] for i in range(2)]
    assert same(expected, [torch.cat(pair) for pair in zip(*alone, strict=True)])


@pytest.mark.parametrize("backend", ["onednn", "int_mm", "float32", "float64"])
def test_same_coefficients_from_every_backend(
    entropy: ContextModel, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exact._agrees(backend, "cpu", True):
        pytest.skip(f"this machine has no {backend}")
    low, details = random_subbands(128, 128)
    expected = run(entropy, low, details)
    monkeypatch.setattr(exact, "_backend", lambda *_: backend)
    found = run(entropy, low, details)
    assert same(found[0], expected[0])
    for (*_, mean, table), (*_, mean2, table2) in zip(found[1], expected[1], strict=True):
        assert torch.equal(mean, mean2)
        assert torch.equal(table, table2)


def test_every_bit_depends_only_on_what_was_coded_before(entropy: ContextModel) -> None:
    low, details = random_subbands(128, 128)
    before = run(entropy, low, details)[1]
    for number, index in [(6, 1), (2, 0), (1, 3)]:
        changed = [d.clone() for d in details]
        packed = pack(changed[number - 1])
        packed[:, list(entropy.slices[index].channels)] += 5
        changed[number - 1] = unpack(packed)
        after = run(entropy, low, changed)[1]
        at = (LEVELS - number) * len(entropy.slices) + index
        for (*_, mean, table), (*_, mean2, table2) in zip(before[: at + 1], after[: at + 1], strict=True):
            assert torch.equal(mean, mean2)
            assert torch.equal(table, table2)
        later = zip(before[at + 1 :], after[at + 1 :], strict=True)
        assert any(not torch.equal(a[2], b[2]) or not torch.equal(a[3], b[3]) for a, b in later)


def test_the_lowest_band_is_context_of_the_coarsest_level(entropy: ContextModel) -> None:
    low, details = random_subbands(256, 256)
    before = run(entropy, low, details)[1]
    after = run(entropy, low + 40 * torch.eye(4), details)[1]
    assert not torch.equal(before[0][2], after[0][2]) or not torch.equal(before[0][3], after[0][3])


@pytest.mark.parametrize("levels", range(1, LEVELS + 1))
def test_fewer_levels_are_the_same_walk(entropy: ContextModel, levels: int) -> None:
    low, random = torch.zeros(1, 3, 2, 4), torch.Generator().manual_seed(0)
    sizes = [(2 << distance, 4 << distance) for distance in reversed(range(levels))]
    details = [torch.randn(1, 9, *size, generator=random) for size in sizes]
    values, calls = run(entropy, low, details, levels=levels)
    assert [v.shape for v in values] == [d.shape for d in details]
    assert [number for number, *_ in calls] == [n for n in range(levels, 0, -1) for _ in entropy.slices]
    for value, detail in zip(values, details, strict=True):
        assert float((value / VALUE - detail).abs().max()) <= 0.5 + 1e-6


def test_features_are_the_same_in_floats_and_integers() -> None:
    values = torch.cat((torch.arange(-5000, 5000), torch.tensor([-(2**28), 2**28]))).to(torch.int32).view(1, 1, -1, 1)
    whole, floats = features(values), features(values.float() / VALUE) * 32
    assert whole.dtype == torch.uint8
    assert float((whole.float() - floats).abs().max()) <= 1  # ties
    assert float((whole.float() != floats).float().mean()) < 0.001
    assert int(whole[0, 0].max()) == int(whole[0, 1].max()) == 255
    low = torch.randint(-900, 900, (2, 3, 6, 4), dtype=torch.int32)
    wanted = low_features(low.float())[:, list(integer_order(12))] * FEATURE
    assert float((low_features(low).float() - wanted).abs().max()) <= 1


def test_parent_features_are_those_of_the_bands_and_the_step() -> None:
    values = torch.randint(-900, 900, (2, 9, 3, 5), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    step = torch.tensor([3.0, 70.0]).view(2, 1, 1, 1)
    floats = parent_features(values / VALUE, step / FEATURE) * FEATURE
    whole = parent_features(values, step)
    assert torch.equal(whole[:, -1], torch.zeros_like(whole[:, -1]))
    assert float((whole[:, :-1].float() - floats[:, list(PARENT_ORDER[:-1])]).abs().max()) <= 1
    assert torch.equal(whole[:, -2].float(), step[:, 0].expand(2, 3, 5))


def test_shipped_weights_are_exact() -> None:
    """No sum of any layer can leave the integers that float32 holds exactly."""
    layers = [m for m in load_model(family("weconvene")[-1]).entropy.modules() if isinstance(m, ExactConv2d)]
    assert len(layers) > 40
    for layer in layers:
        worst = layer.weight.long().abs().sum((1, 2, 3)) * 255 + layer.bias.long().abs()
        residual = 255 << int(layer.shift.clamp_min(0).max()) if layer.relu else 0
        assert int(worst.max()) + residual <= 1 << 24


def test_training_can_go_on_from_the_integers(network: Network, entropy: ContextModel) -> None:
    again = Network(CONFIG)
    for layer, stored in zip(again.entropy.modules(), entropy.modules(), strict=True):
        if isinstance(stored, ExactConv2d):
            stored.to_float(layer)  # type: ignore[arg-type]
    with torch.no_grad():
        again.entropy.base.copy_(entropy.base / 64)
    assert_same_integers(integers_of(again.entropy, CONFIG), entropy)


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
    assert [step_code(2.0**k) for k in (0, 6, 7)] == [0, 192, 224]
    assert (FINEST, COARSEST) == (115, 266)
    assert tiny_model().device.type == "cpu"
