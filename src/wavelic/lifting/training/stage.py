"""What a stage of a lifting transform can set.  No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.training.stages import Stage


@dataclass
class LiftingStage(Stage):
    """A stage of a lifting transform.

    Attributes:
        rate, distortion, straight_through, penalty, trade: see `wavelic.lifting.training.objective.LiftingObjective`.
        oracle, progressive: pre-training, see there too.
        train: "all" weights; "proposals", the first of each output held at the base filter; or "opacities", from new
            weights while the proposals stay those of the earlier stage.
        lowest, highest: every crop is quantised as the base wavelet would be at a rate drawn log-uniformly between
            these, in bits per pixel.
        last_half_width: what the surrogates' half-width is annealed to, from 1 (`lifting_surrogate.half_width`).
        opacity_scale: step size of the opacity branches and of iWave's nets, as a multiple of the proposals'.
        bfloat16: run opacity branches in bfloat16 while training.
        judged: how many validation images are coded to judge the weights, those with most detail.
        judged_side: largest side of the central crops judged.
    """

    rate: str = "smooth"
    distortion: bool = False
    straight_through: bool = False
    penalty: float = 0.1
    trade: float = 0.2
    oracle: bool = False
    progressive: bool = False
    train: str = "all"
    lowest: float = 0.1
    highest: float = 1.0
    last_half_width: float = 0.25
    opacity_scale: float = 5.0
    bfloat16: bool = True
    judged: int = 12
    judged_side: int = 576
