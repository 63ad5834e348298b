"""What a stage of `3dm` and of the published networks can set.  No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.training.stages import Stage


@dataclass
class ThreedmStage(Stage):
    """A stage of a 3DM-WeConvene network.

    Attributes:
        lambda_: weight of the distortion (equation 1); 0: with gain units every crop draws its own, without them it is
            the reference.
        lowest, highest: octaves that these lambdas lie above the reference (`objective.REFERENCES`), drawn uniformly.
        distortion: "mse", in squared grey levels, or "ms-ssim", 1 - MS-SSIM, with crops of at least 192.
        low_weight, high_weight: w1 and w2 of the second training stage (equation 2).
        balance: crops count as lambda to minus this power: about equal shares of the loss for all rates.
        bfloat16: convolutions in bfloat16 under autocast, on devices that have it; wavelet transforms, GDN and
            likelihoods never are.
        quantised: the entropy networks behave as their integer twins (`wavelic.nn.exact`); their units are chosen from
            crops when the stage begins, unless ``calibrated`` says that the weights bring them.
        quantile_scale: learning rate of the factorised prior's quantiles, as a multiple of the others.
        validation_rates: octaves above the reference at which held-out crops are judged, with gain units.
        validation_crops: how many crops are judged, at most.
    """

    lambda_: float = 0.0
    lowest: float = -3.0
    highest: float = 3.0
    distortion: str = "mse"
    low_weight: float = 1.0
    high_weight: float = 1.0
    balance: float = 0.6
    bfloat16: bool = False
    quantised: bool = False
    calibrated: bool = False
    quantile_scale: float = 10.0
    validation_rates: tuple[float, ...] = (-2.5, -1.0, 0.5, 2.0)
    validation_crops: int = 24
