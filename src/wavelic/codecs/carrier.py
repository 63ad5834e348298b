"""Wavelet coefficients in an ordinary JP2 file.

A JPEG 2000 encoder takes images, not coefficients.  So the coefficients are turned into a *pseudo-image* by the
standard inverse transform; a stock encoder codes that image, and its own forward transform finds them again:

    image -> colour transform -> (learned) analysis -> inverse 9/7 -> inverse colour transform -> 12-bit samples -> JP2
    JP2 -> stock decode -> colour transform -> forward 9/7 -> (learned) synthesis -> inverse colour transform -> image

Rate allocation, layers, precincts and reduced decoding are the stock coder's.  Without learned steps the pseudo-image
is the image.  A `uuid` box says how samples map to numbers and which model synthesises; without it the file is plain
JPEG 2000, and plain JPEG 2000 files are read here as well, with no learned steps.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.container.crc import crc32c
from wavelic.errors import ChecksumError, FormatError, ModelError, UsageError
from wavelic.jpeg2000 import (
    DEFAULT_LIMITS,
    GREY,
    SRGB,
    EncodeOptions,
    Jp2,
    Limits,
    MainHeader,
    Uuid,
    decode_codestream,
    encode_codestream,
    parse_main_header,
    read_jp2,
    replace_codestream,
    salvage,
    trim_codestream,
    write_jp2,
)
from wavelic.models.lifting import LiftingTransform, build_lifting
from wavelic.models.lifting_window import Axes, Region, synthesize_window, window_axes
from wavelic.nn.lifting_grid import Axis
from wavelic.wavelets import Coefficients2d, dwt2, idwt2

BOX_ID = bytes.fromhex("c79fe95b3407414aa66c0b6083a53724")
VERSION = 1
MODEL_BYTES = 8
#: Model identity of a transform without learned steps.
NO_MODEL = bytes(MODEL_BYTES)
#: Share of the code range that the image's own range takes; the rest is headroom for the pseudo-image's overshoot.
OWN_RANGE = 0.9

_BASES = ("5/3", "9/7")
_BASE_REACH = 4  # half the longest filter, as `Level.reach`
_BOX = struct.Struct(f">BBB{MODEL_BYTES}sff")  # version, base, depth, model, scale, offset; then the CRC-32C
_DAMAGED = "the file is damaged; fetch it again"

# Rows: Y, Cb, Cr of R, G, B.  ICT (T.800 annex G.3) goes with 9/7, the linear part of RCT (G.2) with 5/3.
_ICT = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_RCT = ((0.25, 0.5, 0.25), (0.0, -1.0, 1.0), (1.0, -1.0, 0.0))


@dataclass(frozen=True)
class CarrierBox:
    """What the `uuid` box says.

    base: wavelet of the codestream.  depth: bits per sample of the image, 8 or 16.  model: first bytes of the content
    hash of the transform's weights, or NO_MODEL.  A code value v stands for (v - offset) / scale - 0.5.
    """

    base: str
    depth: int
    model: bytes
    scale: float
    offset: float

    def pack(self, codestream: bytes) -> Uuid:
        """The box for a file with this codestream; its CRC-32C covers both."""
        fields = (_BASES.index(self.base), self.depth, self.model, self.scale, self.offset)
        head = _BOX.pack(VERSION, *fields)
        return Uuid(BOX_ID, head + struct.pack(">I", crc32c(codestream, crc32c(head))))


def unpack_box(box: Uuid, codestream: bytes | None) -> CarrierBox:
    """Parse a box and check it, and ``codestream`` unless None, against its CRC-32C.

    Raises FormatError if the box is not one of ours, ChecksumError if the checksum does not match.
    """
    if len(box.data) != _BOX.size + 4 or box.data[0] != VERSION:
        raise FormatError(f"wavelic's box has {len(box.data)} bytes, version {box.data[:1].hex()}; {_DAMAGED}")
    head, (checksum,) = box.data[: _BOX.size], struct.unpack(">I", box.data[_BOX.size :])
    if codestream is not None and crc32c(codestream, crc32c(head)) != checksum:
        raise ChecksumError(f"the codestream's checksum is not {checksum:08x}; {_DAMAGED}")
    _, base, depth, model, scale, offset = _BOX.unpack(head)
    if base >= len(_BASES) or depth not in (8, 16) or not scale > 0 or not np.isfinite([scale, offset]).all():
        raise FormatError(f"wavelic's box says base {base}, depth {depth}, scale {scale}, offset {offset}; {_DAMAGED}")
    return CarrierBox(_BASES[base], depth, model, scale, offset)


def to_components(pixels: NDArray[np.unsignedinteger], base: str = "9/7") -> Tensor:
    """uint8 or uint16 pixels (H, W, 1) or (H, W, 3) -> float32 components (1, 1 or 3, H, W) for an analysis.

    RGB becomes luma in [-0.5, 0.5] and chroma around 0.
    """
    peak = np.iinfo(pixels.dtype).max
    x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1).unsqueeze(0) / peak - 0.5
    return _colour(x, base, inverse=False)


def to_pixels(components: Tensor, depth: int, base: str = "9/7") -> NDArray[np.unsignedinteger]:
    """Inverse of `to_components`, rounded and clipped: (1, C, H, W) -> uint8 or uint16 (H, W, C)."""
    peak = (1 << depth) - 1
    x = (_colour(components, base, inverse=True) + 0.5) * peak
    return x[0].permute(1, 2, 0).round().clamp(0, peak).numpy().astype(np.uint8 if depth == 8 else np.uint16)


def _colour(x: Tensor, base: str, *, inverse: bool) -> Tensor:
    """The colour transform of three components, in the range of `to_components`; one component as it is."""
    if x.shape[1] == 1:
        return x
    matrix = torch.tensor(_RCT if base == "5/3" else _ICT, dtype=torch.float64)
    matrix = (torch.linalg.inv(matrix) if inverse else matrix).to(x.dtype)
    return torch.einsum("oc,bchw->bohw", matrix, x)


@dataclass(frozen=True)
class Encoded:
    """A file, and how many of its samples the pseudo-image's overshoot had to be clipped."""

    data: bytes
    clipped: int


def encode_carrier(
    coefficients: Coefficients2d,
    depth: int,
    options: EncodeOptions,
    *,
    model: bytes = NO_MODEL,
    bits: int | None = None,
    icc: bytes | None = None,
) -> Encoded:
    """Put coefficients into a JP2 file.

    Parameters
    ----------
    coefficients
        Of one image, (1, C, ...) with C 1 or 3, in the range of `to_components`; "jpeg2000" normalisation, base wavelet
        "5/3" or "9/7", starting at the origin.
    depth
        Bits per sample of the image, 8 or 16.
    options
        Layers, precincts, progression, threads; wavelet, levels and colour transform are set here.
    bits
        Bits per sample of the pseudo-image; None: 12, or 16 for a 16-bit image.

    Raises
    ------
    UsageError
        The coefficients or an option do not fit.
    """
    c = coefficients
    count = c.low.shape[1]
    if c.wavelet not in _BASES or c.normalization != "jpeg2000" or c.low.shape[0] != 1 or count not in (1, 3):
        raise UsageError(f"{tuple(c.low.shape)} coefficients of {c.wavelet}; expected (1, 1 or 3, ...) of 5/3 or 9/7")
    if depth not in (8, 16) or c.start != (0, 0):
        raise UsageError(f"depth={depth}, start={c.start}; expected 8 or 16 bits and the origin")
    bits = (12 if depth == 8 else 16) if bits is None else bits
    peak = (1 << bits) - 1
    scale, offset = (float(np.float32(part * peak)) for part in (OWN_RANGE, (1 - OWN_RANGE) / 2))
    codes = ((_colour(idwt2(c), c.wavelet, inverse=True)[0] + 0.5) * scale + offset).round()
    clipped = int(((codes < 0) | (codes > peak)).sum())
    planes = list(codes.clamp(0, peak).to(torch.int32).numpy())
    reversible = c.wavelet == "5/3"
    options = replace(options, reversible=reversible, colour_transform=count == 3, levels=len(c.levels))
    codestream = encode_codestream(planes, bits, options)
    box = CarrierBox(c.wavelet, depth, model, scale, offset).pack(codestream)
    return Encoded(write_jp2(codestream, colour=SRGB if count == 3 else GREY, icc=icc, uuids=[box]), clipped)


@dataclass(frozen=True)
class CarrierFile:
    """An opened JP2 file, checked but not decoded.

    box: what wavelic's box says, made up for plain JPEG 2000.  jp2: the parsed file.  codestream: what is decoded, and
    header: its main header.  complete: False if the file was cut; ``whole_layers`` of its layers remain (0: not even
    one, some packets are missing).  limits: for the decodes to come.
    """

    box: CarrierBox
    jp2: Jp2
    header: MainHeader
    codestream: bytes
    complete: bool
    whole_layers: int
    limits: Limits

    @property
    def levels(self) -> int:
        """Wavelet levels: the largest ``reduce``."""
        return self.header.levels

    @property
    def layers(self) -> int:
        """Quality layers: the largest useful ``max_layers``."""
        return self.header.layers

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        """(width, height) for every ``reduce`` from 0."""
        width, height = self.header.width, self.header.height
        return tuple((-(-width // 2**r), -(-height // 2**r)) for r in range(self.levels + 1))

    def read(
        self,
        transform: LiftingTransform | None = None,
        *,
        reduce: int = 0,
        max_layers: int | None = None,
        region: Region | None = None,
        threads: int = 1,
    ) -> NDArray[np.unsignedinteger]:
        """Decode to pixels (height, width, 1 or 3), uint8 or uint16.

        transform: the one whose model the box names; None if it names none.  reduce: halve the size that often,
        rounding up.  region: (x, y, width, height) in pixels of the full image; at a reduced size it covers the samples
        from ceil(x / 2**reduce) up to ceil((x + width) / 2**reduce).

        Raises ModelError without the transform that is needed, UsageError for a wrong request, FormatError for damage.
        """
        if transform is None:
            if self.box.model != NO_MODEL:
                raise ModelError(f"the file needs model {self.box.model.hex()}; pass the transform with these weights")
            transform = build_lifting({"5/3": "LeGall-5/3", "9/7": "CDF-9/7"}[self.box.base])
        if transform.base != self.box.base:
            raise ModelError(
                f"the transform is based on {transform.base}, the file on {self.box.base}; pass the right one"
            )
        if not 0 <= reduce <= self.header.levels:
            raise UsageError(f"reduce is {reduce}, expected 0..{self.header.levels}, the wavelet levels; lower it")
        width, height = self.level_dimensions[reduce]
        size = height, width
        wanted, whole = _reduced(region, 2**reduce, size), (Axis(0, height), Axis(0, width))
        levels = self.header.levels - reduce
        part = whole if region is None else _pseudo_window(transform, size, levels, wanted)
        with torch.no_grad():
            coefficients = self._coefficients(part, reduce, max_layers, threads)
            if region is None:
                components = transform.synthesis(coefficients)
            else:
                x, y = wanted[0] - part[1].start, wanted[1] - part[0].start
                components = synthesize_window(transform, coefficients, (x, y, wanted[2], wanted[3]))
            return to_pixels(components, self.box.depth, self.box.base)

    def _coefficients(self, part: Axes, reduce: int, max_layers: int | None, threads: int) -> Coefficients2d:
        """Coefficients of a window of the pseudo-image, given by rows and columns at the reduced size."""
        (rows, columns), shrink = part, 2**reduce
        left, top = columns.start * shrink, rows.start * shrink
        right = min((columns.start + columns.size) * shrink, self.header.width)
        bottom = min((rows.start + rows.size) * shrink, self.header.height)
        area = left, top, right - left, bottom - top
        everything = area == (0, 0, self.header.width, self.header.height)
        decoded = decode_codestream(
            self.codestream,
            reduce=reduce,
            max_layers=max_layers,
            area=None if everything else area,
            threads=threads,
            limits=self.limits,
        )
        codes = torch.from_numpy(np.stack(decoded.planes)).float().unsqueeze(0)
        x = _colour((codes - self.box.offset) / self.box.scale - 0.5, self.box.base, inverse=False)
        return dwt2(x, self.box.base, self.header.levels - reduce, "jpeg2000", start=(rows.start, columns.start))


def open_carrier(data: bytes, *, limits: Limits = DEFAULT_LIMITS, allow_partial: bool = False) -> CarrierFile:
    """Open a JP2 file, ours or plain, of one or three components.

    allow_partial: if the file is cut short, keep its whole layers.  Raises FormatError for a file that is damaged or of
    another kind, ChecksumError if the box is there and its checksum does not match, LimitError above a limit.
    """
    jp2 = read_jp2(data, limits, partial=allow_partial)
    boxes = [uuid for uuid in jp2.uuids if uuid.identifier == BOX_ID]
    header = parse_main_header(jp2.codestream, limits)
    bits = {(component.bits, component.signed, component.dx, component.dy) for component in header.components}
    if len(header.components) not in (1, 3) or len(bits) != 1 or jp2.colour not in (SRGB, GREY, None):
        raise FormatError(
            f"{len(header.components)} components of {bits}; expected one, or three of RGB; convert the file"
        )
    styles = {(style.levels, style.reversible) for style in header.styles}
    if len(styles) != 1 or header.grid.x0 or header.grid.y0:
        raise FormatError("components of different wavelets, or an image off the origin; convert the file")
    base = "5/3" if header.styles[0].reversible else "9/7"
    depth, signed, *steps = bits.pop()
    if signed or steps != [1, 1]:
        raise FormatError("signed or subsampled components; convert the file to plain RGB or grey")
    box = CarrierBox(base, 8 if depth <= 8 else 16, NO_MODEL, float((1 << depth) - 1), 0.0)
    if boxes:
        box = unpack_box(boxes[0], jp2.codestream if jp2.complete else None)
    if box.base != base:
        raise FormatError(f"wavelic's box says {box.base}, the codestream {base}; {_DAMAGED}")
    if jp2.complete:
        return CarrierFile(box, jp2, header, jp2.codestream, True, header.layers, limits)
    saved = salvage(jp2.codestream, limits)
    header = parse_main_header(saved.codestream, limits)
    return CarrierFile(box, jp2, header, saved.codestream, False, saved.layers, limits)


def trim_carrier(
    data: bytes, *, max_layers: int | None = None, max_bytes: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """The file with fewer layers, at most ``max_layers`` and at most ``max_bytes`` in all, not re-encoded.

    The box gets the new checksum.  Raises as `open_carrier` and `jpeg2000.trim_codestream` do.
    """
    file = open_carrier(data, limits=limits)
    rest = len(data) - len(file.codestream)
    budget = None if max_bytes is None else max_bytes - rest
    codestream = trim_codestream(file.codestream, max_layers=max_layers, max_bytes=budget, limits=limits)
    uuids = [file.box.pack(codestream) if uuid.identifier == BOX_ID else uuid for uuid in file.jp2.uuids]
    return replace_codestream(data, codestream, uuids)


def _reduced(region: Region | None, shrink: int, size: tuple[int, int]) -> Region:
    """The region at the reduced size; all of it for None."""
    if region is None:
        return 0, 0, size[1], size[0]
    x, y, width, height = region
    left, top = -(-x // shrink), -(-y // shrink)
    return left, top, -(-(x + width) // shrink) - left, -(-(y + height) // shrink) - top


def _pseudo_window(transform: LiftingTransform, size: tuple[int, int], levels: int, region: Region) -> Axes:
    """Which rows and columns of the pseudo-image determine all coefficients a window's synthesis uses.

    From the coarsest level up: a level's bands are right where its signal is right for the reach of the base wavelet
    around them, and its signal is right where the bands above it are.
    """
    plan = window_axes(transform, size, levels, region)
    x, y, width, height = region
    needed: Axes = (Axis(y, height), Axis(x, width))
    for level in reversed(range(levels)):
        both = plan[level] if level == levels - 1 else tuple(map(_union, plan[level], map(_doubled, needed)))
        whole = (-(-size[0] // 2**level), -(-size[1] // 2**level))
        rows, columns = (_widened(axis, limit) for axis, limit in zip(both, whole, strict=True))
        needed = rows, columns
    return needed


def _doubled(axis: Axis) -> Axis:
    return Axis(2 * axis.start, 2 * axis.size)


def _union(a: Axis, b: Axis) -> Axis:
    first = min(a.start, b.start)
    return Axis(first, max(a.start + a.size, b.start + b.size) - first)


def _widened(axis: Axis, limit: int) -> Axis:
    first = max(0, axis.start - _BASE_REACH)
    return Axis(first, min(limit, axis.start + axis.size + _BASE_REACH) - first)
