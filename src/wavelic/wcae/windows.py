"""Pixels to latent and back in overlapping windows: bounded memory at any size, and no seams.

Neighbouring windows overlap by the reach of the network, so every latent and every pixel is computed from exactly the
samples it would have seen in one piece; the result differs from that only by floating-point rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wavelic.codec.opened import Progress
from wavelic.codec.windows import longer_where_thin, windows
from wavelic.rect import Rect
from wavelic.wcae.network import WaveletAutoencoder
from wavelic.wcae.receptive_field import analysis_margin, synthesis_margin

WINDOW = 1024  # pixels a side of a window's inner part, where the picture is not thin


def _normalize(pixels: NDArray[Any], height: int, width: int, replicate: bool) -> torch.Tensor:
    """(h, w, 1 or 3) uint8 or uint16 -> (1, 3, height, width) in [-1, 1], extended to the right and bottom."""
    full = np.float32(np.iinfo(pixels.dtype).max / 2)
    unit = pixels.astype(np.float32) / full - 1
    extension = ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0))
    unit = np.pad(unit, extension, "edge") if replicate else np.pad(unit, extension)
    return torch.from_numpy(unit).permute(2, 0, 1)[None].expand(1, 3, height, width)


def denormalize(x: torch.Tensor, channels: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(1, 3, h, w) in [-1, 1] -> (h, w, channels) rounded to nearest and clipped; gray is the mean of the three."""
    if channels == 1:
        x = x.mean(1, keepdim=True)
    full = np.iinfo(dtype).max
    samples = (x[0].permute(1, 2, 0).double() + 1) * (full / 2)
    return samples.round_().clamp_(0, full).cpu().numpy().astype(dtype)


def _turned(x: torch.Tensor) -> torch.Tensor:
    """Maps (N, C, h, w) with rows and columns exchanged, channels last."""
    return x.transpose(2, 3).contiguous(memory_format=torch.channels_last)


def latent_size(network: WaveletAutoencoder, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latent of an image."""
    return -(-height // network.stride), -(-width // network.stride)


@torch.inference_mode()
def analyze(
    network: WaveletAutoencoder, pixels: NDArray[Any], replicate: bool = True, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Latent (C, h, w) of colour samples (H, W, 1 or 3), uint8 or uint16; gray is coded as three equal channels.

    The edges are extended to multiples of the network's stride, by the last sample or by zeros in [-1, 1].
    """
    stride, margin = network.stride, analysis_margin(network)
    height, width = latent_size(network, *pixels.shape[:2])
    latent = np.empty((network.latent_channels, height, width), np.float32)
    device = next(network.parameters()).device
    area = Rect(0, 0, width, height)
    sides = longer_where_thin(area, max(1, WINDOW // stride))
    cells = list(windows(area, (width, height), sides, margin))
    for done, (inner, outer) in enumerate(cells, 1):
        window = pixels[outer.y * stride : outer.bottom * stride, outer.x * stride : outer.right * stride]
        size = outer.height * stride, outer.width * stride
        # of a thin picture most of a cell is its last row or column, again and again
        thin = next((axis for axis in (0, 1) if replicate and 2 * window.shape[axis] <= size[axis]), None)
        rows, columns = (window.shape[axis] if axis == thin else size[axis] for axis in (0, 1))
        x = _normalize(window, rows, columns, replicate).to(device).contiguous(memory_format=torch.channels_last)
        if thin is None:
            found = network.analysis(x)
        elif thin == 0:
            found = network.analysis_extended(x, size[0], 2)
        else:
            found = _turned(network.transposed().analysis_extended(_turned(x), size[1], 2))
        y = found[0].cpu().numpy()
        latent[:, *inner.slices()] = y[:, *inner.moved(-outer.x, -outer.y).slices()]
        if progress:
            progress(done, len(cells))
    return latent


@torch.inference_mode()
def synthesize(
    network: WaveletAutoencoder,
    latent: NDArray[np.float32],
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    progress: Progress | None = None,
    origin: tuple[int, int] = (0, 0),
) -> NDArray[Any]:
    """Samples (H, W, 1 or 3) of ``dtype`` from a latent (C, h, w); ``shape`` is that of the result.

    origin: (row, column) in the image of the result's first sample.  Only the windows it needs are computed.
    """
    stride, margin = network.stride, synthesis_margin(network)
    pixels = np.empty(shape, dtype)
    device = next(network.parameters()).device
    top, left = origin
    area = Rect(left, top, shape[1], shape[0])
    cells = Rect.between(left // stride, top // stride, -(-area.right // stride), -(-area.bottom // stride))
    sides = longer_where_thin(cells, max(1, WINDOW // stride))
    work = list(windows(cells, (latent.shape[2], latent.shape[1]), sides, margin))
    for done, (inner, outer) in enumerate(work, 1):
        y = torch.from_numpy(np.ascontiguousarray(latent[:, *outer.slices()]))[None].to(device)
        part = Rect(*(side * stride for side in inner)).clipped(area)
        size = part.bottom - outer.y * stride, part.right - outer.x * stride
        # of a thin picture most of a cell is not wanted
        thin = any(2 * side <= count * stride for side, count in zip(size, y.shape[2:], strict=True))
        # by the picture's size, not the part's, so that parts are those of the whole
        if latent.shape[1] > latent.shape[2] == 1:
            x = _turned(network.transposed().synthesis(_turned(y), size[::-1] if thin else None))
        else:
            x = network.synthesis(y.contiguous(memory_format=torch.channels_last), size if thin else None)
        seen = x[:, :, *part.moved(-outer.x * stride, -outer.y * stride).slices()]
        pixels[part.moved(-left, -top).slices()] = denormalize(seen, shape[2], dtype)
        if progress:
            progress(done, len(work))
    return pixels
