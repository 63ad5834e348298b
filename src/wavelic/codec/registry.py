"""The codecs there are, by name: where a new codec is entered.  Importing this loads neither numpy nor torch.

A codec of this package is one line of `CODECS`.  A codec of another package is one line of that package's metadata, an
entry point of the group ``wavelic.codecs``, and needs nothing here:

    [project.entry-points."wavelic.codecs"]
    toy = "toy.codec:CODEC"

Both name an instance of `wavelic.codec.base.Codec`, which is imported on first use.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from wavelic.errors import UsageError, WavelicError

if TYPE_CHECKING:
    from wavelic.codec.base import Codec
    from wavelic.codec.options import Options

#: Codecs of this package, the default first.
CODECS = {
    "weconvene": "wavelic.weconvene.codec:WECONVENE",
    "lifting": "wavelic.lifting.codec:LIFTING",
    "3dm": "wavelic.threedm.codec:THREEDM",
    "wcae": "wavelic.wcae.codec:WCAE",
    "wcae-64": "wavelic.wcae.codec:WCAE_64",
    "nowcae": "wavelic.wcae.codec:NOWCAE",
}
#: What encodes where no codec is named.
DEFAULT_CODEC = next(iter(CODECS))
#: Group of the entry points of other packages.
GROUP = "wavelic.codecs"


@cache
def _entries() -> dict[str, str]:
    """Every codec's name and where it is; a name of this package cannot be taken by another."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | CODECS


def names() -> tuple[str, ...]:
    """Return the names of all codecs: those of this package in their order, then those of others."""
    return (*CODECS, *(name for name in _entries() if name not in CODECS))


def get_codec(name: str) -> Codec:
    """Return the codec called ``name``.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in names():
        raise UsageError(f"no codec {name!r}; choose one of {', '.join(names())}")
    return _load(name)


@cache
def _load(name: str) -> Codec:
    from wavelic.codec.architectures import resolve
    from wavelic.codec.base import Codec

    try:
        found = resolve(_entries()[name])
    except (ImportError, AttributeError) as error:
        raise WavelicError(f"codec {name} cannot be loaded ({error}); repair or remove the package it is in") from error
    if not isinstance(found, Codec) or found.name != name:
        raise WavelicError(f"{_entries()[name]} is not a codec called {name}; repair or remove the package it is in")
    return found


def codecs() -> tuple[Codec, ...]:
    """Return all codecs, in the order of `names`."""
    return tuple(get_codec(name) for name in names())


def recognize(start: bytes) -> Codec | None:
    """Return the codec that opens a file beginning with ``start``, None if there is none."""
    return next((codec for codec in codecs() if codec.recognizes(start)), None)


def check_options(codec: Codec, options: Options) -> None:
    """Refuse options that a codec does not take.

    Raises:
        UsageError: one is set that is neither common to all codecs nor among ``codec.options``.
    """
    from wavelic.codec.options import COMMON

    for field in fields(options):
        value = getattr(options, field.name)
        if value == field.default or field.name in codec.options or field.name in COMMON:
            continue
        takers = " and ".join(other.name for other in codecs() if field.name in other.options) or "no codec"
        raise UsageError(f"{field.name} {value} given for codec {codec.name}; it is an option of {takers}")
