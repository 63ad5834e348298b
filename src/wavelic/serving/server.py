"""uvicorn around the application: its sockets, patience with slow clients, shutdown and log."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from wavelic.errors import UsageError
from wavelic.serving.app import Application
from wavelic.serving.proxy import THIS_MACHINE, BehindProxy

#: Connections at a time; more are answered 503.
MAX_CONNECTIONS = 512
#: Longest request line and headers, in bytes.
MAX_REQUEST = 16_384
#: Seconds a client may take to send a request, or between two.
REQUEST_SECONDS = 15.0
#: A client that has not taken this many bytes of a waiting answer in so many seconds is cut off.
SEND_SECONDS, SEND_BYTES = 20.0, 20_000
#: Seconds for what is under way when the server is told to stop.
SHUTDOWN_SECONDS = 30
_BACKLOG = 512


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that does not wait for ever: neither for the rest of a request nor for an answer to be read."""

    request_seconds = REQUEST_SECONDS
    send_seconds = SEND_SECONDS

    _watch: asyncio.TimerHandle | None = None
    _idle_since = 0.0
    _stalled_since = 0.0
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch a new connection for idleness."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching a connection that has ended."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _check(self) -> None:
        now = self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent <= self._unsent - SEND_BYTES or unsent > self._unsent:
            self._stalled_since, self._unsent = now, unsent
        if unsent or (self.cycle is not None and not self.cycle.response_complete):
            self._idle_since = now
        if now - self._idle_since > self.request_seconds or now - self._stalled_since > self.send_seconds:
            self.transport.abort()
            return
        self._watch = self.loop.call_later(min(self.request_seconds, self.send_seconds) / 5, self._check)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.  Raises UsageError if the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except OSError:
            bound.close()
            raise
        return bound
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{host} port {port} cannot be used ({reason}); choose another --host or --port") from error


def make_server(app: Application, trusted: str = THIS_MACHINE) -> uvicorn.Server:
    """Make a server; run it with ``run(sockets=[listen(...)])``.

    Args:
        app: what answers.
        trusted: proxies whose ``X-Forwarded-`` headers are believed, as `proxy.BehindProxy` takes them.
    """
    options: dict[str, Any] = {
        "http": PatientProtocol,
        "ws": "none",
        "proxy_headers": False,
        "loop": "asyncio",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "limit_concurrency": MAX_CONNECTIONS,
        "h11_max_incomplete_event_size": MAX_REQUEST,
        "timeout_keep_alive": 10,
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "backlog": _BACKLOG,
    }
    return uvicorn.Server(uvicorn.Config(BehindProxy(app, trusted), **options))


def configure_log(*, access: bool) -> None:
    """Send warnings, and a line for every request if ``access``, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    for name, level in (("wavelic.serving", logging.WARNING), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    logging.getLogger("wavelic.serving.access").setLevel(logging.INFO if access else logging.WARNING)
