"""An image to a plain JP2 file with quality layers, at a quality, a rate, a PSNR or a size, or without loss.

Colours go through the 9/7 wavelet and ICT, or without loss through the reversible 5/3 one and RCT.  Opacity is a
component of its own, defined as such for other programs, coded by the 5/3 wavelet without loss and whole in the first
layer.  A box of wavelic's own has a checksum of the codestream, which the format does not; all other software skips it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.jp2_box import metadata_boxes, plain_box
from wavelic.codec.options import Encoded, Options, psnr
from wavelic.codec.rate_search import Writer, write_at
from wavelic.codec.target import Target
from wavelic.errors import UsageError
from wavelic.images import Image, Metadata, upright
from wavelic.jpeg2000 import (
    GREY,
    SRGB,
    EncodeOptions,
    encode_codestream,
    encode_filled,
    merge_components,
    read_jp2,
    write_jp2,
)
from wavelic.jpeg2000.arrangement import WHOLE, WINDOWED, Arrangement
from wavelic.jpeg2000.binding import default_threads
from wavelic.jpeg2000.channels import channels_of
from wavelic.jpeg2000.picture import Stored, read_picture
from wavelic.rect import Rect

LEVELS = 5
_HEADERS = 280  # bytes of boxes and main header, about
_LEAST_TILE = 32
_LOSSY_BPP = 2.4  # of the largest layer in front of one without loss


def encode_jp2(image: Image, target: Target, options: Options) -> Encoded:
    """Compress an image to a JP2 file.

    Args:
        image: to compress.
        target: what the file is to meet; not looked at with ``options.lossless``.
        options: how.

    Raises:
        UsageError: there cannot be such layers or tiles.
    """
    encoding = Encoding(upright(image), options)  # other viewers of JP2 files do not read Exif
    pixels = image.width * image.height
    if options.lossless:
        data, quality, note = encoding.file(encoding.lossless_layers()), 100.0, ""
    else:
        writer = Writer(pixels, encoding.beside, encoding.most, encoding.at_budget, encoding.psnr, "jp2")
        data, quality, note = write_at(target, writer)
    encoding.report(1)
    return Encoded(data, "none", quality, note)


@dataclass
class Encoding:
    """An image to be coded at as many rates as a search needs.

    Attributes:
        image: upright.
        options: `strip`, `layers`, `access`, `lossless`, `tile_size`, `resync`, `enhance` and `progress` count here.
    """

    image: Image
    options: Options

    def __post_init__(self) -> None:
        tile = self.options.tile_size
        if tile is not None and tile < _LEAST_TILE:
            raise UsageError(f"tiles of {tile} pixels, expected at least {_LEAST_TILE}; 1024 is usual")
        if tile is not None and self.image.has_alpha and not self.options.lossless:
            raise UsageError("tiles with opacity are written without loss only; leave out tile_size, or add lossless")

    @property
    def arrangement(self) -> Arrangement:
        """Arrangement of the packets, by ``options.access``."""
        return WHOLE if self.options.access == "whole" else WINDOWED

    @cached_property
    def metadata(self) -> Metadata:
        """Metadata of the file."""
        return Metadata() if self.options.strip else self.image.metadata

    @cached_property
    def opacity(self) -> bytes | None:
        """Codestream of the opacity alone, without loss in one layer; None without opacity."""
        plane = self.image.alpha()
        if plane is None:
            return None
        return encode_codestream([plane], self.image.bit_depth, self._how((None,), reversible=True))

    @property
    def beside(self) -> int:
        """Bytes of the file that are not colours: boxes, opacity, metadata, and about those of the main header."""
        return _HEADERS + len(self.opacity or b"") + sum(map(len, self.metadata.blocks().values()))

    @property
    def most(self) -> float:
        """Bytes of the colours that no codestream exceeds."""
        return 1.5 * self.image.colour().size * self.image.bit_depth / 8 + _HEADERS

    def at_budget(self, budget: float) -> bytes:
        """Write the file whose colours have at most so many bytes."""
        return self.file(self._layer_bytes(budget))

    def psnr(self, data: bytes) -> float:
        """Return the PSNR in dB of the colour samples a file decodes to."""
        colours, jp2 = self.image.colour(), read_jp2(data)
        stored = Stored(jp2.codestream, jp2.header, threads=default_threads())
        pixels = read_picture(stored, channels_of(jp2), Rect(0, 0, jp2.width, jp2.height))
        return psnr(colours, pixels[..., : colours.shape[2]])

    def file(self, layer_bytes: Sequence[int | None]) -> bytes:
        """Write the whole file.

        Args:
            layer_bytes: bytes of the colours up to and including each layer, None for everything; layers that coincide
                become one.
        """
        sizes: list[int | None] = [*sorted({max(1, size) for size in layer_bytes if size is not None})]
        if None in layer_bytes:
            sizes.append(None)
        codestream = self._codestream(sizes)
        stated = self.metadata.resolution
        box = plain_box(self.options.lossless, self.image.bit_depth, enhance=self.options.enhance)
        return write_jp2(
            codestream,
            colour=SRGB if self.image.channels >= 3 else GREY,
            icc=self.metadata.icc or None,
            alpha=self.image.channels - 1 if self.image.has_alpha else None,
            uuids=[box.pack(codestream), *metadata_boxes(self.metadata)],
            resolution=(stated.x, stated.y) if stated and stated.absolute else None,
        )

    def _codestream(self, sizes: Sequence[int | None]) -> bytes:
        together = self.options.tile_size is not None  # lossless then, so that all components are coded alike
        samples = self.image.pixels if together else self.image.colour()
        height, width, count = samples.shape

        def fill(planes: Sequence[NDArray[np.int32]]) -> None:
            for index, plane in enumerate(planes):
                plane[...] = samples[..., index]

        how = self._how(sizes, reversible=self.options.lossless, colour_transform=count >= 3)
        self.report(0)
        colours = encode_filled((height, width), count, self.image.bit_depth, fill, how)
        return colours if together or self.opacity is None else merge_components([colours, self.opacity])

    def _how(self, sizes: Sequence[int | None], *, reversible: bool, colour_transform: bool = False) -> EncodeOptions:
        tile, arranged = self.options.tile_size, self.arrangement
        return EncodeOptions(
            reversible=reversible,
            colour_transform=colour_transform,
            levels=LEVELS,
            layer_bytes=sizes,
            precincts=arranged.precincts,
            progression=arranged.progression,
            tile=None if tile is None else (tile, tile),
            sop=self.options.resync,
            eph=self.options.resync,
            threads=default_threads(),
        )

    def _layer_bytes(self, top: float) -> list[int]:
        """Choose the sizes of layers, by ``options.layers``; ``top``: bytes of the last."""
        asked = self.options.layers
        if isinstance(asked, tuple):
            return [*(size for bpp in asked if (size := self._bytes(bpp)) < top), round(top)]
        return self.arrangement.layer_bytes(top, asked or self.arrangement.layers(top))

    def lossless_layers(self) -> list[int | None]:
        """Choose the sizes of layers in front of the last, which is exact: an octave apart for a number."""
        asked = self.options.layers
        if isinstance(asked, tuple):
            return [*map(self._bytes, asked), None]
        top = _LOSSY_BPP
        return [*(self._bytes(top * 2.0**-number) for number in range((asked or 1) - 1)), None]

    def _bytes(self, bpp: float) -> int:
        return round(bpp * self.image.width * self.image.height / 8)

    def report(self, done: int) -> None:
        """Tell ``options.progress`` that coding begins (0) or is done (1)."""
        if self.options.progress:
            self.options.progress(done, 1)
