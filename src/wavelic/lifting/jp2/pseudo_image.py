"""The pseudo-image: a picture in which a standard JPEG 2000 encoder finds the coefficients of another transform.

A JPEG 2000 encoder takes images, not coefficients.  So the inverse of the base wavelet turns the coefficients into an
image; the encoder's own forward transform finds them again.  Rate allocation, layers, precincts and reduced decoding
are libopenjp2's.  Without learned steps the pseudo-image is the image.  A `uuid` box says how samples map to numbers
and which model synthesises; without it the file is plain JPEG 2000.

With learned steps a pseudo-image overshoots the range of the image at edges.  On the path of 9/7 that takes no room:
libopenjp2 transforms what it is given, wavelic's decoder asks for samples that are not clipped, and other decoders clip
to the declared range, which is the image's own, so that they show its contrast.  Samples of the reversible path are
decoded as they are declared; there a tenth of the codes is headroom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codec.jp2_box import ALPHA_ID, BASES, NO_MODEL, WavelicBox, metadata_boxes
from wavelic.container.crc import crc32c
from wavelic.errors import UsageError
from wavelic.images import Metadata
from wavelic.jpeg2000 import GREY, SRGB, EncodeOptions, Uuid, encode_filled, write_jp2
from wavelic.lifting.jp2.sample_store import SampleStore
from wavelic.lifting.jp2.samples import colour
from wavelic.wavelets import Coefficients2d, idwt2

#: Share of the code range that the image's own range takes, of either base wavelet; the rest is headroom.
OWN_RANGE = {"9/7": 1.0, "5/3": 0.9}
#: How far beyond the code range samples may go on the path of 9/7, as a share of it: what the decoder's doubled range
#: holds (`wavelic.jpeg2000.precision`).
BEYOND = 0.5


@dataclass(frozen=True)
class PseudoImage:
    """Picture that libopenjp2 is given, to be coded at as many rates as a search needs.

    Attributes:
        samples: (components, H, W), in 0..2^bits - 1 or, of 9/7, up to `BEYOND` that range to either side.
        bits: per sample.
        box: how they map to numbers, without model and alpha.
        levels: wavelet levels.
        clipped: how many samples had to be clipped.
    """

    samples: SampleStore
    bits: int
    box: WavelicBox
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
        """Write the JP2 file: `codestream`, then `boxed`, which have these arguments."""
        return self.boxed(self.codestream(options, tick), model=model, alpha=alpha, metadata=metadata)

    def codestream(self, options: EncodeOptions, tick: Callable[[], None] | None = None) -> bytes:
        """Code the picture with libopenjp2.

        Args:
            options: layers, precincts, progression, threads; the rest is set here.
            tick: called now and then meanwhile.
        """
        components, height, width = self.samples.shape
        reversible = self.box.base == "5/3"
        options = replace(options, reversible=reversible, colour_transform=components == 3, levels=self.levels)
        return encode_filled((height, width), components, self.bits, self.samples.fill, options, tick=tick)

    def boxed(
        self,
        codestream: bytes,
        *,
        model: bytes = NO_MODEL,
        alpha: bytes | None = None,
        metadata: Metadata | None = None,
        enhance: bool = False,
    ) -> bytes:
        """Write the JP2 file around a codestream of this picture.

        Args:
            codestream: from `codestream`.
            model: id of the transform's weights.
            alpha: payload of the opacity box (`wavelic.images.encode_alpha`), if there is opacity.
            metadata: ICC profile, Exif, XMP, IPTC and resolution.
            enhance: the file is meant to be decoded with a network.
        """
        metadata = metadata or Metadata()
        box = replace(self.box, model=model, alpha=None if alpha is None else crc32c(alpha), enhance=enhance)
        boxes = [box.pack(codestream), *metadata_boxes(metadata)]
        if alpha is not None:
            boxes.append(Uuid(ALPHA_ID, alpha))
        colour = SRGB if self.samples.shape[0] == 3 else GREY
        stated = metadata.resolution
        resolution = (stated.x, stated.y) if stated and stated.absolute else None
        return write_jp2(codestream, colour=colour, icc=metadata.icc or None, uuids=boxes, resolution=resolution)


def pseudo_image(coefficients: Coefficients2d, depth: int, bits: int | None = None) -> PseudoImage:
    """Make the picture in which an encoder finds these coefficients.

    Args:
        coefficients: of one image, (1, C, ...) with C 1 or 3, in the range of `samples.to_components`; "jpeg2000"
            normalisation, base wavelet "5/3" or "9/7", starting at the origin.
        depth: bits per sample of the image, 8 or 16.
        bits: bits per sample of the pseudo-image; None: 12, or 16 for a 16-bit image.

    Raises:
        UsageError: the coefficients or an option do not fit.
    """
    c = coefficients
    count = c.low.shape[1]
    if c.wavelet not in BASES or c.normalization != "jpeg2000" or c.low.shape[0] != 1 or count not in (1, 3):
        raise UsageError(f"{tuple(c.low.shape)} coefficients of {c.wavelet}; expected (1, 1 or 3, ...) of 5/3 or 9/7")
    if depth not in (8, 16) or c.start != (0, 0):
        raise UsageError(f"depth={depth}, start={c.start}; expected 8 or 16 bits and the origin")
    box, bits = plain_range(c.wavelet, depth, bits)
    codes, clipped = to_codes(idwt2(c), box, bits)
    return PseudoImage(SampleStore.of(codes), bits, box, len(c.levels), clipped)


def plain_range(base: str, depth: int, bits: int | None = None) -> tuple[WavelicBox, int]:
    """Return the box of a pseudo-image without model and alpha, and its bits per sample.

    Args:
        base: base wavelet.
        depth: bits per sample of the image, 8 or 16.
        bits: of the pseudo-image; None: as for `pseudo_image`.
    """
    bits = (12 if depth == 8 else 16) if bits is None else bits
    own = OWN_RANGE[base]
    scale, offset = (float(np.float32(part * ((1 << bits) - 1))) for part in (own, (1 - own) / 2))
    return WavelicBox(base, depth, NO_MODEL, scale, offset), bits


def code_type(bits: int) -> type[np.integer]:
    """Return the type that holds all samples of a pseudo-image of so many bits."""
    return np.int16 if bits < 15 else np.int32


def to_codes(components: torch.Tensor, box: WavelicBox, bits: int) -> tuple[NDArray[np.integer], int]:
    """Turn components of a pseudo-image into its samples.

    Args:
        components: (1, C, h, w).
        box: how samples map to numbers.
        bits: per sample.

    Returns:
        Samples (C, h, w) of `code_type`, and how many were clipped.
    """
    beyond = int(BEYOND * (1 << bits)) if box.base == "9/7" else 0
    low, high = -beyond, (1 << bits) - 1 + beyond
    codes = ((colour(components, box.base, inverse=True)[0] + 0.5) * box.scale + box.offset).round()
    clipped = int(((codes < low) | (codes > high)).sum())
    return codes.clamp(low, high).to(torch.int32).cpu().numpy().astype(code_type(bits)), clipped


def encode_coefficients(
    coefficients: Coefficients2d,
    depth: int,
    options: EncodeOptions,
    *,
    model: bytes = NO_MODEL,
    bits: int | None = None,
    icc: bytes | None = None,
) -> bytes:
    """Write coefficients as a JP2 file: `pseudo_image`, then `PseudoImage.file`.

    Args:
        coefficients: as for `pseudo_image`.
        depth: as there.
        options: layers, precincts, progression, threads.
        model: id of the transform's weights.
        bits: as for `pseudo_image`.
        icc: ICC profile.

    Raises:
        UsageError: the coefficients or an option do not fit.
    """
    return pseudo_image(coefficients, depth, bits).file(options, model=model, metadata=Metadata(icc=icc))
