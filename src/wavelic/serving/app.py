"""The ASGI application: routes by the path as it was sent, because identifiers contain escaped slashes.

- ``/`` the viewer, ``/viewer/NAME`` its scripts and styles
- ``/iiif/3/ID/info.json`` and ``/iiif/3/ID/REGION/SIZE/ROTATION/QUALITY.FORMAT``: IIIF Image API 3.0, level 2
- ``/iiif/3;layers=N;decode=stock/ID/...`` the same with fewer quality layers, or without the learned synthesis
- ``/iiif/manifest.json`` IIIF Presentation 3.0 manifest of the folder
- ``/api/images``, ``/api/images/ID`` what the viewer lists
- ``/api/ranges/ID/TILES`` which bytes of the file tiles are decoded from
- ``/healthz`` state of the server
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from wavelic import __version__
from wavelic.errors import WavelicError
from wavelic.serving.assets import Assets
from wavelic.serving.documents import (
    IMAGE_CONTEXT,
    MAX_CANVASES,
    PRESENTATION_CONTEXT,
    PROFILE,
    details,
    image_information,
    manifest,
    service_path,
)
from wavelic.serving.refusal import Refusal
from wavelic.serving.request import FORMATS, SizeLimits, parse_request
from wavelic.serving.site import Entry, Site, Tile, public_message
from wavelic.serving.source import Facts, Variant, warm_up
from wavelic.serving.workers import ClientGone, Workers

log = logging.getLogger("wavelic.serving")
access_log = logging.getLogger("wavelic.serving.access")

_METHODS = "GET, HEAD, OPTIONS"
_SERVICE = re.compile(r"3((?:;[a-z]+=[a-z0-9]{1,9}){0,2})", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?", re.ASCII)
_ALWAYS = {"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}
_EXPOSED = {"Access-Control-Expose-Headers": "Link, ETag"}
_PREFLIGHT = {
    "Allow": _METHODS,
    "Access-Control-Allow-Methods": _METHODS,
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}
_TILE = re.compile(r"(s?)(\d{1,5})\.(\d{1,2})\.(\d{1,5})\.(\d{1,5})", re.ASCII)
#: Tiles that one request for their ranges may name.
MAX_TILES = 64
_CLIENT_GONE = 499  # in the log only


@dataclass(frozen=True)
class Settings:
    """How to answer.

    limits: on the size of an image.  base_url: of the server as clients see it, None: from the request's Host.
    max_age: seconds an answer may be reused without asking again.  workers, queue: decoding threads and waiting jobs.
    """

    limits: SizeLimits = field(default_factory=SizeLimits)
    base_url: str | None = None
    max_age: int = 3600
    workers: int = 2
    queue: int = 128


class Application:
    """ASGI application over a `Site`."""

    def __init__(self, site: Site, settings: Settings | None = None) -> None:
        self.site = site
        self.settings = settings or Settings()
        self.workers = Workers(self.settings.workers, self.settings.queue)
        self.assets = Assets()
        self.started = time.monotonic()
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI event: a request, or the start and end of the server."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.workers.submit(warm_up)
            if message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self.workers.close)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, sent, status = time.perf_counter(), 0, _CLIENT_GONE
        self.requests += 1

        async def counted(message: Message) -> None:
            nonlocal sent, status
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            response = await self._answer(Request(scope, receive), receive)
            for name, value in _ALWAYS.items():
                response.headers.setdefault(name, value)
            await response(scope, receive, counted)
        except ClientGone:
            pass
        except Exception:
            log.exception("a fault of the server")
            if status == _CLIENT_GONE:
                await _plain(500, "a fault of the server; its log says more", dict(_ALWAYS))(scope, receive, counted)
        finally:
            milliseconds = 1000 * (time.perf_counter() - began)
            client = scope["client"][0] if scope.get("client") else "-"
            target = scope["raw_path"].decode("ascii", "backslashreplace")
            access_log.info('%s "%s %s" %d %d %.1f', client, scope["method"], target, status, sent, milliseconds)

    async def _answer(self, request: Request, receive: Receive) -> Response:
        try:
            if request.method == "OPTIONS":
                return Response(None, 204, _PREFLIGHT)
            if request.method not in ("GET", "HEAD"):
                return _plain(405, f"use {_METHODS}", {"Allow": _METHODS})
            return await self._route(request, receive)
        except Refusal as refusal:
            again = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
            return _plain(refusal.status, str(refusal), again)

    async def _route(self, request: Request, receive: Receive) -> Response:
        raw = request.scope["raw_path"].decode("ascii", "replace").split("/")[1:]
        try:
            parts = [unquote(part, errors="strict") for part in raw]
        except UnicodeDecodeError as error:
            raise Refusal(400, "the path is not UTF-8") from error
        match parts:
            case [""]:
                return self.assets.answer("index.html", request)
            case ["viewer", name]:
                return self.assets.answer(name, request)
            case ["healthz"]:
                return self._health()
            case ["api", "images"]:
                return await self._list()
            case ["api", "images", identifier]:
                return await self._details(identifier, receive)
            case ["api", "ranges", identifier, tiles]:
                return await self._ranges(identifier, parse_tiles(tiles), receive)
            case ["iiif", "manifest.json"]:
                return await self._manifest(request)
            case ["iiif", service, *_] if found := _SERVICE.fullmatch(service):
                return await self._image_service(request, receive, _variant(found[1]), parts[2:])
        raise Refusal(404, "nothing is here; the viewer is at /")

    async def _image_service(self, request: Request, receive: Receive, variant: Variant, parts: list[str]) -> Response:
        match parts:
            case [identifier] | [identifier, ""]:
                entry = await asyncio.to_thread(self.site.locate, identifier)
                url = self._base(request) + service_path(entry.identifier, variant) + "/info.json"
                return RedirectResponse(url, 303)
            case [identifier, "info.json"]:
                return await self._information(request, variant, identifier)
            case [identifier, region, size, rotation, last]:
                wanted = parse_request(region, size, rotation, last)
                entry, facts = await self._open(identifier)
                image = wanted.resolve(facts.size, self.settings.limits, gray=facts.gray)
                path = f"{service_path(entry.identifier, variant.of(facts))}/{image.canonical}"
                headers = self._headers(entry, path) | _EXPOSED
                headers["Link"] = f'<{self._base(request)}{path}>;rel="canonical", <{PROFILE}>;rel="profile"'
                if _matches(request, headers["ETag"]):
                    return Response(None, 304, headers)
                type_ = FORMATS[image.format]
                if request.method == "HEAD":
                    response = Response(None, 200, headers, media_type=type_)
                    del response.headers["content-length"]  # known only after decoding
                    return response
                body = await self._work(lambda: self.site.render(entry, variant, image), entry, receive)
                return Response(body, 200, headers, media_type=type_)
        raise Refusal(404, "no such image; a slash in its name is written %2F")

    async def _information(self, request: Request, variant: Variant, identifier: str) -> Response:
        entry, facts = await self._open(identifier)
        service = self._base(request) + service_path(entry.identifier, variant)
        headers = self._headers(entry, service + "/info.json", self._base(request), request.headers.get("accept", ""))
        headers |= {"Vary": "Accept", "Link": f'<{PROFILE}>;rel="profile"'} | _EXPOSED
        if _matches(request, headers["ETag"]):
            return Response(None, 304, headers)
        linked = "application/ld+json" in request.headers.get("accept", "")
        type_ = f'application/ld+json;profile="{IMAGE_CONTEXT}"' if linked else "application/json"
        document = image_information(service, facts, self.settings.limits)
        return JSONResponse(document, headers=headers, media_type=type_)

    async def _manifest(self, request: Request) -> Response:
        def made() -> tuple[list[tuple[str, Facts]], int]:
            names, _ = self.site.identifiers()
            images = []
            for name in names[:MAX_CANVASES]:
                try:
                    images.append((name, self.site.facts(self.site.locate(name))))
                except (WavelicError, OSError):
                    continue
            return images, len(names) - len(images)

        images, left_out = await asyncio.to_thread(made)
        document = manifest(self._base(request), self.site.root.name, images, left_out, self.settings.limits)
        type_ = f'application/ld+json;profile="{PRESENTATION_CONTEXT}"'
        return JSONResponse(document, headers={"Cache-Control": "no-cache"}, media_type=type_)

    async def _list(self) -> Response:
        names, complete = await asyncio.to_thread(self.site.identifiers)
        document = {"folder": self.site.root.name, "images": names, "complete": complete}
        return JSONResponse(document, headers={"Cache-Control": "no-cache"})

    async def _details(self, identifier: str, receive: Receive) -> Response:
        entry, facts = await self._open(identifier)
        sizes = await self._work(lambda: self.site.layer_bytes(entry), entry, receive)
        return JSONResponse(details(entry.identifier, facts, sizes), headers={"Cache-Control": "no-cache"})

    async def _ranges(self, identifier: str, tiles: list[Tile], receive: Receive) -> Response:
        entry, facts = await self._open(identifier)
        ranges = await self._work(lambda: self.site.ranges(entry, tiles), entry, receive)
        return JSONResponse({"bytes": facts.bytes, "ranges": ranges}, headers={"Cache-Control": "no-cache"})

    def _health(self) -> Response:
        document = {
            "status": "ok",
            "version": __version__,
            "uptime_s": round(time.monotonic() - self.started, 1),
            "requests": self.requests,
            "jobs": self.workers.jobs,
            "cache": vars(self.site.cache.state),
        }
        return JSONResponse(document, headers={"Cache-Control": "no-store"})

    async def _open(self, identifier: str) -> tuple[Entry, Facts]:
        entry = await asyncio.to_thread(self.site.locate, identifier)
        try:
            return entry, await asyncio.to_thread(self.site.facts, entry)
        except Refusal:
            raise
        except (WavelicError, OSError) as error:
            raise _broken(error, entry) from error

    async def _work(self, job: Callable[[], Any], entry: Entry, receive: Receive) -> Any:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        try:
            return await self.workers.run(job, gone)
        except Refusal:
            raise
        except (WavelicError, OSError) as error:
            raise _broken(error, entry) from error

    def _base(self, request: Request) -> str:
        if self.settings.base_url is not None:
            return self.settings.base_url
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise Refusal(400, "the Host header is missing or wrong")
        return f"{request.scope['scheme']}://{host}"

    def _headers(self, entry: Entry, *what: str) -> dict[str, str]:
        """ETag and lifetime of an answer made of one file; weak, since a window may be decoded in other company."""
        digest = hashlib.sha256(repr((entry.key[1:], what, __version__)).encode()).hexdigest()
        return {"ETag": f'W/"{digest[:32]}"', "Cache-Control": f"public, max-age={self.settings.max_age}"}


def _variant(options: str) -> Variant:
    """The matrix parameters of a service path.  Raises Refusal (400) for others than layers and decode."""
    layers, stock, seen = None, False, set()
    for option in options.split(";")[1:]:
        name, _, value = option.partition("=")
        if name == "layers" and value.isdigit() and int(value) >= 1 and name not in seen:
            layers = int(value)
        elif name == "decode" and value == "stock" and name not in seen:
            stock = True
        else:
            raise Refusal(400, "the service is /iiif/3 with ;layers=N, N at least 1, and ;decode=stock or without")
        seen.add(name)
    return Variant(layers, stock)


def parse_tiles(text: str) -> list[Tile]:
    """``LAYERS.HALVED.COLUMN.ROW,...``, layers 0 for all, or with an ``s`` in front the stock decode.

    Raises Refusal (400) for anything else.

    >>> parse_tiles("0.2.5.3,s1.0.0.0")
    [(Variant(layers=None, stock=False), 2, 5, 3), (Variant(layers=1, stock=True), 0, 0, 0)]
    """
    items = text.split(",")
    found = [_TILE.fullmatch(item) for item in items[:MAX_TILES]]
    if len(items) > MAX_TILES or not all(found):
        raise Refusal(400, f"expected up to {MAX_TILES} tiles, layers.halved.column.row, as in 0.2.5.3,0.2.6.3")
    tiles = []
    for match in found:
        assert match
        layers, reduce, column, row = (int(group) for group in match.groups()[1:])
        tiles.append((Variant(layers or None, bool(match[1])), reduce, column, row))
    return tiles


def _matches(request: Request, tag: str) -> bool:
    wanted = request.headers.get("if-none-match", "")
    return wanted.strip() == "*" or tag.removeprefix("W/") in [t.strip().removeprefix("W/") for t in wanted.split(",")]


def _plain(status: int, message: str, headers: dict[str, str]) -> Response:
    return Response(message + "\n", status, headers | {"Cache-Control": "no-store"}, media_type="text/plain")


def _broken(error: Exception, entry: Entry) -> Refusal:
    log.warning("%s: %s", quote(entry.identifier), error)
    return Refusal(500, public_message(error, entry))
