"""Paths of image services: which picture, which file, which part of it; tiles by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from wavelic.serving.facts import DECODES, ENHANCED, STOCK, Variant, suffixes
from wavelic.serving.refusal import Refusal
from wavelic.serving.request import QUALITIES
from wavelic.serving.site import Tile

#: Tiles that one request for their ranges may name.
MAX_TILES = 64
_SERVICE = re.compile(r"([23])((?:;[a-z]+=[a-z0-9]{1,9}){0,2})", re.ASCII)
_TILE = re.compile(r"([se]?)(\d{1,5})\.(\d{1,2})\.(\d{1,5})\.(\d{1,5})", re.ASCII)
_DECODE_LETTERS = {"": "", "s": STOCK, "e": ENHANCED}


@dataclass(frozen=True)
class Service:
    """An image service.

    Attributes:
        version: of the IIIF Image API, 2 or 3.
        variant: which picture of a file it gives.
    """

    version: int
    variant: Variant


def parse_service(segment: str) -> Service | None:
    """Read the path segment of an image service, ``3`` or ``3;layers=2;decode=stock``; None if it is none.

    Args:
        segment: behind ``/iiif/``.

    Raises:
        Refusal: 400 for parameters other than layers and decode.

    Examples:
        >>> parse_service("2;layers=4")
        Service(version=2, variant=Variant(layers=4, decode=''))
    """
    found = _SERVICE.fullmatch(segment)
    if found is None:
        return None
    layers, decode, seen = None, "", set()
    for option in found[2].split(";")[1:]:
        name, _, value = option.partition("=")
        if name == "layers" and value.isdigit() and int(value) >= 1 and name not in seen:
            layers = int(value)
        elif name == "decode" and value in DECODES and name not in seen:
            decode = value
        else:
            known = " or ".join(f";decode={name}" for name in DECODES)
            raise Refusal(400, f"the service is /iiif/3 with ;layers=N, N at least 1, and {known}, or without")
        seen.add(name)
    return Service(int(found[1]), Variant(layers, decode))


def split_identifier(parts: list[str]) -> tuple[str, list[str]]:
    """Part an identifier from what is asked of it, also where a proxy has decoded the slashes in it.

    Args:
        parts: segments of the path behind the service, decoded.

    Returns:
        The identifier, and: the four segments of an image request, ``["info.json"]``, or nothing.

    Examples:
        >>> split_identifier(["a/b.jp2", "info.json"]), split_identifier(["a", "b.jp2"])
        (('a/b.jp2', ['info.json']), ('a/b.jp2', []))
        >>> split_identifier(["a", "b.jp2", "full", "max", "0", "default.jpg"])
        ('a/b.jp2', ['full', 'max', '0', 'default.jpg'])
    """
    if len(parts) > 1 and parts[-1] == "info.json":
        return "/".join(parts[:-1]), parts[-1:]
    name = PurePosixPath(parts[-1]) if parts else PurePosixPath()
    if len(parts) >= 5 and (name.stem in QUALITIES or name.suffix.lower() not in suffixes()):
        return "/".join(parts[:-4]), parts[-4:]
    if len(parts) > 1 and parts[-1] == "":
        parts = parts[:-1]
    return "/".join(parts), []


def parse_tiles(text: str) -> list[Tile]:
    """Read names of tiles.

    Args:
        text: ``LAYERS.HALVED.COLUMN.ROW,...``, layers 0 for all, with ``s`` in front for the stock decode and ``e`` for
            the enhanced one.

    Raises:
        Refusal: 400 for anything else.

    Examples:
        >>> parse_tiles("0.2.5.3,s1.0.0.0")
        [(Variant(layers=None, decode=''), 2, 5, 3), (Variant(layers=1, decode='stock'), 0, 0, 0)]
    """
    items = text.split(",")
    found = [_TILE.fullmatch(item) for item in items[:MAX_TILES]]
    if len(items) > MAX_TILES or not all(found):
        raise Refusal(400, f"expected up to {MAX_TILES} tiles, layers.halved.column.row, as in 0.2.5.3,0.2.6.3")
    tiles = []
    for match in found:
        assert match
        layers, reduce, column, row = (int(group) for group in match.groups()[1:])
        tiles.append((Variant(layers or None, _DECODE_LETTERS[match[1]]), reduce, column, row))
    return tiles
