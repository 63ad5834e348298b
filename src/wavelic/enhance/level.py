"""One wavelet level between decoder and network: inputs of the network, and corrections from its outputs.

Everything is in frames: rectangles of band coordinates whose edges are even, into which all bands of a level are put
edge by edge.  A band that ends before its frame, as the high bands of odd sizes do, is continued by its last sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wavelic.enhance.config import BANDS, COMPONENTS, LOW_RADIUS
from wavelic.enhance.knowledge import TileKnowledge, band_norms
from wavelic.enhance.network import Network
from wavelic.wavelets import Bands2d, Coefficients2d, idwt2

#: Unit and zero of the network's input that says how large the step is within the range of samples.
_STEP_UNIT, _STEP_ZERO, _STEP_MOST = 2.0, 4.0, 3.0
_RATIO_MOST = 4.0
_TENSORS = ("details", "low", "log_step", "there", "partial", "live")


@dataclass(frozen=True)
class Span:
    """Coordinates first..stop - 1 of one axis of a band or a signal."""

    first: int
    stop: int

    @property
    def size(self) -> int:
        """How many there are."""
        return self.stop - self.first

    def band(self, high: bool) -> Span:
        """The coordinates of the low or high band of a signal with these coordinates.

        Examples:
            >>> Span(3, 8).band(False), Span(3, 8).band(True)
            (Span(first=2, stop=4), Span(first=1, stop=4))
        """
        if high:
            return Span(self.first // 2, self.stop // 2)
        return Span(-(-self.first // 2), -(-self.stop // 2))

    def framed(self) -> Span:
        """The even frame around low and high band of a signal with these coordinates."""
        first, stop = self.first // 2, -(-self.stop // 2)
        return Span(first - first % 2, stop + stop % 2)


Area = tuple[Span, Span]  # rows, columns


@dataclass(frozen=True)
class LevelInput:
    """All that is known of one level of a window before the network.

    Attributes:
        details: what was decoded, (N, COMPONENTS, BANDS, h, w) in a frame; sample values.
        low: decoded low band, (N, COMPONENTS, h, w).
        log_step: (N, COMPONENTS, BANDS, h / 2, w / 2), as `knowledge.Known`.
        there, partial: of the same shape.
        live: of the same shape; 0 where nothing is to be corrected.
        level: 1 for the finest.
        wavelet: "9/7" or "5/3".
        bits: per sample of the image.
    """

    details: Tensor
    low: Tensor
    log_step: Tensor
    there: Tensor
    partial: Tensor
    live: Tensor
    level: int
    wavelet: str
    bits: int

    def to(self, device: torch.device) -> LevelInput:
        """The same on a device."""
        moved: dict[str, Any] = {name: getattr(self, name).to(device) for name in _TENSORS}
        return replace(self, **moved)


def framed(band: Tensor, rows: Span, columns: Span, frame: Area) -> Tensor:
    """Put a band into a frame that contains it.

    Args:
        band: (..., h, w), at ``rows`` and ``columns``.
        rows: coordinates of its rows.
        columns: of its columns.
        frame: around it.

    Returns:
        (..., frame rows, frame columns), continued by edge samples; zeros for an empty band.
    """
    if not rows.size or not columns.size:
        return band.new_zeros((*band.shape[:-2], frame[0].size, frame[1].size))
    left, right = columns.first - frame[1].first, frame[1].stop - columns.stop
    top, bottom = rows.first - frame[0].first, frame[0].stop - rows.stop
    if not (left or right or top or bottom):
        return band
    padded = functional.pad(band.reshape(1, -1, *band.shape[-2:]), (left, right, top, bottom), mode="replicate")
    return padded.reshape(*band.shape[:-2], *padded.shape[-2:])


def level_input(
    details: Bands2d,
    low: Tensor,
    signal: Area,
    knowledge: TileKnowledge,
    components: tuple[int, ...],
    level: int,
) -> LevelInput:
    """Put together what is known of one level of one window.

    Args:
        details: decoded, (C, ...) with C 1 or COMPONENTS.
        low: decoded, (C, ...).
        signal: rows and columns of the signal with exactly these bands.
        knowledge: of the tile.
        components: numbers of the C components, luma first.
        level: 1 for the finest.
    """
    rows, columns = signal
    frame = rows.framed(), columns.framed()
    (lo_r, hi_r), (lo_c, hi_c) = ((axis.band(False), axis.band(True)) for axis in signal)
    parts = [
        framed(details.hl, lo_r, hi_c, frame),
        framed(details.lh, hi_r, lo_c, frame),
        framed(details.hh, hi_r, hi_c, frame),
    ]
    stacked = torch.stack(parts, 1).float()[None]
    low = framed(low, lo_r, lo_c, frame).float()[None]
    places = np.arange(frame[0].first, frame[0].stop, 2), np.arange(frame[1].first, frame[1].stop, 2)
    found = [knowledge.known(number, level, *places) for number in components]
    log_step, there, partial, exact = (
        torch.from_numpy(np.stack([getattr(known, name) for known in found]))[None]
        for name in ("log_step", "there", "partial", "exact")
    )
    live = 1 - exact
    if len(components) == 1:
        stacked, low, there, partial, live = (_with_chroma(x) for x in (stacked, low, there, partial, live))
        log_step = log_step.expand(-1, COMPONENTS, -1, -1, -1)
    return LevelInput(stacked, low, log_step, there, partial, live, level, knowledge.wavelet, knowledge.bits)


def _with_chroma(x: Tensor) -> Tensor:
    """Luma alone, and zeros for the other components."""
    return torch.cat((x, torch.zeros_like(x).repeat(1, COMPONENTS - 1, *(1 for _ in x.shape[2:]))), 1)


def batched(inputs: list[LevelInput]) -> LevelInput:
    """Join the same level of several windows of one size, wavelet and depth."""
    first = inputs[0]
    joined: dict[str, Any] = {name: torch.cat([getattr(one, name) for one in inputs]) for name in _TENSORS}
    return replace(first, **joined)


def network_input(x: LevelInput, low: Tensor) -> Tensor:
    """Turn knowledge into channels that look alike at every level, rate and depth.

    Args:
        x: of one level.
        low: the low band as far as it is corrected, (N, COMPONENTS, h, w).

    Returns:
        (N, `config.INPUTS`, h / 2, w / 2).
    """
    norms = torch.tensor(band_norms(x.wavelet, x.level), device=low.device).log2()
    weighted = x.log_step + norms[1:, None, None]
    unit = weighted[:, 0].mean(1, keepdim=True)  # of luma, (N, 1, h / 2, w / 2)
    detail = torch.asinh(x.details * _twice(torch.exp2(-x.log_step)))
    side = 2 * LOW_RADIUS + 1
    padded = functional.pad(low, (LOW_RADIUS,) * 4, mode="replicate")
    difference = low - functional.avg_pool2d(padded, side, 1)
    scaled = torch.asinh(difference * _twice(torch.exp2(norms[0] - unit)))
    ratio = (weighted - unit[:, :, None]).clamp(-_RATIO_MOST, _RATIO_MOST) / 2
    absolute = ((unit - x.bits + _STEP_ZERO) / _STEP_UNIT).clamp(-_STEP_MOST, _STEP_MOST)
    maps = (ratio * x.there, x.there, x.partial)
    return torch.cat(
        (
            functional.pixel_unshuffle(detail.flatten(1, 2), 2),
            functional.pixel_unshuffle(scaled, 2),
            *(one.flatten(1, 2) for one in maps),
            absolute,
            torch.full_like(absolute, float(x.wavelet == "5/3")),
        ),
        1,
    )


def corrections(x: LevelInput, output: Tensor) -> Tensor:
    """Turn the network's outputs into corrections that leave every coefficient in the interval it was coded in.

    Args:
        x: of the level.
        output: (N, `config.OUTPUTS`, h / 2, w / 2), in steps.

    Returns:
        (N, COMPONENTS, BANDS, h, w), in sample values.
    """
    share = functional.pixel_shuffle(output.float(), 2).unflatten(1, (COMPONENTS, BANDS))
    steps = x.details.abs() * _twice(torch.exp2(-x.log_step))
    room = torch.where(steps < 0.1, 1.0, 0.5)
    share = torch.maximum(torch.minimum(share, room), -room)
    return share * _twice(torch.exp2(x.log_step) * x.live)


def correct(
    network: Network, x: LevelInput, low: Tensor, carried: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Correct the details of one level.

    Args:
        network: trained, its weights of ``dtype`` unless under autocast.
        x: of the level.
        low: correction of its low band, (N, COMPONENTS, h, w).
        carried: by the next coarser level, at this level's size; None at the coarsest.
        dtype: of the network's inputs.

    Returns:
        Corrections of the details, and what is carried to the next finer level.
    """
    inputs = network_input(x, x.low + low).to(dtype)
    output, carried = network(inputs, carried)
    return corrections(x, output), carried


def merged(low: Tensor, details: Tensor, signal: Area, wavelet: str) -> Tensor:
    """Synthesise corrections of one level, which is linear on either path.

    Args:
        low: of the low band, (N, C, h, w).
        details: (N, C, BANDS, h', w') in the frame of the signal.
        signal: rows and columns of the result.
        wavelet: "9/7" or "5/3".

    Returns:
        (N, C, rows, columns).
    """
    (lo_r, hi_r), (lo_c, hi_c) = (tuple(_inside(axis, high) for high in (False, True)) for axis in signal)
    hl, lh, hh = details.unbind(2)
    bands = Bands2d(lh[..., hi_r, lo_c], hl[..., lo_r, hi_c], hh[..., hi_r, hi_c])
    rows, columns = signal
    size, start = (rows.size, columns.size), (rows.first, columns.first)
    return idwt2(Coefficients2d(low, (bands,), size, wavelet, "jpeg2000", start))


def _inside(axis: Span, high: bool) -> slice:
    """Where a band of a signal lies in the signal's frame."""
    band, frame = axis.band(high), axis.framed()
    return slice(band.first - frame.first, band.stop - frame.first)


def doubled(carried: Tensor, origin: tuple[int, int], places: Area) -> Tensor:
    """Hand maps of a level to the next finer one: a position there lies in the one of half its coordinates.

    Args:
        carried: (N, C, h, w).
        origin: row and column of its first position.
        places: rows and columns of the positions of the finer level.

    Returns:
        (N, C, rows, columns).
    """
    for axis, (first, span) in zip((-2, -1), zip(origin, places, strict=True), strict=True):
        index = torch.arange(span.first, span.stop, device=carried.device).div(2, rounding_mode="floor") - first
        carried = carried.index_select(axis, index.clamp(0, carried.shape[axis] - 1))
    return carried


def _twice(x: Tensor) -> Tensor:
    """Each value for a square of 2 x 2 coefficients: (..., h, w) to (..., 2 h, 2 w)."""
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)
