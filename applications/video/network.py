"""DVC (Lu, Ouyang, Xu, Zhang, Cai and Gao, *DVC: an end-to-end deep video compression framework*, CVPR 2019).

A frame x is predicted from the frame decoded before, r:

    v = motion(x, r)                  optical flow, a pyramid of small networks
    m = motion encoder(v)             coded with a density for each channel; v' = motion decoder(m)
    p = compensate(warp(r, v'), r, v')
    y = residual encoder(x - p)       coded with Gaussians whose scales the hyperprior z gives; z like m
    x' = p + residual decoder(y)

Encoders and decoders are four layers with stride 2 each for the motion and for the residual, with GDN between them in
the residual's.  Counted here: 0.96 million parameters for the flow, 0.49 for the compensation, 2.08 for the motion's
coder, 5.08 for the residual's with its hyperprior, 8.60 in all.  The paper says "about 11
million" and not what of; the public reimplementation halves the residual's coder.  3DM-WeConvene, section IV-G.1,
replaces the strided layers of the four coders: 16 layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, relu

from applications.arms import layer_options
from applications.initial import octaves_of_noise, scaled
from wavelic.nn import GDN, replace_strided
from wavelic.nn.likelihood import FactorizedPrior, gaussian_bits, round_straight_through

PYRAMID = 4  # levels of the flow
FACTOR = 64  # sides of frames are extended to multiples: 16 of the coders, 4 of the hyperprior
SLOPE = 0.1
MOTION_UNIT = 8.0  # pixels: what the motion's coder calls 1, likewise
LONGEST = 64.0  # pixels of a decoded flow to either side
RESIDUAL_UNIT = 1 / 4  # what the residual's coder calls 1: about the largest of usual residuals
SPREAD = 2.0  # initial half-width of the densities of m and z, which learn slowly to be narrower


@dataclass(frozen=True)
class Coded:
    """What coding one frame gives.

    Attributes:
        frame: x', (N, 3, H, W), not clipped.
        flow: v, (N, 2, H, W), in pixels.
        decoded_flow: v'.
        warped: the last frame moved by the decoded flow.
        prediction: p.
        motion_bits: of m, for the whole batch.
        residual_bits: of y and z.
    """

    frame: Tensor
    flow: Tensor
    decoded_flow: Tensor
    warped: Tensor
    prediction: Tensor
    motion_bits: Tensor
    residual_bits: Tensor


#: Deviations before training: of the latents in quantiser steps, of the decoders' layers, and of what they give.
#: Inverse GDNs square what is well above 1, eight of them one after the other, and some residuals are twenty times the
#: usual.
MOTION_LATENTS, RESIDUAL_LATENTS = 4.0, 2.0
DECODER_DEVIATION, RESULT_DEVIATION = 0.05, 0.2


def down(in_channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    """Make a convolution to half the size."""
    return nn.Conv2d(in_channels, out_channels, kernel, 2, kernel // 2)


def up(in_channels: int, out_channels: int, kernel: int) -> nn.ConvTranspose2d:
    """Make a transposed convolution to twice the size."""
    return nn.ConvTranspose2d(in_channels, out_channels, kernel, 2, kernel // 2, 1)


class FlowLevel(NamedTuple):
    """Flow of one level of the pyramid, and the two frames at its size."""

    flow: Tensor
    frame: Tensor
    reference: Tensor


class MotionEstimation(nn.Module):
    """Optical flow from coarse to fine: at each level five 7x7 convolutions correct the flow of the level below.

    Ranjan and Black, *Optical flow estimation using a spatial pyramid network* (CVPR 2017); trained from nothing here,
    and with LeakyReLU, with which it learns faster.

    Untrained, it sees no motion: each level ends with zeros.

    Args:
        width: 32 as published; channels are 1, 2, 1 and 1/2 times that.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        channels = (8, width, 2 * width, width, width // 2, 2)
        self.levels = nn.ModuleList()
        for _ in range(PYRAMID):
            layers: list[nn.Module] = []
            for before, after in pairwise(channels):
                layers += [nn.Conv2d(before, after, 7, padding=3), nn.LeakyReLU(SLOPE, inplace=True)]
            nn.init.zeros_(layers[-2].weight)  # type: ignore[arg-type]
            nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
            self.levels.append(nn.Sequential(*layers[:-1]))

    def forward(self, frame: Tensor, reference: Tensor) -> Tensor:
        """Estimate where each pixel of ``frame`` lies in ``reference``.

        Args:
            frame: (N, 3, H, W), sides multiples of 8.
            reference: the same.

        Returns:
            (N, 2, H, W), right and down, in pixels.
        """
        return self.levels_of(frame, reference)[-1].flow

    def levels_of(self, frame: Tensor, reference: Tensor) -> list[FlowLevel]:
        """Estimate the same at every level of the pyramid, the coarsest first."""
        frames, references = [frame], [reference]
        for _ in range(PYRAMID - 1):
            frames.append(avg_pool2d(frames[-1], 2))
            references.append(avg_pool2d(references[-1], 2))
        flow = frame.new_zeros(len(frame), 2, *frames[-1].shape[-2:])
        results: list[FlowLevel] = []
        for number, level in enumerate(self.levels):
            at, behind = frames[-1 - number], references[-1 - number]
            if number:
                flow = 2.0 * interpolate(flow, scale_factor=2.0, mode="bilinear", align_corners=False)
            flow = flow + level(torch.cat((at, warp(behind, flow), flow), 1))
            results.append(FlowLevel(flow, at, behind))
        return results


class Compensation(nn.Module):
    """Prediction from the warped frame: residual blocks at three scales, plus the warped frame.

    Args:
        width: channels; 64 as published.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.enter = nn.Conv2d(8, width, 3, padding=1)
        self.descend = nn.ModuleList(Residual(width) for _ in range(3))
        self.ascend = nn.ModuleList(Residual(width) for _ in range(3))
        self.leave = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, warped: Tensor, reference: Tensor, flow: Tensor) -> Tensor:
        """Compute (N, 3, H, W); sides are multiples of 4."""
        x = self.enter(torch.cat((warped, reference, flow), 1))
        maps = []
        for number, block in enumerate(self.descend):
            x = block(avg_pool2d(x, 2) if number else x)
            maps.append(x)
        x = maps.pop()
        for number, block in enumerate(self.ascend):
            x = block(x)
            if number < len(self.ascend) - 1:
                x = interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False) + maps.pop()
        return warped + self.leave(x)


class Residual(nn.Module):
    """Two 3x3 convolutions behind ReLUs, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> (N, C, H, W)."""
        return x + self.second(relu(self.first(relu(x))))


class MotionCoder(nn.Module):
    """Flow to latents at 1/16 and back: four times a strided and a plain 3x3 convolution.

    Args:
        channels: 128 as published.
    """

    def __init__(self, channels: int = 128) -> None:
        super().__init__()
        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        for number in range(4):
            encoder += [down(channels if number else 2, channels, 3), nn.LeakyReLU(SLOPE)]
            encoder += [nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE)]
            decoder += [up(channels, channels, 3), nn.LeakyReLU(SLOPE)]
            decoder += [nn.Conv2d(channels, channels if number < 3 else 2, 3, padding=1), nn.LeakyReLU(SLOPE)]
        self.encoder, self.decoder = nn.Sequential(*encoder[:-1]), nn.Sequential(*decoder[:-1])
        self.prior = FactorizedPrior(channels, spread=SPREAD)

    def latents(self, flow: Tensor) -> Tensor:
        """Latents m of a flow in pixels, not rounded."""
        latents: Tensor = self.encoder(flow / MOTION_UNIT)
        return latents

    def flow(self, latents: Tensor) -> Tensor:
        """Flow v' in pixels of decoded m."""
        return (MOTION_UNIT * self.decoder(latents)).clamp(-LONGEST, LONGEST)


class ResidualCoder(nn.Module):
    """Residual to latents at 1/16 and back, with a scale hyperprior at 1/64 (Balle et al., ICLR 2018).

    Args:
        width: channels inside, 128 as published.
        latents: channels of y, 192 as published.
    """

    def __init__(self, width: int = 128, latents: int = 192) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            down(3, width, 5), GDN(width), down(width, width, 5), GDN(width),
            down(width, width, 5), GDN(width), down(width, latents, 5),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            up(latents, width, 5), GDN(width, inverse=True), up(width, width, 5), GDN(width, inverse=True),
            up(width, width, 5), GDN(width, inverse=True), up(width, 3, 5),
        )  # fmt: skip
        self.hyper_encoder = nn.Sequential(
            nn.Conv2d(latents, width, 3, padding=1), nn.ReLU(), down(width, width, 5), nn.ReLU(), down(width, width, 5)
        )
        self.hyper_decoder = nn.Sequential(
            up(width, width, 5), nn.ReLU(), up(width, width, 5), nn.ReLU(), nn.Conv2d(width, latents, 3, padding=1)
        )
        self.prior = FactorizedPrior(width, spread=SPREAD)

    def scales(self, hyper: Tensor) -> Tensor:
        """Compute the deviations of y, (N, latents, h, w), positive, from decoded z."""
        return torch.exp(self.hyper_decoder(hyper).clamp(-8.0, 8.0))


class DVC(nn.Module):
    """The whole frame coder.

    Untrained, it predicts each frame to be the last one: the flow, its decoder and the compensation end with zeros.
    Layers of both coders keep the size of a signal from the start (`applications.initial`): else four layers down and
    four up leave nothing of one that is rounded between them.

    Args:
        width: channels of the compensation, 64 as published, at least 4; the flow has half as many and the coder of
            the motion twice.
        arm: "plain", "wavelet" or "twin", see `applications.arms`.
        residual: channels inside the residual's coder, in widths; 2 as published.
        latents: of the residual, in widths; 3 as published.
    """

    def __init__(self, width: int = 64, arm: str = "plain", residual: int = 2, latents: int = 3) -> None:
        super().__init__()
        self.estimation = MotionEstimation(flow_width(width))
        self.compensation = Compensation(width)
        self.motion = MotionCoder(2 * width)
        self.residual = ResidualCoder(residual * width, latents * width)
        if (options := layer_options(arm)) is not None:
            for coder in (self.motion, self.residual):
                replace_strided(coder.encoder, **options)
                replace_strided(coder.decoder, **options)
        if not self.compensation.enter.weight.is_meta:
            scale_coder(self.motion, 2, MOTION_LATENTS)
            scale_coder(self.residual, 3, RESIDUAL_LATENTS)
        for stack in (self.motion.decoder, self.compensation.leave):
            assert isinstance(stack, nn.Sequential)
            nn.init.zeros_(stack[-1].weight)
            nn.init.zeros_(stack[-1].bias)

    def forward(self, frame: Tensor, reference: Tensor) -> Coded:
        """Code a frame as in training: noise for the rates, rounding with a straight-through gradient for the rest.

        Args:
            frame: (N, 3, H, W) in 0..1, sides multiples of FACTOR.
            reference: the frame before, decoded.

        Returns:
            The decoded frame and the bits.
        """
        flow = self.estimation(frame, reference)
        motion = self.motion.latents(flow)
        decoded_flow = self.motion.flow(rounded(motion, self.motion.prior))
        warped, prediction = self.predict(decoded_flow, reference)
        decoded, residual_bits = self.coded_residual(frame, prediction)
        motion_bits = self.motion.prior.bits(noisy(motion)).sum()
        return Coded(decoded, flow, decoded_flow, warped, prediction, motion_bits, residual_bits)

    def coded_residual(self, frame: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Code what a prediction lacks, as in training: the decoded frame, and the bits of y and z."""
        latents = self.latents(frame, prediction)
        hyper = self.residual.hyper_encoder(latents.abs())
        scales = self.residual.scales(rounded(hyper, self.residual.prior))
        decoded = self.reconstructed(prediction, round_straight_through(latents))
        bits = gaussian_bits(noisy(latents), torch.zeros_like(scales), scales).sum()
        return decoded, bits + self.residual.prior.bits(noisy(hyper)).sum()

    def latents(self, frame: Tensor, prediction: Tensor) -> Tensor:
        """Latents y of a frame and its prediction, not rounded."""
        return self.residual.encoder((frame - prediction) / RESIDUAL_UNIT)

    def reconstructed(self, prediction: Tensor, latents: Tensor) -> Tensor:
        """Frame x' of a prediction and decoded y, not clipped; no sample changes by more than 1, the range of all."""
        return prediction + (RESIDUAL_UNIT * self.residual.decoder(latents)).clamp(-1.0, 1.0)

    def decoded_flow(self, frame: Tensor, reference: Tensor) -> Tensor:
        """Flow v' that a decoder gets of two frames, (N, 2, H, W) in pixels."""
        latents = self.motion.latents(self.estimation(frame, reference))
        return self.motion.flow(rounded(latents, self.motion.prior))

    def predict(self, flow: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """Warp the reference by a decoded flow, and predict the frame: two tensors (N, 3, H, W)."""
        warped = warp(reference, flow)
        return warped, self.compensation(warped, reference, flow)


@torch.no_grad()
def scale_coder(coder: MotionCoder | ResidualCoder, channels: int, deviation: float) -> None:
    """Scale the layers of a coder of ``channels`` for the beginning of training; ``deviation``: of its latents."""
    x = octaves_of_noise(channels)
    x = scaled(coder.encoder[:-1], x, 1.0)
    x = scaled(coder.encoder[-1:], x, deviation)
    x = scaled(coder.decoder[:-1], x, DECODER_DEVIATION)
    scaled(coder.decoder[-1:], x, RESULT_DEVIATION)


def flow_width(width: int) -> int:
    """Width of the flow in a network of ``width``: half of it, and the same for the twin, which has a few more."""
    return 2 * (width // 4)


def rounded(values: Tensor, prior: FactorizedPrior) -> Tensor:
    """Round about the medians of a density, with a straight-through gradient."""
    return round_straight_through(values - prior.medians) + prior.medians


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """Sample an image where a flow points, bilinearly; beyond the border its last sample counts.

    Args:
        image: (N, C, H, W).
        flow: (N, 2, H, W), right and down, in pixels.

    Returns:
        (N, C, H, W).

    Examples:
        >>> ramp = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4)
        >>> right = torch.stack((torch.ones(4, 4), torch.zeros(4, 4)))[None]
        >>> warp(ramp, right)[0, 0, 0]
        tensor([1., 2., 3., 3.])
    """
    height, width = image.shape[-2:]
    columns = torch.arange(width, device=image.device, dtype=image.dtype)
    rows = torch.arange(height, device=image.device, dtype=image.dtype)[:, None]
    x = (columns + flow[:, 0]) * (2.0 / max(width - 1, 1)) - 1.0
    y = (rows + flow[:, 1]) * (2.0 / max(height - 1, 1)) - 1.0
    grid = torch.stack((x, y), -1)
    return grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=True)


def noisy(values: Tensor) -> Tensor:
    """Values with uniform noise of a step's width, which stands for rounding where rates need a gradient."""
    return values + torch.rand_like(values) - 0.5
