"""Choice of a source by the name of the file."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, urlsplit, urlunsplit

from wavelic.errors import SourceError
from wavelic.remote.policy import DEFAULT_POLICY, Policy
from wavelic.remote.source import BytesSource, FileSource, Source

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//|:)")  # two letters at least: one is a drive


def is_url(name: object) -> bool:
    """Whether a name is a URL, or a chain of them as fsspec writes it.

    Args:
        name: anything; only strings can be URLs.

    Returns:
        True for a URL.

    Examples:
        >>> is_url("https://example.org/a.jp2"), is_url("zip://a.jp2::s3://bucket/b.zip")
        (True, True)
        >>> is_url("C:/a.jp2"), is_url("a:b")
        (False, False)
    """
    return isinstance(name, str) and _URL.match(name) is not None


def ascii_url(url: str) -> str:
    """Return an address as it is sent: names of other letters and spaces percent-encoded, hosts by IDNA.

    Args:
        url: an address of http or https, as people write it; what is encoded already stays as it is.

    Raises:
        SourceError: its host cannot be written in ASCII.

    Examples:
        >>> ascii_url("https://example.org/caf\u00e9 1.jp2?a=%20b")
        'https://example.org/caf%C3%A9%201.jp2?a=%20b'
    """
    parts = urlsplit(url)
    host = parts.netloc
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise SourceError(f"{url}: its host {host} is no name of the net ({error}); check the address") from error
    kept = "%/:=&?~#+!$,;'@()*[]"
    return urlunsplit((parts.scheme, host, quote(parts.path, kept), quote(parts.query, kept), ""))


def open_source(where: str | os.PathLike[str] | bytes, policy: Policy = DEFAULT_POLICY) -> Source:
    """Open bytes, a local file or a URL for reading by ranges.

    http and https need nothing beyond Python; every other scheme (s3, gs, zip, ...) goes through fsspec and the package
    that fsspec names for it.

    Args:
        where: the bytes, a path, or an address.
        policy: bounds of remote reads.

    Returns:
        The source; a context manager that closes it.

    Raises:
        SourceError: it cannot be opened.
        MissingDependencyError: the address needs a package that is not installed.
    """
    if isinstance(where, bytes):
        return BytesSource(where, policy=policy)
    name = os.fspath(where)
    if not is_url(name):
        return FileSource(name, policy)
    if name.lower().startswith(("http://", "https://")) and "::" not in name:
        from wavelic.remote.http import HttpSource

        return HttpSource(ascii_url(name), policy)
    from wavelic.remote.filesystem import FilesystemSource

    return FilesystemSource(name, policy)
