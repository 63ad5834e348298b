"""What the WeConvene networks are trained for: rate-distortion losses, and the published schedule.

3DM-WeConvene, section III-C: equation (1), the reweighted rate of equation (2), lambda sets, learning rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from wavelic.errors import MissingDependencyError, UsageError
from wavelic.threedm.network import Network, Output
from wavelic.threedm.plan import SlicePlan

LAMBDAS_MSE = (0.0025, 0.0035, 0.0067, 0.013, 0.025, 0.05)
LAMBDAS_MS_SSIM = (5.0, 8.0, 16.0, 32.0, 64.0)
#: Lambda at r = 0 of networks with gain units, for each distortion: about the middle of the published sets.
REFERENCES = {"mse": 2.0**-7, "ms-ssim": 16.0}

# (w1, w2) of equation (2); the paper gives no values.  As printed, w1 > w2: bits of the low bands cost more, so fewer
# are spent there, the opposite of "allocate more bits to the two LF subbands".  The second pair does what is written.
REWEIGHTING_AS_PRINTED = (1.05, 0.95)
REWEIGHTING_AS_WORDED = (0.95, 1.05)


@dataclass(frozen=True)
class Schedule:
    """A published stage of training: Adam, batches of ``batch`` crops of ``crop`` x ``crop`` pixels.

    Attributes:
        steps: iterations.
        learning_rate: at the start.
        constant: iterations before the first reduction.
        every: iterations from one reduction to the next.
        divisor: of a reduction.
    """

    steps: int
    learning_rate: float
    constant: int
    every: int = 1
    divisor: float = 1.0
    batch: int = 8
    crop: int = 480

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of iteration ``step``, counted from 0.

        Examples:
            >>> [FIRST_STAGE.learning_rate_at(step) for step in (0, 749_999, 750_000, 850_000)]
            [0.0001, 0.0001, 1e-05, 1e-06]
        """
        reductions = 0 if step < self.constant else 1 + (step - self.constant) // self.every
        return self.learning_rate / self.divisor**reductions


FIRST_STAGE = Schedule(1_500_000, 1e-4, 750_000, 100_000, 10.0)
SECOND_STAGE = Schedule(1_000_000, 1e-4, 1_000_000)  # 50 epochs of 160,000 crops


@dataclass(frozen=True)
class Terms:
    """What a training or validation step measures.

    Attributes:
        loss: the objective, a scalar: the mean over the images.
        bpp: estimated bits per pixel of every image, unweighted, (N,).
        distortion: of every image, (N,): mean squared error in units of 8-bit grey levels, or 1 - MS-SSIM.
        band_bpp: the part of each subband in ``bpp``, a scalar, the mean over the images (table V of the paper).
        hyper_bpp: the part of z, likewise.
    """

    loss: Tensor
    bpp: Tensor
    distortion: Tensor
    band_bpp: Mapping[str, Tensor]
    hyper_bpp: Tensor


@dataclass(frozen=True)
class RateDistortion:
    """lambda * D + w1 * R(spatial low bands) + w2 * R(high bands) + R(z), rates in bits per pixel.

    D is 255^2 * MSE of samples in 0..1, or 1 - MS-SSIM.  Equation (1) is w1 = w2 = 1; with other weights it is (2).

    Attributes:
        lambda_: larger for better pictures; LAMBDAS_MSE and LAMBDAS_MS_SSIM are the published ones.
        distortion: "mse" or "ms-ssim".
        weights: (w1, w2).
        balance: images of different lambdas count as lambda^-balance, so that all have about equal shares of the loss.

    Raises:
        UsageError: a lambda or weight that is not positive, an unknown distortion.
    """

    lambda_: float
    distortion: str = "mse"
    weights: tuple[float, float] = (1.0, 1.0)
    balance: float = 0.0

    def __post_init__(self) -> None:
        if min(self.lambda_, *self.weights) <= 0 or self.distortion not in REFERENCES:
            raise UsageError(
                f"lambda {self.lambda_}, weights {self.weights}, distortion {self.distortion!r};"
                " expected positive numbers and 'mse' or 'ms-ssim'"
            )

    def __call__(self, output: Output, images: Tensor, plan: SlicePlan, rate: Tensor | None = None) -> Terms:
        """Measure a batch.

        Args:
            output: what the network made of it.
            images: (N, 3, H, W) in 0..1, at least 161 pixels a side for MS-SSIM.
            plan: of the network.
            rate: octaves of lambda above ``lambda_``, of every image, (N,); None: none.

        Returns:
            The terms.

        Raises:
            MissingDependencyError: MS-SSIM without the ``eval`` extra.
        """
        pixels = images.shape[2] * images.shape[3]
        channels, hyper = output.bits / pixels, output.hyper_bits / pixels
        low, high = channels[:, : plan.low_channels].sum(1), channels[:, plan.low_channels :].sum(1)
        distortion = self._distortion(output.reconstruction, images)
        factor = torch.ones_like(hyper) if rate is None else torch.exp2(rate)
        loss = self.lambda_ * factor * distortion + self.weights[0] * low + self.weights[1] * high + hyper
        loss = (loss * factor**-self.balance).mean()
        bands = {band.name: channels[:, band.start : band.stop].sum(1).mean() for band in plan.bands}
        return Terms(loss, low + high + hyper, distortion, bands, hyper.mean())

    def _distortion(self, reconstruction: Tensor, images: Tensor) -> Tensor:
        if self.distortion == "mse":
            return 255.0**2 * (reconstruction.float() - images).square().flatten(1).mean(1)
        try:
            from pytorch_msssim import ms_ssim
        except ImportError as error:
            raise MissingDependencyError("MS-SSIM needs pytorch-msssim; install wavelic[eval]") from error
        similarity: Tensor = ms_ssim(reconstruction.float(), images, data_range=1.0, size_average=False)
        return 1.0 - similarity


def optimizer(model: Network, learning_rate: float = 1e-4, quantile_rate: float = 1e-3) -> torch.optim.Adam:
    """Adam with two groups, as in the public code: the network, and the quantiles of the factorised prior.

    Add ``model.prior.quantile_loss()`` to the loss: it reaches nothing but the quantiles, so one optimiser serves both.
    Clip gradients per group, the published norm being 1.0 for the network.
    """
    quantiles = model.prior.quantiles
    network = [p for p in model.parameters() if p is not quantiles and p.requires_grad]
    groups = [{"params": network, "lr": learning_rate}, {"params": [quantiles], "lr": quantile_rate}]
    return torch.optim.Adam(groups)
