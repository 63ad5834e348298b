"""The command line in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from typer.testing import CliRunner, Result

from wavelic.cli.main import app


def wavelic_cli(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """The result of ``wavelic ARGUMENTS`` run in this process."""
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)


def error_of(result: Result) -> str:
    """The message after ``wavelic: error:``, which must be the only such line and not a traceback."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("wavelic: error: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0].removeprefix("wavelic: error: ")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server for a folder."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args: object) -> None:
        pass
