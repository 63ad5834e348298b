"""The entropy room: exactness, code length, stability of the bytes, hostile input."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wavelic.entropy import (
    RangeDecoder,
    RangeEncoder,
    TableSet,
    decode_symbols,
    encode_symbols,
    factorized_tables,
    gaussian_scales,
    gaussian_tables,
    ideal_bits,
    normalize_frequencies,
    scale_index,
)
from wavelic.entropy import coder as coder_module
from wavelic.entropy import grouping as grouping_module
from wavelic.entropy.escape import CLASS_FREQUENCIES, CLASS_PRECISION
from wavelic.errors import FormatError, UsageError, WavelicError

INT32 = np.iinfo(np.int32)
TABLES = gaussian_tables(gaussian_scales(8, 0.11, 32.0))
ODD_TABLES = TableSet.from_frequencies(
    [[3, 0, 1], [1], [1] * 300, [7, 9]], offsets=[INT32.min, INT32.max, -150, 40], precision=12
)


GOLDEN_LENGTH = 229
GOLDEN_HEAD = "8a9a484e87743029d1c0d12675d8290b"
GOLDEN_SHA256 = "58ecfe5b7848833240f2a544186f7abbc4f7ebe1896946cf0ab6171d8c62b238"
GOLDEN_FOUR = "efe7"
GOLDEN_ESCAPE = "fffd"


class ReferenceDecoder:
    """The range decoder of constriction 0.4/0.5, rewritten in Python integers from its definition.

    It is given integer cumulative frequencies and nothing else, so agreement shows which integers constriction used.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.lower, self.width, self.point = 0, (1 << 64) - 1, 0
        for _ in range(2):
            self.point = self.point << 32 | self.word()

    def word(self) -> int:
        self.at += 4
        return int.from_bytes(self.data[self.at - 4 : self.at].ljust(4, b"\0"), "big")

    def decode(self, frequencies: list[int], precision: int) -> int:
        scale = self.width >> 24
        quantile = (self.point - self.lower) % (1 << 64) // scale
        assert quantile < 1 << 24
        cumulative = 0
        entry = -1
        while quantile >= cumulative:
            entry += 1
            share = frequencies[entry] << (24 - precision)
            cumulative += share
        cumulative -= share
        self.lower = (self.lower + scale * cumulative) % (1 << 64)
        self.width = scale * share
        if self.width < 1 << 32:
            self.width <<= 32
            self.lower = (self.lower << 32) % (1 << 64)
            self.point = (self.point << 32) % (1 << 64) | self.word()
        return entry

    def decode_block(self, index: np.ndarray, tables: TableSet) -> np.ndarray:
        """One block as docs/entropy.md describes it, symbol by symbol."""
        symbols = np.zeros(index.size, dtype=np.int64)
        order = np.argsort(index, kind="stable")
        escaped = []
        for place in order.tolist():
            table = int(index[place])
            offset, count = tables.bounds[table]
            entry = self.decode(tables.table(table).tolist(), tables.precision)
            symbols[place] = offset + entry
            if entry == count:
                escaped.append((place, offset, offset + count - 1))
        classes = [self.decode(CLASS_FREQUENCIES.tolist(), CLASS_PRECISION) for _ in escaped]
        magnitudes = [1 << (c % 33) for c in classes]
        for shift in (0, 16):
            for i, c in enumerate(classes):
                bits = min(16, max(0, c % 33 - shift))
                if bits:
                    magnitudes[i] |= self.decode([1] * (1 << bits), bits) << shift
        for (place, first, last), c, magnitude in zip(escaped, classes, magnitudes, strict=True):
            symbols[place] = first - magnitude if c >= 33 else last + magnitude
        return symbols


def laplacian(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Symbols a little heavier-tailed than the tables, so that some escape."""
    rng = np.random.default_rng(seed)
    index = rng.integers(0, len(TABLES), count)
    scales = gaussian_scales(8, 0.11, 32.0)[index]
    return np.rint(rng.laplace(size=count) * scales).astype(np.int32), index


@settings(max_examples=150, deadline=None)
@given(st.data())
@pytest.mark.parametrize("tables", [TABLES, ODD_TABLES], ids=["gaussian", "odd"])
def test_round_trip_of_any_int32_tensor(tables: TableSet, data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    elements = st.integers(INT32.min, INT32.max) | st.integers(-200, 200) | st.sampled_from([INT32.min, INT32.max])
    symbols = data.draw(hnp.arrays(np.int32, shape, elements=elements))
    index = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, len(tables) - 1)))
    stream = encode_symbols(symbols, index, tables)
    decoded = decode_symbols(stream, index, tables)
    assert decoded.dtype == np.int32
    assert decoded.shape == symbols.shape
    assert (decoded == symbols).all()
    assert not stream.endswith(b"\0")


@pytest.mark.parametrize("magnitude", [0, 1, 2, 15, 16, 17, 30, 31])
def test_round_trip_of_escapes_of_every_length(magnitude: int) -> None:
    symbols = np.clip([s * (1 << magnitude) + d for s in (-1, 1) for d in (-1, 0, 1)], INT32.min, INT32.max)
    index = np.arange(6) % len(TABLES)
    assert (decode_symbols(encode_symbols(symbols, index, TABLES), index, TABLES) == symbols).all()


def test_constriction_uses_exactly_our_integers() -> None:
    symbols, index = laplacian(1500)
    symbols[::100] = np.random.default_rng(1).integers(INT32.min, INT32.max, 15)
    reference = ReferenceDecoder(encode_symbols(symbols, index, TABLES))
    assert (reference.decode_block(index, TABLES) == symbols).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=40), st.integers(6, 16), st.integers(0, 2**32 - 1))
def test_constriction_uses_exactly_our_integers_for_any_table(counts: list[int], precision: int, seed: int) -> None:
    tables = TableSet.from_frequencies([counts], [0], precision=precision)
    symbols = np.random.default_rng(seed).integers(0, len(counts) + 1, 60)
    index = np.zeros(60, dtype=int)
    assert (ReferenceDecoder(encode_symbols(symbols, index, tables)).decode_block(index, tables) == symbols).all()


@pytest.mark.parametrize("tables", ["gaussian", "factorized", "peaked"])
def test_real_length_is_within_one_percent_of_ideal(tables: str) -> None:
    rng = np.random.default_rng(2)
    if tables == "gaussian":
        scales = gaussian_scales()
        index = rng.integers(0, 64, 10_000)
        symbols = np.rint(rng.standard_normal(10_000) * scales[index]).astype(np.int32)
        table_set = gaussian_tables()
    elif tables == "factorized":
        weights = rng.dirichlet(np.ones(9), size=5)
        index = np.repeat(np.arange(5), 2000)
        symbols = np.concatenate([rng.choice(9, 2000, p=p) for p in weights]) - 4
        table_set = factorized_tables(list(weights), [-4] * 5)
    else:
        table_set = factorized_tables([[1, 60000, 1]], [-1])
        index, symbols = np.zeros(100_000, dtype=int), (rng.random(100_000) < 2e-3).astype(int)
    ideal = ideal_bits(symbols, index, table_set) / 8
    actual = len(encode_symbols(symbols, index, table_set))
    assert ideal - 1 <= actual <= 1.001 * ideal + 2


def test_ideal_bits_counts_escapes() -> None:
    tables = TableSet.from_frequencies([[2, 1]], [0], escape_counts=[1], precision=8)
    assert ideal_bits([0, 1], [0, 0], tables) == pytest.approx(1 + 2)
    # escape entry 2 bits; 9 lies 8 beyond the end: e + 1 = 8, class 3 has 2^-5, 3 bits follow
    assert ideal_bits([9], [0], tables) == pytest.approx(2 + 5 + 3)
    symbols = np.random.default_rng(0).integers(-(10**6), 10**6, 5000)
    index = np.zeros(5000, dtype=int)
    ideal = ideal_bits(symbols, index, tables) / 8
    assert len(encode_symbols(symbols, index, tables)) == pytest.approx(ideal, abs=2)


def golden_input() -> tuple[np.ndarray, np.ndarray, TableSet]:
    """A fixed input without floats or random generators."""
    tables = TableSet.from_frequencies([[1, 5, 90, 5, 1], [4, 3, 2, 1], [1] * 64], [-2, 0, -32], precision=14)
    place = np.arange(600)
    index = place * 7 % 3
    symbols = np.where(index == 0, 1 * (place % 19 == 0) - (place % 23 == 0), place * place % (3 + 30 * (index == 2)))
    symbols[[5, 77, 300, 444]] = [INT32.min, INT32.max, -1000, 70]
    return symbols, index, tables


def test_golden_bytes() -> None:
    symbols, index, tables = golden_input()
    stream = encode_symbols(symbols, index, tables)
    assert len(stream) == GOLDEN_LENGTH
    assert stream[:16].hex() == GOLDEN_HEAD
    assert hashlib.sha256(stream).hexdigest() == GOLDEN_SHA256
    assert encode_symbols([0, 1, -1, 2], [0, 1, 2, 0], tables).hex() == GOLDEN_FOUR
    assert encode_symbols([5], [1], tables).hex() == GOLDEN_ESCAPE


def test_gaussian_tables_do_not_drift() -> None:
    tables = gaussian_tables([0.11, 0.5, 1.0])
    assert tables.table(0).tolist() == [1, 65533, 1, 1]
    assert tables.table(1).tolist() == [89, 10309, 44740, 10309, 88, 1]
    assert tables.offsets.tolist() == [-1, -2, -4]


def test_bytes_do_not_depend_on_layout_or_integer_type() -> None:
    symbols, index = laplacian(6000)
    symbols, index = symbols.reshape(20, 30, 10), index.reshape(20, 30, 10)
    stream = encode_symbols(symbols, index, TABLES)
    fortran = encode_symbols(np.asfortranarray(symbols), np.asfortranarray(index), TABLES)
    strided = encode_symbols(np.repeat(symbols, 2, axis=1)[:, ::2], index.astype(np.uint8), TABLES)
    wide = encode_symbols(symbols.astype(np.int64), index.astype(np.int16), TABLES)
    assert stream == fortran == strided == wide


def test_blocks_and_incremental_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coder_module, "BLOCK", 256)
    parts = [laplacian(count, seed) for seed, count in enumerate((1000, 0, 1, 255, 256, 257))]
    encoder = RangeEncoder()
    for symbols, index in parts:
        encoder.encode(symbols, index, TABLES)
    stream = encoder.finish()
    decoder = RangeDecoder(stream)
    for symbols, index in parts:
        assert (decoder.decode(index, TABLES) == symbols).all()
    assert encoder.finish() == stream


@pytest.mark.parametrize("part", [1, 7, 100, 999])
@pytest.mark.parametrize("many_tables", [0, 256])
def test_parts_of_a_block_do_not_show_in_the_stream(
    part: int, many_tables: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols, index = laplacian(1000)
    index[200:400].sort()  # a part that is in order, and rare tables
    symbols[::50] = 10_000  # escapes in all parts
    stream = encode_symbols(symbols, index, TABLES)
    monkeypatch.setattr(grouping_module, "PART", part)
    monkeypatch.setattr(grouping_module, "MANY_TABLES", many_tables)
    assert encode_symbols(symbols, index, TABLES) == stream
    assert (decode_symbols(stream, index, TABLES) == symbols).all()


def test_encoding_goes_on_after_finish() -> None:
    symbols, index = laplacian(500)
    encoder = RangeEncoder()
    encoder.encode(symbols[:200], index[:200], TABLES)
    decoder = RangeDecoder(encoder.finish())
    assert (decoder.decode(index[:200], TABLES) == symbols[:200]).all()
    encoder.encode(symbols[200:], index[200:], TABLES)
    decoder = RangeDecoder(encoder.finish())
    assert (decoder.decode(index[:200], TABLES) == symbols[:200]).all()
    assert (decoder.decode(index[200:], TABLES) == symbols[200:]).all()


def test_short_streams_spend_no_more_than_two_bytes_on_their_end() -> None:
    for count in range(200):
        symbols, index = laplacian(count, seed=count)
        stream = encode_symbols(symbols, index, TABLES)
        assert (decode_symbols(stream, index, TABLES) == symbols).all()
        assert len(stream) <= ideal_bits(symbols, index, TABLES) / 8 + 2
    assert encode_symbols([], [], TABLES) == b""


def test_many_carries() -> None:
    """Symbols at the very top of the interval drive the coder into its undecided state and out of it again."""
    tables = TableSet.from_frequencies([[1, 2, 3]], [0], precision=8)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        symbols = np.where(rng.random(60) < 0.95, 3, rng.integers(0, 3, 60))  # 3 escapes: the topmost entry
        index = np.zeros(60, dtype=int)
        assert (decode_symbols(encode_symbols(symbols, index, tables), index, tables) == symbols).all()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 3000), st.integers(0, 5))
def test_any_bytes_decode_or_raise_format_error(data: bytes, count: int, seed: int) -> None:
    index = np.random.default_rng(seed).integers(0, len(ODD_TABLES), count)
    try:
        symbols = decode_symbols(data, index, ODD_TABLES)
    except FormatError:
        return
    assert symbols.dtype == np.int32
    assert symbols.shape == (count,)


def test_impossible_points_raise_format_error() -> None:
    with pytest.raises(FormatError):
        decode_symbols(b"\xff" * 64, np.zeros(100, dtype=int), TABLES)


def test_damage_never_escapes_as_another_error() -> None:
    symbols, index = laplacian(3000)
    stream = encode_symbols(symbols, index, TABLES)
    rng = np.random.default_rng(3)
    changed = 0
    for _ in range(300):
        damaged = bytearray(stream[: rng.integers(0, len(stream))] if rng.random() < 0.3 else stream)
        if damaged:
            damaged[rng.integers(0, len(damaged))] ^= 1 << rng.integers(0, 8)
        try:
            changed += bool((decode_symbols(bytes(damaged), index, TABLES) != symbols).any())
        except FormatError:
            changed += 1
    assert changed >= 295


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 1 << 40), min_size=2, max_size=64), st.integers(6, 16))
def test_normalize_frequencies(counts: list[int], precision: int) -> None:
    frequencies = normalize_frequencies(counts, precision).astype(np.int64)
    assert frequencies.sum() == 1 << precision
    assert frequencies.min() >= 1
    order = np.argsort(counts, kind="stable")
    assert (np.diff(frequencies[order]) >= -1).all()
    shares = np.array(counts, dtype=float) * (1 << precision) / max(1, sum(counts))
    assert (np.abs(frequencies - shares)[shares > len(counts)] <= 1 + shares[shares > len(counts)] / 2).all()


def test_normalize_keeps_exact_proportions() -> None:
    assert normalize_frequencies([1, 2, 1], 4).tolist() == [4, 8, 4]
    assert normalize_frequencies([0, 0, 0, 0], 4).tolist() == [4, 4, 4, 4]
    assert normalize_frequencies([1 << 40, 0], 16).tolist() == [65535, 1]


@pytest.mark.parametrize("scale", [0.11, 0.3, 1.0, 7.5, 60.0, 256.0])
def test_gaussian_tables_cost_next_to_nothing_over_the_true_density(scale: float) -> None:
    from scipy.stats import norm

    tables = gaussian_tables([scale])
    offset, count = tables.bounds[0]
    assert offset == -(count // 2)
    edges = np.arange(offset, offset + count + 1) - 0.5
    mass = np.diff(norm.cdf(edges, scale=scale))
    assert 1 - mass.sum() <= 2.0**-16
    frequencies = tables.table(0)[:-1] / 2.0**tables.precision
    assert np.allclose(frequencies, frequencies[::-1], atol=2.0**-15)
    entropy = -(mass * np.log2(mass)).sum()
    assert -(mass * np.log2(frequencies)).sum() <= entropy * 1.002 + 0.0005


def test_scale_index_chooses_the_cheapest_table() -> None:
    scales = gaussian_scales(16, 0.2, 20.0)
    assert scale_index(scales, scales).tolist() == list(range(16))
    assert scale_index([0.0, 1e9], scales).tolist() == [0, 15]


def test_tables_survive_as_arrays() -> None:
    arrays = TABLES.to_arrays()
    assert {a.dtype.kind for a in arrays.values()} <= {"i", "u"}
    copy = TableSet.from_arrays(arrays)
    symbols, index = laplacian(300)
    assert encode_symbols(symbols, index, copy) == encode_symbols(symbols, index, TABLES)


def broken(**changes: object) -> None:
    TableSet.from_arrays({**TABLES.to_arrays(), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "action",
    [
        lambda: encode_symbols([0.5], [0], TABLES),
        lambda: encode_symbols([1 << 31], [0], TABLES),
        lambda: encode_symbols([0], [8], TABLES),
        lambda: encode_symbols([0], [-1], TABLES),
        lambda: encode_symbols([0, 1], [0], TABLES),
        lambda: decode_symbols(b"", [0.0], TABLES),
        lambda: broken(frequencies=TABLES.frequencies[:-1]),
        lambda: broken(frequencies=TABLES.frequencies[::-1]),
        lambda: broken(sizes=TABLES.sizes.astype(float)),
        lambda: broken(precision=np.array([17])),
        lambda: TableSet.from_arrays({}),
        lambda: TableSet.from_frequencies([], []),
        lambda: TableSet.from_frequencies([[1, -1]], [0]),
        lambda: TableSet.from_frequencies([[1, 1]], [INT32.max]),
        lambda: TableSet.from_frequencies([[1] * 300], [0], precision=8),
        lambda: gaussian_tables([0.0]),
        lambda: factorized_tables([[np.nan]], [0]),
        lambda: gaussian_scales(3, -1.0),
    ],
)
def test_misuse_is_a_one_line_usage_error(action: object) -> None:
    with pytest.raises(UsageError) as caught:
        action()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, WavelicError)


def test_importing_does_not_import_torch() -> None:
    code = "import sys, wavelic.entropy; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
