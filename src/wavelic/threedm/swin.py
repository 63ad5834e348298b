"""Window attention in place of residual groups: a transformer codec to compare entropy models in.

Liu et al., *Swin Transformer* (ICCV 2021): attention within windows of 8 x 8 positions, every other block on windows
moved by half their side; used in codecs by Zhu, Yang and Cohen, *Transformer-based transform coding* (ICLR 2022).
Moved windows reach beyond the map, where positions are zeros, instead of around its edges.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad, scaled_dot_product_attention

#: Side of a window in positions.
WINDOW = 8


class WindowAttentionBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), attention within windows.

    Args:
        channels: C, a multiple of 8.
        moved: windows begin half a window earlier.
        head: channels of an attention head.
    """

    positions: Tensor

    def __init__(self, channels: int, moved: bool, head: int = 8) -> None:
        super().__init__()
        self.moved, self.heads = moved, max(1, channels // head)
        self.before, self.between = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv, self.leave = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.widen, self.narrow = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        span = 2 * WINDOW - 1
        self.bias = nn.Parameter(torch.zeros(self.heads, span * span))
        place = torch.stack(torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")).flatten(1)
        distance = place[:, :, None] - place[:, None] + WINDOW - 1
        self.register_buffer("positions", distance[0] * span + distance[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, C, H, W) -> (N, C, H, W)."""
        y = x.permute(0, 2, 3, 1)
        y = y + self._attention(self.before(y))
        y = y + self.narrow(gelu(self.widen(self.between(y))))
        return y.permute(0, 3, 1, 2)

    def _attention(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        first = WINDOW // 2 if self.moved else 0
        rows, columns = -(height + first) % WINDOW, -(width + first) % WINDOW
        x = pad(x, (0, 0, first, columns, first, rows))
        down, across = x.shape[1] // WINDOW, x.shape[2] // WINDOW
        windows = x.view(batch, down, WINDOW, across, WINDOW, channels).transpose(2, 3).reshape(-1, WINDOW**2, channels)
        q, k, v = self.qkv(windows).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=self.bias[:, self.positions].to(q.dtype))
        y = self.leave(mixed.transpose(1, 2).flatten(2))
        y = y.view(batch, down, across, WINDOW, WINDOW, channels).transpose(2, 3).reshape(x.shape)
        return y[:, first : first + height, first : first + width]


class WindowAttentionGroup(nn.Sequential):
    """Blocks whose windows lie still and are moved in turn.

    Args:
        channels: C of input and output.
        blocks: how many.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__(*(WindowAttentionBlock(channels, bool(number % 2)) for number in range(blocks)))
