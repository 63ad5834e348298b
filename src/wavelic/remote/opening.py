"""From a name to a source."""

from __future__ import annotations

import os
import re

from wavelic.remote.policy import DEFAULT_POLICY, Policy
from wavelic.remote.source import BytesSource, FileSource, Source

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|:)")  # two letters at least: one is a drive


def is_url(name: object) -> bool:
    """Whether ``name`` is a URL, or a chain of them as fsspec writes it.

    Examples:
        >>> [is_url(name) for name in ("https://example.org/a.jp2", "zip://a.jp2::s3://bucket/b.zip", "C:/a.jp2", "a:b")]
        [True, True, False, False]
    """
    return isinstance(name, str) and _URL.match(name) is not None


def open_source(where: str | os.PathLike[str] | bytes, policy: Policy = DEFAULT_POLICY) -> Source:
    """A source for bytes, a local path or a URL.

    http and https need nothing beyond Python; every other scheme (s3, gs, zip, ...) goes through fsspec and the package
    fsspec names for it.  Raises SourceError if it cannot be opened, MissingDependencyError without fsspec.
    """
    if isinstance(where, bytes):
        return BytesSource(where, policy=policy)
    name = os.fspath(where)
    if not is_url(name):
        return FileSource(name, policy)
    if name.lower().startswith(("http://", "https://")) and "::" not in name:
        from wavelic.remote.http import HttpSource

        return HttpSource(name, policy)
    from wavelic.remote.filesystem import FilesystemSource

    return FilesystemSource(name, policy)
