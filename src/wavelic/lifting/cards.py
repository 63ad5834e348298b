"""Finding trained lifting transforms by name, or by the bytes a file names them by; loads no torch."""

from __future__ import annotations

from wavelic.codec.architectures import architectures
from wavelic.codec.weights import Card, cards, superseded_cards
from wavelic.errors import ModelError

#: Family of the shipped transforms, name of the one that encodes unless another is asked for, and of the same networks
#: without learned steps of chroma.
FAMILY = "lifting"
PRODUCT = "lifting"
LUMA = "lifting-luma"
#: Architecture and weights of enhanced decoding of lifting files.
ENHANCE = "enhance-lifting"
#: Bytes of the content hash that a JP2 file holds.
ID_BYTES = 8


def lifting_cards() -> tuple[Card, ...]:
    """Return the cards of all installed, current lifting transforms, of whatever family."""
    names = {entry.name for entry in architectures().values() if entry.system == FAMILY}
    return tuple(card for card in cards() if card.architecture in names)


def find_lifting(name_or_id: str | bytes) -> Card:
    """Find the card of a trained transform.

    Args:
        name_or_id: its name, or the `lifting_id` a file names it by; the latter finds replaced weights too.

    Raises:
        ModelError: it is not installed; the message says what to do.
    """
    if isinstance(name_or_id, bytes):
        for card in (*cards(), *superseded_cards()):
            if lifting_id(card) == name_or_id:
                return card
        raise ModelError(
            f"the file needs lifting weights with hash {name_or_id.hex()}, which are not installed;"
            " install the wavelic that wrote it, or put them into a folder named in WAVELIC_WEIGHTS"
        )
    installed = lifting_cards()
    for card in installed:
        if card.name == name_or_id:
            return card
    names = ", ".join(card.name for card in installed) or "none"
    raise ModelError(f"no lifting weights {name_or_id!r}; there are {names}: train them or set WAVELIC_WEIGHTS")


def lifting_id(card: Card) -> bytes:
    """Return the bytes a file names the weights by: the first `ID_BYTES` of the content hash."""
    return bytes.fromhex(card.hash)[:ID_BYTES]
