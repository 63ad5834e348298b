"""After training: means, slices, contexts and tables of a latent, measured on training images; then a ladder.

Everything is chosen by code length: a channel in a context gets the table, Gaussian or Laplacian, that codes its
training symbols in the fewest bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wavelic.entropy import TableSet, factorized_tables, gaussian_tables, ideal_bits
from wavelic.wcae.ladder import Ladder, Segment
from wavelic.wcae.network import WaveletAutoencoder
from wavelic.wcae.schedule import GAIN_UNIT, MAX_GAIN, SliceSchedule
from wavelic.wcae.windows import analyze

STEP = 8  # tables every 1/8 octave
PER_FAMILY = 96
LOWEST_SCALE = 0.105  # below, all but the zero symbol escape
CONTEXTS = 8
SLICES = 12  # equal shares of the channels, strongest first; more code a little shorter and slower

Latents = Sequence[NDArray[np.float32]]


def deployed_tables() -> TableSet:
    """96 Gaussian tables, then 96 Laplacian tables with the same deviations, 1/8 octave apart."""
    scales = LOWEST_SCALE * 2.0 ** (np.arange(PER_FAMILY) * STEP / GAIN_UNIT)
    gaussian = gaussian_tables(scales)
    weights, offsets, escapes = [], [], []
    for scale in scales.tolist():
        rate = math.sqrt(2.0) / scale
        radius = max(1, math.ceil(16 * math.log(2) / rate))
        k = np.arange(1, radius + 1)
        side = 0.5 * (np.exp(-rate * (k - 0.5)) - np.exp(-rate * (k + 0.5)))
        weights.append(np.concatenate([side[::-1], [1 - math.exp(-rate / 2)], side]))
        offsets.append(-radius)
        escapes.append(math.exp(-rate * (radius + 0.5)))
    laplacian = factorized_tables(weights, offsets, escape_weights=escapes)
    return TableSet(
        np.concatenate([gaussian.frequencies, laplacian.frequencies]),
        np.concatenate([gaussian.sizes, laplacian.sizes]),
        np.concatenate([gaussian.offsets, laplacian.offsets]),
        gaussian.precision,
    )


def _costs(tables: TableSet, reach: int) -> NDArray[np.float64]:
    """Bits of the symbols -reach..reach (columns) in every table (rows), escapes included."""
    symbols = np.arange(-reach, reach + 1)
    rows = np.empty((len(tables), len(symbols)))
    for table in range(len(tables)):
        offset, count = tables.bounds[table]
        frequencies = tables.table(table).astype(np.float64)
        entries = np.clip(symbols - offset, -1, count)
        inside = (entries >= 0) & (entries < count)
        distance = np.maximum(np.maximum(offset - symbols, symbols - (offset + count - 1)), 1)
        rows[table] = np.where(
            inside,
            tables.precision - np.log2(frequencies[np.clip(entries, 0, count - 1)]),
            tables.precision - np.log2(frequencies[-1]) + 2 * np.log2(distance) + 2,
        )
    return rows


def fit_schedule(
    latents: Latents, tables: TableSet, contexts: int = CONTEXTS
) -> tuple[NDArray[np.float32], SliceSchedule]:
    """Code means and the slice schedule that codes ``latents``, each (C, h, w), in few bits.

    ``contexts=1`` leaves one table per channel: the honest twin of the contexts.
    """
    channels = latents[0].shape[0]
    flat = np.concatenate([latent.reshape(channels, -1) for latent in latents], axis=1)
    mean = flat.mean(1, dtype=np.float64).astype(np.float32)
    deviation = flat.std(1, dtype=np.float64)
    order = np.argsort(-deviation, kind="stable").astype(np.int32)
    slices = np.rint(np.linspace(0, channels, SLICES + 1)).astype(np.int32)
    weights = np.clip(np.rint(16 / np.maximum(deviation, 1 / 16)), 1, 256).astype(np.int32)
    symbols = [np.rint(latent - mean[:, None, None]).astype(np.int32) for latent in latents]

    blank = SliceSchedule(
        order,
        slices,
        weights,
        np.zeros((SLICES, contexts - 1), np.int64),
        np.zeros((channels, contexts), np.int32),
        PER_FAMILY,
        STEP,
    )
    reach = int(max(np.abs(s).max() for s in symbols))
    costs = _costs(tables, reach)
    thresholds, chosen = blank.thresholds.copy(), blank.tables.copy()
    for number, members in enumerate(blank):
        energies = [blank.energy(number, s) for s in symbols]
        levels = np.quantile(np.concatenate([e.ravel() for e in energies]), np.arange(1, contexts) / contexts)
        thresholds[number] = np.maximum(np.ceil(levels).astype(np.int64), 1)
        context = np.concatenate([np.searchsorted(thresholds[number], e, side="right").ravel() for e in energies])
        for channel in members:
            values = np.concatenate([s[channel].ravel() for s in symbols])
            counts = np.zeros((contexts, 2 * reach + 1))
            np.add.at(counts, (context, values + reach), 1)
            pooled = counts.sum(0)
            counts += pooled * (4 / pooled.sum())  # a context that hardly occurs behaves like its channel
            chosen[channel] = np.argmin(counts @ costs.T, axis=1)
    return mean, SliceSchedule(order, slices, weights, thresholds, chosen, PER_FAMILY, STEP)


def code_length(
    latent: NDArray[np.float32], mean: NDArray[np.float32], schedule: SliceSchedule, tables: TableSet, gain: int
) -> float:
    """Ideal bits of a latent (C, h, w) quantised with ``gain``."""
    scaled = (latent - mean[:, None, None]) * np.float32(2.0 ** (gain / GAIN_UNIT))
    symbols = np.rint(scaled).astype(np.int32)
    return sum(
        ideal_bits(symbols[members], schedule.table_indices(number, symbols, gain), tables)
        for number, members in enumerate(schedule)
    )


def latents_of(network: WaveletAutoencoder, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """The latents of whole images."""
    return [analyze(network, image) for image in images]


def build_ladder(name: str, rates: Sequence[dict[int, float]], reach: tuple[int, int] = (64, 128)) -> Ladder:
    """The ladder of a family from measured rates: ``rates[rank][gain]`` in bits per pixel, ranks by rising rate.

    The first segment reaches ``reach[0]`` (1/64 octave) below its weights' own rate, the last ``reach[1]`` above.
    """
    grids = [(np.array(sorted(row)), np.log([row[gain] for gain in sorted(row)])) for row in rates]

    def gain_at(rank: int, log_rate: float) -> int:
        gains, logs = grids[rank]
        return int(np.clip(round(float(np.interp(log_rate, np.maximum.accumulate(logs), gains))), -MAX_GAIN, MAX_GAIN))

    def log_rate_at(rank: int, gain: int) -> float:
        gains, logs = grids[rank]
        return float(np.interp(gain, gains, logs))

    nominal = [log_rate_at(rank, 0) for rank in range(len(rates))]
    joints = [(a + b) / 2 for a, b in pairwise(nominal)]
    edges = [log_rate_at(0, -reach[0]), *joints, log_rate_at(len(rates) - 1, reach[1])]
    quality = [round(100 * (edge - edges[0]) / (edges[-1] - edges[0]), 2) for edge in edges]
    return Ladder(
        name,
        tuple(
            Segment(rank, quality[rank], quality[rank + 1], gain_at(rank, edges[rank]), gain_at(rank, edges[rank + 1]))
            for rank in range(len(rates))
        ),
    )
