"""The slice schedule: integer, causal, the same object on both sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelic.entropy import ideal_bits
from wavelic.errors import FormatError, ModelError, UsageError
from wavelic.wcae.calibrate import code_length, deployed_tables, fit_schedule
from wavelic.wcae.latent import SideInformation, decode_latent, encode_latent
from wavelic.wcae.schedule import MAX_GAIN, SliceSchedule, gain_factor

TABLES = deployed_tables()


def _latents(channels: int = 16, images: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Latents whose local energy rises and falls together in all channels, as in pictures."""
    random = np.random.default_rng(seed)
    scales = np.geomspace(8, 0.1, channels)[:, None, None]
    found = []
    for _ in range(images):
        activity = np.exp(np.repeat(np.repeat(random.normal(size=(4, 5)), 6, 0), 6, 1))
        found.append((random.laplace(size=(channels, 24, 30)) * scales * activity).astype(np.float32))
    return found


LATENTS = _latents()
MEAN, SCHEDULE = fit_schedule(LATENTS, TABLES)


def test_gain_factors_are_powers_of_two() -> None:
    for gain in range(-MAX_GAIN, MAX_GAIN + 1):
        assert gain_factor(gain) == pytest.approx(2.0 ** (gain / 64) * 2**15, abs=0.5 if gain >= 0 else 1.0, rel=2e-5)


def test_tables_of_a_slice_ignore_it_and_later_ones() -> None:
    symbols = np.rint(LATENTS[0]).astype(np.int32)
    for number, members in enumerate(SCHEDULE):
        before = SCHEDULE.table_indices(number, symbols, 7)
        changed = symbols.copy()
        changed[SCHEDULE.order[SCHEDULE.slices[number] :]] += 1000
        np.testing.assert_array_equal(SCHEDULE.table_indices(number, changed, 7), before)
        assert before.shape == (len(members), 24, 30)


def test_contexts_use_earlier_slices() -> None:
    symbols = np.zeros((16, 24, 30), np.int32)
    quiet = SCHEDULE.table_indices(6, symbols, 0)
    symbols[SCHEDULE.order[0], 10, 10] = 500
    loud = SCHEDULE.table_indices(6, symbols, 0)
    rows, columns = np.nonzero((quiet != loud).any(0))
    assert set(rows) == {9, 10, 11}
    assert set(columns) == {9, 10, 11}


def test_contexts_pay() -> None:
    """The context-free twin of the same latents needs more bits on images neither was fitted to."""
    plain_mean, plain = fit_schedule(LATENTS, TABLES, contexts=1)
    other = _latents(seed=9)
    with_contexts = sum(code_length(y, MEAN, SCHEDULE, TABLES, 0) for y in other)
    without = sum(code_length(y, plain_mean, plain, TABLES, 0) for y in other)
    assert with_contexts < 0.97 * without


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    gain=st.integers(-MAX_GAIN, MAX_GAIN),
    seed=st.integers(0, 2**32 - 1),
    spread=st.sampled_from([0.0, 0.3, 5.0, 3e4, 2e9]),
)
@settings(max_examples=80, deadline=None)
def test_round_trip(size: tuple[int, int], gain: int, seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    symbols = np.clip(random.laplace(size=(16, *size)) * spread, -(2**31), 2**31 - 1).astype(np.int32)
    data = encode_latent(symbols, gain, SCHEDULE, TABLES, SideInformation.WEIGHTS)
    np.testing.assert_array_equal(decode_latent(data, size, gain, SCHEDULE, TABLES), symbols)


@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([0.0, 0.3, 5.0, 500.0]))
@settings(max_examples=40, deadline=None)
def test_round_trip_as_published(seed: int, spread: float) -> None:
    symbols = np.rint(np.random.default_rng(seed).laplace(size=(16, 3, 4)) * spread).astype(np.int32)
    data = encode_latent(symbols, 0, SCHEDULE, TABLES, SideInformation.PUBLISHED)
    np.testing.assert_array_equal(decode_latent(data, (3, 4), 0, SCHEDULE, TABLES), symbols)


def test_bytes_are_near_the_ideal() -> None:
    symbols = np.rint(LATENTS[1] - MEAN[:, None, None]).astype(np.int32)
    ideal = sum(
        ideal_bits(symbols[members], SCHEDULE.table_indices(number, symbols, 0), TABLES)
        for number, members in enumerate(SCHEDULE)
    )
    data = encode_latent(symbols, 0, SCHEDULE, TABLES, SideInformation.WEIGHTS)
    assert 8 * len(data) <= 1.01 * ideal + 32
    assert code_length(LATENTS[1], MEAN, SCHEDULE, TABLES, 0) == pytest.approx(ideal)


def test_published_histogram_has_a_limit() -> None:
    symbols = np.zeros((16, 2, 2), np.int32)
    symbols[0, 0, 0] = 1 << 14
    with pytest.raises(UsageError, match="too far apart"):
        encode_latent(symbols, 0, SCHEDULE, TABLES, SideInformation.PUBLISHED)


@pytest.mark.parametrize("payload", [b"", b"\x02", b"\x01", b"\x01\0\0\0\0\0\0", b"\x01\0\0\0\0\xff\xffabc"])
def test_impossible_payloads(payload: bytes) -> None:
    with pytest.raises(FormatError):
        decode_latent(payload, (2, 2), 0, SCHEDULE, TABLES)


@given(data=st.binary(max_size=60), side=st.sampled_from([b"\0", b"\1"]))
@settings(max_examples=150, deadline=None)
def test_hostile_payloads(data: bytes, side: bytes) -> None:
    """Any bytes give symbols of the right shape or FormatError."""
    try:
        symbols = decode_latent(side + data, (3, 5), 0, SCHEDULE, TABLES)
    except FormatError:
        return
    assert symbols.shape == (16, 3, 5)


def test_gain_out_of_range() -> None:
    with pytest.raises(UsageError, match="gain 300"):
        SCHEDULE.table_indices(0, np.zeros((16, 1, 1), np.int32), 300)
    with pytest.raises(FormatError, match="gain is 300"):
        decode_latent(b"\0", (1, 1), 300, SCHEDULE, TABLES)


def test_arrays_round_trip_and_are_checked() -> None:
    arrays = SCHEDULE.to_arrays()
    again = SliceSchedule.from_arrays(arrays)
    symbols = np.rint(LATENTS[2]).astype(np.int32)
    np.testing.assert_array_equal(again.table_indices(5, symbols, -9), SCHEDULE.table_indices(5, symbols, -9))
    with pytest.raises(ModelError, match="slice schedule"):
        SliceSchedule.from_arrays({key: value for key, value in arrays.items() if key != "schedule.grid"})
    with pytest.raises(ModelError, match="contradicts itself"):
        SliceSchedule.from_arrays(arrays | {"schedule.order": np.zeros(16, np.int32)})
