"""The ASGI application: routes by the path as it was sent, because identifiers contain escaped slashes.

- ``/`` the viewer, ``/viewer/NAME`` its scripts and styles
- ``/iiif/3/ID/info.json`` and ``/iiif/3/ID/REGION/SIZE/ROTATION/QUALITY.FORMAT``: IIIF Image API 3.0, level 2
- ``/iiif/2/ID/...`` the same for version 2.1
- ``/iiif/3;layers=N;decode=stock/ID/...`` the same with fewer quality layers, or decoded in another way
- ``/iiif/manifest.json`` IIIF Presentation 3.0 manifest of the folder
- ``/api/images``, ``/api/images/ID`` what the viewer lists
- ``/api/ranges/ID/TILES`` which bytes of the file tiles are decoded from
- ``/healthz`` state of the server, ``/metrics`` its counters
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from wavelic import __version__
from wavelic.errors import LimitError, ModelError, UnsupportedError, WavelicError
from wavelic.serving.answers import Stamp, json_answer, plain
from wavelic.serving.assets import Assets
from wavelic.serving.documents import (
    IMAGE_CONTEXT,
    MAX_CANVASES,
    PRESENTATION_CONTEXT,
    PROFILE,
    PROFILE_2,
    details,
    image_information,
    manifest,
    service_path,
)
from wavelic.serving.facts import Facts
from wavelic.serving.iiif2 import CONTEXT_2, image_information_2, in_canonical_form_2, parse_request_2
from wavelic.serving.metrics import Metrics
from wavelic.serving.paths import Service, parse_service, parse_tiles, split_identifier
from wavelic.serving.proxy import PREFIX, without_prefix
from wavelic.serving.refusal import Refusal
from wavelic.serving.request import FORMATS, Resolved, SizeLimits, parse_request
from wavelic.serving.site import Entry, Site, Tile, public_message
from wavelic.serving.source import warm_up
from wavelic.serving.workers import ClientGone, Workers

log = logging.getLogger("wavelic.serving")
access_log = logging.getLogger("wavelic.serving.access")

_METHODS = "GET, HEAD, OPTIONS"
_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?", re.ASCII)
_ALWAYS = {"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}
_EXPOSED = {"Access-Control-Expose-Headers": "Link, ETag, Last-Modified"}
_PREFLIGHT = {
    "Allow": _METHODS,
    "Access-Control-Allow-Methods": _METHODS,
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}
_CLIENT_GONE = 499  # in the log and the counters only
#: Errors that say a sound file cannot be shown here.
_NOT_HERE = (UnsupportedError, ModelError, LimitError)


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
        self.metrics = Metrics(site.cache, self.workers)
        self._prefix = urlsplit(self.settings.base_url or "").path.rstrip("/")

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

        scope["kind"] = "other"
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
                await plain(500, "a fault of the server; its log says more", dict(_ALWAYS))(scope, receive, counted)
        finally:
            seconds = time.perf_counter() - began
            self.metrics.count(scope["kind"], status, sent, seconds)
            client = scope["client"][0] if scope.get("client") else "-"
            target = scope["raw_path"].decode("ascii", "backslashreplace")
            access_log.info('%s "%s %s" %d %d %.1f', client, scope["method"], target, status, sent, 1000 * seconds)

    async def _answer(self, request: Request, receive: Receive) -> Response:
        try:
            if request.method == "OPTIONS":
                return Response(None, 204, _PREFLIGHT)
            if request.method not in ("GET", "HEAD"):
                return plain(405, f"use {_METHODS}", {"Allow": _METHODS})
            return await self._route(request, receive)
        except Refusal as refusal:
            again = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
            return plain(refusal.status, str(refusal), again)

    async def _route(self, request: Request, receive: Receive) -> Response:
        raw = request.scope["raw_path"].decode("ascii", "replace").split("/")[1:]
        try:
            parts = [unquote(part, errors="strict") for part in raw]
        except UnicodeDecodeError as error:
            raise Refusal(400, "the path is not UTF-8") from error
        parts = without_prefix(parts, self._prefix or self._forwarded_prefix(request))

        def of_kind(kind: str) -> Request:
            request.scope["kind"] = kind
            return request

        match parts:
            case [""]:
                return self.assets.answer("index.html", of_kind("viewer"))
            case ["viewer", name]:
                return self.assets.answer(name, of_kind("viewer"))
            case ["healthz"]:
                return self._health(of_kind("health"))
            case ["metrics"]:
                return self._metrics(of_kind("metrics"))
            case ["api", "images"]:
                return await self._list(of_kind("list"))
            case ["api", "images", *identifier]:
                return await self._details(of_kind("details"), "/".join(identifier), receive)
            case ["api", "ranges", *identifier, tiles]:
                return await self._ranges(of_kind("ranges"), "/".join(identifier), parse_tiles(tiles), receive)
            case ["iiif", "manifest.json"]:
                return await self._manifest(of_kind("manifest"))
            case ["iiif", service, *rest] if found := parse_service(service):
                return await self._image_service(of_kind("image"), receive, found, rest)
        raise Refusal(404, "nothing is here; the viewer is at /")

    async def _image_service(self, request: Request, receive: Receive, service: Service, parts: list[str]) -> Response:
        identifier, what = split_identifier(parts)
        if what == ["info.json"]:
            request.scope["kind"] = "info"
            return await self._information(request, service, identifier)
        if not what:
            entry = await asyncio.to_thread(self.site.locate, identifier)
            path = service_path(entry.identifier, service.variant, service.version)
            return RedirectResponse(self._base(request) + path + "/info.json", 303)
        wanted = (parse_request if service.version == 3 else parse_request_2)(*what)
        entry, facts = await self._open(identifier)
        image = wanted.resolve(facts.size, self.settings.limits, gray=facts.gray)
        if service.version == 2:
            image = replace(image, canonical=in_canonical_form_2(image, facts.size))
        return await self._image(request, receive, service, entry, facts, image)

    async def _image(
        self, request: Request, receive: Receive, service: Service, entry: Entry, facts: Facts, image: Resolved
    ) -> Response:
        variant = service.variant.of(facts)
        path = f"{service_path(entry.identifier, variant, service.version)}/{image.canonical}"
        stamp = Stamp.of(entry, path)
        profile = PROFILE if service.version == 3 else PROFILE_2
        headers = stamp.headers(self.settings.max_age if facts.complete else 0) | _EXPOSED
        headers["Link"] = f'<{self._base(request)}{path}>;rel="canonical", <{profile}>;rel="profile"'
        if stamp.is_known(request):
            return Response(None, 304, headers)
        type_ = FORMATS[image.format]
        if request.method == "HEAD":
            await self._check(entry)
            response = Response(None, 200, headers, media_type=type_)
            del response.headers["content-length"]  # known only after decoding
            return response
        body = await self._work(lambda: self.site.render(entry, variant, image), entry, receive)
        return Response(body, 200, headers, media_type=type_)

    async def _information(self, request: Request, service: Service, identifier: str) -> Response:
        entry, facts = await self._open(identifier)
        url = self._base(request) + service_path(entry.identifier, service.variant, service.version)
        context, profile = (IMAGE_CONTEXT, PROFILE) if service.version == 3 else (CONTEXT_2, PROFILE_2)
        linked = "application/ld+json" in request.headers.get("accept", "")
        stamp = Stamp.of(entry, url, str(linked))
        headers = stamp.headers(self.settings.max_age if facts.complete else 0) | _EXPOSED
        headers |= {"Vary": "Accept", "Link": f'<{profile}>;rel="profile"'}
        if stamp.is_known(request):
            return Response(None, 304, headers)
        await self._check(entry)
        made = image_information if service.version == 3 else image_information_2
        type_ = f'application/ld+json;profile="{context}"' if linked else "application/json"
        return json_answer(request, made(url, facts, self.settings.limits), headers, type_)

    async def _manifest(self, request: Request) -> Response:
        def made() -> tuple[list[tuple[str, Facts]], int]:
            listing = self.site.listing()
            images = []
            for name in listing.shown[:MAX_CANVASES]:
                try:
                    images.append((name, self.site.facts(self.site.locate(name))))
                except (WavelicError, OSError):
                    continue
            return images, len(listing.shown) + len(listing.refused) - len(images)

        images, left_out = await asyncio.to_thread(made)
        document = manifest(self._base(request), self.site.root.name, images, left_out, self.settings.limits)
        type_ = f'application/ld+json;profile="{PRESENTATION_CONTEXT}"'
        return json_answer(request, document, {"Cache-Control": "no-cache"}, type_)

    async def _list(self, request: Request) -> Response:
        listing = await asyncio.to_thread(self.site.listing)
        refused = [{"id": name, "reason": reason} for name, reason in listing.refused.items()]
        document = {"folder": self.site.root.name, "images": listing.shown, "refused": refused}
        return json_answer(request, document | {"complete": listing.complete}, {"Cache-Control": "no-cache"})

    async def _details(self, request: Request, identifier: str, receive: Receive) -> Response:
        entry, facts = await self._open(identifier)
        sizes = await self._work(lambda: self.site.layer_bytes(entry), entry, receive)
        first = await self._work(lambda: self.site.first_view(entry), entry, receive)
        return json_answer(request, details(entry.identifier, facts, sizes, first), {"Cache-Control": "no-cache"})

    async def _ranges(self, request: Request, identifier: str, tiles: list[Tile], receive: Receive) -> Response:
        entry, facts = await self._open(identifier)
        ranges = await self._work(lambda: self.site.ranges(entry, tiles), entry, receive)
        return json_answer(request, {"bytes": facts.bytes, "ranges": ranges}, {"Cache-Control": "no-cache"})

    def _metrics(self, request: Request) -> Response:
        body, type_ = self.metrics.text(request.headers.get("accept", ""))
        return Response(body, 200, {"Cache-Control": "no-store", "Content-Type": type_})

    def _health(self, request: Request) -> Response:
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
        with _refusing(entry):
            return entry, await asyncio.to_thread(self.site.facts, entry)

    async def _check(self, entry: Entry) -> None:
        with _refusing(entry):
            await asyncio.to_thread(self.site.check, entry)

    async def _work(self, job: Callable[[], Any], entry: Entry, receive: Receive) -> Any:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        with _refusing(entry):
            return await self.workers.run(job, gone)

    def _base(self, request: Request) -> str:
        if self.settings.base_url is not None:
            return self.settings.base_url
        host = request.headers.get("host", "")
        if not _HOST.fullmatch(host):
            raise Refusal(400, "the Host header is missing or wrong")
        return f"{request.scope['scheme']}://{host}{self._forwarded_prefix(request)}"

    @staticmethod
    def _forwarded_prefix(request: Request) -> str:
        prefix = str(request.scope.get("root_path", ""))
        if not PREFIX.fullmatch(prefix):
            raise Refusal(400, "X-Forwarded-Prefix is not a path such as /images; correct the proxy")
        return prefix


@contextmanager
def _refusing(entry: Entry) -> Iterator[None]:
    """Turn errors about a file into answers."""
    try:
        yield
    except Refusal:
        raise
    except (WavelicError, OSError) as error:
        log.warning("%s: %s", quote(entry.identifier), error)
        status = 501 if isinstance(error, _NOT_HERE) else 500
        raise Refusal(status, public_message(error, entry)) from error
