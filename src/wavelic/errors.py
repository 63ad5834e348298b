"""Errors that wavelic raises on purpose.

An error says what was given, what was expected and what to do about it, on one line, so that the command line can
print it as it is.  Anything else that escapes from the package is a bug.
"""

from __future__ import annotations


class WavelicError(Exception):
    """Base class of all errors: the message is one line, cause first, remedy after the semicolon.

    Attributes:
        exit_code: exit status of the command `wavelic` for this error.
    """

    exit_code = 1


class UsageError(WavelicError, ValueError):
    """An argument is out of range or two arguments contradict each other."""

    exit_code = 2


class ImageError(WavelicError):
    """The input is not an image, or not of a kind wavelic codes."""

    exit_code = 3


class SourceError(ImageError):
    """A file could not be read where it is: no answer, an error status, fewer bytes than promised, or it changed."""


class FormatError(WavelicError):
    """A compressed file is not what its format says: wrong magic, cut short, inconsistent, hostile."""

    exit_code = 4


class UnsupportedError(FormatError):
    """A file is sound as far as it was read, but uses a part of its format that wavelic does not decode."""

    exit_code = 10


class ChecksumError(FormatError):
    """A checksum does not match: the bytes changed after the file was written."""

    exit_code = 5


class LimitError(FormatError):
    """A header asks for more than the limits allow; nothing was allocated."""

    exit_code = 6


class ModelError(WavelicError):
    """A model is unknown, its weights are missing, or their content hash is not the one the file names."""

    exit_code = 7


class OutputError(WavelicError):
    """The output exists, cannot be written, or is a folder where a file is expected."""

    exit_code = 8


class MissingDependencyError(WavelicError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    exit_code = 9
