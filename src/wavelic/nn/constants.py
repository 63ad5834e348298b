"""Small constant tensors, made once for each device.

A tensor that is made of Python numbers inside a network's forward pass is copied to a GPU in every call: the copy
waits, and it cannot be part of a CUDA graph.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from wavelic.nn.traced import is_tracing


def constant(values: tuple[Any, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return a constant tensor, the same one every time.

    Args:
        values: its values, nested tuples for more than one dimension.
        like: a tensor on the device where it is wanted.
        dtype: its type; that of ``like`` by default.

    Returns:
        The tensor; not to be changed.
    """
    dtype = dtype or like.dtype
    if is_tracing():  # a compiler keeps it for itself
        return torch.tensor(values, dtype=dtype, device=like.device)
    return _made(values, dtype, like.device)


@cache
def _made(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # also used in training
        return torch.tensor(values, dtype=dtype, device=device)
