"""The viewer's files, read once and kept, compressed and as they are.

The page names its scripts and styles by their content, ``viewer/viewer.4f0c….js``, so that a browser may keep each for
ever and fetches only what has changed.  The page itself is asked for anew every time.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response

from wavelic.serving.answers import accepts_gzip
from wavelic.serving.refusal import Refusal

_PAGE = "index.html"
_TYPES = {
    _PAGE: "text/html",
    "library.js": "text/javascript",
    "stage.js": "text/javascript",
    "counts.js": "text/javascript",
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
_FOR_EVER, _ASK = "public, max-age=31536000, immutable", "no-cache"


@dataclass(frozen=True)
class _Asset:
    data: bytes
    media_type: str
    lifetime: str

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:16]

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.data, 9, mtime=0)


class Assets:
    """Answers for the files of the page."""

    def __init__(self) -> None:
        folder = resources.files("wavelic.serving") / "assets"
        self._assets: dict[str, _Asset] = {}
        page = (folder / _PAGE).read_bytes()
        for name, media_type in _TYPES.items():
            if name == _PAGE:
                continue
            asset = _Asset((folder / name).read_bytes(), media_type, _ASK)
            path = PurePosixPath(name)
            hashed = f"{path.stem}.{asset.digest}{path.suffix}"
            page = page.replace(b'"viewer/%s"' % name.encode(), b'"viewer/%s"' % hashed.encode())
            self._assets[name] = asset
            self._assets[hashed] = _Asset(asset.data, media_type, _FOR_EVER)
        self._assets[_PAGE] = _Asset(page, _TYPES[_PAGE], _ASK)

    def answer(self, name: str, request: Request) -> Response:
        """Answer with a file.

        Args:
            name: of the file, with or without its hash.
            request: whether it takes gzip, and which state of the file the client has.

        Returns:
            The file, or 304 if the client has it.

        Raises:
            Refusal: 404, there is none of that name.
        """
        asset = self._assets.get(name)
        if asset is None:
            raise Refusal(404, "no such file")
        small = accepts_gzip(request)
        headers = {
            "ETag": f'"{asset.digest}{"-gzip" if small else ""}"',
            "Cache-Control": asset.lifetime,
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "same-origin",
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(None, 304, headers)
        if small:
            headers["Content-Encoding"] = "gzip"
        return Response(asset.compressed if small else asset.data, 200, headers, media_type=asset.media_type)
