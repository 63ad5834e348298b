"""Rate-distortion figures as SVG text.

Conventions of the field: x is bpp from file bytes, y PSNR or MS-SSIM in dB; our own codecs solid, other measured codecs
dashed, published curves thin and dotted.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wavelic.evaluation.anchors import ANCHORS
from wavelic.evaluation.compare import METRIC_LABELS, quality_db
from wavelic.evaluation.optional import require
from wavelic.evaluation.results import Curve

#: At least three times as light or dark as a light and a dark page (WCAG 2.2, 1.4.11).
PALETTE = ("#d1495b", "#2b7bba", "#c78514", "#3a9d6e", "#8b5fbf", "#00a3a3", "#b0623a", "#7a8b2f", "#c2579c", "#5c6bc0")
_PUBLISHED = "#8a8f98"
_INK = "#2a2d33"
_MARKERS = "osD^v<>PX*"
_DASHES = {"-": "", "--": "5 3", ":": "1.5 3"}


@dataclass(frozen=True)
class LineStyle:
    """How a curve is drawn.

    Attributes:
        colour: a CSS colour.
        pattern: "-", "--" or ":", as matplotlib names them.
        width: of the line, in points.
        marker: at its points, as matplotlib names it.
        marker_size: in points.
        front: whether it lies before others.
    """

    colour: str
    pattern: str
    width: float
    marker: str
    marker_size: float
    front: bool

    @property
    def dashes(self) -> str:
        """Value of SVG's ``stroke-dasharray``."""
        return _DASHES[self.pattern]


def line_styles(curves: Sequence[Curve]) -> list[LineStyle]:
    """Choose how curves are drawn: own codecs solid, other measured ones dashed, published ones dotted and grey.

    Args:
        curves: in the order of the legend.

    Returns:
        A style for each.
    """
    colours = _colours([curve for curve in curves if curve.rows])
    styles = []
    for index, curve in enumerate(curves):
        measured, own = bool(curve.rows), is_own(curve)
        styles.append(
            LineStyle(
                colours.get(curve.name, _PUBLISHED),
                "-" if own else ("--" if measured else ":"),
                2.2 if own else (1.3 if measured else 1.1),
                _MARKERS[index % len(_MARKERS)],
                5 if own else 3.5,
                own,
            )
        )
    return styles


def rate_distortion_svg(
    curves: Sequence[Curve],
    metric: str,
    *,
    logarithmic: bool = True,
    size_inches: tuple[float, float] = (9.0, 5.4),
    legend: bool = True,
) -> str:
    """Draw quality over rate.

    Args:
        curves: drawn in order, measured ones in colour; those without the metric are left out.
        metric: "psnr-rgb", "psnr-y" or "ms-ssim-rgb" (drawn in dB).
        logarithmic: logarithmic rate axis, on which equal BD-rates are equal horizontal distances.
        size_inches: width and height.
        legend: whether there is one.

    Returns:
        The SVG text; the group of a curve has the identifier "curve-" and its index among ``curves``.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require("matplotlib")
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

    drawn = [curve for curve in curves if metric in curve.points]
    styles = line_styles(curves)
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"{metric}{logarithmic}",
        "font.family": "sans-serif",
        "font.size": 10.5,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with rc_context(style):
        figure = Figure(figsize=size_inches, layout="constrained")
        axes = figure.add_subplot()
        figure.patch.set_alpha(0)
        axes.patch.set_alpha(0)
        measured = [curve for curve in drawn if curve.rows] or drawn
        for index, (curve, look) in enumerate(zip(curves, styles, strict=True)):
            if metric not in curve.points:
                continue
            axes.plot(
                curve.bpp,
                quality_db(curve, metric),
                color=look.colour,
                linestyle=look.pattern,
                linewidth=look.width,
                marker=look.marker,
                markersize=look.marker_size,
                label=curve.label,
                zorder=3 if look.front else 2,
                gid=f"curve-{index}",
            )
        if measured:
            _limits(axes, measured, metric, logarithmic)
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator([0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5]))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("Bit-rate [bpp]")
        axes.set_ylabel(f"{METRIC_LABELS[metric]} [dB]")
        axes.grid(color=_INK, alpha=0.13, linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        if legend:
            figure.legend(loc="outside right upper", frameon=False, fontsize=9, handlelength=2.6, labelspacing=0.45)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def recolour(svg: str, ink: str) -> str:
    """Change the colour of a figure's text and axes.

    Args:
        svg: text of `rate_distortion_svg`.
        ink: a CSS colour; `currentColor` follows the page when the SVG is inline.

    Returns:
        The SVG text.
    """
    return svg.replace(_INK, ink)


def is_own(curve: Curve) -> bool:
    """Whether a curve was measured with one of wavelic's own codecs."""
    return bool(curve.rows) and not _is_anchor(curve.name)


def _is_anchor(name: str) -> bool:
    """Whether a curve belongs to an anchor or to a variant that extends an anchor's name."""
    return any(name == anchor or name.startswith(f"{anchor}-") for anchor in ANCHORS)


def _colours(curves: Sequence[Curve]) -> dict[str, str]:
    """A colour per codec family: a codec and its `-best` and other variants share one."""
    families: dict[str, str] = {}
    result = {}
    for curve in curves:
        family = curve.name.split("-")[0] if _is_anchor(curve.name) else curve.name
        result[curve.name] = families.setdefault(family, PALETTE[len(families) % len(PALETTE)])
    return result


def _limits(axes: Any, measured: Sequence[Curve], metric: str, logarithmic: bool) -> None:
    """Show the range of the measured curves, up to 3 bpp; published curves are clipped to it."""
    rates = np.concatenate([curve.bpp for curve in measured])
    kept = np.concatenate([quality_db(curve, metric)[curve.bpp <= 3] for curve in measured])
    kept = kept[np.isfinite(kept)]
    highest = min(3.0, float(rates.max()))
    axes.set_xlim(float(rates.min()) * 0.9 if logarithmic else 0, highest * 1.05)
    if len(kept):
        margin = 0.03 * float(kept.max() - kept.min()) + 0.1
        axes.set_ylim(float(kept.min()) - margin, float(kept.max()) + margin)
