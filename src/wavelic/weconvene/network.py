"""Networks of `weconvene`: a wavelet codec whose transform and context model are learned where it pays.

After 3DM-WeConvene (arXiv 2504.04658), made for processors:

    analysis    y = W x + step * f(W x / step)      W: 9/7 wavelet transform of the picture (`weconvene.subbands`)
    synthesis   x = W^-1 (y + step * g(y / step))   f, g: residual networks at an eighth of the resolution
    entropy     3-D subbands from low to high, in slices (`weconvene.context`)

f and g end in zeros before training, so the model starts as a plain wavelet codec and learns from there (a linear
shortcut beside the nonlinear path, as in the "auxiliary transform" literature).  Because W is orthonormal up to a few
percent, one number, the quantiser step, sets the rate, and networks that see all values in units of the step serve all
rates.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from wavelic.nn import fused
from wavelic.nn.constants import constant
from wavelic.nn.likelihood import round_straight_through
from wavelic.nn.precision import has_bfloat16
from wavelic.nn.wavelet_conv import WaveletConv
from wavelic.weconvene.config import CONFIGS, Config
from wavelic.weconvene.context import ContextModel, code_levels
from wavelic.weconvene.layout import BANDS, GRID, GRID_LEVELS, LEVELS, coding_order, slices_of
from wavelic.weconvene.quantizers import Quantizer
from wavelic.weconvene.subbands import Subbands, from_grid, join_grid, pack, split_grid, to_colours, to_grid, to_rgb
from wavelic.weconvene.units import CENTRE

_SLOPE = 0.01  # of every LeakyReLU


class WideBlock(nn.Module):
    """Two residual steps: 1x1, 3x3 depthwise, 1x1; and 1x1 to twice the width and back.

    7 C^2 + 9 C multiplications a position, nearly all in 1x1 products, which processors do best.  The block of DCVC's
    later networks (Li et al., CVPR 2024 and after).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.widen, self.narrow = nn.Conv2d(width, 2 * width, 1), nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        # convolutions do not need their own results for a gradient, so these can be changed in place
        inner = leaky_relu(self.enter(x), _SLOPE, inplace=True)
        x = self.leave(self.depthwise(inner)).add_(x)
        return self.narrow(leaky_relu(self.widen(x), _SLOPE, inplace=True)).add_(x)

    def run(self, x: Tensor) -> Tensor:
        """The same without gradients, in fewer passes over memory; ``x`` is changed."""
        x = fused.add_conv(x, self.leave, fused.conv(self.depthwise, fused.conv(self.enter, x, _SLOPE)))
        return fused.add_conv(x, self.narrow, fused.conv(self.widen, x, _SLOPE))


def block(layer: str, width: int) -> nn.Module:
    """A block of the kind `Config.layer`."""
    if layer == "wide":
        return WideBlock(width)
    return (
        WaveletConv(width, width, levels=2, channel_levels=1)
        if layer == "wavelet"
        else WaveletConv(width, width, levels=0, channel_levels=0)
    )


class GridNet(nn.Module):
    """f or g: corrections (N, 192, h, w) of a grid, from the grid in steps and the step.

    Args:
        width: feature maps.  blocks: how many.  layer: see `Config`.
    """

    def __init__(self, width: int, blocks: int, layer: str) -> None:
        super().__init__()
        self.enter = nn.Conv2d(GRID + 1, width, 1)
        self.blocks = nn.Sequential(*(block(layer, width) for _ in range(blocks)))
        self.leave = nn.Conv2d(width, GRID, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]
        # log2 of the gain of every channel, and its slope per octave of the step
        self.gain = nn.Parameter(torch.zeros(2, GRID))

    def forward(self, grid: Tensor, log2_step: Tensor) -> Tensor:
        """``grid`` in steps (N, 192, h, w), ``log2_step`` (N,) -> corrections in steps, float32."""
        batch, _, height, width = grid.shape
        octave = (log2_step - CENTRE)[:, None, None, None]
        # in inference `wavelic.weconvene.grid` writes asinh out, which is faster but has no gradient at zero
        x = torch.cat((torch.asinh(grid), octave.expand(batch, 1, height, width)), 1).to(self.enter.weight.dtype)
        y = self.leave(self.blocks(self.enter(x.contiguous(memory_format=torch.channels_last)))).float()
        return y * torch.exp2(self.gain[0][:, None, None] + self.gain[1][:, None, None] * octave)

    def run(self, seen: Tensor) -> Tensor:
        """What `forward` computes between its input and its gains, without gradients.

        Args:
            seen: (N, 193, h, w), the compressed grid and the step, channels last.

        Returns:
            (N, 192, h, w).
        """
        x = fused.conv(self.enter, seen)
        for layer in self.blocks:
            x = layer.run(x) if isinstance(layer, WideBlock) else layer(x)
        return fused.conv(self.leave, x)


class Transform(nn.Module):
    """Analysis and synthesis of `weconvene`.

    Args:
        config: sizes of f and g.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.f = GridNet(config.analysis, config.analysis_blocks, config.layer)
        self.g = GridNet(config.synthesis, config.synthesis_blocks, config.layer)
        # log2 of the relative step of every band and its slope per octave of the step: level 1 first
        self.band_steps = nn.Parameter(torch.zeros(2, LEVELS * BANDS))

    def band_scales(self, log2_step: Tensor) -> list[Tensor]:
        """What each level's coefficients (in steps) are multiplied by before rounding: (N, 9, 1, 1), level 1 first."""
        exponent = self.band_steps[0] + self.band_steps[1] * (log2_step - CENTRE)[:, None]
        return [e[:, :, None, None] for e in torch.exp2(-exponent).split(BANDS, 1)]

    def analysis_grid(
        self, rgb: Tensor, log2_step: Tensor, levels: int = GRID_LEVELS, autocast: bool = False
    ) -> Tensor:
        """Corrected coefficients of the finest levels in steps, as `to_grid` has them, of (N, 3, H, W) samples 0..255.

        Args:
            rgb: sides multiples of 2^levels.
            log2_step: log2 of the quantiser step in grey levels, (N,).
            levels: 1..GRID_LEVELS; with fewer than GRID_LEVELS there are no corrections.
            autocast: f computes in bfloat16; the wavelet transform never does.
        """
        grid = to_grid(to_colours(rgb - 127.5), levels) / torch.exp2(log2_step)[:, None, None, None]
        if levels < GRID_LEVELS:
            return grid
        with _bfloat16(rgb, autocast):
            correction = self.f(grid, log2_step)
        return grid + correction

    def synthesis_grid(
        self, grid: Tensor, log2_step: Tensor, levels: int = GRID_LEVELS, autocast: bool = False
    ) -> Tensor:
        """Inverse of `analysis_grid`, approximately: (N, 3, H, W), not clipped."""
        if levels == GRID_LEVELS:
            with _bfloat16(grid, autocast):
                correction = self.g(grid, log2_step)
            grid = grid + correction
        return to_rgb(from_grid(grid * torch.exp2(log2_step)[:, None, None, None], levels)) + 127.5

    def analysis(self, rgb: Tensor, log2_step: Tensor, levels: int = LEVELS, autocast: bool = False) -> Subbands:
        """Transform (N, 3, H, W), samples 0..255, sides multiples of 2^(levels + 1), to what is rounded, in steps."""
        grid = self.analysis_grid(rgb, log2_step, min(levels, GRID_LEVELS), autocast)
        subbands = split_grid(grid, levels)
        scaled = (d * s for d, s in zip(subbands.details, self.band_scales(log2_step), strict=False))
        return Subbands(subbands.low, tuple(scaled))

    def synthesis(self, subbands: Subbands, log2_step: Tensor, autocast: bool = False) -> Tensor:
        """Inverse of `analysis`, approximately: (N, 3, H, W), not clipped."""
        scaled = tuple(d / s for d, s in zip(subbands.details, self.band_scales(log2_step), strict=False))
        grid = join_grid(Subbands(subbands.low, scaled))
        return self.synthesis_grid(grid, log2_step, min(len(scaled), GRID_LEVELS), autocast)


class Network(Transform):
    """The networks of `weconvene`, to be trained: the transform and its context model in floats.

    Args:
        config: their sizes.
    """

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config or Config())
        self.entropy = ContextModel(self.config.contexts, slices_of(self.config))

    @torch.no_grad()
    def start_from(self, rgb: Tensor) -> None:
        """Fit the context model's starting scales to images (N, 3, H, W), samples 0..255."""
        subbands = self.analysis(rgb, torch.full((len(rgb),), float(CENTRE), device=rgb.device))
        self.entropy.start_from(torch.stack([d.abs().mean((0, 2, 3)) for d in subbands.details]))

    def code(
        self, subbands: Subbands, log2_step: Tensor, quantizer: Quantizer, autocast: bool = False
    ) -> tuple[Subbands, Tensor]:
        """Quantise subbands and estimate their rate.

        Args:
            subbands: what `analysis` gives.
            log2_step: log2 of the quantiser step in grey levels, (N,).
            quantizer: makes symbols of values (`wavelic.weconvene.quantizers`).
            autocast: the networks compute in bfloat16.

        Returns:
            Quantised subbands, with the quantizer's gradient, and the bits of each level and image (LEVELS, N), level 1
            first.  The lowest band, a few hundredths of a percent of the samples, is not counted.
        """
        order, counts = coding_order(self.entropy.slices)
        chosen = constant(order, subbands.low, torch.int64)
        packed = [pack(details).index_select(1, chosen).split(counts, 1) for details in subbands.details]
        levels = len(packed)
        bits = [subbands.low.new_zeros(len(subbands.low)) for _ in range(levels)]

        def coder(number: int, index: int, mean: Tensor, scale: Tensor) -> Tensor:
            offset = packed[number - 1][index] - mean
            symbols, cost = quantizer(offset, scale)
            bits[number - 1] = bits[number - 1] + cost.flatten(1).sum(1)
            return symbols + mean

        low = round_straight_through(subbands.low)
        with _bfloat16(low, autocast):
            details = code_levels(self.entropy, low, log2_step, levels, coder)
        return Subbands(low, tuple(details)), torch.stack(bits)


def build(name: str) -> Network:
    """Build the network called ``name`` with new weights, for the catalogue of architectures."""
    return Network(CONFIGS[name])


def _bfloat16(x: Tensor, enabled: bool) -> AbstractContextManager[object]:
    """Convolutions in bfloat16 if the device of ``x`` has it, or nothing."""
    return torch.autocast(x.device.type, torch.bfloat16) if enabled and has_bfloat16(x.device) else nullcontext()
