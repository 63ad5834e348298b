"""3DWeChARM and WeChARM: the networks that predict a slice from the slices before it, and the one walk through them.

3DM-WeConvene, figures 5 and 6; Minnen and Singh (ICIP 2020) for channel-wise autoregression and latent residual
prediction (LRP).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from wavelic.nn.attention import AttentionNet
from wavelic.nn.blocks import ParameterNet
from wavelic.threedm.plan import Slice, SlicePlan

# (slice, mean, scale) -> the decoded values of the slice before LRP; mean, scale and result are (N, channels, h, w).
CodeSlice = Callable[[Slice, Tensor, Tensor], Tensor]


class SliceNet(nn.Module):
    """Mean, scale and latent residual of one slice (figure 6).

    Args:
        plan: the order of coding.
        number: which of its slices.
        attention: inner width of the attention modules.
        hidden: hidden widths of the parameter nets.
    """

    def __init__(self, plan: SlicePlan, number: int, attention: int, hidden: tuple[int, int]) -> None:
        super().__init__()
        part = plan.slices[number]
        known = plan.latent + sum(earlier.channels for earlier in plan.slices[: part.support])
        self.mean_attention = AttentionNet(known, part.features, attention)
        self.scale_attention = AttentionNet(known, part.features, attention)
        self.mean_net = ParameterNet(part.features, part.channels, plan.kernels, hidden)
        self.scale_net = ParameterNet(part.features, part.channels, plan.kernels, hidden)
        low = plan.low_channels if part.sees_low else 0
        self.residual_net = ParameterNet(low + part.features + part.channels, part.channels, plan.kernels, hidden)

    def predict(self, means: Tensor, scales: Tensor, support: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and scale of the slice, and the features that `correct` needs."""
        features = self.mean_attention(torch.cat((means, *support), 1))
        scale = self.scale_net(self.scale_attention(torch.cat((scales, *support), 1)))
        return self.mean_net(features), scale, features

    def correct(self, values: Tensor, features: Tensor, low: list[Tensor]) -> Tensor:
        """``values`` plus the predicted rounding error, at most 1/2; ``low``: the spatial low bands, if used."""
        return values + 0.5 * torch.tanh(self.residual_net(torch.cat((*low, features, values), 1)))


class SliceCoder(nn.ModuleList):
    """All slices of a plan, one `SliceNet` each."""

    def __init__(self, plan: SlicePlan, attention: int = 128, hidden: tuple[int, int] = (224, 128)) -> None:
        super().__init__(SliceNet(plan, number, attention, hidden) for number in range(len(plan.slices)))
        self.plan = plan

    def forward(self, means: Tensor, scales: Tensor, code: CodeSlice) -> Tensor:
        """Walk through the plan: predict a slice, let ``code`` code it, correct it, go on.

        The only loop over slices there is: training passes a ``code`` that estimates bits, an encoder one that writes
        symbols, a decoder one that reads them.

        Args:
            means: (N, latent, h, w) from the hyper-synthesis.
            scales: of the same shape, unbounded; ``code`` bounds them.
            code: called once per slice, in coding order.

        Returns:
            The decoded coefficients (N, 4 * latent, h, w).
        """
        decoded: list[Tensor] = []
        for part, module in zip(self.plan.slices, self, strict=True):
            net = cast(SliceNet, module)
            mean, scale, features = net.predict(means, scales, decoded[: part.support])
            low = decoded[: self.plan.low_slices] if part.sees_low else []
            # Layout may decide how a convolution rounds, so values from anywhere get the same one.
            values = code(part, mean, scale).clone(memory_format=torch.channels_last)
            decoded.append(net.correct(values, features, low))
        return torch.cat(decoded, 1)
