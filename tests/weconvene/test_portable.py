"""The decoder in NumPy alone: the other decoder's coefficients to the last bit, and its samples but for rounding."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import GOLDEN
from pictures import image
from threadpoolctl import threadpool_info, threadpool_limits
from weconvene_tiny import CONFIG, STEP, tiny_model

import wavelic
from wavelic.codec.weights import save_weights
from wavelic.container import read_container
from wavelic.errors import ChecksumError, FormatError, ModelError, UsageError
from wavelic.images import from_array
from wavelic.rect import Rect
from wavelic.wavelets.schemes import WAVELETS
from wavelic.weconvene.config import Config
from wavelic.weconvene.files import Encoding
from wavelic.weconvene.layout import levels_of, low_size
from wavelic.weconvene.planes import Planes, synthesise
from wavelic.weconvene.portable import decode as portable
from wavelic.weconvene.portable import synthesis
from wavelic.weconvene.portable.context import Layer
from wavelic.weconvene.portable.rows import on_all_cores
from wavelic.weconvene.subbands import COLOUR
from wavelic.weconvene.tiles import decode_tiles
from wavelic.weconvene.weights import Model

FILES = sorted(GOLDEN.glob("v1-weconvene-*.wlic"))
TWO_DIMENSIONS = replace(CONFIG, ordered_colours=False, contexts=(8, 16, 12))

_SIDES = st.integers(1, 150)


def models(config: Config) -> tuple[Model, portable.PortableModel]:
    model = tiny_model(config)
    return model, portable.make_model(model.tensors(), config)


TINY = {config: models(config) for config in (CONFIG, TWO_DIMENSIONS)}


def torch_samples(model: Model, data: bytes, coefficients: list) -> np.ndarray:
    header = read_container(data).header
    levels = levels_of(header.width, header.height)
    box = Rect(0, 0, coefficients[0].low.shape[2] << levels, coefficients[0].low.shape[1] << levels)
    planes = Planes.empty(box.height, box.width, levels)
    planes.paste(box, coefficients[0])
    area = Rect(0, 0, header.width, header.height)
    dtype = np.dtype(np.uint8) if header.bit_depth == 8 else np.dtype(np.uint16)
    return synthesise(model, planes, header.gain, area, header.channels, dtype)


@pytest.mark.parametrize("config", TINY, ids=["3d", "2d"])
@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 150), st.integers(1, 150), st.sampled_from([1, 3]), st.sampled_from([8, 16]), st.integers(120, 260)
)
def test_coefficients_are_the_same_and_samples_within_rounding(
    config: Config, height: int, width: int, channels: int, bits: int, step: int
) -> None:
    model, other = TINY[config]
    data = Encoding(from_array(image(height, width, channels, bits)), model).file(step)
    container = read_container(data)
    levels = levels_of(width, height)
    unit = 2 << levels
    size = low_size(Rect(0, 0, -(-width // unit) * unit, -(-height // unit) * unit), levels)
    (tile,) = decode_tiles(model, [container.tiles[0]], size, levels, [step])
    with on_all_cores() as rows:
        found = portable.decode_tile(other, container.tiles[0], size, levels, step, rows)
    np.testing.assert_array_equal(found.low, tile.low)
    for detail, expected in zip(found.details, tile.details, strict=True):
        np.testing.assert_array_equal(detail, expected)
    samples = portable.synthesised(container, other)
    assert samples.shape == (height, width, channels)
    assert np.abs(samples.astype(int) - torch_samples(model, data, [tile])).max() <= (1 if bits == 8 else 8)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_files(path: Path) -> None:
    """Those of the shipped weights, with alpha, several tiles, 16 bits."""
    data = path.read_bytes()
    found, expected = portable.decode(read_container(data)), wavelic.open(data).decode()
    assert found.pixels.dtype == expected.pixels.dtype
    difference = np.abs(found.pixels.astype(int) - expected.pixels)
    assert difference.max() <= (1 if expected.pixels.dtype == np.uint8 else 257)
    assert (difference > 0).mean() < (0.01 if expected.pixels.dtype == np.uint8 else 1)
    if expected.pixels.shape[2] in (2, 4):
        np.testing.assert_array_equal(found.pixels[..., -1], expected.pixels[..., -1])
    assert found.metadata == expected.metadata


def test_progress_counts_tiles_and_the_synthesis() -> None:
    seen: list[tuple[int, int]] = []
    portable.decode(read_container((GOLDEN / "v1-weconvene-rgb-tiles.wlic").read_bytes()), lambda *n: seen.append(n))
    assert seen == [(done, seen[-1][1]) for done in range(1, seen[-1][1] + 1)]
    assert seen[-1][1] > 2


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 255), st.booleans())
def test_damage_is_said_like_the_other_decoder_says_it(place: int, change: int, cut: bool) -> None:
    """What was not coded gives an error of the same type in both; no byte is read that the checksums do not cover."""
    model, other = TINY[CONFIG]
    payload = _PAYLOAD
    place %= len(payload)
    damaged = payload[:place] if cut else bytes(b ^ change if n == place else b for n, b in enumerate(payload))
    outcomes = []
    with on_all_cores() as rows:
        for decode in (
            lambda: decode_tiles(model, [damaged], (2, 2), 5, [STEP]),
            lambda: portable.decode_tile(other, damaged, (2, 2), 5, STEP, rows),
        ):
            try:
                decode()
                outcomes.append("decoded")
            except (FormatError, ChecksumError) as error:
                outcomes.append(f"{type(error).__name__}: {error}")
    assert outcomes[0] == outcomes[1]


_PAYLOAD = read_container(Encoding(from_array(image(120, 128)), TINY[CONFIG][0]).file(STEP)).tiles[0]


def test_small_pictures_of_a_new_process_are_decoded_without_torch() -> None:
    """Until so many pixels have been, or torch is there anyway; windows are left to torch from the start."""
    code = f"""
import sys
import wavelic
import wavelic.weconvene.portable.decode as portable
data = open({str(GOLDEN / "v1-weconvene-rgb.wlic")!r}, "rb").read()
first = wavelic.decode(data)
print("torch" in sys.modules)
second = wavelic.decode(data)
print("torch" in sys.modules, (first == second).all())
portable._decoded[0] = portable.PIXELS
third = wavelic.decode(data)
print("torch" in sys.modules, abs(first.astype(int) - third).max() <= 1)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["False", "False True", "True True"]
    window = f"""
import sys
import wavelic
wavelic.open({str(GOLDEN / "v1-weconvene-rgb.wlic")!r}).read(region=(0, 0, 9, 9))
print("torch" in sys.modules)
"""
    shown = subprocess.run([sys.executable, "-c", window], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["True"]


def test_numpy_has_its_threads_back_after_decodes_that_overlap() -> None:
    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if "numpy.libs" in library["filepath"]]

    if not threads():
        pytest.skip("NumPy brings no OpenBLAS of its own")

    with threadpool_limits(3, "blas"):
        before, first, second = threads(), on_all_cores(), on_all_cores()
        first.__enter__()
        second.__enter__()
        assert set(threads()) <= {1}
        first.__exit__(None, None, None)
        assert set(threads()) <= {1}
        second.__exit__(None, None, None)
        assert threads() == before


def test_errors_in_rows_come_out() -> None:
    def work(some: slice) -> None:
        raise FormatError(f"rows {some.start}..{some.stop}")

    with on_all_cores() as rows, pytest.raises(FormatError, match=r"rows 0\.\.4"):
        rows(work, 10, 4)


def test_it_has_the_numbers_of_the_other_decoder() -> None:
    scheme = WAVELETS["9/7"]
    assert tuple(step.left for step in scheme.steps) == synthesis._LIFTING
    assert all(step.left == step.right and step.mirror for step in scheme.steps)
    assert (scheme.low_gain, scheme.high_gain) == (1 / synthesis._K, synthesis._K)
    assert synthesis._colour_rows() == COLOUR


def test_weights_that_could_be_inexact_are_refused() -> None:
    weight = np.full((1, 400, 1, 1), 127, np.int8)
    arrays = {"x.weight": weight, "x.bias": np.zeros(1, np.int32), "x.shift": np.zeros(1, np.int8)}
    with pytest.raises(UsageError, match="sums of x reach 12954000; expected less than 8388608"):
        Layer(arrays, "x")


def test_weights_that_do_not_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = dict(TINY[CONFIG][0].tensors())
    del tensors["entropy.from_low.bias"]
    monkeypatch.setenv("WAVELIC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(portable, "CONFIGS", {**portable.CONFIGS, "odd": CONFIG})
    save_weights(tmp_path, "odd", "odd", "weconvene", 99, tensors, {})
    (card,) = [card for card in wavelic.codec.weights.cards() if card.name == "odd"]
    with pytest.raises(ModelError, match="does not fit odd"):
        portable.load_model(card)
