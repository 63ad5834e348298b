"""Compressed files opened, whole or in parts, and trimmed: whatever the codec, wherever they are."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import cast

from wavelic.api.buffers import BytesLike, FileLike, bytes_of
from wavelic.codec.opened import OpenedFile, Region
from wavelic.codec.registry import recognize
from wavelic.container import DEFAULT_LIMITS, Limits, peek_codec, read_header
from wavelic.errors import FormatError, ImageError, UnsupportedError
from wavelic.remote import DEFAULT_POLICY, Policy, open_source
from wavelic.remote.opening import is_url

_START = 1024  # bytes from which a file is recognized


def open_file(source: FileLike, limits: Limits = DEFAULT_LIMITS, *, allow_partial: bool = False) -> OpenedFile:
    """Open a compressed file and verify its checksums; its content says which codec it is of.

    What is returned may be used in a ``with`` statement, which closes it.

    Args:
        source: the file's bytes or another buffer, its path, a binary stream, which is read to its end, or a URL
            (https, s3, zip, ...), which is read in parts as far as needed.
        limits: what may be spent on it.
        allow_partial: accept a JPEG 2000 file that was cut short, with the whole layers that are there; see
            ``info["whole_layers"]``.

    Raises:
        ImageError: the file cannot be read.
        FormatError, ChecksumError, LimitError: it is of no codec that is installed, or not sound.
        UsageError: ``source`` is none of these.

    Examples:
        >>> import numpy as np, wavelic
        >>> data = wavelic.encode(np.zeros((40, 60, 3), np.uint8), "lifting")
        >>> with wavelic.open(data) as file:
        ...     file.codec, file.levels, file.level_dimensions[1], file.read(reduce=1, region=(8, 0, 5, 9)).shape
        ('lifting', 5, (30, 20), (5, 3, 3))
    """
    if is_url(source):
        return open_url(str(source), limits, allow_partial=allow_partial)
    is_path = isinstance(source, str | os.PathLike)
    data = read_file(cast("str", source), limits) if is_path else bytes_of(cast("BytesLike", source))
    codec = recognize(data[:_START])
    if codec is None:
        raise _unrecognized(data, limits)
    return codec.open(data, limits, allow_partial=allow_partial)


def open_url(
    url: str | os.PathLike[str] | bytes,
    limits: Limits = DEFAULT_LIMITS,
    *,
    allow_partial: bool = False,
    policy: Policy = DEFAULT_POLICY,
) -> OpenedFile:
    """Open a file that lies elsewhere, reading as little of it as its format allows.

    Args:
        url: where it is; a path or bytes are read in the same way.
        limits: as in `open_file`.
        allow_partial: as in `open_file`.
        policy: how often and how much is fetched.

    Raises:
        SourceError: the bytes cannot be had.
        MissingDependencyError: a library for this kind of URL is not installed.
        FormatError, ChecksumError, LimitError: as in `open_file`.
    """
    source = open_source(url, policy)
    start = source.read(0, _START)
    codec = recognize(start)
    if codec is None:
        raise _unrecognized(start, limits)
    return codec.open_source(source, limits, allow_partial=allow_partial)


def open_within(
    where: str | os.PathLike[str] | bytes,
    max_bytes: int,
    reduce: int = 0,
    region: Region | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[OpenedFile, int]:
    """Open a file in quality layers to read at most so many of its bytes.

    Args:
        where: path, URL or bytes.
        max_bytes: what opening and one read may fetch together.
        reduce: of that read, as in `OpenedFile.read`.
        region: of that read.
        limits: what may be spent on the file.

    Returns:
        The file, and with how many layers to read it.

    Raises:
        UsageError: the first layer takes more, or the file has none that can be read apart.
        SourceError: the file can only be read as a whole, and that is more; or its bytes cannot be had.
        FormatError, ChecksumError, LimitError: as in `open_url`.
    """
    policy = replace(DEFAULT_POLICY, max_bytes=max_bytes)  # also where the format makes it read the whole file
    file = open_url(where, limits, policy=policy)
    source = getattr(file, "source", None)
    return file, file.layers_within(max_bytes - (source.bytes_read if source else 0), reduce, region)


def trim(
    data: BytesLike, *, max_layers: int | None = None, bpp: float | None = None, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """Drop the last quality layers of a file; nothing is decoded.

    Args:
        data: the file.
        max_layers: layers to keep at most; None: as many as ``bpp`` admits.
        bpp: bits per pixel of the new file at most; None: no bound.
        limits: what may be spent on the file.

    Raises:
        UsageError: files of this codec have no layers, or not even one is admitted.
        FormatError: the file is damaged, of no codec that is installed, or does not say where its layers are.
    """
    data = bytes_of(data)
    codec = recognize(data[:_START])
    if codec is None:
        raise _unrecognized(data, limits)
    return codec.trim(data, max_layers, bpp, limits)


def read_file(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the bytes of a compressed file; what is none of ours is refused before the rest of it is read.

    Args:
        path: where it is.
        limits: what may be spent on it; compared with the header of a `.wlic` file.

    Raises:
        ImageError: the file cannot be read.
        FormatError, LimitError: it is of no codec that is installed, or too large.
    """
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(_START)
            if recognize(start) is None:
                raise _unrecognized(start, limits)
            if peek_codec(start) is not None:
                read_header(start, limits)
            return start + stream.read()
    except OSError as error:
        raise ImageError(
            f"{os.fspath(path)} cannot be read ({error.strerror}); check the name and permissions"
        ) from error


def _unrecognized(start: bytes, limits: Limits) -> FormatError:
    """Say what is wrong with a file that no codec recognizes: by its start, it is a bad `.wlic` file, or a strange one.

    Raises FormatError, ChecksumError or LimitError itself, where reading it as a `.wlic` file says more.
    """
    header = read_header(start, limits)
    return UnsupportedError(
        f"the file is of codec number {header.codec}, which is not installed; upgrade wavelic, or install the package"
        " that brings it"
    )
