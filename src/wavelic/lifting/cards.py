"""Finding trained learned-lifting transforms by name or by the bytes a file names them by; loads no torch."""

from __future__ import annotations

from wavelic.codec.architectures import architectures
from wavelic.codec.weights import Card, cards, superseded_cards
from wavelic.errors import ModelError

#: The family of shipped transforms, and the name of the one that encodes unless another is asked for.
FAMILY = "lifting"
PRODUCT = "lifting"
#: How many bytes of the content hash a JP2 file holds.
ID_BYTES = 8


def lifting_cards() -> tuple[Card, ...]:
    """The cards of all trained lifting transforms that are installed and current, of whatever family."""
    return _of_lifting(cards())


def find_lifting(name_or_id: str | bytes) -> Card:
    """The card of that name, or the one, replaced ones too, whose `lifting_id` these bytes are.

    Raises ModelError, saying what to do, if it is not installed.
    """
    installed = lifting_cards()
    if isinstance(name_or_id, bytes):
        for card in (*installed, *_of_lifting(superseded_cards())):
            if lifting_id(card) == name_or_id:
                return card
        raise ModelError(
            f"the file needs lifting weights with hash {name_or_id.hex()}, which are not installed;"
            " install the wavelic that wrote it, or put them into a folder named in WAVELIC_WEIGHTS"
        )
    for card in installed:
        if card.name == name_or_id:
            return card
    names = ", ".join(card.name for card in installed) or "none"
    raise ModelError(f"no lifting weights {name_or_id!r}; there are {names}: train them or set WAVELIC_WEIGHTS")


def lifting_id(card: Card) -> bytes:
    """What a file names the weights by: the first `ID_BYTES` of the content hash."""
    return bytes.fromhex(card.hash)[:ID_BYTES]


def _of_lifting(found: tuple[Card, ...]) -> tuple[Card, ...]:
    known = architectures()
    return tuple(card for card in found if card.architecture in known and known[card.architecture].system == "lifting")
