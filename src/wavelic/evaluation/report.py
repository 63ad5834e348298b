"""HTML report: one folder that opens from file:// and asks nothing of the network.

    out/index.html  results.json  plots/*.svg  pictures/<set>/*.png  assets/{report.css,report.js,curves.js,slider}

Pictures are PNG, because browsers cannot show `.wlic` and any lossy format would add artefacts of its own to those of
the codec under test.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from wavelic.errors import OutputError, UsageError
from wavelic.evaluation.anchors import REFERENCE_ANCHOR
from wavelic.evaluation.compare import METRIC_LABELS, Comparison, compare, headings, row_texts, to_dict
from wavelic.evaluation.metrics import to_db
from wavelic.evaluation.optional import require
from wavelic.evaluation.picker import choices, pickable
from wavelic.evaluation.pictures import PictureSet, bpp_of
from wavelic.evaluation.pixels import png_bytes
from wavelic.evaluation.plots import rate_distortion_svg, recolour
from wavelic.evaluation.results import BPP, Curve, curve_to_json
from wavelic.images import atomic_output

PLOTTED = ("psnr-rgb", "ms-ssim-rgb")
_ASSETS = ("report.css", "report.js", "curves.js", "img-comparison-slider.js", "img-comparison-slider.LICENSE")


def build_report(
    out_dir: Path,
    curves: Sequence[Curve],
    pictures: Sequence[PictureSet] | None = None,
    title: str = "wavelic evaluation",
    *,
    reference: Curve | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write the report folder.

    Args:
        out_dir: created if missing; files of an earlier report in it are overwritten.
        curves: measured and published curves in the order of the legend; may be empty if there are pictures.
        pictures: picture sets at equal file size.
        title: heading of the page.
        reference: the curve that BD-rates are quoted against; by default that of the JPEG 2000 anchor, else the first.
        notes: sentences shown under the heading, for instance the command that was run.

    Returns:
        The path of `index.html`.

    Raises:
        UsageError: neither curves nor pictures.
        OutputError: the folder cannot be written.
        MissingDependencyError: jinja2, matplotlib or scipy is not installed.
    """
    pictures = pictures or ()
    if not curves and not pictures:
        raise UsageError("a report needs curves or pictures, got neither; give at least one results file")
    jinja2 = require("jinja2")
    reference = reference or _default_reference(curves)
    tables = _comparisons(reference, curves)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        figures = _write_plots(out_dir / "plots", curves)
        data = [_write_pictures(out_dir, index, item) for index, item in enumerate(pictures)]
        _copy_assets(out_dir / "assets")
    except OSError as error:
        raise OutputError(
            f"cannot write the report to {out_dir} ({error.strerror}); choose a writable folder"
        ) from error

    package = resources.files("wavelic.evaluation")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(package.joinpath("templates/report.html.j2").read_text(encoding="utf-8"))
    page = template.render(
        title=title,
        notes=list(notes),
        reference=reference.label if reference else "",
        figures=figures,
        choices=choices(curves, reference),
        tables=[_table(group) for group in tables],
        codecs=[_codec_row(curve) for curve in curves],
        pictures=data,
        pictures_json=_script_json(data),
    )
    for name, text in (("results.json", _results_json(curves, tables)), ("index.html", page)):
        with atomic_output(out_dir / name, force=True) as stream:
            stream.write(text.encode())
    return out_dir / "index.html"


def _default_reference(curves: Sequence[Curve]) -> Curve | None:
    by_name = {curve.name: curve for curve in curves}
    return by_name.get(REFERENCE_ANCHOR, curves[0] if curves else None)


def _comparisons(reference: Curve | None, curves: Sequence[Curve]) -> list[list[Comparison]]:
    if reference is None or len(curves) < 2:
        return []
    return [compare(reference, curves, metric) for metric in PLOTTED if metric in reference.points]


def _table(group: Sequence[Comparison]) -> dict[str, Any]:
    return {
        "metric": METRIC_LABELS[group[0].metric],
        "headings": headings(group[0].metric),
        "rows": [{"cells": row_texts(c), "refusal": c.refusal, "self": c.label == c.reference} for c in group],
    }


def _codec_row(curve: Curve) -> dict[str, Any]:
    def mean(key: str) -> str:
        values = curve.points.get(key, ())
        return f"{sum(values) / len(values):.3g}" if values and curve.rows else ""

    low, high = min(curve.points[BPP]), max(curve.points[BPP])
    return {
        "label": curve.label,
        "description": curve.description or curve.source,
        "source": curve.source,
        "measured": bool(curve.rows),
        "images": len(curve.images()) or "",
        "points": len(curve.points[BPP]),
        "range": f"{low:.3g}..{high:.3g}",
        "encode": mean("encoding_time"),
        "decode": mean("decoding_time"),
    }


def _write_plots(folder: Path, curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """SVG files of all curves in plain ink, and inline ones in the colour of the page, whose curves can be picked."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = []
    for metric in PLOTTED:
        if not any(metric in curve.points for curve in curves):
            continue
        variants = {}
        for scale, logarithmic in (("log", True), ("linear", False)):
            name = f"{metric}-{scale}.svg"
            (folder / name).write_text(rate_distortion_svg(curves, metric, logarithmic=logarithmic), encoding="utf-8")
            inline = rate_distortion_svg(curves, metric, logarithmic=logarithmic, legend=False)
            variants[scale] = pickable(recolour(inline, "currentColor"))
        figures.append({"metric": metric, "label": METRIC_LABELS[metric], "svg": variants})
    return figures


def _write_pictures(out_dir: Path, index: int, item: PictureSet) -> dict[str, Any]:
    """Write the PNG files of one set; return the facts that the page shows about them."""
    folder = Path("pictures") / f"{index:02d}-{_slug(item.name)}"
    (out_dir / folder).mkdir(parents=True, exist_ok=True)

    def save(number: int, label: str, pixels: Any) -> str:
        relative = folder / f"{number:02d}-{_slug(label)}.png"
        (out_dir / relative).write_bytes(png_bytes(pixels))
        return relative.as_posix()

    height, width = item.original.shape[:2]
    original = save(0, "original", item.original)
    entries: list[dict[str, Any]] = [
        {"label": "Original", "file": original, "bytes": None, "facts": "uncompressed", "setting": "", "off": 0}
    ]
    for number, entry in enumerate(item.entries, start=1):
        facts = [f"{entry.bytes:,} bytes", f"{bpp_of(entry):.3f} bpp", f"{entry.psnr_rgb:.2f} dB"]
        if entry.ms_ssim_rgb == entry.ms_ssim_rgb:
            facts.append(f"MS-SSIM {to_db(entry.ms_ssim_rgb):.2f} dB")
        entries.append(
            {
                "label": entry.label,
                "file": save(number, entry.label, entry.pixels),
                "bytes": entry.bytes,
                "facts": " · ".join(facts),
                "setting": entry.setting,
                "off": round(100 * (entry.bytes / item.target_bytes - 1), 1),
            }
        )
    return {"name": item.name, "width": width, "height": height, "target": item.target_bytes, "entries": entries}


def _copy_assets(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    package = resources.files("wavelic.evaluation")
    for name in _ASSETS:
        with package.joinpath(f"assets/{name}").open("rb") as source, (folder / name).open("wb") as target:
            shutil.copyfileobj(source, target)


def _results_json(curves: Sequence[Curve], tables: Sequence[Sequence[Comparison]]) -> str:
    data = {
        "curves": [json.loads(curve_to_json(curve)) for curve in curves],
        "comparisons": [to_dict(comparison) for group in tables for comparison in group],
    }
    return json.dumps(data, allow_nan=False) + "\n"


def _script_json(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", html.unescape(text).lower()).strip("-") or "picture"
