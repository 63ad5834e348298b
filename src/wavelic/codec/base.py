"""What a codec is: the contract between the rooms of the codecs and everything above them.

A codec is one room with a module ``codec.py``, which loads no torch, and one line in `wavelic.codec.registry`.  That
module holds an instance of a subclass of `Codec`, or of `wavelic.codec.wlic.WlicCodec` for codecs that write `.wlic`
files, which brings everything a `.wlic` file is besides its coded colours.  Above this room nothing asks which codec it
is dealing with: what differs between codecs is a method or an attribute here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from wavelic.codec.architecture import Architecture
from wavelic.codec.opened import OpenedFile, Pixels
from wavelic.codec.options import Encoded, Options
from wavelic.codec.target import Target
from wavelic.codec.weights import Card
from wavelic.container import Limits
from wavelic.errors import UsageError
from wavelic.images import Image
from wavelic.remote import Source


class Codec(ABC):
    """One way of coding images: to a file, and from a file to something that can be decoded.

    Attributes:
        name: what `wavelic.encode` takes and what the ``codec`` of an opened file says.
        label: its name in tables, plots and reports.
        summary: what it is, in one line, for people who choose.
        extension: of its files, with the dot.
        options: fields of `Options` that it takes besides `options.COMMON`; the registry refuses the others.
        batch_pixels: pixels that one call of `decode_batch` is best given: more would leave the processor's caches.
    """

    name: str
    label: str
    summary: str
    extension: str
    options: frozenset[str] = frozenset()
    batch_pixels: ClassVar[int] = 1 << 19

    @abstractmethod
    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        """Compress an image.

        Args:
            image: 8 or 16 bits, 1 to 4 channels.
            target: quality, bits per pixel, PSNR or size; met within 2 %, or as nearly as possible.
            options: checked already: only what this codec takes is set, and the device exists.

        Raises:
            UsageError: a value of an option is none this codec can work with.
            ModelError: the weights are not installed.
        """

    def caution(self, options: Options) -> str:
        """Return what users should know of the files it writes, in one line; empty if there is nothing.

        Args:
            options: as for `encode`.
        """
        return ""

    def suits(self, image: Image) -> bool:
        """Return whether it is the codec for this image where none is named; asked of special codecs only."""
        return False

    @abstractmethod
    def recognizes(self, start: bytes) -> bool:
        """Return whether this codec opens the file that begins with ``start`` (16 bytes or more, if it has so many)."""

    @abstractmethod
    def open(self, data: bytes, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        """Open a file this codec recognizes: check everything that can be checked without decoding.

        Args:
            data: the whole file.
            limits: what the reader is willing to spend; compared before anything of that size is allocated.
            allow_partial: accept a file that was cut short, if the format can make something of its beginning.

        Raises:
            FormatError, ChecksumError, LimitError: the file is damaged, hostile or too large.
        """

    def open_source(self, source: Source, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        """Open a file that lies elsewhere, reading as little of it as the format allows; here, all of it.

        Args:
            source: ranges of the file's bytes.
            limits: as in `open`.
            allow_partial: as in `open`.

        Raises:
            SourceError: the bytes cannot be had.
            FormatError, ChecksumError, LimitError: as in `open`.
        """
        return self.open(source.read_all(), limits, allow_partial=allow_partial)

    def batch_key(self, file: OpenedFile) -> Hashable | None:
        """Return a key that is equal for files that `decode_batch` may be given together; None for a file alone."""
        return None

    def decode_batch(
        self, files: Sequence[OpenedFile], device: str, lock: AbstractContextManager[object]
    ) -> list[Pixels]:
        """Decode opened files of one `batch_key`.

        Coefficients are those of decoding one by one; samples may differ by the rounding of floats in the networks.

        Args:
            files: opened by this codec.
            device: torch device of the networks.
            lock: to be held while symbols are read: many short calls under Python's lock, which several threads only
                slow down.  Other batches are decoded at the same time.

        Returns:
            Samples (H, W, C) of each, uint8 or uint16.

        Raises:
            FormatError, ChecksumError, LimitError, ModelError: one of the files does not decode.
        """
        return [file.read(device=device) for file in files]

    def trim(self, data: bytes, max_layers: int | None, bpp: float | None, limits: Limits) -> bytes:
        """Drop quality layers of a file without decoding it.

        Args:
            data: the whole file.
            max_layers: layers to keep at most; None: as many as ``bpp`` admits.
            bpp: bits per pixel of the new file at most; None: no bound.
            limits: as in `open`.

        Raises:
            UsageError: the codec has no layers, or not even one is admitted.
            FormatError: the file is damaged.
        """
        raise UsageError(f"files of codec {self.name} have no quality layers to drop; encode again at a lower rate")

    def architectures(self) -> Sequence[Architecture]:
        """List the networks this codec can run, whether there are weights for them or not."""
        return ()

    def weights(self) -> Sequence[Card]:
        """List the weights it encodes with, by rising rate; none for a codec without learned parts.

        Raises:
            ModelError: they are not installed.
        """
        return ()

    def load(self, device: str) -> None:  # noqa: B027 (without learned parts there is nothing to load)
        """Load the weights of `weights`, so that no image's time includes it.

        Args:
            device: torch device they are loaded to.

        Raises:
            ModelError: they are not installed, or damaged.
        """
