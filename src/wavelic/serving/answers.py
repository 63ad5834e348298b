"""Parts of HTTP answers: conditional requests, compressed text, errors of one line."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from wavelic import __version__
from wavelic.serving.site import Entry

#: Bytes of text from which it is compressed.
_COMPRESSED_FROM = 1000
_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?=,|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Stamp:
    """What tells one state of an answer from another.

    Attributes:
        tag: value of ``ETag``.
        modified: value of ``Last-Modified``.
    """

    tag: str
    modified: str

    @classmethod
    def of(cls, entry: Entry, *what: str) -> Stamp:
        """Stamp of an answer made of one file; weak, since a window may be decoded in other company.

        Args:
            entry: the file.
            what: all else that the answer depends on.
        """
        digest = hashlib.sha256(repr((entry.key[1:], what, __version__)).encode()).hexdigest()
        return cls(f'W/"{digest[:32]}"', formatdate(entry.modified // 10**9, usegmt=True))

    def headers(self, max_age: int) -> dict[str, str]:
        """Return the headers that let a client reuse the answer for ``max_age`` seconds, and ask for changes then."""
        lifetime = f"public, max-age={max_age}" if max_age else "no-cache"
        return {"ETag": self.tag, "Last-Modified": self.modified, "Cache-Control": lifetime}

    def is_known(self, request: Request) -> bool:
        """Whether the client says that it has this very state (RFC 9110, section 13).

        A date must be the one that was sent: a file may be replaced by one that is older.
        """
        tags = request.headers.get("if-none-match")
        if tags is None:
            return request.headers.get("if-modified-since") == self.modified
        tag = self.tag.removeprefix("W/")
        return tags.strip() == "*" or tag in [t.strip().removeprefix("W/") for t in tags.split(",")]


def accepts_gzip(request: Request) -> bool:
    """Whether the client takes gzip.

    Examples:
        >>> [bool(_GZIP.search(text)) for text in ("br, gzip", "gzip;q=0.5", "gzip;q=0", "identity", "x-gzip", "*")]
        [True, True, False, False, False, True]
    """
    return _GZIP.search(request.headers.get("accept-encoding", "")) is not None


def json_answer(
    request: Request, document: Any, headers: dict[str, str], media_type: str = "application/json"
) -> Response:
    """Answer with a document, compressed if that pays and the client takes it.

    Args:
        request: what is answered.
        document: of which JSON is made.
        headers: further headers.
        media_type: of the answer.
    """
    body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    vary = ", ".join(filter(None, [headers.get("Vary"), "Accept-Encoding"]))
    headers = headers | {"Vary": vary}
    if len(body) >= _COMPRESSED_FROM and accepts_gzip(request):
        body, headers = gzip.compress(body, 5, mtime=0), headers | {"Content-Encoding": "gzip"}
    return Response(body, 200, headers, media_type=media_type)


def plain(status: int, message: str, headers: dict[str, str]) -> Response:
    """Answer with one line that nobody keeps."""
    return Response(message + "\n", status, headers | {"Cache-Control": "no-store"}, media_type="text/plain")
