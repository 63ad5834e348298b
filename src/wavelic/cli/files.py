"""Names on the command line: which are inputs and which is the output, ``-`` for the standard streams, folders."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from wavelic.errors import OutputError, UsageError
from wavelic.remote.opening import is_url

STREAM = "-"


@dataclass(frozen=True)
class Job:
    """One input and where its result goes; ``folder`` is created when the result is ready to be written."""

    source: str
    target: str
    folder: str = ""

    def __str__(self) -> str:
        source = "standard input" if self.source == STREAM else self.source
        return f"{source} -> {'standard output' if self.target == STREAM else self.target}"

    def located(self, message: str) -> str:
        """``message``, with the input's name in front unless it already says which file it is about."""
        names = (self.source, os.path.basename(self.target))
        return message if self.source == STREAM or any(n in message for n in names) else f"{self.source}: {message}"


@dataclass(frozen=True)
class Naming:
    """How a command that turns files into files is called.

    Attributes:
        command: its name.
        example: an input and its output, for messages.
        endings: of the files it writes, the usual one first.
        any_ending: the output may have any, as the format is given otherwise.
    """

    command: str
    example: tuple[str, str]
    endings: tuple[str, ...]
    any_ending: bool = False

    def typed(self, *names: str) -> str:
        """The command with these names, as it is typed."""
        return f"type: {' '.join(['wavelic', self.command, *map(_quoted, names)])}"


def _quoted(name: str) -> str:
    """A name as a shell takes it; patterns stay patterns."""
    return name if name.endswith("*") and shlex.quote(name[:-1]) == name[:-1] else shlex.quote(name)


def split_names(names: Sequence[str], output: str | None, naming: Naming) -> tuple[list[str], str | None]:
    """Tell inputs from the output.

    Args:
        names: as they were typed, the output last if there are several.
        output: if it was given as an option.
        naming: of the command.

    Returns:
        The inputs; and the output, None for a file beside the one input.

    Raises:
        UsageError: there is no input, or the last name cannot be an output; the message says what to type.
    """
    if not names:
        raise UsageError(f"no file is named to {naming.command}; {naming.typed(*naming.example)}")
    if output is not None:
        return list(names), output
    *inputs, last = names
    if not inputs:
        if os.path.isdir(last):
            raise UsageError(
                f"{last} is a folder, expected files; {naming.typed(os.path.join(last, '') + '*', 'OUT/')}"
            )
        return [last], STREAM if last == STREAM else None
    ending = Path(last).suffix.lower()
    if last == STREAM or _is_folder(last) or naming.any_ending or ending in naming.endings:
        return inputs, last
    first = inputs[0]
    if len(inputs) == 1 and Path(first).suffix.lower() in naming.endings and os.path.exists(last):
        raise UsageError(f"{last} is an input and comes first; {naming.typed(last, first)}")
    if os.path.exists(last):
        shown = [*names[:3], "..."] if len(names) > 4 else names
        raise UsageError(f"{len(names)} inputs and no output; {naming.typed(*shown, 'OUT/')}")
    expected = " ".join(naming.endings)
    if not ending:
        raise UsageError(
            f"output {last} is no folder that exists and does not end in one of {expected};"
            f" {naming.typed(*inputs[:3], last + '/')} for a new folder"
        )
    right = str(Path(last).with_suffix(naming.endings[0]))
    raise UsageError(f"output {last} does not end in one of {expected}; {naming.typed(*inputs[:3], right)}")


def beside(source: str, extension: str, naming: Naming) -> str:
    """The output beside an input: the same name with another extension; of a URL, in the current folder.

    Raises:
        UsageError: that is the input itself.
    """
    is_address = is_url(source)
    path = Path(unquote(urlsplit(source).path).rpartition("/")[2] or "image") if is_address else Path(source)
    target = path.with_suffix(extension)
    if target == path and not is_address:
        other = str(path.with_name(f"{path.stem}-2{extension}"))
        raise UsageError(f"the output beside {source} would be that file itself; {naming.typed(source, other)}")
    return str(target)


def _is_folder(name: str) -> bool:
    return name.endswith(("/", os.sep)) or os.path.isdir(name)


def plan(inputs: Sequence[str], output: str, extension: str) -> list[Job]:
    """Pair inputs with outputs.

    An existing folder, or a name that ends in a slash, takes ``<stem of the input><extension>``; anything else is the
    name of the one output.

    Raises:
        UsageError: several inputs and one file, two inputs with one output, or ``-`` among several inputs.
    """
    if STREAM in inputs and len(inputs) > 1:
        raise UsageError("- (standard input) is given beside other inputs; give it alone")
    if output == STREAM or not _is_folder(output):
        if len(inputs) > 1:
            raise UsageError(f"{len(inputs)} inputs and one output {output}; name a folder, with a slash at the end")
        return [Job(inputs[0], output)]
    jobs: dict[str, Job] = {}
    for source in inputs:
        stem = "stdin" if source == STREAM else Path(urlsplit(source).path if is_url(source) else source).stem
        target = os.path.join(output, (stem or "image") + extension)
        if target in jobs:
            raise UsageError(f"{jobs[target].source} and {source} would both become {target}; rename one of them")
        jobs[target] = Job(source, target, output)
    return list(jobs.values())


def read_stdin() -> bytes:
    """Everything on the standard input."""
    if sys.stdin.isatty():
        raise UsageError("standard input is the terminal; pipe a file into it or name one")
    return sys.stdin.buffer.read()


@contextmanager
def open_output(job: Job, force: bool) -> Iterator[BinaryIO]:
    """Where to write the result of ``job``: complete at the end of the block or absent, checked at its start.

    Raises:
        OutputError: it exists and ``force`` is false, or it cannot be written.
        UsageError: it is the standard output and that is a terminal.
    """
    from wavelic.images import atomic_output

    if job.target == STREAM:
        if sys.stdout.isatty():
            raise UsageError("standard output is the terminal; redirect it to a file or name one")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if job.folder:
        try:
            os.makedirs(job.folder, exist_ok=True)
        except OSError as error:
            raise OutputError(f"folder {job.folder} cannot be made ({error.strerror}); choose another place") from error
    with atomic_output(job.target, force=force) as stream:
        yield stream
