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
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.container import crc32c
from wavelic.entropy import RangeDecoder, RangeEncoder
from wavelic.errors import ChecksumError, FormatError
from wavelic.weconvene.context import MAX_VALUE, SCALES, STEP_UNIT, code_levels
from wavelic.weconvene.features import VALUE
from wavelic.weconvene.offsets import LARGEST, TABLE, choose_offsets, from_differences, moved, to_differences
from wavelic.weconvene.rdoq import RDOQ_LAMBDA, quantise
from wavelic.weconvene.subbands import COLOURS, pack_slice
from wavelic.weconvene.weights import Model

_CHECKSUM = 4
#: Added to a tile's first byte if it is sparse.
SPARSE = 64
#: Rise of squared error + weight * bits, as a share of weight * bits, beyond which a tile is not made sparse.
_SPARSE_LOSS = 0.002
#: Pixels of tiles that are coded together: enough for the calls to cost little, few enough for the caches.
GROUP_PIXELS = 1 << 20


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
        chunk = bytes(tables) + encoder.finish() + decoded.checksum().to_bytes(_CHECKSUM, "big")
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
    offsets = choose_offsets(model, slices, per_level)
    encoder.encode(to_differences(offsets, per_level), np.full(len(offsets), TABLE, np.int32), model.tables)
    for (residuals, tables), offset in zip(slices, offsets, strict=True):
        rows = (tables.astype(np.int16) + np.int16(offset)).clip(0, SCALES - 1)
        encoder.encode(residuals, rows, model.tables)


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
    sparse = [bool(data) and data[0] >= SPARSE for data in payloads]
    with lock:
        decoders, lows = zip(*(_decode_low(model, data, size) for data in payloads), strict=True)
        offsets = torch.from_numpy(np.stack([_decode_offsets(model, decoder, levels) for decoder in decoders]))

    def coder(number: int, index: int, mean: Tensor, table: Tensor) -> Tensor:
        offset = offsets[:, (levels - number) * len(model.entropy.slices) + index]
        table = table.cpu()
        rows = moved(table, offset).numpy()
        places = [np.flatnonzero(own) if few else None for few, own in zip(sparse, table.numpy(), strict=True)]
        with lock:
            symbols = [_decode_slice(model, *each) for each in zip(decoders, rows, places, strict=True)]
        residual = torch.from_numpy(np.stack(symbols)).to(mean.device).clamp_(-MAX_VALUE, MAX_VALUE)
        return residual.mul_(VALUE).add_(mean)

    log2_step = torch.tensor([step / STEP_UNIT for step in steps], device=model.device)
    low = torch.from_numpy(np.stack(lows)).to(model.device)
    details = [value.cpu().numpy() for value in code_levels(model.entropy, low, log2_step, levels, coder)]
    decoded = [Decoded(low, tuple(detail[number] for detail in details)) for number, low in enumerate(lows)]
    for tile, data in zip(decoded, payloads, strict=True):
        if tile.checksum() != int.from_bytes(data[-_CHECKSUM:], "big"):
            raise ChecksumError(
                "the decoded coefficients do not match their checksum; the file is damaged, get it again"
            )
    return decoded


def _decode_slice(
    model: Model, decoder: RangeDecoder, rows: NDArray[np.uint8], places: NDArray[np.intp] | None
) -> NDArray[np.int32]:
    """Residuals with these tables; those at other places than ``places``, if there are any, are zero."""
    if places is None:
        return decoder.decode(rows, model.tables)
    residuals = np.zeros(rows.shape, np.int32)
    residuals.reshape(-1)[places] = decoder.decode(rows.reshape(-1)[places], model.tables)
    return residuals


def _decode_low(model: Model, data: bytes, size: tuple[int, int]) -> tuple[RangeDecoder, NDArray[np.int32]]:
    """The lowest band, and the decoder behind it.  Raises FormatError as `decode_tiles`."""
    tables = [data[0] % SPARSE, *data[1:COLOURS]] if data else []
    if len(data) < COLOURS + _CHECKSUM or data[0] >= 2 * SPARSE or max(tables) >= SCALES:
        raise FormatError(f"a tile of {len(data)} bytes starts with {data[:3].hex()}; the file is damaged")
    decoder = RangeDecoder(data[COLOURS:-_CHECKSUM])
    residuals = [decoder.decode(np.full(size, table, np.int32), model.tables) for table in tables]
    low = low_from_residuals(np.stack(residuals))
    if max(int(low.max()), -int(low.min())) > MAX_VALUE:
        raise FormatError(f"the lowest band has values from {low.min()} to {low.max()}; the file is damaged")
    return decoder, low


def _decode_offsets(model: Model, decoder: RangeDecoder, levels: int) -> NDArray[np.int16]:
    """The scale offsets of a tile's slices.  Raises FormatError as `decode_tiles`."""
    per_level = len(model.entropy.slices)
    differences = decoder.decode(np.full(levels * per_level, TABLE, np.int32), model.tables)
    offsets = from_differences(differences, per_level)
    if np.abs(offsets.astype(np.int64)).max() > LARGEST:
        raise FormatError(
            f"scale offsets from {offsets.min()} to {offsets.max()}; expected up to {LARGEST}: the file is damaged"
        )
    return offsets.astype(np.int16)


def low_residuals(low: NDArray[np.int32]) -> NDArray[np.int32]:
    """Differences coded of the lowest band (3, h, w): to the left neighbour, in the first column to the upper one."""
    residual = low.copy()
    residual[:, :, 1:] -= low[:, :, :-1]
    residual[:, 1:, 0] -= low[:, :-1, 0]
    return residual


def low_from_residuals(residual: NDArray[np.int32]) -> NDArray[np.int32]:
    """Inverse of `low_residuals`; int32 wraps, as there."""
    low = residual.copy()
    low[:, :, 0] = np.cumsum(residual[:, :, 0], axis=1, dtype=np.int32)
    return np.cumsum(low, axis=2, dtype=np.int32)


def _best_table(model: Model, residual: NDArray[np.int32]) -> int:
    largest = model.costs.shape[1] // 2
    beyond = np.abs(residual) > largest
    columns = np.clip(residual, -largest, largest) + largest
    bits = model.costs[:, columns.ravel()].sum(1, dtype=np.float64) + 8.0 * beyond.sum()
    return int(np.argmin(bits))
