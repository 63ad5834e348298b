"""The codec `bilevel`: pictures of two gray levels in `.wlic` files, exactly and without weights.  Loads no torch.

It is taken where no codec is named and the picture is bilevel: a codec for photographs makes of a scanned page a file
that is larger, and grayer than the page was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wavelic.bilevel.payload import decode_bilevel, encode_bilevel, is_bilevel
from wavelic.codec.opened import Progress
from wavelic.codec.options import Encoded, Options
from wavelic.codec.request import Request
from wavelic.codec.target import Target
from wavelic.codec.weights import NO_WEIGHTS
from wavelic.codec.wlic import WlicCodec
from wavelic.codec.wlic_parts import alpha_plane, coded_alpha, picture, write_file
from wavelic.container import DATA, Chunk, CodecId, Container, Header
from wavelic.errors import FormatError
from wavelic.images import Image

_QUALITY = 100.0  # of every file: nothing is lost


class BilevelCodec(WlicCodec):
    """Lossless coding of pictures whose samples are all 0 or 255."""

    name = "bilevel"
    label = "bilevel"
    summary = "pictures of black and white samples alone, such as scanned text: without loss"
    codec_id = CodecId.BILEVEL
    options = frozenset({"lossless"})

    def suits(self, image: Image) -> bool:
        return is_bilevel(image)

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        payload = encode_bilevel(image)
        header = _header(image.channels, image.width, image.height)
        data = write_file(header, [Chunk(DATA, payload)], image, coded_alpha(image), options.strip)
        if options.progress:
            options.progress(1, 1)
        return Encoded(data, "none", _QUALITY, _note(target, len(data), image))

    def decode(self, container: Container, request: Request, device: str, progress: Progress | None) -> Image:
        alpha = alpha_plane(container)
        area = request.area
        image = picture(container, _colours(container)[area.slices()], alpha, (area.x, area.y, area.width, area.height))
        if progress:
            progress(1, 1)
        return image

    def verify(self, container: Container) -> None:
        _colours(container)
        alpha_plane(container)


def _header(channels: int, width: int, height: int) -> Header:
    """The header of every bilevel file."""
    return Header(CodecId.BILEVEL, channels, width, height, NO_WEIGHTS, quality=round(100 * _QUALITY))


def _colours(container: Container) -> NDArray[np.uint8]:
    """The samples (H, W, 1 or 3) of a file."""
    header = container.header
    plain = _header(header.channels, header.width, header.height)
    declared = ("bit_depth", "colour", "padding", "tile_width", "tile_height", "gain", "model")
    if wrong := [name for name in declared if getattr(header, name) != getattr(plain, name)]:
        raise FormatError(
            f"header fields {', '.join(wrong)} are not those of a bilevel file, expected one tile of 8 bits without"
            " weights: the file was not written by wavelic"
        )
    plane = decode_bilevel(container.tiles[0], header.width, header.height)
    return np.repeat(plane, header.channels - header.has_alpha, axis=2)


def _note(target: Target, size: int, image: Image) -> str:
    """What became of a target that a file without loss can only happen to meet; nothing for a quality."""
    exact = "a bilevel picture, coded without loss"
    if target.kind == "quality":
        return exact
    reached = {"bpp": f"{8 * size / (image.width * image.height):.4g} bpp", "size": f"{size} bytes", "psnr": "all"}
    return f"asked for {target}, got {reached[target.kind]}: {exact}"


BILEVEL = BilevelCodec()
