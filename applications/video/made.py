"""Photographs that move: more kinds of pictures than a few clips hold, for the parts that learn to predict and to code.

A frame of a made clip is a photograph seen through a smooth displacement.  A made prediction is a photograph as a
motion compensation may leave it: displaced by a wrong flow, blurred, brighter or darker in places.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from applications.video.network import warp

SPEED = (0.25, 8.0)  # pixels from one made frame to the next, least and most
WRONG = (0.1, 4.0)  # pixels by which the flow of a made prediction errs
BLUR = 4  # samples a side over which the most blurred prediction is a mean
SHADE = 0.03  # of 1: largest deviation of made lighting
MARGIN = 16  # pixels around a made clip from which its frames' borders come


def made_clip(photographs: list[Tensor], frames: int, side: int, random: torch.Generator) -> Tensor:
    """A clip (frames, 3, side, side) in 0..1, of which the displacement grows from frame to frame, or shrinks."""
    crop = _crop(photographs, side + 2 * MARGIN, random)
    flow = _field(2, side + 2 * MARGIN, _between(SPEED, random), random)
    flow = flow + _between(SPEED, random) * torch.randn(1, 2, 1, 1, generator=random)
    times = torch.arange(frames) - (frames - 1) / 2
    clip = torch.cat([warp(crop, (float(time) * flow).clamp(-MARGIN, MARGIN)) for time in times])
    return clip[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def made_prediction(photographs: list[Tensor], side: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A frame and its prediction, (1, 3, side, side) in 0..1 each."""
    frame = _crop(photographs, side, random)
    prediction = warp(frame, _field(2, side, _between(WRONG, random), random))
    blurred = interpolate(
        interpolate(prediction, scale_factor=1 / BLUR, mode="area"), size=(side, side), mode="bilinear"
    )
    blur, shade = torch.rand(2, generator=random).tolist()
    prediction = prediction + blur**2 * (blurred - prediction) + _field(3, side, SHADE * shade, random)
    return frame, prediction.clamp(0.0, 1.0)


def _crop(photographs: list[Tensor], side: int, random: torch.Generator) -> Tensor:
    picture = photographs[int(torch.randint(len(photographs), (), generator=random))]
    limits = (picture.shape[1] - side + 1, picture.shape[2] - side + 1)
    top, left = (int(torch.randint(limit, (), generator=random)) for limit in limits)
    return picture[None, :, top : top + side, left : left + side].float() / 255


def _field(channels: int, side: int, deviation: float, random: torch.Generator) -> Tensor:
    """A smooth field (1, channels, side, side): independent values at 2 to 8 points a side, and between them."""
    points = int(torch.randint(2, 9, (), generator=random))
    values = deviation * torch.randn(1, channels, points, points, generator=random)
    return interpolate(values, size=(side, side), mode="bicubic", align_corners=False)


def _between(limits: tuple[float, float], random: torch.Generator) -> float:
    """A number between two, of which every octave is drawn as often."""
    low, high = limits
    return low * (high / low) ** float(torch.rand((), generator=random))
