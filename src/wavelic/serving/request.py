"""Image requests of the IIIF Image API 3.0 (https://iiif.io/api/image/3.0/, section 4), parsed and resolved.

Two steps, both pure: `parse_request` checks the syntax of the four path segments, `ImageRequest.resolve` says what they
mean for an image of a given size.  Numbers are at most ten digits long, so nothing here can grow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isqrt

from wavelic.rect import Rect
from wavelic.serving.refusal import Refusal

FORMATS = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
#: Formats the specification names and this server does not make.
OTHER_FORMATS = ("tif", "gif", "jp2", "pdf")
QUALITIES = ("default", "color", "gray", "bitonal")
#: Longest side each format can hold.
LONGEST_SIDE = {"jpg": 65_500, "png": 1_000_000, "webp": 16_383}

_NUMBER = r"\d{1,10}(?:\.\d{1,10})?|\.\d{1,10}"
_PIXELS = re.compile(r"(\d{1,10}),(\d{1,10}),(\d{1,10}),(\d{1,10})", re.ASCII)
_PERCENT = re.compile(rf"pct:({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})", re.ASCII)
_SIZE = re.compile(rf"(\^?)(?:(max)|pct:({_NUMBER})|(!?)(\d{{0,10}}),(\d{{0,10}}))", re.ASCII)
_ROTATION = re.compile(r"(!?)(\d{1,3}(?:\.\d{1,10})?)", re.ASCII)

Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class SizeLimits:
    """Largest image the server makes: pixels in all, and a side in pixels; None: only the area counts."""

    max_area: int = 2**24
    max_width: int | None = None
    max_height: int | None = None

    def admits(self, size: Size) -> bool:
        """Whether an image of ``size`` may be made."""
        width, height = size
        fits = width <= (self.max_width or width) and height <= (self.max_height or height)
        return fits and width * height <= self.max_area

    def largest(self, size: Size, *, upscale: bool) -> Size:
        """The largest admitted size with the shape of ``size``; never larger than it unless ``upscale``."""
        if not upscale and self.admits(size):
            return size
        width, height = size
        # the longest width whose height, rounded down, keeps within every limit
        side = isqrt(self.max_area * width // height)
        side = min(side, self.max_width or side, self.max_area)
        if self.max_height is not None:
            side = min(side, self.max_height * width // height)
        side = max(1, side)
        tall = max(1, min(side * height // width, self.max_area // side, self.max_height or self.max_area))
        return (side, tall) if upscale else (min(side, width), min(tall, height))


@dataclass(frozen=True)
class Resolved:
    """A request for one image.

    region: in its pixels, inside it.  size: (width, height) of the answer before rotation.
    rotation: degrees clockwise, 0, 90, 180 or 270, after mirroring left to right if ``mirror``.  quality: "color",
    "gray" or "bitonal".  format: a key of `FORMATS`.  canonical: the four path segments in canonical form.
    """

    region: Rect
    size: Size
    rotation: int
    mirror: bool
    quality: str
    format: str
    canonical: str


@dataclass(frozen=True)
class ImageRequest:
    """The four segments after the identifier, with sound syntax."""

    region: str
    size: str
    rotation: int
    mirror: bool
    quality: str
    format: str

    def resolve(self, image: Size, limits: SizeLimits, *, gray: bool = False) -> Resolved:
        """What this asks of an image of size ``image``.

        gray: the image has no colour.  Raises Refusal (400) for a region outside the image, and for a size that is
        empty, enlarges without ``^`` or is above the limits.
        """
        x, y, width, height = region = _region(self.region, image)
        size = _size(self.size, (width, height), limits)
        if max(size) > LONGEST_SIDE[self.format]:
            raise Refusal(400, f"{self.format} holds at most {LONGEST_SIDE[self.format]} pixels a side; ask for less")
        quality = {"default": "gray" if gray else "color"}.get(self.quality, self.quality)
        if gray and quality == "color":
            quality = "gray"
        whole = "full" if region == (0, 0, *image) else f"{x},{y},{width},{height}"
        parts = [whole, _canonical_size(size, (width, height), limits), f"{'!' * self.mirror}{self.rotation}"]
        name = "default" if quality == ("gray" if gray else "color") else quality
        canonical = "/".join([*parts, f"{name}.{self.format}"])
        return Resolved(region, size, self.rotation, self.mirror, quality, self.format, canonical)


def parse_request(region: str, size: str, rotation: str, last: str) -> ImageRequest:
    """The decoded path segments ``region/size/rotation/quality.format``.

    Raises Refusal: 400 for wrong syntax, 501 for what the specification allows and this server lacks (rotation by
    other angles, other formats).
    """
    if region not in ("full", "square") and not _PIXELS.fullmatch(region) and not _PERCENT.fullmatch(region):
        raise Refusal(400, "the region is not full, square, x,y,w,h or pct:x,y,w,h")
    match = _SIZE.fullmatch(size)
    confined = match is not None and match[4] == "!"
    if match is None or (size.endswith(",") and match[5] == "") or (confined and not (match[5] and match[6])):
        raise Refusal(400, "the size is not max, w,  ,h  w,h  !w,h or pct:n, with ^ in front for enlarging")
    turn = _ROTATION.fullmatch(rotation)
    if turn is None or float(turn[2]) > 360:
        raise Refusal(400, "the rotation is not 0..360 degrees, with ! in front for mirroring")
    quality, _, format_ = last.rpartition(".")
    if quality not in QUALITIES:
        raise Refusal(400, f"the quality is not one of {', '.join(QUALITIES)}")
    if format_ in OTHER_FORMATS:
        raise Refusal(501, f"format {format_} is not made here; use one of {', '.join(FORMATS)}")
    if format_ not in FORMATS:
        raise Refusal(400, f"the format is not one of {', '.join(FORMATS)}")
    if float(turn[2]) % 90:
        raise Refusal(501, "only rotations by 0, 90, 180 and 270 degrees are made here")
    return ImageRequest(region, size, int(float(turn[2])) % 360, turn[1] == "!", quality, format_)


def _region(text: str, image: Size) -> Rect:
    width, height = image
    if text == "full":
        return Rect(0, 0, width, height)
    if text == "square":
        side = min(image)
        return Rect((width - side) // 2, (height - side) // 2, side, side)
    if match := _PIXELS.fullmatch(text):
        x, y, w, h = (int(number) for number in match.groups())
    else:
        percent = [float(number) / 100 for number in text.removeprefix("pct:").split(",")]
        x, y, w, h = (round(part * side) for part, side in zip(percent, image * 2, strict=True))
    w, h = min(w, width - x), min(h, height - y)
    if w < 1 or h < 1:
        raise Refusal(400, f"the region has no pixel of the image of {width} x {height}")
    return Rect(x, y, w, h)


def _size(text: str, region: Size, limits: SizeLimits) -> Size:
    match = _SIZE.fullmatch(text)
    assert match is not None  # parse_request has seen to it
    upscale, width, height = match[1] == "^", *region
    if match[2]:
        return limits.largest(region, upscale=upscale)
    if match[4]:
        return _confined((int(match[5]), int(match[6])), region, limits, upscale)
    if match[3]:
        share = float(match[3]) / 100
        size = round(width * share), round(height * share)
        if share > 1 and not upscale:
            raise Refusal(400, "the size is above 100 per cent; put ^ in front to enlarge")
        size = max(size[0], int(share > 0)), max(size[1], int(share > 0))
    else:
        w, h = (int(number) if number else None for number in (match[5], match[6]))
        size = (
            _scaled(width, h, height) if w is None else w,
            _scaled(height, w, width) if h is None else h,
        )
    if min(size) < 1:
        raise Refusal(400, "the size is empty; ask for at least one pixel")
    if not upscale and (size[0] > width or size[1] > height):
        raise Refusal(400, f"the size is above the region's {width} x {height}; put ^ in front to enlarge")
    if not limits.admits(size):
        raise Refusal(400, f"the size is above this server's limits ({limits.max_area} pixels); ask for less")
    return size


def _confined(box: Size, region: Size, limits: SizeLimits, upscale: bool) -> Size:
    """As large as fits into ``box``, the limits and, unless ``upscale``, the region, in the region's shape.

    A box larger than the region both ways is refused without ``upscale``: the text of the specification would answer
    with the region as it is, its validator wants an error.
    """
    if min(box) < 1:
        raise Refusal(400, "the size is empty; ask for at least one pixel")
    if not upscale and box[0] > region[0] and box[1] > region[1]:
        raise Refusal(400, f"the size is above the region's {region[0]} x {region[1]}; put ^ in front to enlarge")
    width, height = limits.largest(region, upscale=upscale)
    if box[0] >= width and box[1] >= height:
        return width, height
    if box[0] * region[1] <= box[1] * region[0]:
        return min(width, box[0]), min(height, box[1], _scaled(region[1], box[0], region[0]))
    return min(width, box[0], _scaled(region[0], box[1], region[1])), min(height, box[1])


def _scaled(side: int, other: int | None, of: int) -> int:
    """``side`` * ``other`` / ``of``, rounded to the nearest, at least 1 unless ``other`` is 0."""
    amount = other or 0
    return max((2 * side * amount + of) // (2 * of), int(amount > 0))


def _canonical_size(size: Size, region: Size, limits: SizeLimits) -> str:
    if size == limits.largest(region, upscale=False):
        return "max"
    enlarged = "^" if size[0] > region[0] or size[1] > region[1] else ""
    if enlarged and size == limits.largest(region, upscale=True):
        return "^max"
    return f"{enlarged}{size[0]},{size[1]}"
