"""DATA chunks of the `3dm` codec: the coefficients of one tile as bytes.

    stream      range-coded symbols: z, then the slices in coding order
    4 bytes     CRC-32C of z and of the decoded coefficients, int32, little-endian, coefficients in 1/64 step

Encoder and decoder run the same walk with the same integers; a decoder that got other integers notices.  Tiles of one
size are coded together, because a call of the networks costs little more for several of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.container import crc32c
from wavelic.entropy import RangeDecoder, RangeEncoder
from wavelic.errors import ChecksumError, FormatError
from wavelic.threedm.entropy import MAX_VALUE, RATE_UNIT, VALUE
from wavelic.threedm.plan import Slice
from wavelic.threedm.weights import Model

_CHECKSUM = 4
#: Largest symbol of z.
_MAX_HYPER = 1 << 15
#: Cells of the coefficients' grid, 16 x 16 pixels, to one of z.
HYPER = 4
#: Pixels of tiles that are coded together.
GROUP_PIXELS = 1 << 20


@dataclass(frozen=True)
class Decoded:
    """A tile, int32: ``z`` (hyper, h / 4, w / 4), ``coefficients`` (4 * latent, h, w) in 1/64 step."""

    z: NDArray[np.int32]
    coefficients: NDArray[np.int32]

    def checksum(self) -> int:
        """Return the CRC-32C over all of it."""
        crc = crc32c(np.ascontiguousarray(self.z, "<i4").tobytes())
        return crc32c(np.ascontiguousarray(self.coefficients, "<i4").tobytes(), crc)


@torch.inference_mode()
def encode_tiles(
    model: Model, coefficients: Sequence[Tensor], rate: int, z: Sequence[Tensor] | None = None
) -> list[tuple[bytes, Decoded]]:
    """Quantise and code tiles of one size.

    Args:
        model: all of it is used but g_a and g_s.
        coefficients: float32 (4 * latent, h, w) in steps, h and w multiples of 4, of each tile.
        rate: in 1/32 octave of lambda.
        z: int32 symbols of z to code instead of what h_a gives.

    Returns:
        The DATA chunk of each tile, and what a decoder will get from it.
    """
    values = torch.stack(list(coefficients)).to(model.device)
    if z is None:
        hyper = model.transform.hyper_analysis(values.contiguous(memory_format=torch.channels_last)) - model.medians
        symbols = hyper.round().clamp(-_MAX_HYPER, _MAX_HYPER).to(torch.int32)
    else:
        symbols = torch.stack(list(z)).to(model.device)
    whole = symbols.cpu().numpy()
    encoders = [RangeEncoder() for _ in coefficients]
    for encoder, part in zip(encoders, whole, strict=True):
        encoder.encode(part, _channel_index(part.shape), model.hyper_tables)

    def coder(part: Slice, mean: Tensor, table: Tensor) -> Tensor:
        target = values[:, part.start : part.stop] - mean.to(torch.float32) / VALUE
        residual = target.round_().clamp_(-MAX_VALUE, MAX_VALUE).to(torch.int32)
        for encoder, row, numbers in zip(encoders, residual.cpu().numpy(), table.cpu().numpy(), strict=True):
            encoder.encode(row, numbers, model.tables)
        return residual.mul_(VALUE).add_(mean)

    rates = torch.full((len(values),), rate, dtype=torch.int32, device=model.device)
    decoded = model.entropy(symbols, rates, coder).cpu().numpy()
    results = []
    for encoder, part, tile in zip(encoders, whole, decoded, strict=True):
        result = Decoded(part, tile)
        results.append((encoder.finish() + result.checksum().to_bytes(_CHECKSUM, "big"), result))
    return results


@torch.inference_mode()
def decode_tiles(
    model: Model,
    payloads: Sequence[bytes],
    size: tuple[int, int],
    rates: Sequence[int],
    lock: AbstractContextManager[object] | None = None,
) -> list[Decoded]:
    """Inverse of `encode_tiles`.

    Args:
        model: as there.
        payloads: the DATA chunks.
        size: rows and columns of the coefficients, multiples of 4.
        rates: of each tile, in 1/32 octave of lambda.
        lock: held while symbols are read: Python code that threads would only hinder each other in.

    Returns:
        The tiles.

    Raises:
        FormatError: the bytes cannot be such a chunk.
        ChecksumError: the coefficients are not those that were coded.
    """
    lock = lock or nullcontext()
    shape = (model.config.hyper, size[0] // HYPER, size[1] // HYPER)
    if any(len(data) < _CHECKSUM for data in payloads):
        raise FormatError(
            f"a tile of {min(map(len, payloads))} bytes, expected {_CHECKSUM} or more; get the file again"
        )
    with lock:
        decoders = [RangeDecoder(data[:-_CHECKSUM]) for data in payloads]
        whole = np.stack([decoder.decode(_channel_index(shape), model.hyper_tables) for decoder in decoders])
    if np.abs(whole.astype(np.int64)).max() > _MAX_HYPER:
        raise FormatError(f"z has values from {whole.min()} to {whole.max()}; the file is damaged")

    def coder(part: Slice, mean: Tensor, table: Tensor) -> Tensor:
        del part
        rows = table.cpu().numpy()
        with lock:
            symbols = [decoder.decode(row, model.tables) for decoder, row in zip(decoders, rows, strict=True)]
        residual = torch.from_numpy(np.stack(symbols)).to(mean.device).clamp_(-MAX_VALUE, MAX_VALUE)
        return residual.mul_(VALUE).add_(mean)

    every = torch.tensor(list(rates), dtype=torch.int32, device=model.device)
    values = model.entropy(torch.from_numpy(whole).to(model.device), every, coder).cpu().numpy()
    decoded = [Decoded(*parts) for parts in zip(whole, values, strict=True)]
    for tile, data in zip(decoded, payloads, strict=True):
        if tile.checksum() != int.from_bytes(data[-_CHECKSUM:], "big"):
            raise ChecksumError(
                "the decoded coefficients do not match their checksum; the file is damaged, get it again"
            )
    return decoded


def octaves(rate: int) -> float:
    """Return a rate in octaves of lambda."""
    return rate / RATE_UNIT


def _channel_index(shape: tuple[int, ...]) -> NDArray[np.int32]:
    return np.broadcast_to(np.arange(shape[0], dtype=np.int32)[:, None, None], shape)
