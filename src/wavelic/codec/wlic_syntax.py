"""What the codecs of `.wlic` files differ in: the syntax of the coded colours."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

from wavelic.codec.base import Codec
from wavelic.codec.opened import Progress
from wavelic.codec.request import Request
from wavelic.container import Container, Header, peek_codec
from wavelic.images import Image


class WlicSyntax(Codec):
    """How a codec codes the colours in a `.wlic` file; its codecs are of the subclass `wavelic.codec.wlic.WlicCodec`.

    Attributes:
        codec_id: how headers name the syntax of its coded image.  Codecs that differ in their weights only may share
            one; the family of the weights then tells whose a file is.
        batches: whether `decode_colors` is there, for `decode_batch`.
    """

    extension = ".wlic"
    codec_id: int
    batches: bool = False

    @abstractmethod
    def decode(self, container: Container, request: Request, device: str, progress: Progress | None) -> Image:
        """Decode a part of a file.

        Args:
            container: the file; of its tiles, those that `tiles_needed` names are there.
            request: which part.
            device: torch device of the networks.
            progress: called as ``progress(done, total)``.

        Raises:
            FormatError, ChecksumError, LimitError: the file is damaged.
            ModelError: its weights are not installed.
        """

    def levels(self, header: Header) -> int:
        """How often the sides of the decoded picture can be halved.

        Args:
            header: of the file.
        """
        return 0

    @abstractmethod
    def verify(self, container: Container) -> None:
        """Check what can be checked without synthesising pixels: the coded image and alpha.

        Args:
            container: the whole file.

        Raises:
            FormatError, ChecksumError, LimitError: the file is damaged.
            ModelError: its weights are not installed.
        """

    def tiles_needed(self, header: Header, request: Request) -> tuple[int, ...] | None:
        """List the tiles that `decode` needs for a request, by their index in the grid; None for all of them.

        Args:
            header: of the file.
            request: which part.

        Raises:
            FormatError: the header is not one this codec writes.
            ModelError: the file's weights are not installed.
        """
        return None

    def decode_colors(
        self, containers: Sequence[Container], device: str, lock: AbstractContextManager[object]
    ) -> list[NDArray[Any]]:
        """Decode the colour samples (H, W, 1 or 3) of files of one `batch_key` together; see `Codec.decode_batch`."""
        raise NotImplementedError(f"codec {self.name} says that it decodes batches and does not")

    def recognizes(self, start: bytes) -> bool:
        return peek_codec(start) == self.codec_id
