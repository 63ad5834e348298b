"""`weconvene-s`: the product model, a wavelet codec whose transform and entropy model are learned where it pays.

After 3DM-WeConvene (arXiv 2504.04658), made for processors and for little training:

    analysis    y = W x + step * f(W x / step)      W: 9/7 wavelet transform of the picture (`weconvene.subbands`)
    synthesis   x = W^-1 (y + step * g(y / step))   f, g: 3DM-WeConv layers at a quarter of the resolution
    entropy     3-D subbands from low to high, in slices (`wavelic.weconvene.context`)

f and g end in zeros before training, so the model starts as a plain wavelet codec and learns from there (a linear
shortcut beside the nonlinear path, as in the "auxiliary transform" literature).
Because W is orthonormal up to a few percent, one number, the quantiser step, sets the rate, and networks that see all
values in units of the step serve every rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wavelic.nn.gdn import lower_bound
from wavelic.nn.likelihood import round_straight_through
from wavelic.nn.wavelet_conv import WaveletConv
from wavelic.weconvene.context import (
    CENTRE,
    LOG2_LOWEST,
    PER_OCTAVE,
    SCALES,
    ContextModel,
    features,
    level_numbers,
    step_feature,
)
from wavelic.weconvene.subbands import (
    BANDS,
    COLOURS,
    LEVELS,
    PACKED,
    SLICES,
    SLICES_2D,
    Subbands,
    from_grid,
    join_grid,
    pack,
    split_grid,
    to_colours,
    to_grid,
    to_rgb,
    unpack,
)

GRID = COLOURS + BANDS + PACKED
LOW_SCALE = 1 / 16  # the low band reaches the networks divided by this many steps


@dataclass(frozen=True)
class SmallPlan:
    """Sizes of a `weconvene-s`.

    Attributes:
        width: feature maps of f and g.
        analysis_blocks, synthesis_blocks: 3DM-WeConv layers in f and g.
        contexts: feature maps of the entropy model at level 1, level 2 and beyond.
        levels, channel_levels: of the wavelet transforms inside the layers; 0, 0 is the plain-convolution twin.
        ordered_colours: code luma before chroma, as in three dimensions; False is the 2-D twin of the entropy model.
    """

    width: int = 64
    analysis_blocks: int = 3
    synthesis_blocks: int = 3
    contexts: tuple[int, int, int] = (48, 64, 64)
    levels: int = 2
    channel_levels: int = 1
    ordered_colours: bool = True


class GridNet(nn.Module):
    """f or g: corrections (N, 48, h, w) of a grid, from the grid in steps and the step."""

    def __init__(self, plan: SmallPlan, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(GRID + 1, plan.width, 1)
        self.blocks = nn.Sequential(
            *(
                WaveletConv(plan.width, plan.width, levels=plan.levels, channel_levels=plan.channel_levels)
                for _ in range(blocks)
            )
        )
        self.leave = nn.Conv2d(plan.width, GRID, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]
        scale = torch.ones(GRID)
        scale[:COLOURS] = LOW_SCALE
        self.register_buffer("scale", scale[:, None, None], persistent=False)

    scale: Tensor

    def forward(self, grid: Tensor, log2_step: Tensor) -> Tensor:
        """``grid`` in steps (N, 48, h, w), ``log2_step`` (N,) -> corrections in steps."""
        batch, _, height, width = grid.shape
        step = step_feature(log2_step)[:, None, None, None].expand(batch, 1, height, width)
        x = torch.cat((grid * self.scale, step), 1).contiguous(memory_format=torch.channels_last)
        return self.leave(self.blocks(self.enter(x))).float()


class WeConveneSmall(nn.Module):
    """The networks of `weconvene-s`."""

    def __init__(self, plan: SmallPlan | None = None) -> None:
        super().__init__()
        self.plan = plan = plan or SmallPlan()
        self.f = GridNet(plan, plan.analysis_blocks)
        self.g = GridNet(plan, plan.synthesis_blocks)
        self.entropy = ContextModel(plan.contexts, SLICES if plan.ordered_colours else SLICES_2D)
        # log2 of the relative step of every band and its slope per octave of the step: low band, then the levels
        self.band_steps = nn.Parameter(torch.zeros(2, LEVELS * BANDS))

    def band_scales(self, log2_step: Tensor) -> list[Tensor]:
        """What each level's coefficients (in steps) are multiplied by before rounding: (N, 9, 1, 1), level 1 first."""
        exponent = self.band_steps[0] + self.band_steps[1] * step_feature(log2_step)[:, None]
        return [e[:, :, None, None] for e in torch.exp2(-exponent).split(BANDS, 1)]

    @torch.no_grad()
    def start_from(self, rgb: Tensor) -> None:
        """Fit the entropy model's starting scales to images (N, 3, H, W), samples 0..255."""
        subbands = self.analysis(rgb, torch.full((len(rgb),), float(CENTRE), device=rgb.device))
        self.entropy.start_from(torch.stack([d.abs().mean((0, 2, 3)) for d in subbands.details]))

    def analysis(self, rgb: Tensor, log2_step: Tensor) -> Subbands:
        """(N, 3, H, W), samples 0..255, sides multiples of 128 -> what is to be rounded, in steps."""
        step = torch.exp2(log2_step)[:, None, None, None]
        grid = to_grid(to_colours(rgb - 127.5)) / step
        grid = grid + self.f(grid, log2_step)
        subbands = split_grid(grid)
        scaled = (d * s for d, s in zip(subbands.details, self.band_scales(log2_step), strict=True))
        return Subbands(subbands.low, tuple(scaled))

    def synthesis(self, subbands: Subbands, log2_step: Tensor) -> Tensor:
        """Inverse of `analysis`, approximately: (N, 3, H, W), not clipped."""
        step = torch.exp2(log2_step)[:, None, None, None]
        scaled = tuple(d / s for d, s in zip(subbands.details, self.band_scales(log2_step), strict=True))
        grid = join_grid(Subbands(subbands.low, scaled))
        grid = grid + self.g(grid, log2_step)
        return to_rgb(from_grid(grid * step)) + 127.5

    def code(
        self, subbands: Subbands, log2_step: Tensor, noise: torch.Generator | None = None
    ) -> tuple[Subbands, Tensor]:
        """Quantised subbands, with the gradient of the identity, and the bits of each level and image (LEVELS, N).

        Level 1 comes first; the lowest band, a few hundredths of a percent of the samples, is not counted.

        In training the rate is that of values with uniform noise; otherwise that of the rounded ones.
        """
        parent = self.entropy.start(subbands.low)
        hidden: Tensor | None = None
        bits: list[Tensor] = []  # of each level, coarsest first
        quantised: dict[int, Tensor] = {}
        for number in level_numbers():
            values = pack(subbands.details[number - 1])
            hidden = self.entropy.context(number, parent, hidden, log2_step)
            result: list[Tensor] = []
            order: list[int] = []
            known: Tensor | None = None
            spent = values.new_zeros(len(values))
            for part, net in zip(self.entropy.passes, self.entropy.level(number).slices, strict=True):
                scale, mean = net(hidden, known)
                scale = scale + self.entropy.base_scale(number, part.channels, log2_step)
                target = values[:, list(part.channels)]
                offset = target - mean
                rounded = round_straight_through(offset)
                if self.training:
                    rate_at = offset + torch.rand(offset.shape, generator=noise, device=offset.device) - 0.5
                else:
                    rate_at = rounded
                spent = spent + logistic_bits(rate_at, scale).flatten(1).sum(1)
                result.append(rounded + mean)
                order.extend(part.channels)
                known = features(torch.cat(result, 1).detach())
            bits.append(spent)
            inverse = [order.index(c) for c in range(PACKED)]
            quantised[number] = unpack(torch.cat(result, 1)[:, inverse])
            parent = quantised[number].detach()
        low = round_straight_through(subbands.low)
        details = tuple(quantised[number] for number in range(1, LEVELS + 1))
        return Subbands(low, details), torch.stack(bits[::-1])


def logistic_bits(values: Tensor, log2_scale: Tensor) -> Tensor:
    """-log2 of the mass of a zero-mean logistic distribution on the unit bin around each value.

    With a = |value| / scale and h = 1 / (2 scale) the mass is sinh h / (cosh a + cosh h), of which the logarithm is
    taken term by term: exact and with a gradient far out in the tails.
    """
    bounded = -lower_bound(-lower_bound(log2_scale, LOG2_LOWEST), -(LOG2_LOWEST + SCALES / PER_OCTAVE))
    inverse = torch.exp2(-bounded)
    a, h = values.abs() * inverse, 0.5 * inverse
    top = torch.maximum(a, h)
    denominator = torch.exp(a - top) + torch.exp(-a - top) + torch.exp(h - top) + torch.exp(-h - top)
    return (top + torch.log(denominator) - h - torch.log1p(-torch.exp(-2 * h))) * (1 / math.log(2))
