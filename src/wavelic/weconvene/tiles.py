"""DATA chunks of the `weconvene` codec: the subbands of one tile as bytes.

    3 bytes     table of the lowest band's residuals, one for each colour, 0..63; SPARSE is added to the first of a
                sparse tile
    stream      range-coded symbols: the lowest band, the scale offsets (`wavelic.weconvene.offsets`), the slices in the
                order of `context.code_levels`
    4 bytes     CRC-32C of the decoded coefficients, int32 in 1/16 step, little-endian, level 1 first

In a sparse tile residuals are zero, and not in the stream, wherever the context model names its smallest scale: most of
a photograph's, which took the range coder more time than all others.

Encoder and decoder run the same schedule with the same integers; a decoder that got other integers notices.  Tiles of
one size are coded together, because a call of the networks costs little more for several of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.entropy import RangeEncoder
from wavelic.weconvene.context import code_levels
from wavelic.weconvene.offsets import TABLE, choose_offsets, moved, to_differences
from wavelic.weconvene.rdoq import RDOQ_LAMBDA, quantise
from wavelic.weconvene.subbands import pack_slice
from wavelic.weconvene.tile_reader import CHECKSUM, SPARSE, Decoded, TileReader, low_residuals
from wavelic.weconvene.units import MAX_VALUE, STEP_UNIT, VALUE
from wavelic.weconvene.weights import Model

#: Rise of squared error + weight * bits, as a share of weight * bits, beyond which a tile is not made sparse.
_SPARSE_LOSS = 0.002
#: Pixels of tiles that are coded together: enough for the calls to cost little, few enough for the caches.
GROUP_PIXELS = 1 << 20


@torch.inference_mode()
def encode_tiles(
    model: Model,
    lows: Sequence[Tensor],
    details: Sequence[Sequence[Tensor]],
    step: int,
    rdoq_lambda: float = RDOQ_LAMBDA,
) -> list[tuple[bytes, Decoded]]:
    """Quantise and code tiles of one size: the DATA chunk of each, and what a decoder will get from it.

    Tiles are sparse but where much would be lost by that, as in isolated dots on plain ground.

    Args:
        model: its context model and tables are used.
        lows: float32 (3, h, w) in steps, of each tile.
        details: float32 (9, h_d, w_d) in steps, level 1 (finest) first, of each tile.
        step: quantiser step in 1/32 octave of a grey level.
        rdoq_lambda: a residual moves towards zero where it saves bits worth more than the error; 0 rounds.
    """
    lost = torch.zeros(len(lows), dtype=torch.float64, device=model.device)
    coded = _encode_tiles(model, lows, details, step, rdoq_lambda, lost)
    allowed = [_SPARSE_LOSS * (rdoq_lambda or RDOQ_LAMBDA) * 8 * len(data) for data, _ in coded]
    dense = [number for number, loss in enumerate(lost.tolist()) if loss > allowed[number]]
    if dense:
        again = _encode_tiles(
            model, [lows[number] for number in dense], [details[number] for number in dense], step, rdoq_lambda, None
        )
        for number, result in zip(dense, again, strict=True):
            coded[number] = result
    return coded


def _encode_tiles(
    model: Model,
    lows: Sequence[Tensor],
    details: Sequence[Sequence[Tensor]],
    step: int,
    rdoq_lambda: float,
    lost: Tensor | None,
) -> list[tuple[bytes, Decoded]]:
    """As `encode_tiles`, sparse or not; ``lost``: see `quantise`, None if the tiles are not sparse."""
    sparse = lost is not None
    encoders = [RangeEncoder() for _ in lows]
    whole = torch.stack([low.round().clamp(-MAX_VALUE, MAX_VALUE).to(torch.int32) for low in lows])
    chosen = []
    for encoder, low in zip(encoders, whole.cpu().numpy(), strict=True):
        residuals = low_residuals(low)
        chosen.append([_best_table(model, residual) for residual in residuals])
        for residual, table in zip(residuals, chosen[-1], strict=True):
            encoder.encode(residual, np.full(residual.shape, table, np.int32), model.tables)
        chosen[-1][0] += SPARSE * sparse
    targets = [torch.stack(level).to(model.device) for level in zip(*details, strict=True)]
    costs = torch.from_numpy(model.costs).to(model.device)
    slices: list[tuple[Tensor, Tensor]] = []

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        target = pack_slice(targets[number - 1], model.entropy.slices[index])
        residual = quantise(target.sub_(mean, alpha=1 / VALUE), table, costs, rdoq_lambda, lost)
        slices.append((residual.cpu(), table.cpu()))
        return torch.add(mean, residual, alpha=VALUE)

    log2_step = torch.full((1,), step / STEP_UNIT, device=model.device)
    values = code_levels(model.entropy, whole.to(model.device), log2_step, len(targets), coder)
    results = []
    for number, (encoder, tables, low) in enumerate(zip(encoders, chosen, whole, strict=True)):
        of_tile = ((r[number].numpy().ravel(), t[number].numpy().ravel()) for r, t in slices)
        _encode_slices(model, encoder, [_coded(r, t) if sparse else (r, t) for r, t in of_tile])
        decoded = Decoded(low.cpu().numpy(), tuple(v[number].cpu().numpy() for v in values))
        chunk = bytes(tables) + encoder.finish() + decoded.checksum().to_bytes(CHECKSUM, "big")
        results.append((chunk, decoded))
    return results


def _coded(residuals: NDArray[np.int32], tables: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Those that are in the stream of a sparse tile."""
    places = np.flatnonzero(tables)
    return residuals[places], tables[places]


def _encode_slices(
    model: Model, encoder: RangeEncoder, slices: Sequence[tuple[NDArray[np.int32], NDArray[np.uint8]]]
) -> None:
    """Append a tile's scale offsets and the residuals of its slices to the stream."""
    per_level = len(model.entropy.slices)
    offsets = choose_offsets(model.costs, slices, per_level)
    encoder.encode(to_differences(offsets, per_level), np.full(len(offsets), TABLE, np.int32), model.tables)
    for (residuals, tables), offset in zip(slices, offsets, strict=True):
        encoder.encode(residuals, moved(tables, offset), model.tables)


@torch.inference_mode()
def decode_tiles(
    model: Model,
    payloads: Sequence[bytes],
    size: tuple[int, int],
    levels: int,
    steps: Sequence[int],
    lock: AbstractContextManager[object] | None = None,
) -> list[Decoded]:
    """Inverse of `encode_tiles` for tiles whose lowest bands have ``size`` (h, w).

    Args:
        model: as there.
        payloads: the DATA chunks.
        size: rows and columns of the lowest band.
        levels: wavelet levels.
        steps: quantiser step of each tile, or one for all, in 1/32 octave of a grey level.
        lock: held while symbols are read: Python code that threads would only hinder each other in.

    Raises:
        FormatError: the bytes cannot be such a chunk.
        ChecksumError: the coefficients are not those that were coded.
    """
    lock = lock or nullcontext()
    per_level = len(model.entropy.slices)
    with lock:
        readers = [TileReader(model.tables, data, size, levels, per_level) for data in payloads]

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        tables = table.cpu().numpy()
        place = (levels - number) * per_level + index
        with lock:
            symbols = [reader.residuals(place, own) for reader, own in zip(readers, tables, strict=True)]
        return torch.from_numpy(np.stack(symbols)).to(mean.device).mul_(VALUE).add_(mean)

    log2_step = torch.tensor([step / STEP_UNIT for step in steps], device=model.device)
    low = torch.from_numpy(np.stack([reader.low for reader in readers])).to(model.device)
    details = [value.cpu().numpy() for value in code_levels(model.entropy, low, log2_step, levels, coder)]
    tiles = [Decoded(reader.low, tuple(d[number] for d in details)) for number, reader in enumerate(readers)]
    for reader, tile in zip(readers, tiles, strict=True):
        reader.check(tile)
    return tiles


def _best_table(model: Model, residual: NDArray[np.int32]) -> int:
    largest = model.costs.shape[1] // 2
    beyond = np.abs(residual) > largest
    columns = np.clip(residual, -largest, largest) + largest
    bits = model.costs[:, columns.ravel()].sum(1, dtype=np.float64) + 8.0 * beyond.sum()
    return int(np.argmin(bits))
