"""Search in the encoder: coefficients of one picture, moved until it costs fewer bits at a smaller error.

The analysis network gives coefficients that are good for pictures in general, and rate-distortion optimised
quantisation (RDOQ) weighs each residual's bits against its own distance, as if the synthesis were linear.  Here the
tiles are coded, the gradient of the picture's squared error to what was coded is taken through the synthesis, and
each coefficient's target moves a little towards the value at which that error would be least:

    target <- target + rate * (coded - gradient / (2 * CURVATURE) - target)

Then the targets are quantised and coded anew, with all contexts, so each iteration judges real bytes and pixels, and
the best is kept.  It is the proximal gradient method with the encoder's RDOQ as the proximal step.  Compared on
validation images with stochastic Gumbel annealing (Yang, Bamler and Mandt, NeurIPS 2020): 4 iterations of this saved
four times what 60 of that did, and a gradient to the bits of later coefficients through the context model adds nothing.

A file that is tuned for MS-SSIM is searched for a smaller 1 - MS-SSIM in the same way.  How fast the gradient of that
changes differs from picture to picture, so the search begins with long steps, and where one costs more than it gains it
goes back and takes half of it.

Files decode as all others do.  A block of tiles is worked on at a time, with the coefficients around it as they are, so
memory does not grow with the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.codec.opened import Progress
from wavelic.codec.options import Tune
from wavelic.rect import Rect
from wavelic.weconvene.layout import MULTIPLE
from wavelic.weconvene.ms_ssim import SMALLEST, one_minus_ms_ssim
from wavelic.weconvene.planes import Planes, samples
from wavelic.weconvene.rdoq import RDOQ_LAMBDA
from wavelic.weconvene.stage import WeconveneStage
from wavelic.weconvene.subbands import Subbands
from wavelic.weconvene.tiles import encode_tiles
from wavelic.weconvene.units import STEP_UNIT, VALUE
from wavelic.weconvene.weights import Model

#: Pixels a side of a block, a multiple of every size of tiles that encoders choose.
BLOCK = 1024
#: Pixels around a block that its coefficients are taken to act on.
MARGIN = MULTIPLE
#: Squared error of all colours, in steps squared, that a coefficient's move by one step adds.  By finite differences of
#: the gradient it is 1.7 at fine steps and 3 at coarse ones, alike for all bands; chosen on validation images.
CURVATURE = 1.7
#: What the search for MS-SSIM takes for it at first; chosen on validation images.
FIRST_CURVATURE = 0.85
#: Share of the way that targets move in the first and in the last iteration.
FIRST_RATE, LAST_RATE = 0.1, 0.03


@dataclass(frozen=True)
class Search:
    """How long to search, and for what.

    Attributes:
        iterations: for each block.
        rdoq_lambda: see `encode_tiles`.
        lambda_: squared error of all colours of a pixel, in steps squared, that a bit is worth.
        tune: "psnr" for a smaller squared error, "msssim" for a smaller 1 - MS-SSIM.
        ms_ssim_weight: see `WeconveneStage`.
    """

    iterations: int
    rdoq_lambda: float = RDOQ_LAMBDA
    lambda_: float = WeconveneStage.lambda_
    tune: Tune = "psnr"
    ms_ssim_weight: float = WeconveneStage.ms_ssim_weight

    def rate(self, iteration: int) -> float:
        """Share of the way that targets move after iteration 0, 1, ..."""
        return FIRST_RATE * (LAST_RATE / FIRST_RATE) ** (iteration / max(1, self.iterations - 1))


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
    blocks = list(_blocks(tiles))
    for number, block in enumerate(blocks):

        def report(done: int, before: int = number * search.iterations) -> None:
            if progress:
                progress(before + done, len(blocks) * search.iterations)

        _Block(model, planes, pixels, step, block, search).search(report)


class _Block:
    """Some tiles of one size, whose coefficients move, and the coefficients around them, which do not."""

    def __init__(
        self, model: Model, planes: Planes, pixels: NDArray[Any], step: int, tiles: list[Rect], settings: Search
    ) -> None:
        self.model, self.step, self.tiles, self.settings = model, step, tiles, settings
        levels = planes.levels
        size = planes.low.shape[2] << levels, planes.low.shape[1] << levels
        picture = Rect(0, 0, pixels.shape[1], pixels.shape[0])
        margin = max(MARGIN, 2 << levels)
        outer = Rect.around(tiles).grown(margin, size)
        if settings.tune == "msssim" and min(outer.clipped(picture)[2:]) < SMALLEST:
            outer = Rect.around(tiles).grown(margin + -(-SMALLEST // MULTIPLE) * MULTIPLE, size)
        low, details = planes.cut(outer)
        self.around = [band.to(model.device).clone() for band in (low.round(), *details)]
        self.places = [tile.moved(-outer.x, -outer.y) for tile in tiles]
        self.levels = [levels, *range(1, levels + 1)]
        #: the coefficients of each tile, views of the picture's: the lowest band, then level 1 (finest) first
        self.own = [[part[0], *part[1]] for part in map(planes.cut, tiles)]
        visible = outer.clipped(picture)
        self.visible = slice(visible.height), slice(visible.width)
        self.picture = samples(pixels, outer).to(model.device)[..., *self.visible]

    def search(self, report: Callable[[int], None]) -> None:
        """Move the coefficients to the best targets that were found."""
        settings, targets = self.settings, _copies(self.own)
        best, least = targets, float("inf")
        curvature = FIRST_CURVATURE if settings.tune == "msssim" else CURVATURE
        for iteration in range(settings.iterations + 1):
            bits, coded = self.code(targets, settings.rdoq_lambda)
            error, gradients = self.error(coded)
            cost = bits + error / settings.lambda_
            better = cost < least
            if better:
                best, least = _copies(targets), cost
            if iteration == settings.iterations:
                break
            if better or settings.tune == "psnr":
                here = coded, gradients
            else:
                targets, curvature = _copies(best), 2 * curvature
            rate = settings.rate(iteration)
            for target, values, gradient in zip(_flat(targets), *map(_flat, here), strict=True):
                target.lerp_(values.sub(gradient, alpha=1 / (2 * curvature)), rate)
            report(iteration + 1)
        with torch.inference_mode():
            for mine, found in zip(_flat(self.own), _flat(best), strict=True):
                mine.copy_(found)

    def code(self, targets: list[list[Tensor]], rdoq_lambda: float) -> tuple[int, list[list[Tensor]]]:
        """Bits of the tiles with these targets, and the coefficients that a decoder gets, in steps."""
        lows, details = [bands[0] for bands in targets], [bands[1:] for bands in targets]
        results = encode_tiles(self.model, lows, details, self.step, rdoq_lambda)
        coded = [
            [torch.from_numpy(tile.low).float(), *(torch.from_numpy(d).float().div_(VALUE) for d in tile.details)]
            for _, tile in results
        ]
        return sum(8 * len(data) for data, _ in results), coded

    def error(self, coded: list[list[Tensor]]) -> tuple[float, list[list[Tensor]]]:
        """Error, in steps squared, of what the tiles act on, and its gradient to their coefficients.

        Tuned for MS-SSIM it is what training weighs a squared error with.
        """
        log2_step = torch.full((1,), self.step / STEP_UNIT, device=self.model.device)
        leaves = [[band.to(self.model.device).requires_grad_() for band in bands] for bands in coded]
        whole = [band.clone() for band in self.around]
        for place, bands in zip(self.places, leaves, strict=True):
            for level, plane, band in zip(self.levels, whole, bands, strict=True):
                plane[(..., *place.reduced(level).slices())] = band
        subbands = Subbands(whole[0][None], tuple(band[None] for band in whole[1:]))
        autocast = self.model.fast is not self.model.transform
        result = self.model.transform.synthesis(subbands, log2_step, autocast)
        shown = result[..., *self.visible]
        if self.settings.tune == "msssim":
            weight = self.settings.lambda_ * self.settings.ms_ssim_weight * shown.shape[2] * shown.shape[3]
            error = weight * one_minus_ms_ssim(shown, self.picture).sum() / torch.exp2(2 * log2_step)
        else:
            error = (shown - self.picture).square().sum() / torch.exp2(2 * log2_step)
        error.sum().backward()
        gradients = []
        for bands in leaves:
            gradients.append([band.grad.cpu() for band in bands if band.grad is not None])
            for band in bands:
                band.requires_grad_(False)
        return error.item(), gradients


def _copies(tiles: list[list[Tensor]]) -> list[list[Tensor]]:
    return [[band.clone() for band in bands] for bands in tiles]


def _flat(tiles: list[list[Tensor]]) -> Iterator[Tensor]:
    for bands in tiles:
        yield from bands


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
