"""Header of a `.wlic` file: one table of declared fields, checked alike when written and when read.

Layout: magic (8 bytes), the fields of `FIELDS` in their order, big-endian and without gaps, an extension that only
minor versions newer than ours may fill, and the CRC-32C of all of that.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from wavelic.container.crc import crc32c
from wavelic.errors import ChecksumError, FormatError, UsageError, WavelicError

#: As in PNG: a byte above 127 (7-bit channels), the name, CR LF (line-end conversion), Control-Z (stops a DOS `type`).
MAGIC = b"\x89WLIC\r\n\x1a"
VERSION = (1, 0)
#: Bits of `required_features` this reader understands; version 1.0 defines none.
KNOWN_FEATURES = 0
MAX_HEADER_BYTES = 1024


class CodecId(IntEnum):
    """Bitstream syntax of the DATA chunks, for the codecs of wavelic itself."""

    WCAE = 1
    WECONVENE = 2
    THREEDM = 3
    BILEVEL = 4


#: Numbers for codecs of other packages, which wavelic itself never assigns.
PRIVATE_CODECS = range(128, 256)


class ColourEncoding(IntEnum):
    """Colour components that the codec coded, as a function of the source samples (alpha excluded)."""

    NATIVE = 0  # gray or RGB as they are
    YCBCR_601 = 1  # full-range Y'CbCr, ITU-R BT.601 weights (as in JPEG)
    YCBCR_709 = 2  # full-range Y'CbCr, ITU-R BT.709 weights


class PaddingRule(IntEnum):
    """Extension of the right and bottom edges to the size that the codec's transform needs."""

    NONE = 0
    ZERO = 1  # zero in the codec's normalised domain
    REPLICATE = 2  # the last row or column again
    REFLECT = 3  # whole-sample symmetric: the edge sample is not repeated


_PRIVATE = "codecs of other packages"


@dataclass(frozen=True)
class Field:
    """Declared header field.

    Attributes:
        name: attribute of `Header`.
        code: type as a code of the module `struct`.
        allowed: a range, a table of ids and names, or None for opaque bytes.
        meaning: for documentation.
    """

    name: str
    code: str  # struct code
    allowed: range | Mapping[int, str] | None
    meaning: str

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return struct.calcsize(">" + self.code)

    @property
    def allowed_text(self) -> str:
        """Allowed values, to be read by people."""
        if self.allowed is None:
            return "any bytes"
        if isinstance(self.allowed, range):
            return f"{self.allowed[0]}..{self.allowed[-1]}"
        named = ", ".join(f"{key} {name}".rstrip() for key, name in self.allowed.items() if name != _PRIVATE)
        private = [key for key, name in self.allowed.items() if name == _PRIVATE]
        return f"{named}, {private[0]}..{private[-1]} {_PRIVATE}" if private else named

    @property
    def type_text(self) -> str:
        """Stored type: u8, u16, i16 or a number of bytes."""
        return {"B": "u8", "H": "u16", "h": "i16"}.get(self.code, f"{self.size} bytes")


def _ids(enum: type[IntEnum]) -> dict[int, str]:
    return {member.value: member.name for member in enum}


_U8, _U16, _I16 = range(2**8), range(2**16), range(-(2**15), 2**15)

FIELDS: tuple[Field, ...] = (
    Field("version_major", "B", {1: ""}, "changes when an older decoder can no longer read the file"),
    Field("version_minor", "B", _U8, "changes when something is added that an older decoder may ignore"),
    Field("header_bytes", "H", range(52, MAX_HEADER_BYTES + 1), "size of the header, magic and checksum included"),
    Field("required_features", "H", _U16, "bit set = feature a decoder must know; none is defined in 1.0"),
    Field("codec", "B", _ids(CodecId) | dict.fromkeys(PRIVATE_CODECS, _PRIVATE), "syntax of the DATA chunks"),
    Field("channels", "B", {1: "gray", 2: "gray+alpha", 3: "RGB", 4: "RGBA"}, "channels of the source"),
    Field("width", "H", range(1, 2**16), "columns of the source, in pixels"),
    Field("height", "H", range(1, 2**16), "rows of the source, in pixels"),
    Field("bit_depth", "B", {8: "", 16: ""}, "bits per sample of the source"),
    Field("colour", "B", _ids(ColourEncoding), "colour components the codec coded"),
    Field("padding", "B", _ids(PaddingRule), "how the image was extended to the size the codec needs"),
    Field("tile_overlap", "B", _U8, "pixels by which a tile reaches into each neighbour"),
    Field("tile_width", "H", _U16, "columns between tile origins; 0 = one tile, the whole image"),
    Field("tile_height", "H", _U16, "rows between tile origins; 0 exactly when tile_width is 0"),
    Field("quality", "H", _U16, "the model's rate point, defined by the codec"),
    Field("gain", "h", _I16, "the model's fine rate control, defined by the codec"),
    Field("model", "16s", None, "first 16 bytes of the SHA-256 of the model's content"),
)

_CODEC_OFFSET = sum(field.size for field in FIELDS[: [field.name for field in FIELDS].index("codec")])
_STRUCT = struct.Struct(">8s" + "".join(field.code for field in FIELDS))
_CRC = struct.Struct(">I")
#: Size of the header as version 1.0 writes it.
HEADER_BYTES = _STRUCT.size + _CRC.size


@dataclass(frozen=True)
class Header:
    """Geometry, codec and model of a `.wlic` file; `FIELDS` gives the ranges and meanings.

    Attributes:
        codec: value of `CodecId`.
        channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
        width: columns of the source, 1..65535.
        height: rows of the source, 1..65535.
        model: first 16 bytes of the SHA-256 of the model's content.
        bit_depth: bits per sample of the source, 8 or 16.
        colour: value of `ColourEncoding`.
        padding: value of `PaddingRule`.
        tile_width: columns between tile origins; 0 for one tile.
        tile_height: rows between tile origins; 0 exactly when ``tile_width`` is 0.
        tile_overlap: pixels by which a tile reaches into each neighbour.
        quality: the model's rate point, defined by the codec.
        gain: the model's fine rate control, defined by the codec.
        required_features: bits of features that a decoder must know.
        version_major: changes when an older decoder can no longer read the file.
        version_minor: changes when something is added that an older decoder may ignore.
        extension: bytes that a newer minor version added, kept so that rewriting a file loses nothing.
    """

    codec: int
    channels: int
    width: int
    height: int
    model: bytes
    bit_depth: int = 8
    colour: int = ColourEncoding.NATIVE
    padding: int = PaddingRule.NONE
    tile_width: int = 0
    tile_height: int = 0
    tile_overlap: int = 0
    quality: int = 0
    gain: int = 0
    required_features: int = 0
    version_major: int = VERSION[0]
    version_minor: int = VERSION[1]
    extension: bytes = b""

    @property
    def header_bytes(self) -> int:
        """Size of this header in the file."""
        return HEADER_BYTES + len(self.extension)

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha, which an ALPH chunk then holds."""
        return self.channels in (2, 4)


def peek_codec(start: bytes) -> int | None:
    """Read a file's codec number, without looking at or checking anything else.

    Args:
        start: the first bytes of a file.

    Returns:
        The number; None if it is no `.wlic` file, or is cut before it.
    """
    offset = len(MAGIC) + _CODEC_OFFSET
    return start[offset] if start.startswith(MAGIC) and len(start) > offset else None


def write_header(header: Header) -> bytes:
    """Serialise a header.

    Args:
        header: the fields.

    Returns:
        Its bytes in the file, checksum included.

    Raises:
        UsageError: a field is out of its declared range.
    """
    _check(header, UsageError, "correct the value before writing")
    values = (getattr(header, field.name) for field in FIELDS)
    body = _STRUCT.pack(MAGIC, *values) + header.extension
    return body + _CRC.pack(crc32c(body))


def parse_header(data: bytes | bytearray | memoryview) -> Header:
    """Read a header without looking at limits, which `read_header` compares.

    Args:
        data: the start of a file; the first `header_bytes` bytes are enough (52 in version 1.0).

    Returns:
        The header.

    Raises:
        FormatError: not a `.wlic` file, cut short, an unknown version or feature, or a field out of range.
        ChecksumError: the checksum does not match.
    """
    view = memoryview(data).cast("B")
    _check_magic(bytes(view[: len(MAGIC)]))
    if len(view) > len(MAGIC) and view[len(MAGIC)] != VERSION[0]:
        raise FormatError(
            f"the file has .wlic version {view[len(MAGIC)]}, this decoder reads version {VERSION[0]};"
            " use a wavelic that knows that version"
        )
    if len(view) < HEADER_BYTES:
        raise FormatError(f"the file ends after {len(view)} bytes of a {HEADER_BYTES}-byte header; get it again")
    values = dict(zip((field.name for field in FIELDS), _STRUCT.unpack_from(view)[1:], strict=True))
    size = values.pop("header_bytes")
    if not HEADER_BYTES <= size <= MAX_HEADER_BYTES:
        raise FormatError(
            f"the header says it has {size} bytes, expected {HEADER_BYTES}..{MAX_HEADER_BYTES}; get the file again"
        )
    if len(view) < size:
        raise FormatError(f"the file ends after {len(view)} bytes of a {size}-byte header; get it again")
    if crc32c(view[: size - _CRC.size]) != _CRC.unpack_from(view, size - _CRC.size)[0]:
        raise ChecksumError("the header's checksum does not match: the file is damaged; get it again")
    header = Header(**values, extension=bytes(view[_STRUCT.size : size - _CRC.size]))
    _check(header, FormatError, "the file is damaged or needs a newer wavelic")
    return header


def _check_magic(start: bytes) -> None:
    if start == MAGIC:
        return
    if not start:
        raise FormatError("the file is empty, expected a .wlic file; get it again")
    if MAGIC.startswith(start):
        raise FormatError(f"the file ends after {len(start)} bytes of a {HEADER_BYTES}-byte header; get it again")
    if start[1:5] == MAGIC[1:5] or start[:4] == MAGIC[1:5]:
        raise FormatError("the file was changed by a text-mode transfer; transfer it again in binary mode")
    raise FormatError(f"not a .wlic file: it starts with {start.hex(' ')}, expected {MAGIC.hex(' ')}; check the name")


def _check(header: Header, error: type[WavelicError], remedy: str) -> None:
    """Raise `error` unless every field is in its declared range and the fields agree with each other."""
    for field in FIELDS:
        value = getattr(header, field.name)
        if field.allowed is None:
            good = isinstance(value, bytes) and len(value) == field.size
        else:
            good = isinstance(value, int) and value in field.allowed
        if not good:
            expected = f"{field.size} bytes" if field.allowed is None else field.allowed_text
            raise error(f"header field {field.name} is {value!r}, expected {expected}; {remedy}")
    if unknown := header.required_features & ~KNOWN_FEATURES:
        raise error(f"the file needs features {unknown:#06x} that this wavelic does not know; upgrade wavelic")
    if header.extension and header.version_minor == 0:
        raise error(f"version 1.0 has no header extension, got {len(header.extension)} bytes; {remedy}")
    if (header.tile_width == 0) != (header.tile_height == 0):
        raise error(f"tile size {header.tile_width} x {header.tile_height}, expected both zero or neither; {remedy}")
    smaller = min(header.tile_width, header.tile_height)
    if header.tile_overlap and header.tile_overlap >= smaller:
        raise error(f"tile overlap {header.tile_overlap}, expected less than the tile side {smaller}; {remedy}")
    if header.colour != ColourEncoding.NATIVE and header.channels < 3:
        raise error(f"colour encoding {header.colour} with {header.channels} channels, expected 3 or 4; {remedy}")
