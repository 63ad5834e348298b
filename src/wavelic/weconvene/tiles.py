"""DATA chunks of the `weconvene` codec: the subbands of one tile as bytes.

    3 bytes     table of the lowest band's residuals, one for each colour, 0..63
    stream      range-coded symbols: the lowest band, then the slices of `IntegerContextModel.code_subbands`
    4 bytes     CRC-32C of the decoded coefficients, int32 in 1/16 step, little-endian, level 1 first

Encoder and decoder run the same schedule with the same integers; a decoder that got other integers notices.
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
from wavelic.weconvene.context import SCALES
from wavelic.weconvene.context_integer import VALUE, low_from_residuals, low_residuals
from wavelic.weconvene.subbands import COLOURS, pack
from wavelic.weconvene.weights import DeployedSmall

_CHECKSUM = 4
#: Squared error, in steps squared, that a bit is worth when residuals are rounded; chosen on validation images.
RATE_WEIGHT = 0.03
#: Largest value of the lowest band and largest residual, in steps; means are below 2^15 sixteenths, so int32 holds all.
_MAX_LOW = 1 << 24


@dataclass(frozen=True)
class Decoded:
    """A tile, int32: ``low`` (3, h, w) in steps, ``details`` (9, h_d, w_d) in 1/16 step, level 1 first."""

    low: NDArray[np.int32]
    details: tuple[NDArray[np.int32], ...]

    def checksum(self) -> int:
        """CRC-32C over all coefficients."""
        crc = crc32c(np.ascontiguousarray(self.low, "<i4").tobytes())
        for detail in self.details:
            crc = crc32c(np.ascontiguousarray(detail, "<i4").tobytes(), crc)
        return crc


def encode_tile(
    model: DeployedSmall, low: Tensor, details: list[Tensor], step: int, rate_weight: float = RATE_WEIGHT
) -> tuple[bytes, Decoded]:
    """Quantise and code one tile: the DATA chunk, and what a decoder will get from it.

    Args:
        low: float32 (3, h, w) in steps, on any device, as all of ``details``.
        details: float32 (9, h_d, w_d) in steps, level 1 (finest) first.
        step: quantiser step in 1/32 octave of a grey level.
        rate_weight: a residual moves towards zero where it saves bits worth more than the error; 0 rounds.
    """
    encoder = RangeEncoder()
    whole = low.round().clamp(-_MAX_LOW, _MAX_LOW).to(torch.int32)
    residuals = low_residuals(whole.cpu().numpy())
    chosen = [_best_table(model, residual) for residual in residuals]
    for residual, table in zip(residuals, chosen, strict=True):
        encoder.encode(residual, np.full(residual.shape, table, np.int32), model.tables)
    packed = [pack(d[None]).to(model.device) for d in details]
    costs = torch.from_numpy(model.costs).to(model.device)

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        target = packed[number - 1][:, list(model.entropy.passes[index].channels)]
        residual = quantise(target - mean.to(torch.float32) / VALUE, table, costs, rate_weight)
        encoder.encode(residual.cpu().numpy(), table.cpu().numpy(), model.tables)
        return residual

    values = model.entropy.code_subbands(whole[None].to(model.device), step, coder)
    decoded = Decoded(whole.cpu().numpy(), tuple(v[0].cpu().numpy() for v in values))
    return bytes(chosen) + encoder.finish() + decoded.checksum().to_bytes(_CHECKSUM, "big"), decoded


def decode_tile(model: DeployedSmall, data: bytes, size: tuple[int, int], step: int) -> Decoded:
    """Inverse of `encode_tile` for a tile whose lowest band has ``size`` (h, w).

    Raises:
        FormatError: the bytes cannot be such a chunk.
        ChecksumError: the coefficients are not those that were coded.
    """
    return decode_tiles(model, [data], size, [step])[0]


def decode_tiles(
    model: DeployedSmall,
    payloads: Sequence[bytes],
    size: tuple[int, int],
    steps: Sequence[int],
    turn: AbstractContextManager[object] | None = None,
) -> list[Decoded]:
    """`decode_tile` for several tiles of one ``size`` together, each with its step: the same integers, sooner.

    turn: held while symbols are read; see `wavelic.api.batch`.

    Raises:
        FormatError, ChecksumError: as there, if any of them is damaged.
    """
    turn = turn or nullcontext()
    with turn:
        decoders, lows = zip(*(_decode_low(model, data, size) for data in payloads), strict=True)

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        del number, index
        rows = table.cpu().numpy()
        with turn:
            symbols = [decoder.decode(row, model.tables) for decoder, row in zip(decoders, rows, strict=True)]
        return torch.from_numpy(np.stack(symbols)).to(mean.device).clamp_(-_MAX_LOW, _MAX_LOW)

    values = model.entropy.code_subbands(torch.from_numpy(np.stack(lows)).to(model.device), steps, coder)
    details = [value.cpu().numpy() for value in values]
    decoded = [Decoded(low, tuple(detail[number] for detail in details)) for number, low in enumerate(lows)]
    for tile, data in zip(decoded, payloads, strict=True):
        if tile.checksum() != int.from_bytes(data[-_CHECKSUM:], "big"):
            raise ChecksumError(
                "the decoded coefficients do not match their checksum; the file is damaged, get it again"
            )
    return decoded


def _decode_low(model: DeployedSmall, data: bytes, size: tuple[int, int]) -> tuple[RangeDecoder, NDArray[np.int32]]:
    """The lowest band, and the decoder behind it.  Raises FormatError as `decode_tile`."""
    if len(data) < COLOURS + _CHECKSUM or max(data[:COLOURS]) >= SCALES:
        raise FormatError(f"a tile of {len(data)} bytes starts with {data[:3].hex()}; the file is damaged")
    decoder = RangeDecoder(data[COLOURS:-_CHECKSUM])
    residuals = [decoder.decode(np.full(size, table, np.int32), model.tables) for table in data[:COLOURS]]
    low = low_from_residuals(np.stack(residuals))
    if max(int(low.max()), -int(low.min())) > _MAX_LOW:
        raise FormatError(f"the lowest band has values from {low.min()} to {low.max()}; the file is damaged")
    return decoder, low


def quantise(target: Tensor, table: Tensor, costs: Tensor, rate_weight: float) -> Tensor:
    """int32 residuals for float targets in steps, of the same shape.

    Of the nearest integer and the next one towards zero, the one with the smaller
    squared error + rate_weight * bits by the symbol's table.
    """
    nearest = target.round().clamp_(-_MAX_LOW, _MAX_LOW)
    if rate_weight > 0:
        reach = costs.shape[1] // 2
        lower = nearest - nearest.sign()
        index = table.to(torch.int64) * costs.shape[1] + reach
        flat = costs.flatten()
        here = flat[index + nearest.clamp(-reach, reach).to(torch.int64)]
        there = flat[index + lower.clamp(-reach, reach).to(torch.int64)]
        saved = (target - lower).square() - (target - nearest).square() < rate_weight * (here - there)
        nearest = torch.where(saved, lower, nearest)
    return nearest.to(torch.int32)


def _best_table(model: DeployedSmall, residual: NDArray[np.int32]) -> int:
    reach = model.costs.shape[1] // 2
    beyond = np.abs(residual) > reach
    columns = np.clip(residual, -reach, reach) + reach
    bits = model.costs[:, columns.ravel()].sum(1, dtype=np.float64) + 8.0 * beyond.sum()
    return int(np.argmin(bits))
