"""Wavelet coefficients in an ordinary JP2 file.

A JPEG 2000 encoder takes images, not coefficients.  So the coefficients are turned into a *pseudo-image* by the
standard inverse transform; a stock encoder codes that image, and its own forward transform finds them again:

    image -> colour transform -> (learned) analysis -> inverse 9/7 -> inverse colour transform -> 12-bit samples -> JP2
    JP2 -> stock decode -> colour transform -> forward 9/7 -> (learned) synthesis -> inverse colour transform -> image

Rate allocation, layers, precincts and reduced decoding are the stock coder's.  Without learned steps the pseudo-image
is the image.  A `uuid` box says how samples map to numbers and which model synthesises; without it the file is plain
JPEG 2000, and plain JPEG 2000 files are read here as well, with no learned steps.

Here is the way there; `box` has the box, `file` opens, `pixels` is the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.container.crc import crc32c
from wavelic.errors import UsageError
from wavelic.images import Metadata
from wavelic.jpeg2000 import GREY, SRGB, EncodeOptions, Uuid, encode_filled, write_jp2
from wavelic.lifting.jp2.box import (
    ALPHA_ID,
    BASES,
    BOX_ID,
    NO_MODEL,
    VERSION,
    CarrierBox,
    metadata_boxes,
    unpack_box,
)
from wavelic.lifting.jp2.file import CarrierFile, open_carrier, trim_carrier
from wavelic.lifting.jp2.pixels import colour, to_components, to_pixels
from wavelic.lifting.jp2.sample_store import Codes
from wavelic.wavelets import Coefficients2d, idwt2

__all__ = [
    "BOX_ID",
    "NO_MODEL",
    "OWN_RANGE",
    "VERSION",
    "CarrierBox",
    "CarrierFile",
    "Encoded",
    "PseudoImage",
    "encode_carrier",
    "open_carrier",
    "pseudo_image",
    "to_components",
    "to_pixels",
    "trim_carrier",
    "unpack_box",
]

#: Share of the code range that the image's own range takes; the rest is headroom for the pseudo-image's overshoot.
OWN_RANGE = 0.9


@dataclass(frozen=True)
class Encoded:
    """A file, and how many of its samples the pseudo-image's overshoot had to be clipped."""

    data: bytes
    clipped: int


@dataclass(frozen=True)
class PseudoImage:
    """What the stock encoder is given, to be coded at as many rates as a search needs.

    codes: of (components, H, W), in 0..2^bits - 1.  box: without model and alpha.  levels: wavelet levels.  clipped:
    samples that had to be clipped.
    """

    codes: Codes
    bits: int
    box: CarrierBox
    levels: int
    clipped: int

    def file(
        self,
        options: EncodeOptions,
        *,
        model: bytes = NO_MODEL,
        alpha: bytes | None = None,
        metadata: Metadata | None = None,
        tick: Callable[[], None] | None = None,
    ) -> bytes:
        """The JP2 file: `codestream`, then `boxed`."""
        return self.boxed(self.codestream(options, tick), model=model, alpha=alpha, metadata=metadata)

    def codestream(self, options: EncodeOptions, tick: Callable[[], None] | None = None) -> bytes:
        """What the stock encoder makes of it.

        options: layers, precincts, progression, threads; the rest is set here.  tick: as for `encode_filled`.
        """
        components, height, width = self.codes.shape
        reversible = self.box.base == "5/3"
        options = replace(options, reversible=reversible, colour_transform=components == 3, levels=self.levels)
        return encode_filled((height, width), components, self.bits, self.codes.fill, options, tick=tick)

    def boxed(
        self,
        codestream: bytes,
        *,
        model: bytes = NO_MODEL,
        alpha: bytes | None = None,
        metadata: Metadata | None = None,
    ) -> bytes:
        """The JP2 file around a ``codestream`` of this image.  alpha: payload of the opacity box
        (`images.encode_alpha`)."""
        metadata = metadata or Metadata()
        box = replace(self.box, model=model, alpha=None if alpha is None else crc32c(alpha))
        boxes = [box.pack(codestream), *metadata_boxes(metadata)]
        if alpha is not None:
            boxes.append(Uuid(ALPHA_ID, alpha))
        colour = SRGB if self.codes.shape[0] == 3 else GREY
        stated = metadata.resolution
        resolution = (stated.x, stated.y) if stated and stated.absolute else None
        return write_jp2(codestream, colour=colour, icc=metadata.icc or None, uuids=boxes, resolution=resolution)


def pseudo_image(coefficients: Coefficients2d, depth: int, bits: int | None = None) -> PseudoImage:
    """The image a stock encoder finds these coefficients in.

    Parameters
    ----------
    coefficients
        Of one image, (1, C, ...) with C 1 or 3, in the range of `to_components`; "jpeg2000" normalisation, base wavelet
        "5/3" or "9/7", starting at the origin.
    depth
        Bits per sample of the image, 8 or 16.
    bits
        Bits per sample of the pseudo-image; None: 12, or 16 for a 16-bit image.

    Raises
    ------
    UsageError
        The coefficients or an option do not fit.
    """
    c = coefficients
    count = c.low.shape[1]
    if c.wavelet not in BASES or c.normalization != "jpeg2000" or c.low.shape[0] != 1 or count not in (1, 3):
        raise UsageError(f"{tuple(c.low.shape)} coefficients of {c.wavelet}; expected (1, 1 or 3, ...) of 5/3 or 9/7")
    if depth not in (8, 16) or c.start != (0, 0):
        raise UsageError(f"depth={depth}, start={c.start}; expected 8 or 16 bits and the origin")
    box, bits = plain_range(c.wavelet, depth, bits)
    codes, clipped = to_codes(idwt2(c), box, bits)
    return PseudoImage(Codes.of(codes), bits, box, len(c.levels), clipped)


def plain_range(base: str, depth: int, bits: int | None = None) -> tuple[CarrierBox, int]:
    """The box of a pseudo-image of ``bits`` bits, without model and alpha, and these bits; None: as `pseudo_image`."""
    bits = (12 if depth == 8 else 16) if bits is None else bits
    scale, offset = (float(np.float32(part * ((1 << bits) - 1))) for part in (OWN_RANGE, (1 - OWN_RANGE) / 2))
    return CarrierBox(base, depth, NO_MODEL, scale, offset), bits


def to_codes(components: torch.Tensor, box: CarrierBox, bits: int) -> tuple[NDArray[np.uint16], int]:
    """Samples (C, h, w) of the pseudo-image whose components (1, C, h, w) these are, and how many were clipped."""
    peak = (1 << bits) - 1
    codes = ((colour(components, box.base, inverse=True)[0] + 0.5) * box.scale + box.offset).round()
    clipped = int(((codes < 0) | (codes > peak)).sum())
    return codes.clamp(0, peak).to(torch.int32).cpu().numpy().astype(np.uint16), clipped


def encode_carrier(
    coefficients: Coefficients2d,
    depth: int,
    options: EncodeOptions,
    *,
    model: bytes = NO_MODEL,
    bits: int | None = None,
    icc: bytes | None = None,
) -> Encoded:
    """Put coefficients into a JP2 file: `pseudo_image`, then `PseudoImage.file`."""
    pseudo = pseudo_image(coefficients, depth, bits)
    return Encoded(pseudo.file(options, model=model, metadata=Metadata(icc=icc)), pseudo.clipped)
