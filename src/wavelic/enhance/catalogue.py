"""What `enhance` has by name: its architecture and its weights.  Loads no torch."""

from __future__ import annotations

from wavelic.codec.architectures import Architecture, Trainer

#: Family of the weights, and the name of those that decode unless others are asked for.
FAMILY = "enhance"
PRODUCT = "enhance"

TRAINER = Trainer(
    "wavelic.enhance.stage:EnhanceStage",
    "wavelic.enhance.training:EnhanceTask",
    "wavelic.enhance.export:export_stages",
)
ARCHITECTURES = (
    Architecture(
        "enhance",
        FAMILY,
        111_540,
        "corrections of ordinary JPEG 2000 coefficients, level by level",
        "wavelic.enhance.network:build",
        TRAINER,
    ),
)
