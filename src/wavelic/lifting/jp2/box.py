"""What wavelic's own `uuid` boxes in a JP2 file say; loads no torch.

Each box is identified by 16 bytes.  The main box holds how samples map to numbers, which model synthesises, and a
CRC-32C over itself and the codestream; it also says whether an opacity box must be there, and that box's checksum.
Exif and XMP are in boxes with the identifiers other programs use for them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

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

# version, base, depth, whether there is alpha, model, scale, offset, CRC-32C of alpha; then the CRC-32C
_BOX = struct.Struct(f">BBBB{MODEL_BYTES}sffI")
_BOX_BYTES = _BOX.size + 4
_DAMAGED = "the file is damaged; fetch it again"


@dataclass(frozen=True)
class CarrierBox:
    """What the main box says.

    base: wavelet of the codestream.  depth: bits per sample of the image, 8 or 16.  model: first bytes of the content
    hash of the transform's weights, or NO_MODEL.  A code value v stands for (v - offset) / scale - 0.5.  alpha: CRC-32C
    of the payload of the opacity box, None if there is no opacity.
    """

    base: str
    depth: int
    model: bytes
    scale: float
    offset: float
    alpha: int | None = None

    def pack(self, codestream: bytes) -> Uuid:
        """The box for a file with this codestream; its CRC-32C covers both."""
        fields = (BASES.index(self.base), self.depth, self.alpha is not None, self.model, self.scale, self.offset)
        head = _BOX.pack(VERSION, *fields, self.alpha or 0)
        return Uuid(BOX_ID, head + struct.pack(">I", crc32c(codestream, crc32c(head))))


def unpack_box(box: Uuid, codestream: bytes | None) -> CarrierBox:
    """Parse a main box and check it, and ``codestream`` unless None, against its CRC-32C.

    Raises FormatError if the box is not one of ours, ChecksumError if the checksum does not match.
    """
    if len(box.data) != _BOX_BYTES or box.data[0] != VERSION:
        raise FormatError(f"wavelic's box has {len(box.data)} bytes, version {box.data[:1].hex()}; {_DAMAGED}")
    head, (checksum,) = box.data[: _BOX.size], struct.unpack(">I", box.data[_BOX.size :])
    if codestream is not None and crc32c(codestream, crc32c(head)) != checksum:
        raise ChecksumError(f"the codestream's checksum is not {checksum:08x}; {_DAMAGED}")
    _, base, depth, has_alpha, model, scale, offset, alpha = _BOX.unpack(head)
    known = base < len(BASES) and depth in (8, 16) and has_alpha <= 1
    if not known or not 0 < scale < 2**20 or not abs(offset) < 2**20:
        raise FormatError(f"wavelic's box says base {base}, depth {depth}, scale {scale}, offset {offset}; {_DAMAGED}")
    return CarrierBox(BASES[base], depth, model, scale, offset, alpha if has_alpha else None)


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


def plain_box(reversible: bool, bits: int) -> CarrierBox:
    """What a box would say of plain JPEG 2000 with ``bits`` per sample."""
    return CarrierBox(BASES[not reversible], 8 if bits <= 8 else 16, NO_MODEL, float((1 << bits) - 1), 0.0)


def metadata_boxes(metadata: Metadata) -> list[Uuid]:
    """The boxes for Exif, XMP and IPTC; the ICC profile and the resolution belong into the header."""
    pairs = ((EXIF_ID, metadata.exif), (XMP_ID, metadata.xmp), (IPTC_ID, metadata.iptc))
    return [Uuid(identifier, data) for identifier, data in pairs if data]


def find_payload(uuids: tuple[Uuid, ...], identifier: bytes) -> bytes | None:
    """Data of the first box with that identifier."""
    return next((uuid.data for uuid in uuids if uuid.identifier == identifier), None)


def reduce_plane(plane: np.ndarray, reduce: int, region: tuple[int, int, int, int]) -> np.ndarray:
    """Samples ``region`` (at the reduced size) of an integer plane (H, W), every 2^reduce-th, from the first on.

    What opacity gets at reduced sizes: samples of the grid the low bands are on.
    """
    x, y, width, height = region
    return plane[:: 2**reduce, :: 2**reduce][y : y + height, x : x + width]
