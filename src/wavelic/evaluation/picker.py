"""Which curves a report's plots show: a few at first, and a box to tick for each."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wavelic.codec.registry import codecs
from wavelic.evaluation.plots import LineStyle, is_own, line_styles
from wavelic.evaluation.results import Curve

#: Curves that plots show at first, and how many of them may be our own before others are there.
SHOWN, OWN_SHOWN = 6, 3
#: Corners of matplotlib's markers, in radians from the right, by the marker; the star's every second is an inner one.
_CORNERS = {"s": 4, "D": 4, "^": 3, "v": 3, "<": 3, ">": 3, "*": 10, "P": 4, "X": 4}
_TURNS = {"s": math.pi / 4, "^": -math.pi / 2, "v": math.pi / 2, "<": math.pi, "*": -math.pi / 2, "X": math.pi / 4}
_CURVE_ID = re.compile(r'<g id="curve-(\d+)"')


@dataclass(frozen=True)
class Choice:
    """A curve that may be picked.

    Attributes:
        index: of the curve in the plots.
        label: its name.
        shown: whether plots show it at first.
        swatch: SVG of its line and marker.
    """

    index: int
    label: str
    shown: bool
    swatch: str


def choices(curves: Sequence[Curve], reference: Curve | None) -> list[Choice]:
    """List the curves of plots, and which are shown at first.

    Those are up to `OWN_SHOWN` of our own, in the order of the registry; the reference; other measured codecs and then
    published curves, of each family one before the second of any; and the rest of our own if there is room.

    Args:
        curves: as they are given to the plots.
        reference: the curve that others are compared with, if any.
    """
    ranks = {codec.name: rank for rank, codec in enumerate(codecs())}
    own = [n for n, curve in enumerate(curves) if is_own(curve)]
    own.sort(key=lambda n: ranks.get(curves[n].name, len(ranks)))
    compared = [n for n, curve in enumerate(curves) if reference is not None and curve.name == reference.name][:1]
    seen = {_family(curves[n]) for n in compared}
    others: list[tuple[bool, bool, int]] = []  # published, of a family that is there already
    for n, curve in enumerate(curves):
        if n not in own:
            others.append((not curve.rows, _family(curve) in seen, n))
            seen.add(_family(curve))
    order = dict.fromkeys([*own[:OWN_SHOWN], *compared, *(n for *_, n in sorted(others)), *own])
    shown = set(list(order)[:SHOWN])
    styles = line_styles(curves)
    return [Choice(n, curve.label, n in shown, _swatch(styles[n])) for n, curve in enumerate(curves)]


def _family(curve: Curve) -> str:
    return curve.name.split("-")[0]


def pickable(svg: str) -> str:
    """Change the identifiers of a figure's curves, which several figures of a page share, to classes.

    Args:
        svg: text of `plots.rate_distortion_svg`.
    """
    return _CURVE_ID.sub(r'<g class="curve-\1"', svg)


def _swatch(look: LineStyle) -> str:
    dashes = f' stroke-dasharray="{look.dashes}"' if look.dashes else ""
    line = f'<path d="M1 7h32" stroke="{look.colour}" stroke-width="{look.width}"{dashes}/>'
    return f'<svg viewBox="0 0 34 14" aria-hidden="true">{line}{_marker(look)}</svg>'


def _marker(look: LineStyle) -> str:
    """Draw the marker around the middle of the swatch."""
    radius = look.marker_size * 0.75
    if look.marker not in _CORNERS:
        return f'<circle cx="17" cy="7" r="{radius}" fill="{look.colour}"/>'
    count, turn = _CORNERS[look.marker], _TURNS.get(look.marker, 0.0)
    sizes = [radius * (0.45 if look.marker == "*" and n % 2 else 1.2) for n in range(count)]
    corners = [
        (17 + size * math.cos(turn + 2 * math.pi * n / count), 7 + size * math.sin(turn + 2 * math.pi * n / count))
        for n, size in enumerate(sizes)
    ]
    if look.marker in "PX":  # a cross: from corner to corner
        strokes = "".join(f"M{x:.2f} {y:.2f}L{34 - x:.2f} {14 - y:.2f}" for x, y in corners[:2])
        return f'<path d="{strokes}" stroke="{look.colour}" stroke-width="{radius * 0.8:.2f}"/>'
    outline = " ".join(f"{x:.2f},{y:.2f}" for x, y in corners)
    return f'<polygon points="{outline}" fill="{look.colour}"/>'
