"""What a stage of enhanced decoding of learned lifting can set.  No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.enhance.stage import EnhanceStage


@dataclass
class LiftingEnhanceStage(EnhanceStage):
    """A stage of `wavelic.lifting.training.enhance_task.LiftingEnhanceTask`: that of `enhance`, with other defaults.

    Attributes:
        luma: share of crops whose transform has no learned steps of chroma (weights `lifting-luma`).
    """

    reversible: float = 0.0
    gray: float = 0.35
    luma: float = 0.2
    judged: int = 12
