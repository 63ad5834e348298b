"""From a resolved request to the bytes of an image: which level and window, decode, resample, turn, encode."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from wavelic.codec.opened import level_dimensions
from wavelic.rect import Rect
from wavelic.serving.facts import TILE, Facts
from wavelic.serving.refusal import Refusal
from wavelic.serving.request import Resolved, Size
from wavelic.serving.source import Samples

#: Samples of the Lanczos filter to either side, at the scale of the result.
_FILTER_REACH = 3
_JPEG = {"format": "JPEG", "quality": 90, "subsampling": 0}
_WEBP = {"format": "WEBP", "quality": 90, "method": 2}
_PNG = {"format": "PNG", "compress_level": 2}
_OPTIONS = {"jpg": _JPEG, "png": _PNG, "webp": _WEBP}
_TURNS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
_BITONAL_THRESHOLD = 128


Part = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Plan:
    """Where the samples of an answer come from.

    reduce: the level.  window: what to read of it.  part: what of the window is resampled to the size of the answer,
    (left, top, right, bottom); None: the window is the answer as it is.
    """

    reduce: int
    window: Rect
    part: Part | None


def plan(region: Rect, size: Size, facts: Facts, max_window: int) -> Plan:
    """Choose the level for ``region`` at ``size``.

    The region's own samples of a level, unchanged, where they have exactly that size and begin on a sample of the
    level; else the smallest level that is not smaller than the answer, coarser only to keep the window within
    ``max_window`` pixels.  Raises Refusal (501) if no level is small enough.
    """
    x, y, width, height = region
    levels = facts.own_levels
    for reduce in range(levels + 1):
        step = 1 << reduce
        here = -(-width // step), -(-height // step)
        inside = (x + width) % step == 0 or x + width == facts.width
        inside = inside and ((y + height) % step == 0 or y + height == facts.height)
        if here == size and x % step == 0 and y % step == 0 and inside:
            return Plan(reduce, Rect(x >> reduce, y >> reduce, *here), None)
    reduce = 0
    while reduce < levels and width >> reduce + 1 >= size[0] and height >> reduce + 1 >= size[1]:
        reduce += 1
    while reduce < levels and (width >> reduce) * (height >> reduce) > max_window:
        reduce += 1
    if (width >> reduce) * (height >> reduce) > max_window:
        raise Refusal(501, "the file has no resolution small enough for so large a region; ask for a smaller one")
    return _resampled(region, size, reduce, level_dimensions(facts.width, facts.height, levels)[reduce])


def _resampled(region: Rect, size: Size, reduce: int, level: Size) -> Plan:
    starts, stops, offsets = [], [], []
    for axis in (0, 1):
        first, length = (side / 2**reduce for side in (region[axis], region[axis + 2]))
        reach = _FILTER_REACH * max(1.0, length / size[axis])
        start = max(0, int(first - reach))
        stop = min(level[axis], int(first + length + reach) + 1)
        starts.append(start)
        stops.append(stop)
        offsets.append((first - start, min(first + length, stop) - start))
    window = Rect.between(*starts, *stops)
    return Plan(reduce, window, (offsets[0][0], offsets[1][0], offsets[0][1], offsets[1][1]))


def blocks(window: Rect, level: Size) -> list[list[Rect]]:
    """The tiles of a level, row by row, that ``window`` touches: the units that are decoded and kept."""
    columns = range(window.x // TILE, (window.right - 1) // TILE + 1)
    rows = range(window.y // TILE, (window.bottom - 1) // TILE + 1)
    whole = Rect(0, 0, *level)
    return [[Rect(c * TILE, r * TILE, TILE, TILE).clipped(whole) for c in columns] for r in rows]


def finish(samples: Samples, part: Part | None, wanted: Resolved, icc: bytes | None) -> bytes:
    """The encoded answer of the planned window's samples (height, width, 1..4 channels)."""
    image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    if part is not None:
        image = image.resize(wanted.size, Image.Resampling.LANCZOS, box=part)
    if wanted.mirror:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if wanted.rotation:
        image = image.transpose(_TURNS[wanted.rotation])
    image = _in_quality(image, wanted.quality, opaque=wanted.format == "jpg")
    options: dict[str, Any] = dict(_OPTIONS[wanted.format])
    if icc is not None and wanted.quality != "bitonal" and icc[16:20] == _ICC_SPACES.get(image.mode):
        options["icc_profile"] = icc
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


_ICC_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB "}


def _in_quality(image: Image.Image, quality: str, *, opaque: bool) -> Image.Image:
    """Colour, gray by ITU-R BT.601 luma, or black and white at half of the range; opacity over white where needed."""
    if image.mode in ("LA", "RGBA") and (opaque or quality == "bitonal"):
        base = image.convert("RGBA")
        over_white = Image.alpha_composite(Image.new("RGBA", base.size, "white"), base)
        image = over_white.convert("RGB" if image.mode == "RGBA" else "L")
    if quality == "color":
        return image
    gray = image.convert("LA" if image.mode in ("LA", "RGBA") else "L")
    if quality == "gray":
        return gray
    return gray.point(_BLACK_AND_WHITE, "1")


_BLACK_AND_WHITE = [0] * _BITONAL_THRESHOLD + [255] * (256 - _BITONAL_THRESHOLD)
