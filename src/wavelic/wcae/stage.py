"""What a stage of WCAE and NoWCAE can set.  No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.training.stages import Stage


@dataclass
class WcaeStage(Stage):
    """A stage of WCAE and NoWCAE.

    Attributes:
        klt: start from Karhunen-Loeve transforms of training crops instead of random weights (`wavelic.wcae.klt`).
        form, lambda_, shared_prior: see `wavelic.wcae.objective.AutoencoderObjective`.
        straight_through_from: fraction of the steps after which the distortion sees the rounded code.
    """

    klt: bool = False
    form: str = "rd"
    lambda_: float = 0.001
    shared_prior: bool = False
    straight_through_from: float = 1.0
