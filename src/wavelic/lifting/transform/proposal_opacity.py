"""The proposal-opacity network: linear filters blended by opacities that a small nonlinear network finds.

Li, Naman and Taubman, *Exploration of learned lifting-based transform structures for fully scalable and accessible
wavelet-like image compression* (arXiv 2402.18761), section III, figures 5 to 8, equation 5:

    out(i) = sum_k a_k(i) q_k(i)        q_k: proposals, linear K x K filters of the input
    a_k = (x_k + 0.01) / sum_j (x_j + 0.01)        x_k >= 0: what the opacity branch ends in

The opacities of a sample sum to one, so constraints on the taps of the proposals hold for the operator as a whole:

* P predicts from even samples; every proposal's taps sum to -1 and a constant image has no details.
* T_L2H reads the low band; every proposal's taps sum to 0 and the mean of the low band does not leak into the details.
* The first opacity convolution on an image-like input has zero-sum kernels: opacities do not depend on brightness.

All convolutions are "valid".  The caller extends the input once, by ``radius``, so that samples inside do not depend on
where a window ends.  Layer sizes are configuration (`OperatorShape`); the paper does not print them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

OFFSET = 0.01  # equation 5; absolute, so the input range is part of the definition: images in [-0.5, 0.5]
INITIAL_TAP = 1e-3  # standard deviation of new proposals: the transform starts as its base wavelet


@dataclass(frozen=True)
class OperatorShape:
    """Layer sizes of one operator.

    Attributes:
        inputs: bands it reads.
        outputs: bands it predicts, sharing one opacity trunk.
        channels: N, proposals (and opacities) per output.
        width: feature maps between the blocks.
        block_width: feature maps inside a residual block.
        blocks: residual blocks of two 3x3 convolutions.
        first: kernel size of the first convolution, odd.
        last: kernel size of the last one, odd.
        zero_sum_input: the first convolution's kernels sum to zero.
        zero_sum_taps: so do the learned proposals.
    """

    inputs: int
    outputs: int
    channels: int
    width: int
    block_width: int
    blocks: int
    first: int
    last: int
    zero_sum_input: bool = False
    zero_sum_taps: bool = False

    @property
    def radius(self) -> int:
        """Radius of the receptive field, in samples of the input grid; the same for both branches."""
        return self.first // 2 + 2 * self.blocks + self.last // 2

    @property
    def support(self) -> int:
        """K, the side of the proposals' filters."""
        return 2 * self.radius + 1

    @property
    def weights(self) -> int:
        """Number of trainable weights."""
        maps = self.outputs * self.channels
        outer = self.first**2 * self.inputs * self.width + self.last**2 * self.width * maps
        return outer + self.blocks * 18 * self.width * self.block_width + self.support**2 * self.inputs * maps


class ResidualBlock(nn.Module):
    """3x3 conv, ReLU, 3x3 conv, add the input, ReLU; shrinks by two samples on each side."""

    def __init__(self, width: int, block_width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, block_width, 3, bias=False)
        self.second = nn.Conv2d(block_width, width, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, width, H - 4, W - 4)."""
        inner = self.second(self.first(x).relu_())
        return inner.add_(x[..., 2:-2, 2:-2]).relu_()


class ProposalOpacity(nn.Module):
    """A learned lifting operator with the opacities of equation 5.

    Args:
        shape: layer sizes and constraints.
        base_taps: (inputs, K, K) or smaller odd filters, centred, added to every proposal and not trained: the fixed
            lifting step that this operator starts from.  None: nothing, as for T_H2L and T_L2H of the hybrid.

    Attributes:
        runs_in: the type in which `operators.apply` runs it by `proposal_opacity_fast`, without gradients and on a
            CPU; None: it runs as it is.
    """

    base_taps: Tensor
    runs_in: torch.dtype | None = None

    def __init__(self, shape: OperatorShape, base_taps: Tensor | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.radius = shape.radius
        self.outputs = shape.outputs
        self.first = nn.Conv2d(shape.inputs, shape.width, shape.first, bias=False)
        self.blocks = nn.ModuleList(ResidualBlock(shape.width, shape.block_width) for _ in range(shape.blocks))
        self.last = nn.Conv2d(shape.width, shape.outputs * shape.channels, shape.last, bias=False)
        support = shape.support
        self.taps = nn.Parameter(
            INITIAL_TAP * torch.randn(shape.outputs * shape.channels, shape.inputs, support, support)
        )
        taps = torch.zeros(shape.inputs, support, support)
        if base_taps is not None:
            margin = (support - base_taps.shape[-1]) // 2
            taps[:, margin : support - margin, margin : support - margin] = base_taps
        self.register_buffer("base_taps", taps, persistent=False)
        for convolution in (m for m in self.modules() if isinstance(m, nn.Conv2d)):
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")

    def proposals(self) -> Tensor:
        """Return the proposals' taps with their constraint applied, (outputs * channels, inputs, K, K)."""
        taps: Tensor = self.taps
        if self.shape.zero_sum_taps:
            taps = taps - taps.mean((-3, -2, -1), keepdim=True)
        return taps + self.base_taps

    def evidence(self, x: Tensor) -> Tensor:
        """Compute x_k + 0.01 of equation 5: (B, outputs, channels, H, W), positive."""
        kernel: Tensor = self.first.weight
        if self.shape.zero_sum_input:
            kernel = kernel - kernel.mean((-3, -2, -1), keepdim=True)
        x = functional.conv2d(x, kernel).contiguous(memory_format=torch.channels_last).relu_()
        for block in self.blocks:
            x = block(x)
        return self.last(x).relu_().unflatten(1, (self.outputs, self.shape.channels)) + OFFSET

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H + 2 radius, W + 2 radius) -> (B, outputs, H, W); the blending runs in at least float32."""
        with torch.autocast(x.device.type, enabled=False):
            x = x if x.dtype == torch.float64 else x.float()
            x = x.contiguous(memory_format=torch.channels_last)  # twice as fast for few channels and wide filters
            taps = self.proposals().contiguous(memory_format=torch.channels_last)
            proposals = functional.conv2d(x, taps).unflatten(1, (self.outputs, self.shape.channels))
            evidence = self.evidence(x)
            return (evidence * proposals).sum(2) / evidence.sum(2)


def u16(inputs: int, outputs: int, *, last: int) -> OperatorShape:
    """Return the sizes of the shipped operators: width 16, N = 9, 3x3 ends, two blocks, one trunk for all outputs.

    Args:
        inputs: bands it reads.
        outputs: bands it predicts.
        last: kernel size of the last convolution.
    """
    return OperatorShape(inputs, outputs, channels=9, width=16, block_width=16, blocks=2, first=3, last=last)
