"""Files of the published WeConvene networks: a stream of `LatentCoder` with what is needed to read and to refuse it.

Not `.wlic`: that format promises that a file decodes on every machine and in every later release, and these networks
code with float parameters.  The framing is that of `.wlic` chunks, each with a CRC-32C:

    8 bytes     89 57 43 56 0D 0A 1A 0A
    head        u32 width, u32 height, 16 bytes of the SHA-256 of configuration and weights
    DATA        the stream of one picture, its sides extended to multiples of 64 by replication
    lcrc        u32, CRC-32C of the decoded symbols, so that a decoder whose floats differ notices
    WEND        empty
"""

from __future__ import annotations

import struct

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from wavelic.codec.weights import content_hash
from wavelic.container import DATA, DEFAULT_LIMITS, LCRC, WEND, Chunk, Limits
from wavelic.container.chunks import parse_chunk, write_chunk
from wavelic.container.limits import admit
from wavelic.errors import ChecksumError, FormatError, ModelError, UsageError
from wavelic.threedm.coding import LatentCoder
from wavelic.threedm.network import WeConvene
from wavelic.threedm.transform import STRIDE

MAGIC = b"\x89WCV\r\n\x1a\n"
_HEAD = struct.Struct(">II16s")
_KINDS = (b"head", DATA, LCRC, WEND)


def model_id(model: WeConvene) -> bytes:
    """16 bytes that stand for the configuration and the weights of a network."""
    tensors = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    return content_hash(repr(model.config), tensors)[:16]


def write_picture(model: WeConvene, pixels: NDArray[np.uint8]) -> bytes:
    """The file of an (H, W, 3) picture.  Raises UsageError for other arrays, or weights that give infinite latents."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise UsageError(f"a picture {pixels.dtype} {pixels.shape}; expected uint8 (H, W, 3)")
    height, width = pixels.shape[:2]
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    images = pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
    stream, checksum = LatentCoder(model).encode_checked(images.to(next(model.parameters()).device))
    head = _HEAD.pack(width, height, model_id(model))
    payloads = (head, stream, checksum.to_bytes(4, "big"), b"")
    return MAGIC + b"".join(write_chunk(Chunk(*chunk)) for chunk in zip(_KINDS, payloads, strict=True))


def read_picture(model: WeConvene, data: bytes, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """The (H, W, 3) picture in a file.

    Raises:
        FormatError, ChecksumError, LimitError: not such a file, damaged, too large, or this machine's floats are not
            those of the machine that wrote it.
        ModelError: written with another configuration or other weights.
    """
    head, stream, stated = _payloads(data, limits)
    width, height, wanted = _HEAD.unpack(head)
    if not (width and height):
        raise FormatError(f"a picture of {width} x {height} pixels; the file is damaged")
    admit("max_side", "the longer side", max(width, height), limits)
    admit("max_pixels", "the number of pixels", width * height, limits)
    if wanted != model_id(model):
        raise ModelError(f"the file was written with weights {wanted.hex()}, not {model_id(model).hex()}; load those")
    padded = (height + -height % STRIDE, width + -width % STRIDE)
    images, checksum = LatentCoder(model).decode_checked(stream, padded)
    if checksum != int.from_bytes(stated, "big"):
        raise ChecksumError(
            "the decoded latent does not match its checksum: these networks code with floats, which differ on this"
            " machine; decode where the file was written"
        )
    colours = images[0, :, :height, :width].clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(colours.permute(1, 2, 0).cpu().numpy())


def _payloads(data: bytes, limits: Limits) -> tuple[bytes, bytes, bytes]:
    """Of head, DATA and lcrc, which must be there in this order, with WEND and nothing behind it."""
    if data[: len(MAGIC)] != MAGIC:
        raise FormatError(
            f"the file starts with {data[:8].hex()}, expected {MAGIC.hex()}; give a file of these networks"
        )
    view, offset = memoryview(data), len(MAGIC)
    payloads = []
    for kind in _KINDS:
        chunk = parse_chunk(view, offset, limits)
        if chunk.kind != kind:
            raise FormatError(f"chunk {chunk.kind!r} where {kind!r} belongs; the file is damaged")
        payloads.append(chunk.payload)
        offset += chunk.size
    head, stream, stated, end = payloads
    if offset != len(data) or (len(head), len(stated), len(end)) != (_HEAD.size, 4, 0):
        raise FormatError(f"chunks of {len(head)}, {len(stated)}, {len(end)} bytes, {len(data) - offset} behind them")
    return head, stream, stated
