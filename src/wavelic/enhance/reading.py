"""Enhanced samples of an image, or of any window and size of it: the plain decode and what the network adds.

A window asks of every level a little more than the finer level needs: what the synthesis sees and what the network
sees.  Each level is decoded at its own size, so that a sample is computed from the same numbers by
the same operations, whatever window it is in.  Tiles know nothing of each other and are read one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavelic.enhance.config import COMPONENTS, SYNTHESIS_RADIUS
from wavelic.enhance.knowledge import TileKnowledge
from wavelic.enhance.level import Area, Span, correct, doubled, framed, level_input, merged
from wavelic.enhance.network import Network
from wavelic.enhance.signals import Signals, to_colours
from wavelic.jpeg2000 import DEFAULT_LIMITS, Limits, MainHeader
from wavelic.jpeg2000.code_blocks import TileGeometry, TilePackets, tiles_of
from wavelic.jpeg2000.quantisers import quantisers
from wavelic.rect import Rect
from wavelic.wavelets import Bands2d, Normalization, dwt2

#: Side of the windows that a large image is read in, in samples of what is asked for.
WINDOW = 1024
_TILES_KEPT = 64


@dataclass(frozen=True)
class _Step:
    """What is done at one level of a window.

    Attributes:
        level: 1 for the finest.
        seen: the part of the signal whose bands the network sees.
        made: the part that is synthesised.
        wanted: the part that the next finer level needs.
    """

    level: int
    seen: Area
    made: Area
    wanted: Area


class Reader:
    """Enhanced samples of one codestream.  Safe to use from several threads."""

    def __init__(
        self,
        codestream: bytes,
        header: MainHeader,
        network: Network,
        layers: int,
        *,
        threads: int = 1,
        limits: Limits = DEFAULT_LIMITS,
        colours: Sequence[int] | None = None,
    ) -> None:
        """Prepare a codestream.

        Args:
            codestream: complete, or one that decodes alike for what will be read.
            header: its main header.
            network: trained.
            layers: quality layers to decode.
            threads: that libopenjp2 may use.
            limits: for its decodes.
            colours: components that are luma or colours; None: all.  Others are left as they are.

        Raises:
            FormatError: the packets are damaged.
            UnsupportedError: the codestream has what cannot be enhanced.
        """
        self._signals = Signals.of(codestream, header, layers, threads=threads, limits=limits, colours=colours)
        self._header, self._network = header, network
        self._quantisers = quantisers(codestream, header)
        self._packets, self._layers = TilePackets.of(codestream, header), layers
        self._tiles = tiles_of(header)
        self._knowledge: dict[int, TileKnowledge] = {}
        self._colours = self._signals.colours
        mixed = header.colour_transform
        self._groups = [tuple(range(COMPONENTS))] if mixed else [(one,) for one in self._colours]
        weight = next(network.parameters())
        self._device, self._dtype = weight.device, weight.dtype

    def windows(self, area: Rect) -> list[Rect]:
        """Cut an area into windows to be read one by one."""
        return [
            Rect.between(x, y, min(x + WINDOW, area.right), min(y + WINDOW, area.bottom))
            for y in range(area.y, area.bottom, WINDOW)
            for x in range(area.x, area.right, WINDOW)
        ]

    @torch.inference_mode()
    def read(self, reduce: int, area: Rect) -> Tensor:
        """Decode a window.

        Args:
            reduce: how often both sides are halved.
            area: in samples of the reduced image.

        Returns:
            float32 (components, rows, columns): samples of the declared bits, neither rounded nor clipped.
        """
        grid, scale = self._header.grid, 1 << reduce
        left, top = area.x + -(-grid.x0 // scale), area.y + -(-grid.y0 // scale)
        whole: Area = (Span(top, top + area.height), Span(left, left + area.width))
        result = self._signals.read(reduce, whole).float()
        result[list(self._colours)] += 2.0 ** (self._header.components[self._colours[0]].bits - 1)
        for tile, part in self._parts(reduce, whole):
            rows, columns = (slice(p.first - w.first, p.stop - w.first) for p, w in zip(part, whole, strict=True))
            for group in self._groups:
                result[list(group), rows, columns] += self._correction(tile, group, reduce, part)
        return result

    def _parts(self, reduce: int, whole: Area) -> Iterator[tuple[TileGeometry, Area]]:
        """Tiles that a window touches, and the part of it in each."""
        for tile in self._tiles:
            rows, columns = (
                Span(max(w.first, e.first), min(w.stop, e.stop))
                for w, e in zip(whole, _extent(tile, reduce), strict=True)
            )
            if rows.size > 0 and columns.size > 0:
                yield tile, (rows, columns)

    def _correction(self, tile: TileGeometry, group: tuple[int, ...], reduce: int, area: Area) -> Tensor:
        """What is added to the colours of a part of one tile, (components of the group, rows, columns)."""
        steps = self._plan(tile, reduce, area)
        if not steps:
            return torch.zeros(1)
        knowledge, signals = self._known(tile), self._signals
        wavelet = knowledge.wavelet
        last = steps[-1].seen
        low_area = last[0].band(False), last[1].band(False)
        low = torch.zeros((1, COMPONENTS, low_area[0].size, low_area[1].size), device=self._device)
        carried, origin = None, (0, 0)
        for step in reversed(steps):
            signal, low_area = step.seen, (step.seen[0].band(False), step.seen[1].band(False))
            decoded = signals.components(signals.read(step.level, low_area))[list(group)]
            details = self._details(tile, group, step)
            x = level_input(details, decoded, signal, knowledge, group, step.level).to(self._device)
            frame = signal[0].framed(), signal[1].framed()
            places = Span(frame[0].first // 2, frame[0].stop // 2), Span(frame[1].first // 2, frame[1].stop // 2)
            if carried is not None:
                carried = doubled(carried, origin, places)
            change = framed(low, *low_area, frame)
            corrections, carried = correct(self._network, x, change, carried, self._dtype)
            origin = places[0].first, places[1].first
            low = merged(*_cut(low, corrections, step), step.made, wavelet)
            low = _crop(low, step.made, step.wanted)
        if len(group) < COMPONENTS:
            return low[0, :1].cpu()
        return to_colours(low[0], signals.reversible).cpu()

    def _known(self, tile: TileGeometry) -> TileKnowledge:
        """What the packet headers of a tile tell; of the last few tiles it is kept."""
        known = self._knowledge.get(tile.number)
        if known is None:
            blocks = self._packets.code_blocks(tile, self._layers)
            known = TileKnowledge(self._header, self._quantisers, blocks, self._colours[0])
            if len(self._knowledge) >= _TILES_KEPT:
                self._knowledge.clear()
            self._knowledge[tile.number] = known
        return known

    def _details(self, tile: TileGeometry, group: tuple[int, ...], step: _Step) -> Bands2d:
        """Decoded details of the part of a level that the network sees."""
        extent = _extent(tile, step.level - 1)
        area = _grown(step.seen, extent, SYNTHESIS_RADIUS)
        signals = self._signals
        signal = signals.components(signals.read(step.level - 1, area))[list(group)]
        normalization: Normalization = "reversible" if signals.reversible else "jpeg2000"
        wavelet = "5/3" if signals.reversible else "9/7"
        bands = dwt2(signal, wavelet, 1, normalization, start=(area[0].first, area[1].first)).levels[0]

        def cut(band: Tensor, down: bool, across: bool) -> Tensor:
            have = area[0].band(down), area[1].band(across)
            return _crop(band, have, (step.seen[0].band(down), step.seen[1].band(across)))

        return Bands2d(cut(bands.lh, True, False), cut(bands.hl, False, True), cut(bands.hh, True, True))

    def _plan(self, tile: TileGeometry, reduce: int, area: Area) -> list[_Step]:
        """Levels that a window of one size depends on, the finest first."""
        steps: list[_Step] = []
        radius = self._network.config.radius
        wanted = area
        for level in range(reduce + 1, self._header.styles[self._colours[0]].levels + 1):
            extent = _extent(tile, level - 1)
            if all(span.size <= 1 for span in extent) or any(span.size < 1 for span in _extent(tile, level)):
                break
            made = _grown(wanted, extent, SYNTHESIS_RADIUS)
            frames = made[0].framed(), made[1].framed()
            around = (Span(2 * f.first, 2 * f.stop) for f in frames)
            rows, columns = around
            seen = _grown((rows, columns), extent, 2 * radius)
            steps.append(_Step(level, seen, made, wanted))
            wanted = seen[0].band(False), seen[1].band(False)
        return steps


def _extent(tile: TileGeometry, reduce: int) -> Area:
    """Rows and columns of a tile at a size."""
    scale = 1 << reduce
    rows, columns = (tile.y0, tile.y1), (tile.x0, tile.x1)
    return Span(-(-rows[0] // scale), -(-rows[1] // scale)), Span(-(-columns[0] // scale), -(-columns[1] // scale))


def _grown(area: Area, extent: Area, radius: int) -> Area:
    """An area and ``radius`` samples around it, within an extent."""
    rows, columns = (
        Span(max(a.first - radius, e.first), min(a.stop + radius, e.stop)) for a, e in zip(area, extent, strict=True)
    )
    return rows, columns


def _crop(x: Tensor, have: Area, want: Area) -> Tensor:
    """The part of (..., h, w) at ``have`` that is at ``want``."""
    rows, columns = (slice(w.first - h.first, w.stop - h.first) for h, w in zip(have, want, strict=True))
    return x[..., rows, columns]


def _cut(low: Tensor, corrections: Tensor, step: _Step) -> tuple[Tensor, Tensor]:
    """Low band and details of what a level makes, of those it sees."""
    seen, made = step.seen, step.made
    low = _crop(low, (seen[0].band(False), seen[1].band(False)), (made[0].band(False), made[1].band(False)))
    frame, inner = (seen[0].framed(), seen[1].framed()), (made[0].framed(), made[1].framed())
    return low, _crop(corrections, frame, inner)
