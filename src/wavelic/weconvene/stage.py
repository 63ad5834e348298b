"""What a stage of `weconvene` can set.  No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.training.stages import Stage


@dataclass
class WeconveneStage(Stage):
    """A stage of `weconvene`.

    Attributes:
        finest, coarsest: the quantiser step is drawn log-uniformly between these, in grey levels, for each crop.
        lambda_: squared error, in steps squared, that a bit is worth.
        metric: "mse", or "ms-ssim": 1 - MS-SSIM on RGB (Wang, Simoncelli and Bovik, 2003) in the place of the squared
            error.
        ms_ssim_weight: what counts as a bit per pixel is step^2 / ms_ssim_weight of 1 - MS-SSIM.  Published lambdas of
            the two metrics for the same rates differ by a factor of about 1300 (in 8-bit units), which this keeps.
        balance: a crop counts as step to this power, since the loss falls with the step: about equal relative shares.
        low_weight, high_weight: w1 and w2 of the second training stage (3DM-WeConvene, equation 2): what the bits of
            the three coarsest levels and those of the three finest count.
        bfloat16: convolutions of the networks in bfloat16 under autocast, on devices that have it; the wavelet
            transform never is.
        quantised: the context model behaves as its integer twin (`wavelic.nn.exact`); its units are chosen from crops
            when the stage begins, unless ``calibrated`` says that the weights bring them.
        rdoq_lambda: if not 0, symbols are those of an encoder with rate-distortion optimised quantisation (RDOQ) of
            this weight (`wavelic.weconvene.rdoq.quantise`), and bits and scales are those of the symbols themselves
            instead of values with noise: for the last stage, in which contexts and synthesis learn what is decoded.
        synthesis_only: only g is trained, on the symbols that the rest of the network codes; analysis and context
            model keep their weights.
        validation_steps: steps in grey levels at which held-out crops are judged.
    """

    finest: float = 12.0
    coarsest: float = 320.0
    lambda_: float = 0.2
    metric: str = "mse"
    ms_ssim_weight: float = 19500.0
    balance: float = 1.2
    low_weight: float = 1.0
    high_weight: float = 1.0
    bfloat16: bool = True
    quantised: bool = False
    calibrated: bool = False
    rdoq_lambda: float = 0.0
    synthesis_only: bool = False
    validation_steps: tuple[float, ...] = (16.0, 32.0, 64.0, 128.0, 224.0)
