"""Uninitialised tensors for bands and images, on large memory pages where the system has them.

A transform writes every sample of fresh memory once, and the first touch of each 4 KiB page is a trap into the kernel:
for a large image that costs more than the arithmetic.  For arrays of 4 MiB and more numpy asks Linux for 2 MiB pages
(madvise), torch does not; so large tensors on the CPU are made in memory that numpy allocated.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Below this numpy does not ask for large pages either.
LARGE_BYTES = 1 << 22

_ALIGNMENT = 64


def empty_plane(like: Tensor, size: tuple[int, int]) -> Tensor:
    """Make an uninitialised tensor like another one, with a new height and width.

    Args:
        like: gives the leading shape, dtype, device and memory format.
        size: (height, width).

    Returns:
        A tensor (..., height, width).
    """
    shape = (*like.shape[:-2], *size)
    if not is_channels_last(like):
        return empty(shape, like)
    batch, channels, height, width = shape
    return empty((batch, height, width, channels), like).permute(0, 3, 1, 2)


def empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Make an uninitialised contiguous tensor.

    Args:
        shape: of the result.
        like: gives dtype and device.

    Returns:
        A tensor of ``shape``.
    """
    count = int(np.prod(shape, dtype=np.int64)) * like.element_size()
    if like.device.type != "cpu" or count < LARGE_BYTES:
        return torch.empty(shape, dtype=like.dtype, device=like.device)
    memory = np.empty(count + _ALIGNMENT, dtype=np.uint8)
    first = -memory.ctypes.data % _ALIGNMENT
    return torch.from_numpy(memory[first : first + count]).view(like.dtype).reshape(shape)


def is_channels_last(x: Tensor) -> bool:
    """Whether ``x`` is stored channels_last and not also plainly contiguous."""
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
