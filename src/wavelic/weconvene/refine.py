"""Search in the encoder: coefficients moved by gradient until a picture costs fewer bits at a smaller error.

The analysis network gives coefficients that are good for pictures in general.  Here those of one picture are variables:
stochastic Gumbel annealing (`wavelic.weconvene.quantizers.Annealed`) relaxes their rounding, and Adam minimises the
objective of training, R + D / (lambda step^2), through the context model and the synthesis.  Files decode as all others
do.  Yang, Bamler and Mandt, *Improving inference for neural image compression* (NeurIPS 2020).

A block of tiles is worked on at a time, with the coefficients around it as they are, so memory does not grow with the
picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Progress
from wavelic.nn.exact import set_quantised
from wavelic.rect import Rect
from wavelic.weconvene.context import STEP_UNIT
from wavelic.weconvene.network import Network
from wavelic.weconvene.planes import Planes, samples
from wavelic.weconvene.quantizers import Annealed, Coded, Quantizer
from wavelic.weconvene.rdoq import RDOQ_LAMBDA
from wavelic.weconvene.stage import WeconveneStage
from wavelic.weconvene.subbands import MULTIPLE, Subbands
from wavelic.weconvene.weights import Model, float_network

#: Pixels a side of a block, a multiple of every size of tiles that encoders choose.
BLOCK = 1024
#: Pixels around a block that its coefficients are taken to act on.
MARGIN = MULTIPLE
#: Temperatures of the first and the last iteration.
HOT, COLD = 0.3, 0.05
#: Adam's step size, in quantiser steps.
RATE = 0.01


@dataclass(frozen=True)
class Search:
    """How long to search.

    Attributes:
        iterations: for each block.
        lambda_: squared error of all colours of a pixel, in steps squared, that a bit is worth.
        rate: Adam's step size at the start, in quantiser steps, falling linearly to nothing; None: RATE.
        seed: of the random choices.
    """

    iterations: int
    lambda_: float = WeconveneStage.lambda_
    rate: float | None = None
    seed: int = 0


def refine(
    model: Model,
    planes: Planes,
    pixels: NDArray[Any],
    step: int,
    tiles: Sequence[Rect],
    search: Search,
    progress: Progress | None = None,
) -> None:
    """Improve the coefficients of a picture in place.

    Args:
        model: the weights.
        planes: what `wavelic.weconvene.planes.analyse` gave.
        pixels: colour samples (H, W, 1 or 3), uint8 or uint16.
        step: quantiser step in 1/32 octave of a grey level.
        tiles: what each tile codes.
        search: for how long.
        progress: called with iterations done, and in all.
    """
    network = float_network(model).requires_grad_(False)
    set_quantised(network.entropy, True)
    blocks = list(_blocks(tiles))
    for number, block in enumerate(blocks):

        def report(done: int, before: int = number * search.iterations) -> None:
            if progress:
                progress(before + done, len(blocks) * search.iterations)

        _Block(network, model, planes, pixels, step, block).search(search, report)


class _Block:
    """The coefficients of some tiles of one size as variables, and those around them as constants."""

    def __init__(
        self, network: Network, model: Model, planes: Planes, pixels: NDArray[Any], step: int, tiles: list[Rect]
    ) -> None:
        self.network, self.planes, self.tiles = network, planes, tiles
        self.autocast = model.fast is not model.transform
        self.log2_step = torch.full((1,), step / STEP_UNIT, device=model.device)
        levels = planes.levels
        size = planes.low.shape[2] << levels, planes.low.shape[1] << levels
        self.outer = Rect.around(tiles).grown(max(MARGIN, 2 << levels), size)
        low, details = planes.cut(self.outer)
        self.low = low.to(model.device).round()
        self.around = [detail.to(model.device).clone() for detail in details]
        self.own_low = torch.stack([planes.cut(tile)[0] for tile in tiles]).to(model.device)
        parts = zip(*(planes.cut(tile)[1] for tile in tiles), strict=True)
        self.own = [torch.stack(part).to(model.device).requires_grad_() for part in parts]
        shown = self.outer.clipped(Rect(0, 0, pixels.shape[1], pixels.shape[0]))
        self.visible = shown.height, shown.width
        self.target = samples(pixels, self.outer).to(model.device)[..., : self.visible[0], : self.visible[1]]

    def search(self, search: Search, report: Callable[[int], None]) -> None:
        """Minimise the cost; put the coefficients into the planes if they really cost less."""
        before = self.cost(Coded(RDOQ_LAMBDA), search.lambda_).item()
        rate = RATE if search.rate is None else search.rate
        optimizer = torch.optim.Adam(self.own, rate)
        noise = torch.Generator(self.low.device).manual_seed(search.seed)
        for iteration in range(search.iterations):
            share = iteration / max(1, search.iterations - 1)
            optimizer.param_groups[0]["lr"] = rate * (1 - share)
            optimizer.zero_grad()
            self.cost(Annealed(HOT * (COLD / HOT) ** share, noise), search.lambda_).backward()
            optimizer.step()
            report(iteration + 1)
        if self.cost(Coded(RDOQ_LAMBDA), search.lambda_).item() >= before:
            return
        with torch.inference_mode():
            for number, tile in enumerate(self.tiles):
                for mine, theirs in zip(self.own, self.planes.cut(tile)[1], strict=True):
                    theirs.copy_(mine[number])

    def cost(self, quantizer: Quantizer, lambda_: float) -> Tensor:
        """Bits of the tiles and squared error of what they act on, in bits."""
        subbands = Subbands(self.own_low, tuple(self.own))
        log2_step = self.log2_step.expand(len(self.tiles))
        coded, bits = self.network.code(subbands, log2_step, quantizer, self.autocast)
        details = []
        for level, (around, own) in enumerate(zip(self.around, coded.details, strict=True), 1):
            whole = around.clone()
            for tile, values in zip(self.tiles, own, strict=True):
                rows, columns = tile.moved(-self.outer.x, -self.outer.y).reduced(level).slices()
                whole[:, rows, columns] = values
            details.append(whole[None])
        result = self.network.synthesis(Subbands(self.low[None], tuple(details)), self.log2_step, self.autocast)
        error = (result[..., : self.visible[0], : self.visible[1]] - self.target).square().sum()
        return bits.sum() + error / (lambda_ * float(torch.exp2(2 * self.log2_step)))


def block_count(tiles: Sequence[Rect]) -> int:
    """How many blocks the tiles of a picture are searched in."""
    return len(list(_blocks(tiles)))


def _blocks(tiles: Sequence[Rect]) -> Iterator[list[Rect]]:
    """Tiles of one size in the same square of BLOCK pixels."""
    groups: dict[tuple[int, ...], list[Rect]] = {}
    for tile in tiles:
        key = (tile.x // BLOCK, tile.y // BLOCK, tile.width, tile.height)
        groups.setdefault(key, []).append(tile)
    yield from groups.values()
