"""BD-rates of several curves against one reference, as tables.

There are two figures, because means over pictures answer two questions.  `curve` is the BD-rate between the two curves
of means, the one that papers quote.  It depends on how each codec spreads bits over the pictures (equal rate, equal
quality and equal slope give different mean curves for the same codec, by tens of percent on Kodak).  `per_image` is the
mean of the BD-rates of single pictures and does not depend on it; it needs rows of the same pictures on both sides.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wavelic.errors import UsageError
from wavelic.evaluation.bd import Delta, Method, bd_quality, bd_rate, saving_at
from wavelic.evaluation.quality import BASIC, Metric, get_metric
from wavelic.evaluation.results import Curve

if TYPE_CHECKING:
    from rich.table import Table

METRIC_LABELS = {metric.name: metric.label for metric in BASIC}
"""Metrics that every curve has, and their labels."""


@dataclass(frozen=True)
class Comparison:
    """Comparison of one curve with the reference under one metric.

    Attributes:
        label: of the curve.
        reference: label of the reference.
        metric: as `quality.get_metric` takes it.
        curve: BD-rate of the curves of means; None where it is refused.
        quality: BD gain of the curves of means on the metric's scale (dB); None where it is refused.
        savings: rate difference in percent at single qualities, None outside the overlap.
        per_image: mean of the BD-rates of single pictures in percent; None without common rows.
        image_range: smallest and largest BD-rate of a single picture.
        images: pictures that allowed a figure.
        images_total: pictures of the curve.
        refusal: why there is no figure, or empty.
    """

    label: str
    reference: str
    metric: str
    curve: Delta | None
    quality: Delta | None
    savings: dict[float, float | None]
    per_image: float | None
    image_range: tuple[float, float] | None
    images: int
    images_total: int
    refusal: str = ""


def quality_db(curve: Curve, metric: str) -> np.ndarray:
    """Quality of a curve on the scale of its metric: PSNR as it is, MS-SSIM as -10 log10(1 - x), and so on.

    Args:
        curve: the curve.
        metric: as `quality.get_metric` takes it.

    Returns:
        One value per point.

    Raises:
        UsageError: there is no such metric, or the curve has it not.
    """
    found = get_metric(metric)
    return np.asarray([found.scale(float(value)) for value in curve.quality(found.name)])


def compare(
    reference: Curve, curves: Sequence[Curve], metric: str = "psnr-rgb", method: Method = "pchip"
) -> list[Comparison]:
    """Compare curves with a reference.

    A pair without a meaningful figure (too few points, no overlap, no such metric) is listed with the reason.

    Args:
        reference: the curve to compare with.
        curves: the curves to compare.
        metric: as `quality.get_metric` takes it.
        method: interpolation, one of `bd.METHODS`.

    Returns:
        One comparison per curve, in the order given.

    Raises:
        UsageError: there is no such metric.
    """
    get_metric(metric)
    return [_compare(reference, curve, metric, method) for curve in curves]


def _compare(reference: Curve, curve: Curve, metric: str, method: Method) -> Comparison:
    try:
        pair = (reference.bpp, quality_db(reference, metric), curve.bpp, quality_db(curve, metric))
        found = get_metric(metric)
        delta, quality = bd_rate(*pair, method, **_range(found)), bd_quality(*pair, method)
        savings = saving_at(*pair, found.fixed, method, **_range(found))
    except UsageError as error:
        return Comparison(curve.label, reference.label, metric, None, None, {}, None, None, 0, 0, str(error))
    single = _per_image(reference, curve, metric, method)
    return Comparison(
        label=curve.label,
        reference=reference.label,
        metric=metric,
        curve=delta,
        quality=quality,
        savings=savings,
        per_image=math.fsum(single) / len(single) if single else None,
        image_range=(min(single), max(single)) if single else None,
        images=len(single),
        images_total=len(curve.images()),
    )


def _range(metric: Metric) -> dict[str, Any]:
    return {"unit": metric.unit, "least": metric.least}


def _per_image(reference: Curve, curve: Curve, metric: str, method: Method) -> list[float]:
    """BD-rates of single pictures; empty if the sets differ.  A picture whose curve allows no figure is left out."""
    if not reference.rows or reference.images() != curve.images():
        return []
    values = []
    for image in reference.images():
        a, b = reference.of_image(image), curve.of_image(image)
        try:
            pair = (a.bpp, quality_db(a, metric), b.bpp, quality_db(b, metric))
            values.append(bd_rate(*pair, method, **_range(get_metric(metric))).value)
        except UsageError:
            continue
    return values


# --- Output --------------------------------------------------------------------------------------------------------

HEADINGS = ("codec", "BD-rate of means [%]", "BD-rate per image [%]")


def row_texts(comparison: Comparison) -> list[str]:
    """Cells of a comparison under `headings`.

    Args:
        comparison: one row.

    Returns:
        The texts.
    """
    if comparison.curve is None or comparison.quality is None:
        return [comparison.label, "refused", "", "", ""] + [""] * len(get_metric(comparison.metric).fixed)
    return [
        comparison.label,
        f"{comparison.curve.value:+.2f}",
        _per_image_text(comparison),
        f"{comparison.quality.value:+.2f}",
        f"{comparison.curve.low:.1f}..{comparison.curve.high:.1f}",
        *("" if value is None else f"{value:+.1f}" for value in comparison.savings.values()),
    ]


def _per_image_text(comparison: Comparison) -> str:
    if comparison.per_image is None:
        return ""
    part = f" ({comparison.images} of {comparison.images_total})" if comparison.images < comparison.images_total else ""
    return f"{comparison.per_image:+.2f}{part}"


def headings(metric: str) -> list[str]:
    """Column headings for tables of one metric.

    Args:
        metric: as `quality.get_metric` takes it.

    Returns:
        The texts.
    """
    found = get_metric(metric)
    unit = found.unit or "on its scale"
    scale = (f"BD gain [{unit}]", f"overlap [{unit}]")
    return [*HEADINGS, *scale, *(f"at {quality:g} {found.unit} [%]".replace("  ", " ") for quality in found.fixed)]


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """Format comparisons as a Markdown table, one line per codec, refusals below it.

    Args:
        comparisons: rows of one reference and metric.

    Returns:
        The text.

    Raises:
        UsageError: rows of several references or metrics.
    """
    metric = _one_metric(comparisons)
    head = headings(metric)
    lines = [
        f"BD-rate against {comparisons[0].reference}, {get_metric(metric).label}, negative is better.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" + "---:|" * (len(head) - 1),
    ]
    lines += ["| " + " | ".join(row_texts(c)) + " |" for c in comparisons]
    refusals = [f"- {c.label}: {c.refusal}" for c in comparisons if c.refusal]
    return "\n".join(lines + (["", *refusals] if refusals else [])) + "\n"


def as_table(comparisons: Sequence[Comparison]) -> Table:
    """Format comparisons as a rich table for the terminal.

    Args:
        comparisons: rows of one reference and metric.

    Returns:
        The table.

    Raises:
        UsageError: rows of several references or metrics.
    """
    from rich.table import Table

    metric = _one_metric(comparisons)
    table = Table(
        title=f"BD-rate against {comparisons[0].reference}, {get_metric(metric).label}",
        caption="\n".join(f"{c.label}: {c.refusal}" for c in comparisons if c.refusal) or None,
    )
    for index, heading in enumerate(headings(metric)):
        table.add_column(heading, justify="left" if index == 0 else "right")
    for comparison in comparisons:
        table.add_row(*row_texts(comparison))
    return table


def as_json(comparisons: Sequence[Comparison]) -> str:
    """Format comparisons as JSON: a list of objects, figures rounded to three decimals.

    Args:
        comparisons: any rows.

    Returns:
        The text.
    """
    return json.dumps([to_dict(c) for c in comparisons], indent=2, allow_nan=False) + "\n"


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Convert one comparison to plain JSON types.

    Args:
        comparison: one row.

    Returns:
        The object, figures rounded to three decimals.
    """

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 3)

    c = comparison
    return {
        "codec": c.label,
        "reference": c.reference,
        "metric": c.metric,
        "bd_rate_percent": rounded(c.curve.value) if c.curve else None,
        "unit": get_metric(c.metric).unit,
        "overlap": [rounded(c.curve.low), rounded(c.curve.high)] if c.curve else None,
        "method": c.curve.method if c.curve else None,
        "bd_quality": rounded(c.quality.value) if c.quality else None,
        "bd_rate_per_image_percent": rounded(c.per_image),
        "image_range_percent": [rounded(v) for v in c.image_range] if c.image_range else None,
        "images": c.images,
        "images_total": c.images_total,
        "saving_percent_at": {f"{quality:g}": rounded(value) for quality, value in c.savings.items()},
        "refusal": c.refusal,
    }


def _one_metric(comparisons: Sequence[Comparison]) -> str:
    kinds = {(c.reference, c.metric) for c in comparisons}
    if len(kinds) != 1:
        raise UsageError(
            f"{len(kinds)} pairs of reference and metric in one table, expected one; make a table for each"
        )
    return comparisons[0].metric
