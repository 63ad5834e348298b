"""Where bfloat16 pays."""

from __future__ import annotations

import torch


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether a device multiplies in bfloat16 by itself.

    On processors without such instructions convolutions in bfloat16 are emulated, and take twice as long as in float32.

    Args:
        device: a torch device.

    Returns:
        True for anything but a CPU, and for CPUs with AVX-512 BF16.
    """
    return torch.device(device).type != "cpu" or torch.cpu._is_avx512_bf16_supported()
