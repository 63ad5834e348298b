"""A picture to encode and a file to decode."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest
from pictures import smooth

import wavelic


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A PNG file of 100 x 70 RGB."""
    path = tmp_path / "photo.png"
    PIL.Image.fromarray(smooth()).save(path)
    return path


@pytest.fixture(scope="module")
def coded() -> bytes:
    """A `.wlic` file of 100 x 70 RGBA."""
    return wavelic.encode(smooth(4), quality=40)
