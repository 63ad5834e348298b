"""Large images in mapped files: the same samples, and a process that can do without them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from wavelic.images import load_image, mapped, save_image, set_aside
from wavelic.images.image import from_array


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_loaded_image_has_its_samples(tmp_path: Path, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (40, 50, 4), dtype)
    save_image(from_array(pixels), tmp_path / "image.png")
    monkeypatch.setattr(mapped, "IN_MEMORY", 1000)
    image = load_image(tmp_path / "image.png")
    assert image.pixels.base is not None  # in a mapping
    np.testing.assert_array_equal(image.pixels, pixels)
    set_aside(image.colour())
    np.testing.assert_array_equal(image.pixels, pixels)
    image.pixels[0, 0] = 7
    set_aside(image.pixels)
    assert (image.pixels[0, 0] == 7).all()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_samples_set_aside_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "IN_MEMORY", 1 << 24)
    size = 1 << 27
    pixels = mapped.mapped(np.ones((1, size, 1), np.uint8))
    before = resident()
    set_aside(pixels)
    assert before - resident() > size // 2
    assert pixels[0, -1, 0] == 1


def test_without_room_for_the_file_samples_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(mapped, "IN_MEMORY", 10)
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        assert mapped.mapped(pixels) is pixels
    set_aside(pixels)  # nothing to do
    assert mapped.mapped(pixels) is not pixels
