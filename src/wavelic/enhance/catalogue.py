"""What `enhance` has by name: its architecture and its weights.  Loads no torch."""

from __future__ import annotations

from wavelic.codec.architecture import Architecture, Trainer
from wavelic.codec.weights import Card, cards
from wavelic.enhance.config import CONFIGS
from wavelic.errors import ModelError

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
        CONFIGS["enhance"].parameters,
        "corrections of ordinary JPEG 2000 coefficients, level by level",
        "wavelic.enhance.network:build",
        TRAINER,
    ),
)


def enhancement_weights() -> tuple[Card, ...]:
    """Return the cards of the installed weights."""
    return tuple(card for card in cards() if card.family == FAMILY)


def find_enhance(name: str = PRODUCT) -> Card:
    """Find the card of trained weights.

    Args:
        name: of the weights.

    Raises:
        ModelError: they are not installed.
    """
    found = enhancement_weights()
    for card in found:
        if card.name == name:
            return card
    names = ", ".join(card.name for card in found) or "none"
    raise ModelError(f"no weights {name!r} for enhanced decoding; there are {names}: train them or set WAVELIC_WEIGHTS")


def enhancement_margin() -> int:
    """Return the samples of every level, to each side, whose code-blocks an enhanced sample depends on."""
    return CONFIGS[PRODUCT].margin
