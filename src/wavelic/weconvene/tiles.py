"""DATA chunks of the `weconvene` codec: the subbands of one tile as bytes.

    3 bytes     table of the lowest band's residuals, one for each colour, 0..63; SPARSE is added to the first of a
                sparse tile
    1 byte      how many slices are coded, in the order of `context.code_levels`
    2 bytes     lower half of the CRC-32C of the decoded lowest band and levels above GRID_LEVELS, for pictures of a
                reduced size
    stream      range-coded symbols: the lowest band, the scale offsets (`wavelic.weconvene.offsets`), the slices
    4 bytes     CRC-32C of the decoded coefficients, int32 in 1/16 step, little-endian, level 1 first

In a sparse tile residuals are zero, and not in the stream, wherever the context model names its smallest scale: most of
a photograph's, which took the range coder more time than all others.  Coefficients of slices that are not coded are
zero, and the context model is not asked about them: of most photographs the colours of the finest level, of blank tiles
everything.

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
from wavelic.weconvene.layout import BANDS, COLOURS, Slice
from wavelic.weconvene.offsets import TABLE, bits_of, choose_offsets, moved, to_differences
from wavelic.weconvene.rdoq import RDOQ_LAMBDA, quantise
from wavelic.weconvene.subbands import pack_slice
from wavelic.weconvene.tile_reader import CHECKSUM, COARSE_CHECKSUM, SPARSE, Decoded, TileReader, low_residuals
from wavelic.weconvene.units import MAX_VALUE, STEP_UNIT, VALUE
from wavelic.weconvene.weights import Model

#: Rise of squared error + weight * bits, as a share of weight * bits, beyond which a tile is not made sparse.
_SPARSE_LOSS = 0.002
#: The same share for slices that are not coded though they would be worth a little.
_CUT_LOSS = 0.001
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
    energies: list[Tensor] = []
    errors: list[Tensor] = []

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        target = pack_slice(targets[number - 1], model.entropy.slices[index])
        energies.append(_squares(target))
        residual = quantise(target.sub_(mean, alpha=1 / VALUE), table, costs, rdoq_lambda, lost)
        slices.append((residual.cpu(), table.cpu()))
        errors.append(_squares(target.sub_(residual)))
        return torch.add(mean, residual, alpha=VALUE)

    log2_step = torch.full((1,), step / STEP_UNIT, device=model.device)
    values = code_levels(model.entropy, whole.to(model.device), log2_step, len(targets), coder)
    energy, error = (torch.stack(parts, 1).cpu().numpy() for parts in (energies, errors))
    results = []
    for number, (encoder, tables, low) in enumerate(zip(encoders, chosen, whole, strict=True)):
        of_tile = ((r[number].numpy().ravel(), t[number].numpy().ravel()) for r, t in slices)
        coded = [_coded(r, t) if sparse else (r, t) for r, t in of_tile]
        count = _encode_slices(model, encoder, coded, energy[number], error[number], rdoq_lambda)
        details_of = tuple(v[number].cpu().numpy() for v in values)
        _clear(details_of, model.entropy.slices, count)
        decoded = Decoded(low.cpu().numpy(), details_of)
        head = bytes((*tables, count)) + decoded.coarse_checksum().to_bytes(COARSE_CHECKSUM, "big")
        results.append((head + encoder.finish() + decoded.checksum().to_bytes(CHECKSUM, "big"), decoded))
    return results


def _squares(values: Tensor) -> Tensor:
    """Sum of squares of each tile: (N, C, h, w) -> float64 (N,)."""
    flat = values.flatten(1)
    return torch.linalg.vecdot(flat, flat).double()


def _coded(residuals: NDArray[np.int32], tables: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Those that are in the stream of a sparse tile."""
    places = np.flatnonzero(tables)
    return residuals[places], tables[places]


def _encode_slices(
    model: Model,
    encoder: RangeEncoder,
    slices: Sequence[tuple[NDArray[np.int32], NDArray[np.uint8]]],
    energy: NDArray[np.float64],
    error: NDArray[np.float64],
    rdoq_lambda: float,
) -> int:
    """Append a tile's scale offsets and the residuals of its slices to the stream, and return how many are coded.

    energy, error: squares of each slice's coefficients in steps, and of what coding leaves of them.
    """
    per_level = len(model.entropy.slices)
    offsets = choose_offsets(model.costs, slices, per_level)
    bits = np.array([bits_of(model.costs, *part, offset) for part, offset in zip(slices, offsets, strict=True)])
    count = _worth_coding(energy, error, bits, rdoq_lambda)
    if begun := count % per_level:
        offsets[count - begun : count] = choose_offsets(model.costs, slices[count - begun : count], per_level)
    differences = to_differences(offsets, per_level)[:count]
    encoder.encode(differences, np.full(count, TABLE, np.int32), model.tables)
    for (residuals, tables), offset in zip(slices[:count], offsets, strict=False):
        encoder.encode(residuals, moved(tables, offset), model.tables)
    return count


def _worth_coding(
    energy: NDArray[np.float64], error: NDArray[np.float64], bits: NDArray[np.float64], rdoq_lambda: float
) -> int:
    """How many slices to code: the fewest with about the smallest squared error + rdoq_lambda * bits."""
    coded = np.concatenate(([0.0], np.cumsum(error + rdoq_lambda * bits)))
    not_coded = np.concatenate((np.cumsum(energy[::-1])[::-1], [0.0]))
    total = coded + not_coded
    return int(np.argmax(total <= total.min() + _CUT_LOSS * rdoq_lambda * bits.sum()))


def _clear(details: Sequence[NDArray[np.int32]], slices: Sequence[Slice], count: int) -> None:
    """Set the coefficients of all slices but the first ``count`` to zero; ``details``: (9, h, w), level 1 first."""
    for place in range(count, len(details) * len(slices)):
        level, index = divmod(place, len(slices))
        for orientation in range(BANDS // COLOURS):
            for colour in slices[index].colours:
                for phase in slices[index].phases:
                    row, column = divmod(phase, 2)
                    details[-1 - level][orientation * COLOURS + colour, row::2, column::2] = 0


@torch.inference_mode()
def decode_tiles(
    model: Model,
    payloads: Sequence[bytes],
    size: tuple[int, int],
    levels: int,
    steps: Sequence[int],
    lock: AbstractContextManager[object] | None = None,
    first: int = 1,
) -> list[Decoded]:
    """Inverse of `encode_tiles` for tiles whose lowest bands have ``size`` (h, w).

    Args:
        model: as there.
        payloads: the DATA chunks.
        size: rows and columns of the lowest band.
        levels: wavelet levels.
        steps: quantiser step of each tile, or one for all, in 1/32 octave of a grey level.
        lock: held while symbols are read: Python code that threads would only hinder each other in.
        first: the finest level that is wanted, at most FIRST_COARSE.

    Raises:
        FormatError: the bytes cannot be such a chunk.
        ChecksumError: the coefficients are not those that were coded.
    """
    lock = lock or nullcontext()
    per_level = len(model.entropy.slices)
    with lock:
        readers = [TileReader(model.tables, data, size, levels, per_level) for data in payloads]
    most = max(reader.count for reader in readers)

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        tables = table.cpu().numpy()
        place = (levels - number) * per_level + index
        with lock:
            symbols = [
                reader.residuals(place, own) if place < reader.count else np.zeros(own.shape, np.int32)
                for reader, own in zip(readers, tables, strict=True)
            ]
        result = torch.from_numpy(np.stack(symbols)).to(mean.device).mul_(VALUE).add_(mean)
        for one, reader in zip(result, readers, strict=True):
            if place >= reader.count:
                one.zero_()
        return result

    log2_step = torch.tensor([step / STEP_UNIT for step in steps], device=model.device)
    low = torch.from_numpy(np.stack([reader.low for reader in readers])).to(model.device)
    values = code_levels(model.entropy, low, log2_step, levels, coder, most, first)
    details = [value.cpu().numpy() for value in values]
    tiles = [Decoded(reader.low, tuple(d[number] for d in details), first) for number, reader in enumerate(readers)]
    for reader, tile in zip(readers, tiles, strict=True):
        reader.check(tile)
    return tiles


def _best_table(model: Model, residual: NDArray[np.int32]) -> int:
    largest = model.costs.shape[1] // 2
    beyond = np.abs(residual) > largest
    columns = np.clip(residual, -largest, largest) + largest
    bits = model.costs[:, columns.ravel()].sum(1, dtype=np.float64) + 8.0 * beyond.sum()
    return int(np.argmin(bits))
