"""Wavelic's own `uuid` boxes in a JP2 file; loads no torch.

Each box is identified by 16 bytes.  The main box holds how samples map to numbers, which model synthesises, and a
CRC-32C over itself and the codestream; it also says whether an opacity box must be there, and that box's checksum.
Exif and XMP are in boxes with the identifiers other programs use for them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from wavelic.container.crc import crc32c
from wavelic.errors import ChecksumError, FormatError
from wavelic.images import Metadata
from wavelic.jpeg2000 import Uuid

BOX_ID = bytes.fromhex("c79fe95b3407414aa66c0b6083a53724")
ALPHA_ID = bytes.fromhex("1ebc97f44dbb4e6eb9a27c04b3fe5f24")
EXIF_ID = b"JpgTiffExif->JP2"
IPTC_ID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
XMP_ID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
BOX_MEANINGS = {
    BOX_ID: "wavelic: mapping, model, checksum",
    ALPHA_ID: "wavelic: alpha without loss",
    EXIF_ID: "Exif",
    XMP_ID: "XMP",
    IPTC_ID: "IPTC",
}
VERSION = 1
MODEL_BYTES = 8
#: Model identity of a transform without learned steps.
NO_MODEL = bytes(MODEL_BYTES)
BASES = ("5/3", "9/7")

_ALPHA, _PLAIN, _ENHANCE = 1, 2, 4
# version, base, depth, flags, model, scale, offset, CRC-32C of alpha; then the CRC-32C
_BOX = struct.Struct(f">BBBB{MODEL_BYTES}sffI")
_BOX_BYTES = _BOX.size + 4
_DAMAGED = "the file is damaged; fetch it again"


@dataclass(frozen=True)
class WavelicBox:
    """Fields of the main box; a code value v stands for (v - offset) / scale - 0.5.

    Attributes:
        base: wavelet of the codestream, "5/3" or "9/7".
        depth: bits per sample of the image, 8 or 16.
        model: first bytes of the content hash of the transform's weights, or NO_MODEL.
        scale: codes of the range of the image.
        offset: code of its lower end.
        alpha: CRC-32C of the payload of the opacity box; None if there is no such box.
        plain: the codestream is the picture itself, as codec jp2 writes it: components are its channels.
        enhance: the picture is meant to be decoded with what a network estimates of its coefficients.
    """

    base: str
    depth: int
    model: bytes
    scale: float
    offset: float
    alpha: int | None = None
    plain: bool = False
    enhance: bool = False

    def pack(self, codestream: bytes) -> Uuid:
        """Write the box for a file with this codestream; its CRC-32C covers both."""
        flags = _ALPHA * (self.alpha is not None) | _PLAIN * self.plain | _ENHANCE * self.enhance
        fields = (BASES.index(self.base), self.depth, flags, self.model, self.scale, self.offset)
        head = _BOX.pack(VERSION, *fields, self.alpha or 0)
        return Uuid(BOX_ID, head + struct.pack(">I", crc32c(codestream, crc32c(head))))


def unpack_box(box: Uuid, codestream: bytes | None) -> WavelicBox:
    """Parse a main box and check it.

    Args:
        box: with the identifier `BOX_ID`.
        codestream: all of it, to be compared with the CRC-32C; None if it is not there.

    Raises:
        FormatError: the box is none that wavelic writes.
        ChecksumError: the checksum does not match.
    """
    if len(box.data) != _BOX_BYTES or box.data[0] != VERSION:
        raise FormatError(f"wavelic's box has {len(box.data)} bytes, version {box.data[:1].hex()}; {_DAMAGED}")
    head, (checksum,) = box.data[: _BOX.size], struct.unpack(">I", box.data[_BOX.size :])
    if codestream is not None and crc32c(codestream, crc32c(head)) != checksum:
        raise ChecksumError(f"the codestream's checksum is not {checksum:08x}; {_DAMAGED}")
    _, base, depth, flags, model, scale, offset, alpha = _BOX.unpack(head)
    known = base < len(BASES) and depth in (8, 16) and flags <= _ALPHA | _PLAIN | _ENHANCE
    if not known or not 0 < scale < 2**20 or not abs(offset) < 2**20:
        raise FormatError(f"wavelic's box says base {base}, depth {depth}, scale {scale}, offset {offset}; {_DAMAGED}")
    plain, enhance = bool(flags & _PLAIN), bool(flags & _ENHANCE)
    return WavelicBox(BASES[base], depth, model, scale, offset, alpha if flags & _ALPHA else None, plain, enhance)


def is_disguised(payload: bytes, codestream: bytes) -> bool:
    """Whether a box that no reader would take for ours is our main box with a damaged identifier or type.

    It has its length, and half its identifier or a checksum that matches the codestream.
    """
    if len(payload) != 16 + _BOX_BYTES:
        return False
    if sum(a == b for a, b in zip(payload, BOX_ID, strict=False)) >= len(BOX_ID) // 2:
        return True
    try:
        unpack_box(Uuid(BOX_ID, payload[16:]), codestream)
    except FormatError:
        return False
    return True


def plain_box(reversible: bool, bits: int, *, enhance: bool = False) -> WavelicBox:
    """Make the box of a plain JPEG 2000 file.

    Args:
        reversible: whether its colours are coded by the 5/3 wavelet.
        bits: per sample.
        enhance: as in `WavelicBox`.
    """
    depth, scale = 8 if bits <= 8 else 16, float((1 << bits) - 1)
    return WavelicBox(BASES[not reversible], depth, NO_MODEL, scale, 0.0, plain=True, enhance=enhance)


def metadata_boxes(metadata: Metadata) -> list[Uuid]:
    """Make the boxes for Exif, XMP and IPTC; the ICC profile and the resolution belong into the header."""
    pairs = ((EXIF_ID, metadata.exif), (XMP_ID, metadata.xmp), (IPTC_ID, metadata.iptc))
    return [Uuid(identifier, data) for identifier, data in pairs if data]


def find_payload(uuids: tuple[Uuid, ...], identifier: bytes) -> bytes | None:
    """Find the data of the first box with that identifier."""
    return next((uuid.data for uuid in uuids if uuid.identifier == identifier), None)
