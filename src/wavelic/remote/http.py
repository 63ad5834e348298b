"""Byte ranges from a web server (RFC 9110 section 14), with the standard library alone.

Every answer must come from the same version of the file as the first: same length and, where the server states them,
same ETag and date.  What was received before a connection broke is kept, and the rest asked for again.

fsspec's HTTPFileSystem was tried in its place: it needs a request more to open a file and one more for each read to see
whether it changed, does not resume, and takes the whole answer of a server without ranges for the range.
"""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import Message
from typing import Any

from wavelic.errors import SourceError
from wavelic.remote.policy import DEFAULT_POLICY, Policy, RangeWarning
from wavelic.remote.source import Source, Span

#: Bytes asked for on opening: as a rule all headers of a compressed file.
HEAD_BYTES = 1 << 13
_BLOCK = 1 << 16
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_TROUBLE = (OSError, http.client.HTTPException)  # URLError and timeouts are OSErrors


@dataclass(frozen=True)
class _Version:
    """Identity of the content of a URL at one time."""

    size: int
    etag: str | None
    modified: str | None


class HttpSource(Source):
    """File on a web server.  Opening it fetches its first 8 KiB, which later reads of them reuse.

    Args:
        url: the address, http or https.
        policy: bounds of a read.

    Raises:
        SourceError: no answer, or one that is not a file.
    """

    def __init__(self, url: str, policy: Policy = DEFAULT_POLICY) -> None:
        super().__init__(policy)
        self.name = url
        self._opener = urllib.request.build_opener()
        self._whole: bytes | None = None
        self._version: _Version | None = None
        self._head = b""
        head = self._get((0, HEAD_BYTES))
        assert self._version is not None
        self.size = self._version.size
        self._head = head[: self.size]
        self.kept = len(self._head) if self._whole is None else self.size

    def _fetch(self, spans: list[Span]) -> list[bytes]:
        cached = len(self._head)
        missing = [(max(start, cached), stop) for start, stop in spans if stop > cached] if self._whole is None else []
        if len(missing) > 1:
            with ThreadPoolExecutor(min(self.policy.connections, len(missing))) as pool:
                fetched = list(pool.map(self._get, missing))
        else:
            fetched = [self._get(span) for span in missing]
        if self._whole is not None:  # perhaps only since one of these requests
            return [self._whole[start:stop] for start, stop in spans]
        pieces = iter(fetched)
        return [self._head[start:stop] + (next(pieces) if stop > cached else b"") for start, stop in spans]

    def _get(self, span: Span) -> bytes:
        """Read one range, in as many attempts as the policy allows."""
        received = bytearray()
        end = time.monotonic() + self.policy.deadline
        reason = ""
        for attempt in range(self.policy.attempts):
            if attempt:
                time.sleep(min(self.policy.pause * 2 ** (attempt - 1), max(0.0, end - time.monotonic())))
            if attempt and time.monotonic() >= end:
                break
            try:
                self._attempt(span, received, end)
                return bytes(received) if self._whole is None else self._whole[span[0] : span[1]]
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _RETRIED:
                        raise SourceError(f"{self.name}: {_status(error)}; check the address") from error
                    reason = _status(error)
            except _TROUBLE as error:
                reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
        raise SourceError(f"{self.name}: no complete answer in {attempt + 1} attempts ({reason}); try again later")

    def _attempt(self, span: Span, received: bytearray, end: float) -> None:
        """Request what is missing of ``span``; ``received`` grows by what arrives."""
        start, stop = span[0] + len(received), span[1]
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity", "User-Agent": "wavelic"}
        request = urllib.request.Request(self.name, headers=headers)
        self._count(0, 1)
        with self._opener.open(request, timeout=self.policy.timeout) as response:
            if response.status == 206:
                first, last, size = self._content_range(response.headers)
                self._same_version(response.headers, size)
                if first != start or last != min(stop, size) - 1:
                    raise SourceError(f"{self.name}: bytes {first}-{last} sent, not {start}-{stop - 1}; try again")
                self._receive(response, last + 1 - first, received, end)
            elif response.status == 200:
                self._take_whole(response, end)
            else:
                raise SourceError(f"{self.name}: status {response.status}; check the address")

    def _content_range(self, headers: Message) -> tuple[int, int, int]:
        match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if match is None:
            raise SourceError(f"{self.name}: the server sent a range without saying which; download the file first")
        first, last, size = (int(group) for group in match.groups())
        return first, last, size

    def _same_version(self, headers: Message, size: int) -> None:
        version = _Version(size, headers.get("ETag"), headers.get("Last-Modified"))
        with self._lock:
            if self._version is None:
                self._version = version
            elif version != self._version:
                raise SourceError(f"{self.name} changed while it was read (now {version.size} bytes); open it again")

    def _receive(self, response: Any, count: int, received: bytearray, end: float) -> None:
        """Append ``count`` bytes of the answer; raise an OSError if fewer come or time is up."""
        while count:
            if time.monotonic() > end:
                raise TimeoutError(f"not finished within {self.policy.deadline:g} s")
            block = response.read1(min(count, _BLOCK))
            if not block:
                raise ConnectionError(f"the answer ended {count} bytes early")
            self._count(len(block))
            received += block
            count -= len(block)

    def _take_whole(self, response: Any, end: float) -> None:
        """Keep all that a server which ignores ranges sends."""
        stated = response.headers.get("Content-Length")
        size = int(stated) if stated and stated.isdigit() else None
        if size is not None and size > self.policy.max_bytes:
            raise SourceError(f"{self.name}: {size} bytes and no ranges, above max_bytes={self.policy.max_bytes}")
        whole = bytearray()
        if size is not None:
            self._receive(response, size, whole, end)
        else:
            while block := response.read1(_BLOCK):
                self._count(len(block))
                whole += block
                if len(whole) > self.policy.max_bytes:
                    raise SourceError(f"{self.name}: more than max_bytes={self.policy.max_bytes} and no ranges")
                if time.monotonic() > end:
                    raise TimeoutError(f"not finished within {self.policy.deadline:g} s")
        self._same_version(response.headers, len(whole))
        self._whole = bytes(whole)
        self.kept = len(self._whole)
        warnings.warn(f"{self.name}: the server does not serve ranges, all {len(whole)} bytes were read",
                      RangeWarning, stacklevel=2)  # fmt: skip


def _status(error: urllib.error.HTTPError) -> str:
    return f"status {error.code} {error.reason}"
