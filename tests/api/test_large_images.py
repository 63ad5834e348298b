"""Large images in windows: the codes and the pixels of one piece, there and back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from lifting_transforms import random_transform
from pictures import picture

from wavelic.codec.jp2_box import NO_MODEL
from wavelic.codec.options import Options, Progress
from wavelic.errors import OutputError
from wavelic.images import from_array
from wavelic.jpeg2000 import EncodeOptions
from wavelic.lifting import encode as lifting_encode
from wavelic.lifting.encode import Encoding
from wavelic.lifting.jp2 import sample_store, synthesis
from wavelic.lifting.jp2 import windows as jp2_windows
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.lifting.jp2.pseudo_image import PseudoImage, encode_coefficients
from wavelic.lifting.jp2.sample_store import SampleStore
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.jp2.windows import count_windows, windows
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.steps import EVERYWHERE, PRODUCT_STEPS, LearnedSteps
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.remote import open_source

torch.set_num_threads(1)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Windows as a large image has them, for the images of a test, once it is called."""

    def use() -> None:
        monkeypatch.setattr(jp2_windows, "WINDOW", 64)
        monkeypatch.setattr(lifting_encode, "IN_WINDOWS", 100)
        monkeypatch.setattr(synthesis, "ONE_PIECE", 100)
        monkeypatch.setattr(synthesis, "BY_LEVELS", 100)
        monkeypatch.setattr(synthesis, "PLAIN_WINDOW", 48)
        monkeypatch.setattr(synthesis, "LEARNED_WINDOW", 64)

    yield use
    monkeypatch.undo()


def learned(name: str = "Hybrid(9/7)-U16", *, steps: LearnedSteps = EVERYWHERE) -> LiftingTransform:
    return LiftingTransform(random_transform(name, 0.12, torch.float32).level, steps=steps)


def pixels_of(height: int = 131, width: int = 150, channels: int = 3, bits: int = 8) -> np.ndarray:
    planes = [picture(height, width, bits, seed) for seed in range(channels)]
    return np.stack(planes, -1).astype(np.uint8 if bits == 8 else np.uint16)


def coded(transform: LiftingTransform, model: bytes) -> bytes:
    with torch.inference_mode():
        coefficients = transform.analysis(to_components(pixels_of()), 5)
    return encode_coefficients(coefficients, 8, EncodeOptions(layer_bytes=(1500, 6000)), model=model)


# --- Windows -------------------------------------------------------------------------------------------------------


def test_windows_partition_an_axis_and_its_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jp2_windows, "WINDOW", 16)
    for size in (*range(1, 50), 160):
        for reach in (0, 3, 28):
            found = windows(size, reach)
            for kind in (0, 1):  # of the low and the high band
                samples = [k for w in found for k in range(w.band(kind).start, w.band(kind).stop)]
                assert samples == list(range((size + 1 - kind) // 2))
                for window in found:
                    seen = range(window.band_seen(kind).start, window.band_seen(kind).stop)
                    band = range(window.band(kind).start, window.band(kind).stop)
                    assert list(seen[window.band_inside(kind)]) == list(band)
            for window in found:
                assert window.low % 2 == 0
                assert window.low == 0 or window.first - window.low >= reach
                assert window.high == size or window.high - window.stop >= reach
            assert len(found) == count_windows((size, 1), 1)


# --- Encoding ------------------------------------------------------------------------------------------------------


def pseudo(transform: LiftingTransform, pixels: np.ndarray, progress: Progress | None = None) -> PseudoImage:
    return Encoding(from_array(pixels), transform, NO_MODEL, Options(progress=progress)).pseudo


def code_planes(image: PseudoImage) -> np.ndarray:
    planes = np.full(image.samples.shape, -1, np.int32)
    image.samples.fill(list(planes))
    return planes


@pytest.mark.parametrize(
    ("name", "steps", "shape"),
    [
        ("Hybrid(9/7)-U16", EVERYWHERE, (131, 150, 3)),
        ("Hybrid(9/7)-U16", PRODUCT_STEPS, (200, 65, 4)),
        ("Hybrid(9/7)-U16", EVERYWHERE, (1, 203, 1)),
        ("Hybrid(9/7)-U16", EVERYWHERE, (129, 128, 2)),
        ("Hybrid(5/3)-5c", EVERYWHERE, (150, 131, 3)),
        ("Custom-5S-5c", EVERYWHERE, (130, 190, 1)),
        ("CDF-9/7", EVERYWHERE, (131, 150, 3)),
        ("LeGall-5/3", EVERYWHERE, (131, 150, 3)),
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_codes_made_in_windows_are_those_of_one_piece(
    name: str, steps: LearnedSteps, shape: tuple[int, int, int], bits: int, small_windows: Callable[[], None]
) -> None:
    transform = build_lifting(name) if "/" in name[-3:] else learned(name, steps=steps)
    pixels = pixels_of(*shape, bits)
    whole = pseudo(transform, pixels)
    small_windows()
    steps: list[tuple[int, int]] = []
    parts = pseudo(transform, pixels, lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == list(range(1, 2 * count_windows(shape[:2], 5) + 1))
    difference = abs(code_planes(parts) - code_planes(whole))
    assert difference.max() <= (1 if bits == 8 else 2)  # equal to the bit where sums do not depend on positions
    assert (difference == 0).mean() > (0.999 if bits == 8 else 0.99)
    assert (parts.bits, parts.box, parts.levels) == (whole.bits, whole.box, whole.levels)
    assert abs(parts.clipped - whole.clipped) <= 1


def test_files_of_all_targets_are_those_of_one_piece(small_windows: Callable[[], None]) -> None:
    image, transform = from_array(pixels_of()), learned()
    seen: list[tuple[int, int]] = []

    def files() -> list[bytes]:
        encoding = Encoding(image, transform, b"m" * 8, Options(progress=lambda *step: seen.append(step)))
        return [
            encoding.file([300, 2000]),
            encoding.at_budget(2500.0),
            encoding.at_budget(900.0),
        ]

    expected = files()
    small_windows()
    seen.clear()
    lengths = [abs(len(a) - len(b)) for a, b in zip(files(), expected, strict=True)]
    assert max(lengths) <= 60  # 0 where sums do not depend on positions
    assert {total for _, total in seen} == {max(done for done, _ in seen)}


# --- Codes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1 << 28, 0])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_codes_come_back_from_memory_and_from_a_file(
    limit: int, dtype: type[np.integer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_store, "IN_MEMORY", limit)
    monkeypatch.setattr(sample_store, "_BAND_BYTES", 500)
    range_ = np.iinfo(dtype)
    samples = np.random.default_rng(0).integers(range_.min, range_.max, (3, 70, 45), dtype)
    kept = SampleStore(3, 70, 45, dtype)
    for top in range(0, 70, 32):
        for left in range(0, 45, 20):
            kept.write(top, left, samples[:, top : top + 32, left : left + 20])
    for _ in range(2):  # as often as a search wants them
        planes = [np.full((70, 45), -1, np.int32) for _ in range(3)]
        kept.fill(planes)
        np.testing.assert_array_equal(planes, samples)


def test_no_room_for_codes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sample_store, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"No space left.*TMPDIR"):
        SampleStore(1, 10, 10)


# --- Decoding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "learned", "product"])
def test_windows_together_are_the_whole(kind: str, small_windows: Callable[[], None]) -> None:
    given = None if kind == "plain" else learned(steps=PRODUCT_STEPS if kind == "product" else EVERYWHERE)
    file = open_jp2(coded(given or build_lifting("CDF-9/7"), b"m" * 8 if given else NO_MODEL))
    steps: list[tuple[int, int]] = []
    wanted = [(0, None), (1, None), (0, (13, 20, 120, 111)), (2, (5, 6, 140, 120))]
    wholes = [synthesis.read(file, given, file.request(reduce, None, region)) for reduce, region in wanted]
    small_windows()
    for (reduce, region), whole in zip(wanted, wholes, strict=True):
        steps.clear()
        request = file.request(reduce, None, region)
        pixels = synthesis.read(file, given, request, progress=lambda done, total: steps.append((done, total)))
        height, width = whole.shape[:2]
        side = 64 if given else 48
        count = -(-height // side) * -(-width // side)
        if given and region is None:  # level by level, both ways
            count = 2 * count_windows((height, width), 5 - reduce)
        assert steps == [(done + 1, count) for done in range(count)]
        assert pixels.dtype == whole.dtype
        difference = abs(pixels.astype(int) - whole)
        assert difference.max() <= int(given is not None)
        assert (difference == 0).mean() > 0.998


def test_opacity_and_depth_of_a_large_file(small_windows: Callable[[], None]) -> None:
    transform = learned()
    image = from_array(pixels_of(140, 133, 4, 16))
    file = open_jp2(Encoding(image, transform, b"m" * 8, Options()).file([3000]))
    whole = synthesis.read(file, transform)
    small_windows()
    pixels = synthesis.read(file, transform)
    np.testing.assert_array_equal(pixels[..., 3], image.pixels[..., 3])
    assert abs(pixels.astype(int) - whole).max() <= 1


def test_a_file_read_in_parts_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = coded(build_lifting("CDF-9/7"), NO_MODEL)
    expected = open_jp2(data).read()
    monkeypatch.setattr(synthesis, "ONE_PIECE", 100)
    monkeypatch.setattr(synthesis, "PLAIN_WINDOW", 48)
    source = open_source(data)
    file = open_jp2(source)
    opened = source.bytes_read
    np.testing.assert_array_equal(file.read(), expected)
    assert source.bytes_read - opened <= len(data)
