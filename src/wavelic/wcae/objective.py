"""Rate-distortion objectives for an autoencoder with a Gaussian code (WCAE, equations 1-3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from wavelic.nn.likelihood import gaussian_bits, round_straight_through
from wavelic.wcae.network import WaveletAutoencoder


@dataclass(frozen=True)
class Terms:
    """What a training or validation step measures; each a scalar tensor.

    Attributes:
        loss: the objective.
        bpp: estimated bits per pixel.
        mse: mean squared error in units of 8-bit grey levels.
    """

    loss: Tensor
    bpp: Tensor
    mse: Tensor


class CodePrior(nn.Module):
    """Gaussian of the code: mean and deviation taken from the batch in training, from running averages otherwise.

    Args:
        channels: latent channels.
        shared: one Gaussian for the whole code, as published; else one for each channel.
    """

    def __init__(self, channels: int, shared: bool) -> None:
        super().__init__()
        self.shared = shared
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(1 if shared else channels))
        self.register_buffer("scale", torch.ones(1 if shared else channels))

    def forward(self, code: Tensor, momentum: float = 0.02) -> tuple[Tensor, Tensor]:
        """(N, C, h, w) -> mean and deviation, broadcastable to it."""
        if self.training:
            dims = (0, 1, 2, 3) if self.shared else (0, 2, 3)
            variance, mean = torch.var_mean(code, dims, correction=0)
            mean, scale = mean.reshape(-1), (variance.reshape(-1) + 1e-6).sqrt()
            with torch.no_grad():
                self.mean.lerp_(mean, momentum)
                self.scale.lerp_(scale, momentum)
        else:
            mean, scale = self.mean, self.scale
        return mean[None, :, None, None], scale[None, :, None, None]


class AutoencoderObjective(nn.Module):
    """The model with its rate-distortion objective: crops in, `Terms` out.

    ``form="eq1"``: J = D + lambda R, D the mean squared error of samples in [-1, 1], R in bits per latent value.  The
    paper writes sums; means over both only rescale lambda.  Whether its lambda is meant for them is unknown.
    ``form="rd"``: J = lambda * 255^2 * MSE + bpp, the field's usual scaling (MSE of samples in [0, 1]).

    Additive uniform noise stands for the quantiser in the rate; in the distortion too unless ``straight_through``,
    which rounds and lets the gradient pass.
    """

    def __init__(
        self, model: WaveletAutoencoder, form: Literal["eq1", "rd"], lambda_: float, shared_prior: bool
    ) -> None:
        super().__init__()
        self.model, self.form, self.lambda_ = model, form, lambda_
        self.prior = CodePrior(model.latent_channels, shared_prior)

    def forward(self, crops: Tensor, noise: torch.Generator | None = None, straight_through: bool = False) -> Terms:
        """``crops``: uint8 (N, 3, H, W).  In evaluation mode the code is rounded about the prior's mean."""
        x = crops.float().div_(127.5).sub_(1)
        latent = self.model.analysis(x)
        if self.training:
            noisy = latent + torch.rand(latent.shape, generator=noise, device=latent.device) - 0.5
            mean, scale = self.prior(noisy)
            centre = mean.detach()
            rounded = round_straight_through(latent - centre) + centre
            reconstruction = self.model.synthesis(rounded if straight_through else noisy)
            bits = gaussian_bits(noisy, mean, scale)
        else:
            mean, scale = self.prior(latent)
            code = torch.round(latent - mean) + mean
            reconstruction = self.model.synthesis(code)
            bits = gaussian_bits(code, mean, scale)
        error = (reconstruction - x).square().mean()
        bpp = bits.sum() / (x.shape[0] * x.shape[2] * x.shape[3])
        mse = error * 127.5**2
        loss = error + self.lambda_ * bits.mean() if self.form == "eq1" else self.lambda_ * mse + bpp
        return Terms(loss, bpp, mse)
