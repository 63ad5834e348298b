"""The network that estimates what a quantiser left out of the wavelet coefficients of one level.

One set of weights serves all levels, rates, depths and both wavelets of JPEG 2000.  It works on squares of 2 x 2
coefficients of each band as channels, so that a position is a quarter of the coefficients of a band and a sixteenth of
the pixels of the finest level.  All levels together take a twelfth of a pass for each pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavelic.enhance.config import CONFIGS, INPUTS, OUTPUTS, Config
from wavelic.nn import fused

_SLOPE = 0.1  # of every LeakyReLU


class Block(nn.Module):
    """Residual block: 1x1, depthwise 3x3, 1x1; then 1x1 to twice the width and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(width, width, 1)
        self.space = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.leave = nn.Conv2d(width, width, 1)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.narrow = nn.Conv2d(2 * width, width, 1)
        self.act = nn.LeakyReLU(_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, h, w) to the same shape."""
        x = x + self.leave(self.space(self.act(self.enter(x))))
        result: Tensor = x + self.narrow(self.act(self.widen(x)))
        return result

    def run(self, x: Tensor) -> Tensor:
        """The same without gradients, in fewer passes over memory; ``x`` is changed."""
        x = fused.add_conv(x, self.leave, fused.conv(self.space, fused.conv(self.enter, x, _SLOPE)))
        return fused.add_conv(x, self.narrow, fused.conv(self.widen, x, _SLOPE))


class Network(nn.Module):
    """Corrections of a level's details in units of their steps, and maps for the next finer level."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Conv2d(INPUTS + config.carried, config.width, 1)
        self.blocks = nn.Sequential(*(Block(config.width) for _ in range(config.blocks)))
        self.leave = nn.Conv2d(config.width, OUTPUTS + config.carried, 1)
        nn.init.zeros_(self.leave.weight[:OUTPUTS])
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]
        for block in self.blocks:
            nn.init.normal_(block.leave.weight, std=0.02)  # type: ignore[union-attr, arg-type]
            nn.init.normal_(block.narrow.weight, std=0.02)  # type: ignore[union-attr, arg-type]
            nn.init.zeros_(block.leave.bias)  # type: ignore[union-attr, arg-type]
            nn.init.zeros_(block.narrow.bias)  # type: ignore[union-attr, arg-type]

    @property
    def radius(self) -> int:
        """Positions to every side that an output depends on."""
        return self.config.blocks

    def forward(self, x: Tensor, carried: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run on one level.

        Args:
            x: (N, INPUTS, h, w).
            carried: of the next coarser level, (N, carried, h, w), already at this level's size; None: zeros.

        Returns:
            Corrections (N, OUTPUTS, h, w), and what the next finer level is handed, (N, carried, h, w).
        """
        if carried is None:
            carried = x.new_zeros((x.shape[0], self.config.carried, *x.shape[2:]))
        x = torch.cat((x, carried), 1).contiguous(memory_format=torch.channels_last)
        x = self.leave(self.blocks(self.enter(x))) if torch.is_grad_enabled() else self._run(x)
        return x[:, :OUTPUTS], x[:, OUTPUTS:]

    def _run(self, x: Tensor) -> Tensor:
        x = fused.conv(self.enter, x)
        for block in self.blocks:
            assert isinstance(block, Block)
            x = block.run(x)
        return fused.conv(self.leave, x)


def build(name: str) -> Network:
    """Return the network of an architecture with new weights.

    Args:
        name: a key of `CONFIGS`.
    """
    return Network(CONFIGS[name])
