"""The viewer's files, read once and kept."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

from wavelic.serving.refusal import Refusal

_TYPES = {
    "index.html": "text/html",
    "viewer.js": "text/javascript",
    "viewer.css": "text/css",
    "openseadragon.min.js": "text/javascript",
    "openseadragon.LICENSE": "text/plain",
    "icon.svg": "image/svg+xml",
}
_EMPTY = base64.b64encode(hashlib.sha256(b"").digest()).decode()
#: The page takes everything from this server and runs no script but its own.  The empty style element is viewer.js's,
#: which keeps OpenSeadragon from adding one with content.
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{_EMPTY}'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class Assets:
    """Answers for the files of the page."""

    def __init__(self) -> None:
        folder = resources.files("wavelic.serving") / "assets"
        self._files = {name: (folder / name).read_bytes() for name in _TYPES}
        self._tags = {name: f'"{hashlib.sha256(data).hexdigest()[:32]}"' for name, data in self._files.items()}

    def answer(self, name: str, request: Request) -> Response:
        """The file ``name``, or 304 if the client has it.  Raises Refusal (404) if there is none."""
        if name not in self._files:
            raise Refusal(404, "no such file")
        headers = {
            "ETag": self._tags[name],
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "same-origin",
        }
        if request.headers.get("if-none-match") == self._tags[name]:
            return Response(None, 304, headers)
        return Response(self._files[name], 200, headers, media_type=_TYPES[name])
