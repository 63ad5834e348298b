"""Decoding many small images together, whatever codec wrote them.

Two things make it faster than one by one.  Files that are alike (`Codec.batch_key`) go through the networks together,
so that what a call costs whatever its size is paid once.  And such batches are decoded beside each other, every thread
of torch one of its own, which need not wait for each other as the threads within one operation must.

Reading symbols takes many short calls, during which Python's lock is given up and taken again.  Two threads that do it
at the same time take three times as long over it; so they take turns, and one reads while another synthesises.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from threading import Lock

import numpy as np
import torch

from wavelic.api.files import open_file
from wavelic.codec.base import Codec
from wavelic.codec.opened import OpenedFile, Pixels
from wavelic.codec.options import check_device
from wavelic.codec.registry import get_codec, names
from wavelic.container import DEFAULT_LIMITS, Limits
from wavelic.errors import UsageError
from wavelic.threads import map_on_threads

_LEAST_PIXELS = 1 << 12  # what an image counts as at least, since networks extend it to their stride
_SMALL = 1 << 20  # pixels of the largest image that is decoded on one thread, beside others

Put = Callable[[int, Pixels], None]


def decode_batch(files: Sequence[bytes], *, limits: Limits = DEFAULT_LIMITS, device: str = "cpu") -> Pixels:
    """Decode files of one size, channel count and depth to one array: (N, H, W, C), uint8 or uint16.

    The files may be of different codecs, qualities and weights.  Coefficients are exactly those of `wavelic.decode`;
    samples may differ from it by the rounding of floats in the networks, by 1 of 255 at most.  As many threads work as
    `torch.get_num_threads` says.

    Args:
        files: at least one.
        limits: what may be spent on each file.
        device: torch device of the networks.

    Raises:
        UsageError: there is no file, or they differ in kind (see `decode_many`).
        FormatError, ChecksumError, LimitError, ModelError: as `wavelic.decode`, for the first batch of files of which
            one fails.

    Examples:
        >>> import wavelic
        >>> decode_batch([wavelic.encode(np.full((8, 9, 3), gray, np.uint8), "wcae") for gray in (0, 99)]).shape
        (2, 8, 9, 3)
    """
    check_device(device)
    opened = [open_file(data, limits) for data in files]
    if not opened:
        raise UsageError("no files given; a batch is at least one")
    kinds = sorted({(*file.shape, file.bit_depth) for file in opened})
    if len(kinds) > 1:
        named = ", ".join("{} x {}, {} channels of {} bits".format(*kind) for kind in kinds[:3])
        raise UsageError(f"images of {len(kinds)} kinds ({named}); give images of one, or use decode_many")
    *shape, depth = kinds[0]
    result = np.empty((len(opened), *shape), np.uint8 if depth == 8 else np.uint16)
    _decode(opened, device, result.__setitem__)
    return result


def decode_many(files: Sequence[bytes], *, limits: Limits = DEFAULT_LIMITS, device: str = "cpu") -> list[Pixels]:
    """Decode files of any sizes and kinds; those that are alike still go through the networks together.

    Args:
        files: any number.
        limits: what may be spent on each file.
        device: torch device of the networks.

    Returns:
        For each file what `wavelic.decode` gives, (H, W, C), up to the rounding of floats.

    Raises:
        FormatError, ChecksumError, LimitError, ModelError: as `decode_batch`.
    """
    check_device(device)
    opened = [open_file(data, limits) for data in files]
    result: dict[int, Pixels] = {}
    _decode(opened, device, result.__setitem__)
    return [result[index] for index in range(len(opened))]


def _decode(opened: Sequence[OpenedFile], device: str, put: Put) -> None:
    """``put(index, pixels)`` for every file, from several threads."""
    small = [index for index, file in enumerate(opened) if _pixels(file) <= _SMALL]
    batches = list(_batches(opened, small))
    lock = Lock()

    def decode(number: int) -> None:
        codec, indices = batches[number]
        files = [opened[index] for index in indices]
        decoded = codec.decode_batch(files, device, lock) if codec else [file.read(device=device) for file in files]
        for index, pixels in zip(indices, decoded, strict=True):
            put(index, pixels)

    map_on_threads(decode, range(len(batches)), sum(_samples(opened[index]) for index in small))
    for index in sorted(set(range(len(opened))).difference(small)):
        put(index, opened[index].read(device=device))


def _batches(opened: Sequence[OpenedFile], small: Sequence[int]) -> Iterator[tuple[Codec | None, list[int]]]:
    """Indices of files that are decoded together: alike, of a bounded number of pixels, and some for every thread."""
    alike: dict[Hashable, list[int]] = {}
    for index in small:
        codec = _codec(opened[index])
        key = codec.batch_key(opened[index]) if codec else None
        alike.setdefault(("alone", index) if key is None else (opened[index].codec, key), []).append(index)
    for indices in alike.values():
        codec = _codec(opened[indices[0]])
        pixels = max(_pixels(opened[indices[0]]), _LEAST_PIXELS)
        most = codec.batch_pixels // pixels if codec else 1
        most = max(1, min(most, -(-len(indices) // torch.get_num_threads())))
        for start in range(0, len(indices), most):
            yield codec, indices[start : start + most]


def _codec(file: OpenedFile) -> Codec | None:
    """The file's codec; None for files of other software, which are decoded one by one."""
    return get_codec(file.codec) if file.codec in names() else None


def _pixels(file: OpenedFile) -> int:
    height, width, _ = file.shape
    return height * width


def _samples(file: OpenedFile) -> int:
    return _pixels(file) * file.shape[2]
