"""The manual page of the command, made from the same declarations as its help.

``python -m wavelic.cli.manual > docs/wavelic.1`` writes the page that the wheel installs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from wavelic import __version__
from wavelic.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXIT_CODES = (
    ("0", "done"),
    ("1", "any other error"),
    ("2", "wrong arguments"),
    ("3", "the input cannot be read or is not an image wavelic codes"),
    ("4", "not a sound .wlic or JPEG 2000 file"),
    ("5", "a checksum does not match"),
    ("6", "larger than the limits allow"),
    ("7", "weights unknown or missing"),
    ("8", "the output exists or cannot be written"),
    ("9", "an optional library is missing"),
    ("10", "a sound file of a kind that is not supported"),
    ("130", "interrupted"),
)
_ENVIRONMENT = (
    ("WAVELIC_WEIGHTS", "Folders of weights that are looked into before the package's own, separated like PATH."),
    ("WAVELIC_OPENJPEG", "Path of the libopenjp2 to use."),
)
_COMPLETION = ("install_completion", "show_completion")


def manual_page() -> str:
    """Return the page in the macros of man(7)."""
    command: Any = typer.main.get_command(app)  # typer gives its objects no public types
    return "\n".join(_lines(command.commands)) + "\n"


def _lines(commands: Mapping[str, Any]) -> Iterator[str]:
    yield f'.TH WAVELIC 1 "" "wavelic {__version__}" "User Commands"'
    yield from (".SH NAME", "wavelic \\- learned wavelet image codec: compress, decompress, measure, train")
    yield from (".SH SYNOPSIS", ".B wavelic", ".I COMMAND", "[\\fIOPTIONS\\fR] [\\fINAMES\\fR]")
    yield from (".SH DESCRIPTION", "Results go to standard output, remarks and progress to standard error.")
    yield "A single minus is standard input or output.  Files appear complete or not at all."
    yield from (".SH COMMANDS",)
    for name, command in commands.items():
        yield from _command(name, command)
    yield ".SH EXIT STATUS"
    yield from _pairs(_EXIT_CODES)
    yield ".SH ENVIRONMENT"
    yield from _pairs(_ENVIRONMENT)
    yield from (".SH COMPLETION", ".B wavelic --install-completion", "sets up the completion of the shell in use.")


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [_metavar(param) for param in command.params if param.param_type_name == "argument"]
    yield f".SS {_text(' '.join(['wavelic', name, *arguments]))}"
    yield _text(command.help or "")
    for param in command.params:
        if param.name in (*_COMPLETION, "help") or not param.help:
            continue
        if param.param_type_name == "argument":
            yield from _pairs([(_metavar(param), param.help)])
            continue
        names = ", ".join((*param.opts, *param.secondary_opts))
        value = "" if param.is_flag else f" {_metavar(param)}"
        yield from _pairs([(names + value, param.help)])


def _metavar(param: Any) -> str:
    return str(param.metavar or "VALUE")


def _pairs(rows: Any) -> Iterator[str]:
    for name, text in rows:
        yield from (".TP", f".B {_text(name)}", _text(text))


def _text(text: str) -> str:
    """Plain text as roff takes it, on one line."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


if __name__ == "__main__":
    print(manual_page(), end="")
