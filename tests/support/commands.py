"""The command line in this process."""

from __future__ import annotations

from pathlib import Path

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
