"""The codec `jp2`: plain JPEG 2000, for every program that reads it.  Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence

from wavelic.codec.architecture import Architecture
from wavelic.codec.base import Codec
from wavelic.codec.opened import OpenedFile
from wavelic.codec.options import Encoded, Options
from wavelic.codec.registry import recognize
from wavelic.codec.target import Target
from wavelic.codec.weights import Card
from wavelic.container import Limits
from wavelic.enhance.catalogue import ARCHITECTURES, PRODUCT, enhancement_weights
from wavelic.errors import FormatError
from wavelic.images import Image
from wavelic.remote import Source


class Jp2Codec(Codec):
    """JP2 files without learned steps: every program shows the same picture.

    Files of all JPEG 2000 software are opened by one codec, the first that recognizes them; this one adds how they are
    written, and passes on what it is given to open.
    """

    name = "jp2"
    label = "JPEG 2000"
    summary = "plain JPEG 2000 through libopenjp2: 9/7, or 5/3 without loss; layers; .jp2 files"
    extension = ".jp2"
    options = frozenset({"layers", "access", "lossless", "tile_size", "resync", "enhance"})

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        from wavelic.jp2.encode import encode_jp2

        return encode_jp2(image, target, options)

    def recognizes(self, start: bytes) -> bool:
        return False

    def open(self, data: bytes, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        return _opener(data[:64]).open(data, limits, allow_partial=allow_partial)

    def open_source(self, source: Source, limits: Limits, *, allow_partial: bool = False) -> OpenedFile:
        return _opener(source.read(0, 64)).open_source(source, limits, allow_partial=allow_partial)

    def trim(self, data: bytes, max_layers: int | None, bpp: float | None, limits: Limits) -> bytes:
        return _opener(data[:64]).trim(data, max_layers, bpp, limits)

    def architectures(self) -> Sequence[Architecture]:
        return ARCHITECTURES

    def weights(self) -> Sequence[Card]:
        return [card for card in enhancement_weights() if card.name == PRODUCT]


def _opener(start: bytes) -> Codec:
    """The codec that opens a file with this beginning."""
    codec = recognize(start)
    if codec is None:
        raise FormatError(f"the file begins with {start[:12].hex()}, expected JPEG 2000; give a .jp2 file")
    return codec


JP2 = Jp2Codec()
