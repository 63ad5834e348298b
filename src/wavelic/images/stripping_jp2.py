"""JP2 files without their metadata."""

from __future__ import annotations

from wavelic.errors import FormatError
from wavelic.images.metadata import Metadata
from wavelic.images.readers.jp2 import EXIF_BOXES, IPTC_BOX, XMP_BOX
from wavelic.images.stripping import checked, stripped_metadata
from wavelic.jpeg2000 import GREY, SRGB, is_jp2
from wavelic.jpeg2000.boxes import box, list_boxes


def stripped_jp2(data: bytes, what: str = "all") -> bytes:
    """Return a JP2 file without metadata; its codestream and the boxes that decoding needs stay byte for byte.

    With "all" the boxes of Exif, XMP, IPTC, XML and resolution go, and an ICC profile gives way to sRGB or gray.

    Raises:
        UsageError: another word than "all" and "gps" is given.
        FormatError: the file is not a JP2 file.
    """
    checked(what)
    if not is_jp2(data):
        raise FormatError("not a JP2 file, and only these have boxes of metadata; give a .jp2 file")
    pieces = []
    for found in list_boxes(data):
        payload = data[found.start : found.stop]
        if found.kind == b"jp2h" and what == "all":
            payload = _plain_header(payload)
        elif found.kind == b"uuid":
            left = _stripped_uuid(payload[:16], payload[16:], what)
            if left is None:
                continue
            payload = payload[:16] + left
        elif found.kind == b"xml " and what == "all":
            continue
        pieces.append(box(found.kind, payload))
    return b"".join(pieces)


def _stripped_uuid(identifier: bytes, data: bytes, what: str) -> bytes | None:
    """What is left of a `uuid` box, or None if it goes."""
    if identifier in EXIF_BOXES:
        prefix = b"Exif\0\0" if data.startswith(b"Exif\0\0") else b""
        exif = stripped_metadata(Metadata(exif=data[len(prefix) :]), what).exif
        return prefix + exif if exif else None
    if identifier == XMP_BOX:
        return stripped_metadata(Metadata(xmp=data), what).xmp
    if identifier == IPTC_BOX:
        return stripped_metadata(Metadata(iptc=data), what).iptc
    return data


def _plain_header(header: bytes) -> bytes:
    """A `jp2h` box without resolution, its ICC profile replaced by the enumerated colour space of its channels."""
    pieces = []
    coloured = False
    for found in list_boxes(header):
        payload = header[found.start : found.stop]
        if found.kind == b"res ":
            continue
        if found.kind == b"colr" and payload[:1] != b"\1":
            if coloured:
                continue
            gray = payload[3 + 16 : 3 + 20] == b"GRAY"
            payload = b"\1\0\0" + (GREY if gray else SRGB).to_bytes(4, "big")
        coloured |= found.kind == b"colr"
        pieces.append(box(found.kind, payload))
    return b"".join(pieces)
