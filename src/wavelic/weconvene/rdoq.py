"""Rate-distortion optimised quantisation: residuals that cost more bits than they are worth move towards zero.

Here by the tables that a file is coded with; `wavelic.weconvene.quantizers` has it in floats, for training.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavelic.weconvene.units import MAX_VALUE

#: Squared error, in steps squared, that a bit is worth when residuals are quantised; chosen on validation images.
RDOQ_LAMBDA = 0.065


def quantise(target: Tensor, table: Tensor, costs: Tensor, rdoq_lambda: float, lost: Tensor | None = None) -> Tensor:
    """Residuals (int32) of float targets in steps, of the same shape, by rate-distortion optimised quantisation.

    Of the nearest integer and the next one towards zero, the one with the smaller
    squared error + rdoq_lambda * bits by the symbol's table.

    Args:
        target: float32 (N, ...).
        table: uint8 of the same shape.
        costs: bits of the residuals -R..R by each table.
        rdoq_lambda: squared error that a bit is worth; 0 rounds.
        lost: float64 (N,), to make tiles sparse: residuals of table 0 are set to zero, and to each tile's number is
            added what squared error + rdoq_lambda * bits rises by that.
    """
    nearest = target.round().clamp_(-MAX_VALUE, MAX_VALUE).contiguous()
    if rdoq_lambda > 0 or lost is not None:
        # only what is not zero can become smaller
        flat = nearest.view(-1)
        places = flat.nonzero()[:, 0]
        value, wanted, rows = (x.reshape(-1).index_select(0, places) for x in (nearest, target, table))
        largest = costs.shape[1] // 2
        first, all_bits = rows.to(torch.int32) * costs.shape[1] + largest, costs.flatten()

        def cost(residual: Tensor) -> Tensor:
            bits = all_bits.index_select(0, first + residual.clamp(-largest, largest).to(torch.int32))
            return (wanted - residual).square() + rdoq_lambda * bits

        here = cost(value)
        if rdoq_lambda > 0:
            lower = value - value.sign()
            there = cost(lower)
            value, here = torch.where(there < here, lower, value), torch.minimum(there, here)
        if lost is not None:
            dropped = (rows == 0) & (value != 0)
            if dropped.any():
                value = value.masked_fill(dropped, 0)
                tiles = places[dropped] // (flat.numel() // len(lost))
                lost.index_add_(0, tiles, (cost(value) - here)[dropped].double())
        flat.index_copy_(0, places, value)
    return nearest.to(torch.int32)
