"""The codecs there are, by name: where a new codec is entered.  Importing this loads neither numpy nor torch.

A codec of this package is one line of `CODECS`.  A codec of another package is one line of that package's metadata, an
entry point of the group ``wavelic.codecs``, and needs nothing here:

    [project.entry-points."wavelic.codecs"]
    toy = "toy.codec:CODEC"

Both name an instance of `wavelic.codec.base.Codec`, which is imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING

from wavelic.codec.architecture import resolve
from wavelic.errors import UsageError, WavelicError

if TYPE_CHECKING:
    from wavelic.codec.base import Codec
    from wavelic.codec.options import Options
    from wavelic.images import Image

#: Codecs of this package, the default first.
CODECS = {
    "weconvene": "wavelic.weconvene.codec:WECONVENE",
    "lifting": "wavelic.lifting.codec:LIFTING",
    "jp2": "wavelic.jp2.codec:JP2",
    "3dm": "wavelic.threedm.codec:THREEDM",
    "wcae": "wavelic.wcae.codec:WCAE",
    "wcae-64": "wavelic.wcae.codec:WCAE_64",
    "nowcae": "wavelic.wcae.codec:NOWCAE",
}
#: Codecs for one kind of picture: taken where no codec is named and the picture is of that kind, or by name.
SPECIAL = {"bilevel": "wavelic.bilevel.codec:BILEVEL"}
#: What encodes where no codec is named and no special one suits.
DEFAULT_CODEC = next(iter(CODECS))
#: Group of the entry points of other packages.
GROUP = "wavelic.codecs"
#: Codecs that `register` has entered.
_registered: dict[str, Codec] = {}


@cache
def _entries() -> dict[str, str]:
    """Every codec's name and where it is; a name of this package cannot be taken by another."""
    from importlib.metadata import entry_points  # looks at every installed package: 40 ms

    return {point.name: point.value for point in entry_points(group=GROUP)} | CODECS | SPECIAL


def _place(name: str) -> str:
    own = CODECS | SPECIAL
    return own[name] if name in own else _entries()[name]


def names() -> tuple[str, ...]:
    """Return the names of the codecs for any picture: those of this package in their order, then those of others."""
    return (*CODECS, *(name for name in _entries() if name not in CODECS | SPECIAL))


def known(name: str) -> bool:
    """Whether there is a codec called ``name``; other packages are looked at only where this one has none."""
    return name in CODECS or name in SPECIAL or name in _entries()


def get_codec(name: str) -> Codec:
    """Return the codec called ``name``.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if not known(name):
        raise UsageError(f"no codec {name!r}; choose one of {', '.join((*names(), *SPECIAL))}")
    return _load(name)


def register(codec: Codec) -> None:
    """Enter a codec that is not installed, for this process; entering it again changes nothing.

    Args:
        codec: an instance of `wavelic.codec.base.Codec`.

    Raises:
        UsageError: another codec has its name.
    """
    if codec.name in _entries() and _load(codec.name) is not codec:
        raise UsageError(f"codec {codec.name} cannot be entered, as another one has this name; rename it")
    _registered[codec.name] = codec
    _entries().setdefault(codec.name, f"{type(codec).__module__}:{type(codec).__name__}")


@cache
def _load(name: str) -> Codec:
    from wavelic.codec.base import Codec

    if name in _registered:
        return _registered[name]
    try:
        found = resolve(_place(name))
    except (ImportError, AttributeError) as error:
        raise WavelicError(f"codec {name} cannot be loaded ({error}); repair or remove the package it is in") from error
    if not isinstance(found, Codec) or found.name != name:
        raise WavelicError(f"{_place(name)} is not a codec called {name}; repair or remove the package it is in")
    return found


def codecs() -> tuple[Codec, ...]:
    """Return the codecs for any picture, in the order of `names`."""
    return tuple(get_codec(name) for name in names())


def all_codecs() -> tuple[Codec, ...]:
    """Return `codecs` and those for one kind of picture."""
    return (*codecs(), *map(get_codec, SPECIAL))


def recognize(start: bytes) -> Codec | None:
    """Return the first codec that opens a file beginning with ``start``, None if there is none."""
    own = (*CODECS, *SPECIAL)
    if found := _recognizing(own, start):
        return found
    return _recognizing((name for name in names() if name not in own), start)


def _recognizing(candidates: Iterable[str], start: bytes) -> Codec | None:
    return next((codec for codec in map(get_codec, candidates) if codec.recognizes(start)), None)


def special_for(image: Image, extension: str | None, options: Options) -> Codec | None:
    """Return the special codec for an image, None if there is none.

    Args:
        image: what is to be coded.
        extension: of the file that is wanted, with the dot; None for any.
        options: which the codec must take.
    """
    for codec in map(get_codec, SPECIAL):
        if extension in (None, codec.extension) and codec.suits(image):
            with suppress(UsageError):
                check_options(codec, options)
                return codec
    return None


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
