"""Behind another web server: the client, scheme, host and prefix it forwards, believed from trusted addresses only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable
    from uvicorn._types import Scope as UvicornScope

#: Addresses whose headers are believed unless others are given.
THIS_MACHINE = "127.0.0.1,::1"
#: First segments of the paths that this server answers.
ROOTS = ("", "viewer", "iiif", "api", "healthz", "metrics")
PREFIX = re.compile(r"(/[A-Za-z0-9._~\-]{1,100}){0,10}", re.ASCII)


class BehindProxy:
    """ASGI middleware: puts what a trusted proxy forwards into the scope.

    ``X-Forwarded-For`` becomes the client, ``X-Forwarded-Proto`` the scheme, ``X-Forwarded-Host`` the Host header and
    ``X-Forwarded-Prefix`` the ``root_path``.

    Args:
        app: what answers.
        trusted: addresses and networks of proxies, separated by commas; ``*`` for every client.
    """

    def __init__(self, app: ASGIApp, trusted: str = THIS_MACHINE) -> None:
        self._inner = ProxyHeadersMiddleware(cast("ASGI3Application", app), trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI event."""
        client = scope.get("client")
        if scope["type"] == "http" and (client[0] if client else None) in self._inner.trusted_hosts:
            scope = _forwarded(scope)
        await self._inner(
            cast("UvicornScope", scope), cast("ASGIReceiveCallable", receive), cast("ASGISendCallable", send)
        )


def _forwarded(scope: Scope) -> Scope:
    found: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name, []).extend(part.strip() for part in value.decode("latin1").split(","))
    scope = dict(scope)
    if hosts := found.get(b"x-forwarded-host"):
        others = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [*others, (b"host", hosts[0].encode("latin1"))]
    if prefixes := found.get(b"x-forwarded-prefix"):  # each proxy on the way adds its own
        scope["root_path"] = "".join(prefix.rstrip("/") for prefix in prefixes)
    return scope


def without_prefix(segments: Sequence[str], prefix: str) -> list[str]:
    """Take the prefix from a path, if the proxy has left it there.

    Args:
        segments: of the path, split at its slashes.
        prefix: such as ``/images``; may be empty.

    Returns:
        The segments behind it; all of them where the path is one of this server's own without it.

    Examples:
        >>> without_prefix(["images", "iiif", "3"], "/images"), without_prefix(["iiif", "3"], "/images")
        (['iiif', '3'], ['iiif', '3'])
        >>> without_prefix(["iiif", "3", "x"], "/iiif"), without_prefix(["iiif", "iiif", "3", "x"], "/iiif")
        (['iiif', '3', 'x'], ['iiif', '3', 'x'])
    """
    start = prefix.split("/")[1:]
    rest = list(segments[len(start) :])
    if start and list(segments[: len(start)]) == start and rest and rest[0] in ROOTS:
        return rest
    return list(segments)
