"""What is known of a coefficient before it is coded: mean and scale from coarser levels and earlier slices.

The entropy model of `weconvene-s` after 3DWeChARM (3DM-WeConvene, section III-B): subbands from low to high, each
slice conditioned on everything before it.  There is no hyperprior; coarser subbands are the side information, handed
from level to level as ``hidden``.  Per level, on the grid of its packed coefficients (`wavelic.weconvene.subbands`):

    context = ReLU conv3 ReLU conv3 (parent bands, hidden of the parent level doubled in size, the step)
    slice s: ReLU( conv1(context) + conv3(slices before s of this level) ), ReLU conv1, conv1 -> log2 scale, mean

Only ReLU, sums and convolutions, so that `context_integer` can run it in exact integers.  All values are
in quantiser steps.  A network sees a coefficient v as log2(1 + |v|) / 2 and clamp(v, -SIGNED, SIGNED).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from wavelic.weconvene.subbands import BANDS, LEVELS, PACKED, SLICES, Slice

SIGNED = 3.0
HEAD_SCALE = 2.0  # scales reach 8 octaves: without it the last layer would learn slower than the others
LOG2_LOWEST = -4.5  # log2 of the smallest logistic scale
PER_OCTAVE = 5
SCALES = 64
#: Step sizes in grey levels of an orthonormal transform that the networks are trained for.
LOWEST_STEP, HIGHEST_STEP = 12.0, 320.0
#: log2 of the step that networks see as 0.
CENTRE = 6


def features(values: Tensor) -> Tensor:
    """(N, C, h, w) coefficients in steps -> (N, 2 C, h, w): log magnitudes, then clamped values."""
    return torch.cat((0.5 * torch.log2(1 + values.abs()), values.clamp(-SIGNED, SIGNED)), 1)


def step_feature(log2_step: Tensor) -> Tensor:
    """How networks see a step: 0 at 2^CENTRE grey levels, 1 unit per octave."""
    return log2_step - CENTRE


class SliceNet(nn.Module):
    """Parameters of one slice: ``known`` channels of this level are coded before its ``channels``."""

    def __init__(self, known: int, channels: int, width: int) -> None:
        super().__init__()
        self.known, self.channels = known, channels
        self.from_context = nn.Conv2d(width, width, 1)
        self.from_known = nn.Conv2d(2 * known, width, 3, padding=1, bias=True) if known else None
        self.mix = nn.Conv2d(width, width, 1)
        self.head = nn.Conv2d(width, 2 * channels, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, context: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        """``known``: features (N, 2 * known, h, w) or None -> log2 scale, mean: (N, channels, h, w) each."""
        x = self.from_context(context)
        if self.from_known is not None and known is not None:
            x = x + self.from_known(known)
        scale, mean = self.head(relu(self.mix(relu(x)))).float().chunk(2, 1)
        return HEAD_SCALE * scale, mean


class LevelContext(nn.Module):
    """Networks of one level (or of several that share weights)."""

    def __init__(self, width: int, passes: tuple[Slice, ...]) -> None:
        super().__init__()
        self.width = width
        self.first = nn.Conv2d(2 * BANDS + width + 1, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        counts = [len(part.channels) for part in passes]
        self.slices = nn.ModuleList(SliceNet(sum(counts[:i]), n, width) for i, n in enumerate(counts))

    def context(self, parent: Tensor, hidden: Tensor | None, log2_step: Tensor) -> Tensor:
        """``parent``: (N, 9, h, w) in steps; ``hidden``: (N, width, h / 2, w / 2) or None; ``log2_step``: (N,)."""
        batch, _, height, width = parent.shape
        if hidden is None:
            hidden = parent.new_zeros(batch, self.width, height, width)
        else:
            hidden = interpolate(hidden, scale_factor=2.0, mode="nearest")
        step = step_feature(log2_step)[:, None, None, None].expand(batch, 1, height, width)
        x = torch.cat((features(parent), hidden, step.to(parent.dtype)), 1)
        x = x.contiguous(memory_format=torch.channels_last)
        return relu(self.second(relu(self.first(x))))


class ContextModel(nn.Module):
    """Entropy model of all levels.

    Args:
        widths: feature maps of level 1, level 2, and of the levels from 3 on, which share one set of weights.
        passes: slices of a level in coding order.
    """

    def __init__(self, widths: tuple[int, int, int], passes: tuple[Slice, ...] = SLICES) -> None:
        super().__init__()
        self.passes = passes
        self.adapt = nn.ModuleList(nn.Conv2d(widths[i + 1], widths[i], 1) for i in range(2))
        self.levels = nn.ModuleList(LevelContext(width, passes) for width in widths)
        self.base = nn.Parameter(torch.zeros(LEVELS, PACKED))

    @torch.no_grad()
    def start_from(self, magnitudes: Tensor) -> None:
        """Start from mean magnitudes (LEVELS, 9) of the bands, level 1 first, at a step of 2^CENTRE grey levels."""
        scale = (magnitudes / (2 * math.log(2))).clamp_min(1e-3)  # of a logistic distribution with that mean magnitude
        self.base.copy_(torch.log2(scale).repeat_interleave(PACKED // BANDS, 1))

    def base_scale(self, number: int, channels: tuple[int, ...], log2_step: Tensor) -> Tensor:
        """What a slice's log2 scales start from: (N, channels, 1, 1), one octave less per octave of the step."""
        base = self.base[number - 1, list(channels)]
        return (base - step_feature(log2_step)[:, None])[:, :, None, None]

    def level(self, number: int) -> LevelContext:
        """Networks of level ``number``, 1 (finest) .. LEVELS."""
        chosen = self.levels[min(number, 3) - 1]
        assert isinstance(chosen, LevelContext)
        return chosen

    def context(self, number: int, parent: Tensor, hidden: Tensor | None, log2_step: Tensor) -> Tensor:
        """Context of level ``number``, with the parent level's (None at the coarsest)."""
        if hidden is not None and number < 3:
            hidden = self.adapt[number - 1](hidden)
        return self.level(number).context(parent, hidden, log2_step)

    def start(self, low: Tensor) -> Tensor:
        """What stands for the parent of the coarsest level: zeros (N, 9, h / 2, w / 2)."""
        batch, _, height, width = low.shape
        return low.new_zeros(batch, BANDS, height // 2, width // 2)


def level_numbers() -> range:
    """Levels in coding order, coarsest first."""
    return range(LEVELS, 0, -1)
