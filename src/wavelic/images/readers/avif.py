"""AVIF -> `Image`: 8 bits by Pillow, 10 and 12 by imagecodecs; colours also by the file's code points (nclx)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from wavelic.errors import ImageError
from wavelic.images import icc as profiles
from wavelic.images.image import Image, scale_to_full
from wavelic.images.metadata import MAX_METADATA
from wavelic.images.readers.pillow import check_mode, check_still, metadata_of, open_picture, plain_samples

_PATH = (b"meta", b"iprp", b"ipco")


def read_avif(stream: BinaryIO, size: int, max_pixels: int) -> Image:
    """Read an AVIF file of one picture; samples of 10 and 12 bits become 16 bits.

    Raises:
        ImageError: it is damaged, animated or too large, or its depth needs imagecodecs, which is not installed.
    """
    stream.seek(0)
    head = stream.read(MAX_METADATA)
    properties = list(_properties(head))
    depth = max((_depth(payload) for kind, payload in properties if kind == b"av1C"), default=8)
    remarks: list[str] = []
    with open_picture(stream, "AVIF", max_pixels) as picture:
        check_still(picture)
        check_mode(picture)
        metadata = metadata_of(picture)
        pixels = np.ascontiguousarray(plain_samples(picture) if depth == 8 else _deep(stream, depth, picture.mode))
    if depth > 8:
        remarks.append(f"samples of {depth} bits are scaled to 16 bits")
    nclx = next((payload for kind, payload in properties if kind == b"colr" and payload[:4] == b"nclx"), b"")
    if metadata.icc is None and len(nclx) >= 11:
        primaries, transfer = struct.unpack_from(">HH", nclx, 4)
        try:
            icc = profiles.from_cicp(primaries, transfer, True, pixels.shape[2])  # the decoder has undone the range
            metadata = replace(metadata, icc=icc)
        except ValueError as error:
            remarks.append(f"{error}; the samples are taken for sRGB")
    return Image(pixels, metadata, tuple(remarks))


def _deep(stream: BinaryIO, depth: int, mode: str) -> np.ndarray:
    try:
        from imagecodecs import avif_decode
    except ImportError as error:
        raise ImageError(
            f"{depth}-bit AVIF is not supported without imagecodecs; pip install imagecodecs, or convert the image to "
            "a 16-bit PNG"
        ) from error
    stream.seek(0)
    samples = np.asarray(avif_decode(stream.read()))
    samples = samples[:, :, np.newaxis] if samples.ndim == 2 else samples
    if samples.ndim != 3 or samples.dtype != np.uint16 or samples.shape[2] not in (1, 2, 3, 4):
        raise ImageError(f"{depth}-bit AVIF of mode {mode} is not supported; convert it to a 16-bit PNG")
    return scale_to_full(samples, depth)


def _depth(configuration: bytes) -> int:
    """Bits per sample by the payload of an `av1C` box."""
    if len(configuration) < 3 or not configuration[2] & 0x40:
        return 8
    return 12 if configuration[2] & 0x20 else 10


def _properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and payload of the properties of all items in the file."""
    start, stop = 0, len(data)
    for wanted in _PATH:
        found = next(((a, b) for kind, a, b in _boxes(data, start, stop) if kind == wanted), None)
        if found is None:
            return
        start, stop = found
        start += 4 * (wanted == b"meta")  # version and flags
    for kind, a, b in _boxes(data, start, stop):
        yield kind, data[a:b]


def _boxes(data: bytes, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, and where the payload starts and stops, of the boxes in a range."""
    while start + 8 <= stop:
        length, kind = struct.unpack_from(">I4s", data, start)
        payload = start + 8
        if length == 1 and start + 16 <= stop:
            (length,) = struct.unpack_from(">Q", data, payload)
            payload += 8
        end = stop if length == 0 else start + length
        if end < payload or end > stop:
            return
        yield kind, payload, end
        start = end
