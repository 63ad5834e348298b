"""Chunks, the units that follow the header: kind (4 letters), payload length (u32), payload, CRC-32C of all three.

Capitals mark a critical kind, which a decoder must know to give the right pixels; small letters mark an ancillary one,
which it may skip.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from wavelic.container.crc import crc32c
from wavelic.container.limits import Limits, admit
from wavelic.errors import ChecksumError, FormatError, UsageError

TIDX, DATA, ALPH, WEND = b"TIDX", b"DATA", b"ALPH", b"WEND"
LCRC, ICCP, EXIF, XMPP, IPTC, RESO = b"lcrc", b"iccp", b"exif", b"xmpp", b"iptc", b"reso"

#: Every kind this version defines, in the order a writer puts them, and what it holds.
KINDS: Mapping[bytes, str] = {
    TIDX: "tile index: one u32 per tile, the payload length of its DATA chunk",
    DATA: "coded image: one chunk per tile, in the order of the grid",
    LCRC: "latent checksum: one u32 per tile, the CRC-32C of its decoded symbols",
    ALPH: "alpha channel, lossless",
    ICCP: "ICC profile",
    EXIF: "Exif metadata, starting with its TIFF header",
    XMPP: "XMP packet",
    IPTC: "IPTC-IIM records",
    RESO: "resolution: a flag and samples per metre across and down, as fractions of u32",
    WEND: "end of file, empty",
}
#: The kinds that hold metadata of the source file, by the names of the fields of `wavelic.images.Metadata`.
METADATA_KINDS: Mapping[str, bytes] = {"icc": ICCP, "exif": EXIF, "xmp": XMPP, "iptc": IPTC, "resolution": RESO}

_START = struct.Struct(">4sI")
_CRC = struct.Struct(">I")
#: Bytes a chunk needs besides its payload.
CHUNK_OVERHEAD = _START.size + _CRC.size


@dataclass(frozen=True)
class Chunk:
    """Chunk of a file.

    Attributes:
        kind: four ASCII letters, all capital (critical) or all small (ancillary).
        payload: 0 to 2^32 - 1 bytes.
    """

    kind: bytes
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes in the file, framing included."""
        return CHUNK_OVERHEAD + len(self.payload)


def is_kind(kind: object) -> bool:
    """Whether `kind` is four ASCII letters, all capital or all small."""
    return isinstance(kind, bytes) and len(kind) == 4 and kind.isalpha() and (kind.isupper() or kind.islower())


def write_chunk(chunk: Chunk) -> bytes:
    """Serialise a chunk.

    Args:
        chunk: the chunk.

    Returns:
        Its bytes in the file.

    Raises:
        UsageError: a kind that is not four letters of one case, or too long a payload.
    """
    if not is_kind(chunk.kind):
        raise UsageError(f"chunk kind {chunk.kind!r}, expected four ASCII letters of one case; correct the kind")
    if len(chunk.payload) >= 2**32:
        raise UsageError(f"chunk {_name(chunk.kind)} has {len(chunk.payload)} bytes, expected below 2**32; use tiles")
    body = _START.pack(chunk.kind, len(chunk.payload)) + chunk.payload
    return body + _CRC.pack(crc32c(body))


def parse_chunk(view: memoryview, offset: int, limits: Limits) -> Chunk:
    """Read a chunk and verify its checksum.

    Args:
        view: the file.
        offset: first byte of the chunk.
        limits: bounds of the payload's size.

    Returns:
        The chunk.

    Raises:
        FormatError: cut short, or a kind that is unknown or malformed.
        LimitError: the payload is larger than the limits allow.
        ChecksumError: the checksum does not match.
    """
    kind, length = parse_chunk_start(view, offset, limits)
    end = offset + _START.size + length
    if end + _CRC.size > len(view):
        raise FormatError(
            f"the file is cut short: chunk {_name(kind)} at byte {offset} needs {length + CHUNK_OVERHEAD} bytes,"
            f" {len(view) - offset} are left; get it again"
        )
    if crc32c(view[offset:end]) != _CRC.unpack_from(view, end)[0]:
        raise ChecksumError(
            f"the checksum of chunk {_name(kind)} at byte {offset} does not match: the file is damaged; get it again"
        )
    return Chunk(kind, bytes(view[offset + _START.size : end]))


def parse_chunk_start(view: memoryview, offset: int, limits: Limits) -> tuple[bytes, int]:
    """Read a chunk's kind and length; the payload need not be there.

    Args:
        view: the file, or its first bytes.
        offset: first byte of the chunk.
        limits: bounds of the payload's size.

    Returns:
        (kind, bytes of payload).

    Raises:
        FormatError: cut short, or a kind that is unknown or malformed.
        LimitError: the payload is larger than the limits allow.
    """
    if len(view) < offset + _START.size:
        raise FormatError(f"the file is cut short after {len(view)} bytes, expected a chunk WEND; get it again")
    kind, length = _START.unpack_from(view, offset)
    if not is_kind(kind):
        raise FormatError(f"chunk kind {kind!r} at byte {offset}, expected four letters; the file is damaged")
    if kind.isupper() and kind not in KINDS:
        raise FormatError(f"the file needs chunk {_name(kind)}, which this wavelic does not know; upgrade wavelic")
    admit("max_chunk_bytes", f"the size of chunk {_name(kind)}", length, limits)
    return kind, length


def _name(kind: bytes) -> str:
    return kind.decode("ascii")
