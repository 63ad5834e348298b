"""Byte ranges through fsspec: s3, gs, zip members, and chains of those."""

from __future__ import annotations

from typing import Any

from wavelic.errors import MissingDependencyError, SourceError
from wavelic.remote.policy import DEFAULT_POLICY, Policy
from wavelic.remote.source import Source, Span

_IDENTITIES = ("size", "ETag", "etag", "mtime", "LastModified", "updated", "generation", "CRC", "ino")


class FilesystemSource(Source):
    """File on any file system that fsspec knows.

    After every read its size and whatever else identifies its content are compared with those at the start.

    Args:
        url: the address, as fsspec writes it.
        policy: bounds of a read.

    Raises:
        SourceError: the file cannot be opened.
        MissingDependencyError: fsspec, or the package that it needs for this address, is not installed.
    """

    def __init__(self, url: str, policy: Policy = DEFAULT_POLICY) -> None:
        super().__init__(policy)
        self.name = url
        try:
            import fsspec
        except ImportError as error:
            raise MissingDependencyError(f"{url} needs fsspec; pip install 'wavelic[remote]'") from error
        try:
            self._system, self._path = fsspec.core.url_to_fs(url)
            self._state = self._look()
        except ImportError as error:
            raise MissingDependencyError(f"{url}: {error}; install that package") from error
        except SourceError:
            raise
        except Exception as error:  # every file system has errors of its own
            raise SourceError(f"{url} cannot be opened ({_one_line(error)}); check address and credentials") from error
        self.size = int(self._state["size"])

    def _look(self) -> dict[str, Any]:
        self._system.invalidate_cache()
        info = self._system.info(self._path)
        if info.get("type") != "file" or info.get("size") is None:
            raise SourceError(f"{self.name} is no file of known size; download it first")
        return {key: info[key] for key in _IDENTITIES if key in info}

    def _fetch(self, spans: list[Span]) -> list[bytes]:
        starts, stops = zip(*spans, strict=True) if spans else ((), ())
        try:
            paths = [self._path] * len(spans)
            blocks = self._system.cat_ranges(paths, list(starts), list(stops), on_error="raise")
            state = self._look()
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(f"{self.name} cannot be read ({_one_line(error)}); try again") from error
        if state != self._state:
            raise SourceError(f"{self.name} changed while it was read; open it again")
        self._count(sum(map(len, blocks)), len(blocks))
        return [bytes(block) for block in blocks]


def _one_line(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):  # its text is a path, or whatever the service answered
        return "it does not exist"
    return " ".join(str(error).split())[:120] or type(error).__name__
