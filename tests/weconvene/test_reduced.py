"""Pictures of reduced size from the coarse levels alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import wavelic_cli
from pictures import image, psnr
from weconvene_tiny import levels_asked

import wavelic
from wavelic.codec.weights import card_by_id
from wavelic.container import DATA, Chunk, Container, read_container, write_container
from wavelic.errors import ChecksumError, UsageError
from wavelic.rect import Rect
from wavelic.wavelets import dwt2
from wavelic.weconvene import files, planes
from wavelic.weconvene.layout import BANDS, FIRST_COARSE, GRID_LEVELS, levels_of
from wavelic.weconvene.portable import decode as portable
from wavelic.weconvene.weights import load_model

SIZES = [(300, 420, 3, 8), (129, 700, 1, 8), (70, 90, 4, 8), (200, 150, 3, 16), (1, 40, 3, 8), (9, 5, 1, 8)]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def coded(height: int, width: int, channels: int, bits: int, quality: float = 60, access: str = "whole") -> bytes:
    return wavelic.encode(image(height, width, channels, bits), "weconvene", quality=quality, access=access)


@pytest.mark.parametrize(("height", "width", "channels", "bits"), SIZES)
def test_every_resolution_of_any_picture(height: int, width: int, channels: int, bits: int) -> None:
    """Sizes, windows as crops, and both decoders."""
    data = coded(height, width, channels, bits)
    file, tolerance = wavelic.open(data), 1 if bits == 8 else 8
    assert file.levels == levels_of(width, height)
    for reduce, (columns, rows) in enumerate(file.level_dimensions):
        step = 1 << reduce
        assert (columns, rows) == (-(-width // step), -(-height // step))
        whole = file.read(reduce=reduce)
        assert (whole.shape, whole.dtype) == ((rows, columns, channels), np.dtype(f"uint{bits}"))
        x, y = width // 3 // step * step, height // 4 // step * step
        part = file.read(reduce=reduce, region=(x, y, width - x, height - y))
        assert np.abs(part.astype(int) - whole[y // step :, x // step :]).max() <= tolerance
        if channels < 4:
            found = portable.decode(read_container(data), reduce=reduce).pixels
            assert np.abs(found.astype(int) - whole).max() <= tolerance
    with pytest.raises(UsageError, match="reduce is"):
        file.read(reduce=file.levels + 1)


def test_windows_of_many_tiles() -> None:
    """A reduced window needs the tiles around it only, and is a crop of the reduced picture."""
    data = coded(700, 900, 3, 8, access="windows")
    file = wavelic.open(data)
    for reduce in range(1, 5):
        whole = file.read(reduce=reduce)
        for x, y, width, height in ((0, 0, 64, 64), (333, 210, 130, 257), (800, 600, 100, 100)):
            part = file.read(reduce=reduce, region=(x, y, width, height))
            left, top = -(-x >> reduce), -(-y >> reduce)
            rows, columns = part.shape[:2]
            assert np.abs(part.astype(int) - whole[top : top + rows, left : left + columns]).max() <= 1


@pytest.mark.parametrize("reduce", range(7))
def test_it_is_the_low_band_of_the_picture_without_its_finer_levels(reduce: int) -> None:
    """What `synthesise` promises, by the transform of the samples of the whole picture."""
    data = coded(256, 384, 3, 8)
    container = read_container(data)
    model = load_model(card_by_id(container.header.model))
    found, _ = files.decode_planes(container, model, (0,))
    for detail in found.details[:reduce]:
        detail.zero_()
    area = Rect(0, 0, 384, 256)
    if reduce >= GRID_LEVELS:  # nothing is corrected
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(planes.grids, "_correct", lambda *_: None)
            full = planes.synthesise(model, found, container.header.gain, area, 3, np.dtype(np.uint16))
    else:
        full = planes.synthesise(model, found, container.header.gain, area, 3, np.dtype(np.uint16))
    samples = torch.from_numpy(full.astype(np.float32)).permute(2, 0, 1)[None] / 257
    low = dwt2(samples, "9/7", reduce).low[0] / 2**reduce if reduce else samples[0]
    expected = low.round().clamp(0, 255).permute(1, 2, 0).numpy()
    assert np.abs(wavelic.open(data).read(reduce=reduce).astype(int) - expected).max() <= 2


def test_it_looks_like_the_picture() -> None:
    """Nearly as near to the reduced source as the reduced full decode is."""
    source = image(384, 512)
    file = wavelic.open(wavelic.encode(source, "weconvene", quality=70))

    def halved(pixels: np.ndarray, reduce: int) -> np.ndarray:
        x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
        low = dwt2(x, "9/7", reduce).low[0] / 2**reduce
        return low.round().clamp(0, 255).permute(1, 2, 0).numpy().astype(np.uint8)

    for reduce in range(1, 5):
        wanted = halved(source, reduce)
        whole = psnr(wanted, halved(file.read(), reduce))
        assert psnr(wanted, file.read(reduce=reduce)) > whole - 1.5


def test_fine_levels_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = coded(256, 256, 3, 8)
    asked = levels_asked(monkeypatch)
    monkeypatch.setattr(portable, "suits", lambda *_: False)
    file = wavelic.open(data)
    for reduce, finest in enumerate((1, 2, 3, FIRST_COARSE, FIRST_COARSE, FIRST_COARSE)):
        asked.clear()
        file.read(reduce=reduce)
        assert asked == list(range(6, finest - 1, -1))
    monkeypatch.setattr(planes.grids, "_correct", None)  # no network above GRID_LEVELS either
    file.read(reduce=GRID_LEVELS)


def test_blank_levels_are_zeros() -> None:
    """Tiles that code fewer slices than a reduced picture has levels."""
    data = wavelic.encode(np.full((200, 300, 3), 90, np.uint8), "weconvene", quality=50)
    for reduce in range(7):
        assert np.abs(wavelic.open(data).read(reduce=reduce).astype(int) - 90).max() <= 1
    found = planes.Planes.empty(128, 256, 6, 3)
    assert found.seen(Rect(0, 0, 64, 64), 1).shape == (BANDS, 32, 32)
    assert found.levels == 6


def test_wrong_coarse_levels_are_noticed() -> None:
    """By the checksum that stands before the stream, at every resolution and by both decoders."""
    container = read_container(coded(200, 300, 3, 8))
    (payload,) = container.tiles
    wrong = payload[:5] + bytes([payload[5] ^ 1]) + payload[6:]
    broken = Container(container.header, (Chunk(DATA, wrong), *container.chunks[1:]))
    file = wavelic.open(write_container(broken))
    for reduce in range(file.levels + 1):
        with pytest.raises(ChecksumError, match="do not match their checksum"):
            file.read(reduce=reduce)
        with pytest.raises(ChecksumError, match="do not match their checksum"):
            portable.decode(broken, reduce=reduce)


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.wlic").write_bytes(coded(200, 300, 3, 8))
    result = wavelic_cli("decode", tmp_path / "a.wlic", tmp_path / "a.png", "--reduce", "2")
    assert result.exit_code == 0, result.output
    expected = wavelic.open(tmp_path / "a.wlic").read(reduce=2)
    assert expected.shape == (50, 75, 3)
    np.testing.assert_array_equal(wavelic.load_image(tmp_path / "a.png").pixels, expected)
