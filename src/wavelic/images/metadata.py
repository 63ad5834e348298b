"""What a file says about its samples besides the samples: colour profile, Exif, XMP, IPTC, resolution."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from wavelic.errors import FormatError

#: Bytes of a single block of metadata that are still read.
MAX_METADATA = 1 << 26

_INCH = Fraction(254, 10000)  # metres
_PACKED = struct.Struct(">BIIII")
_LARGEST = 2**32 - 1


@dataclass(frozen=True)
class Resolution:
    """Samples per metre across and down; if not ``absolute``, only the ratio of the two has a meaning."""

    x: Fraction
    y: Fraction
    absolute: bool = True

    @classmethod
    def from_dpi(cls, x: Fraction | float, y: Fraction | float) -> Resolution | None:
        """Make a resolution of samples per inch; None unless both are positive and within the range of files."""
        return cls.checked(_fraction(x) / _INCH, _fraction(y) / _INCH)

    @classmethod
    def from_metre(cls, x: int, y: int) -> Resolution | None:
        """Make a resolution of whole samples per metre, as PNG and BMP store it.

        The whole number of samples per inch that rounds to the value is taken where there is one, so that 600 dpi
        stays 600 dpi.
        """
        return cls.checked(_whole_dpi(x), _whole_dpi(y))

    @classmethod
    def checked(cls, x: Fraction, y: Fraction, absolute: bool = True) -> Resolution | None:
        """Make a resolution, or None where the numbers say nothing: not positive, absurd, or a ratio of one."""
        limits = (Fraction(1, 10**6), Fraction(10**9))
        if not all(limits[0] <= value <= limits[1] for value in (x, y)) or (not absolute and x == y):
            return None
        return cls(x, y, absolute)

    @property
    def dpi(self) -> tuple[Fraction, Fraction]:
        """Samples per inch, exact."""
        return self.x * _INCH, self.y * _INCH

    @property
    def per_metre(self) -> tuple[int, int]:
        """Samples per metre, rounded to whole numbers of at least 1."""
        return max(1, round(self.x)), max(1, round(self.y))

    def turned(self) -> Resolution:
        """Return the resolution of the picture with rows and columns exchanged."""
        return Resolution(self.y, self.x, self.absolute)

    def pack(self) -> bytes:
        """Return the payload of a `reso` chunk: 1 if absolute, else 0, and both numbers as fractions of u32."""
        numbers = [n for value in (self.x, self.y) for n in _u32(value)]
        return _PACKED.pack(self.absolute, *numbers)

    @classmethod
    def unpack(cls, payload: bytes) -> Resolution:
        """Read the payload of a `reso` chunk.

        Raises:
            FormatError: it is none.
        """
        if len(payload) == _PACKED.size:
            absolute, *numbers = _PACKED.unpack(payload)
            if absolute <= 1 and all(numbers):
                return cls(Fraction(*numbers[:2]), Fraction(*numbers[2:]), bool(absolute))
        raise FormatError(
            f"a resolution of {len(payload)} bytes ({payload[:20].hex()}), expected a flag and two fractions; "
            "the file is damaged, get it again"
        )


@dataclass(frozen=True)
class Metadata:
    """Raw bytes as the source file had them, or None.

    Attributes:
        icc: ICC profile.
        exif: Exif block, starting with its TIFF header (``II`` or ``MM``).
        xmp: XMP packet, UTF-8.
        iptc: IPTC-IIM records, starting with 0x1C.
        resolution: samples per metre, if the file says it.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    resolution: Resolution | None = None

    @classmethod
    def from_blocks(cls, find: Callable[[str], bytes | None]) -> Metadata:
        """Build the metadata from stored blocks; ``find`` gives the block of a field's name, or None.

        Raises:
            FormatError: the resolution is damaged.
        """
        resolution = find("resolution")
        return cls(
            find("icc"), find("exif"), find("xmp"), find("iptc"), Resolution.unpack(resolution) if resolution else None
        )

    def blocks(self) -> dict[str, bytes]:
        """Return what there is as bytes to be stored, by the name of the field."""
        found = {"icc": self.icc, "exif": self.exif, "xmp": self.xmp, "iptc": self.iptc}
        found["resolution"] = self.resolution.pack() if self.resolution else None
        return {name: block for name, block in found.items() if block}


def _fraction(value: Fraction | float) -> Fraction:
    try:
        return Fraction(value).limit_denominator(10**6)
    except (ValueError, OverflowError):  # not a number, infinite
        return Fraction(0)


def _whole_dpi(per_metre: int) -> Fraction:
    inch = round(per_metre * _INCH)
    return inch / _INCH if round(inch / _INCH) == per_metre else Fraction(per_metre)


def _u32(value: Fraction) -> tuple[int, int]:
    limit = min(_LARGEST, int(_LARGEST / value)) if value > 0 else _LARGEST
    near = value.limit_denominator(max(1, limit))
    return near.numerator, near.denominator
