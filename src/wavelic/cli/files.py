"""Names on the command line: which input goes to which output, ``-`` for the standard streams, output folders."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from wavelic.errors import OutputError, UsageError

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


def plan(inputs: Sequence[str], output: str, extension: str) -> list[Job]:
    """Pair inputs with outputs.

    An existing folder, or a name that ends in a slash, takes ``<stem of the input><extension>``; anything else is the
    name of the one output.

    Raises:
        UsageError: several inputs and one file, two inputs with one output, or ``-`` among several inputs.
    """
    if STREAM in inputs and len(inputs) > 1:
        raise UsageError("- (standard input) is given beside other inputs; give it alone")
    is_folder = output != STREAM and (output.endswith(("/", os.sep)) or os.path.isdir(output))
    if not is_folder:
        if len(inputs) > 1:
            raise UsageError(f"{len(inputs)} inputs and one output {output}; name a folder, with a slash at the end")
        return [Job(inputs[0], output)]
    jobs: dict[str, Job] = {}
    for source in inputs:
        stem = "stdin" if source == STREAM else Path(source).stem
        target = os.path.join(output, stem + extension)
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
