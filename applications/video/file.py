"""The file of a coded clip: a header, then one record a frame.

    header   "WLVIDEO1", width u16, height u16, frames u32, weights 16 bytes, CRC-32C of all this u32
    record   kind u8 (0 intra: a `.wlic` or JP2 file; 1 predicted: a range coder's stream), length of the payload u32,
             CRC-32C of the decoded samples u32, payload, CRC-32C of the record so far u32

Numbers are little-endian.  The reader checks everything that is written here before anything is decoded, and takes
memory for no more than the file has.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from applications.video.model import HASH_BYTES
from wavelic.container.crc import crc32c
from wavelic.errors import ChecksumError, FormatError, LimitError

MAGIC = b"WLVIDEO1"
INTRA, PREDICTED = 0, 1
MAX_PIXELS = 1 << 24  # of a frame: 4096 x 4096
MAX_CLIP_PIXELS = 1 << 33  # of all frames: an hour of 352 x 288 and more
_HEADER = struct.Struct(f"<8sHHI{HASH_BYTES}s")
_RECORD = struct.Struct("<BII")
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class Header:
    """What holds for all frames.

    Attributes:
        width: of every frame in pixels.
        height: of every frame in pixels.
        frames: how many.
        weights: digest of the model's file.
    """

    width: int
    height: int
    frames: int
    weights: bytes


@dataclass(frozen=True)
class Record:
    """One coded frame.

    Attributes:
        kind: INTRA or PREDICTED.
        payload: its bytes.
        samples_crc: CRC-32C of the decoded frame, (H, W, 3) uint8 in C order.
    """

    kind: int
    payload: bytes
    samples_crc: int


def write_header(header: Header) -> bytes:
    """Serialise a header."""
    data = _HEADER.pack(MAGIC, header.width, header.height, header.frames, header.weights)
    return data + _CRC.pack(crc32c(data))


def write_record(record: Record) -> bytes:
    """Serialise a frame."""
    data = _RECORD.pack(record.kind, len(record.payload), record.samples_crc) + record.payload
    return data + _CRC.pack(crc32c(data))


def read_header(data: bytes) -> Header:
    """Read the header of a file.

    Args:
        data: the file, or its beginning.

    Raises:
        FormatError: not such a file, or cut short.
        ChecksumError: damaged.
        LimitError: more than MAX_PIXELS in a frame, or MAX_CLIP_PIXELS in all.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise FormatError(
            f"the file begins with {bytes(data[:8])!r}, not {MAGIC!r}; give a clip that `video encode` wrote"
        )
    start = _checked(data, 0, _HEADER.size, "the header")
    _, width, height, frames, weights = _HEADER.unpack(start)
    if not (width and height and frames):
        raise FormatError(f"the header says {frames} frames of {width} x {height}; expected at least 1 of each")
    if width * height > MAX_PIXELS:
        raise LimitError(f"frames have {width} x {height} pixels; at most {MAX_PIXELS} are decoded")
    if width * height * frames > MAX_CLIP_PIXELS:
        raise LimitError(f"{frames} frames of {width} x {height}; at most {MAX_CLIP_PIXELS} pixels in all are decoded")
    return Header(width, height, frames, weights)


def read_records(data: bytes, header: Header) -> Iterator[Record]:
    """Read the frames, one after another.

    Args:
        data: the file.
        header: its header.

    Yields:
        As many records as the header says.

    Raises:
        FormatError: cut short, a frame of an unknown kind, a first frame that is predicted, or bytes left over.
        ChecksumError: damaged.
    """
    position = _HEADER.size + _CRC.size
    for number in range(header.frames):
        what = f"frame {number} of {header.frames}"
        if position + _RECORD.size > len(data):
            raise FormatError(f"the file ends before {what}; get all of it")
        kind, length, samples_crc = _RECORD.unpack_from(data, position)
        record = _checked(data, position, _RECORD.size + length, what)
        if kind not in (INTRA, PREDICTED):
            raise FormatError(f"{what} is of kind {kind}; known are 0 (intra) and 1 (predicted)")
        if number == 0 and kind != INTRA:
            raise FormatError("the first frame is predicted from a frame before; expected an intra frame")
        yield Record(kind, record[_RECORD.size :], samples_crc)
        position += _RECORD.size + length + _CRC.size
    if position != len(data):
        raise FormatError(f"{len(data) - position} bytes follow the last frame; expected none")


def _checked(data: bytes, position: int, size: int, what: str) -> bytes:
    """Bytes of a part of the file, after its checksum."""
    stop = position + size
    if stop + _CRC.size > len(data):
        raise FormatError(f"the file ends within {what}, at byte {len(data)} of {stop + _CRC.size}; get all of it")
    part = bytes(data[position:stop])
    if _CRC.unpack_from(data, stop)[0] != crc32c(part):
        raise ChecksumError(f"the checksum of {what} does not match; the file is damaged, get it again")
    return part
