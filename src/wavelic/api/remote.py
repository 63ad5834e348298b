"""Opening files that are read in parts, whatever their format."""

from __future__ import annotations

import os

from wavelic import container
from wavelic.api.remote_wlic import open_ranged_wlic
from wavelic.codec.opened import OpenedFile, Region
from wavelic.errors import UsageError
from wavelic.jpeg2000 import DEFAULT_LIMITS, Limits, is_jpeg2000
from wavelic.lifting.jp2.file import Jp2File
from wavelic.lifting.jp2.opening import open_in_parts, open_jp2
from wavelic.remote import DEFAULT_POLICY, Policy, open_source


def open_url(
    url: str,
    limits: container.Limits = container.DEFAULT_LIMITS,
    jpeg2000_limits: Limits = DEFAULT_LIMITS,
    *,
    allow_partial: bool = False,
    policy: Policy = DEFAULT_POLICY,
) -> OpenedFile:
    """Open a file that is to be read in parts: JPEG 2000 by packets, a `.wlic` file by tiles.

    Args:
        url: where it is.
        limits: for a `.wlic` file.
        jpeg2000_limits: for a JPEG 2000 file.
        allow_partial: accept a JPEG 2000 file that was cut short.
        policy: of the network.

    Raises:
        SourceError: the bytes cannot be had.
        MissingDependencyError: a library for the URL is missing.
        FormatError, ChecksumError, LimitError: the file is not sound.
    """
    source = open_source(url, policy)
    if is_jpeg2000(source.read(0, 12)):
        return open_jp2(source, jpeg2000_limits, allow_partial=allow_partial)
    return open_ranged_wlic(source, limits)


def open_within(
    where: str | os.PathLike[str] | bytes, max_bytes: int, reduce: int = 0, region: Region | None = None
) -> tuple[Jp2File, int]:
    """Open a JPEG 2000 file and find the most layers for which a number of bytes suffices.

    Args:
        where: URL, path or bytes of the file.
        max_bytes: that opening and the read together may fetch.
        reduce: of the read.
        region: of the read.

    Returns:
        The file, and the number of layers.

    Raises:
        UsageError: the file cannot be read in parts, or the first layer takes more.
        SourceError: the bytes cannot be had.
    """
    source = open_source(where)
    if not is_jpeg2000(source.read(0, 12)):
        raise UsageError(f"{source.name} is no JPEG 2000 file, and only these have layers; leave out max_bytes")
    file = open_in_parts(source)
    if file is None:
        raise UsageError(f"{source.name} cannot be read in parts: no packet lengths, or cut short; leave out max_bytes")
    return file, file.layers_within(max_bytes - source.bytes_read, reduce, region)
