"""Where exceptions end: one line on standard error and an exit code.

0 done; 1..9 the codes of `wavelic.errors`, 2 also for an unknown option; 130 Ctrl-C; 141 the reader of a pipe is gone.
Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperGroup

from wavelic.errors import MissingDependencyError, UsageError, WavelicError

INTERRUPTED, BROKEN_PIPE = 130, 141


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def print_error(message: str) -> None:
    """``wavelic: error: ...`` on standard error."""
    with suppress(BrokenPipeError):
        print(f"wavelic: error: {message}", file=sys.stderr, flush=True)


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around imports of optional libraries: a missing one names the extra that brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{error.name} is not installed and this command needs it; run: pip install 'wavelic[{extra}]'"
        ) from error


class CommandGroup(TyperGroup):
    """The top-level command, in declared order, with the rules of this module around it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands as they were declared."""
        return list(self.commands)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run and exit; never returns."""
        kwargs = {"prog_name": "wavelic", **kwargs, "standalone_mode": False}
        sys.exit(_guarded(lambda: super(CommandGroup, self).main(*args, **kwargs)))


def _guarded(call: Any) -> int:
    try:
        code = call()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except WavelicError as error:
        print_error(one_line(error))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # nothing is left to be flushed into the pipe at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except MemoryError:
        print_error("not enough memory for this image; split it or use a machine with more")
        return WavelicError.exit_code
    except Exception as error:  # what typer raises about arguments has no public base class
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        message = one_line(RuntimeError(error.format_message())).rstrip(".")
        hint = f"; see {context.command_path} --help" if context else ""
        print_error(message + hint)
        return UsageError.exit_code
