"""Writes docs/lifting-results.md, its plot and its picture from committed result files.

python -m benchmarks.pages.lifting_page                # the page and the plot
python -m benchmarks.pages.lifting_page --picture DIR  # the side-by-side picture of reduced resolution too
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.measuring import DOCS, RESULTS
from benchmarks.pages.marked import write_page
from benchmarks.pictures import luma
from benchmarks.studies.lifting_results import LAYERS, encode, transform_of
from wavelic.evaluation.bd import bd_rate, saving_at
from wavelic.evaluation.compare import quality_db
from wavelic.evaluation.metrics import to_db
from wavelic.evaluation.plots import rate_distortion_svg
from wavelic.evaluation.results import Curve, read_curve
from wavelic.images import load_image
from wavelic.lifting.jp2 import synthesis
from wavelic.lifting.jp2.opening import open_jp2

FOUND = RESULTS / "lifting"
LOGS = [RESULTS / "training" / f"{name}.jsonl" for name in ("lifting-cpu", "lifting-more")]
PAGE = DOCS / "lifting-results.md"
PLOT, PICTURE = DOCS / "lifting-kodak.svg", DOCS / "lifting-reduced.png"
METRICS = (("psnr", "PSNR"), ("ssim", "SSIM"), ("ms_ssim", "MS-SSIM"))
ANCHORS = ("jpeg2000", "jpeg2000-default", "webp-best", "avif", "avif-best", "jpegxl", "jpegxl-best")
FLOOR, FLOOR_53, GOAL, STOCK = -8.0, -15.0, -12.0, 26.0


def luma_means(name: str) -> dict[str, Any]:
    """Means over Kodak of grey files."""
    means: dict[str, Any] = json.loads((FOUND / f"kodak-luma-{name}.json").read_text())["means"]
    return means


def quality(means: dict[str, Any], metric: str) -> list[float]:
    """A metric in dB."""
    return means[metric] if metric == "psnr" else [to_db(value) for value in means[metric]]


def saving(reference: dict[str, Any], test: dict[str, Any], metric: str) -> float:
    """BD-rate in percent over 0.1 to 1 bit per pixel."""
    return bd_rate(reference["bpp"], quality(reference, metric), test["bpp"], quality(test, metric)).value


def luma_section() -> list[str]:
    """The tables of grey files, and what of the aims is met."""
    old, plain, new = (luma_means(name) for name in ("53", "97", "lifting"))
    better, best = (luma_means(f"{name}-enhance") for name in ("97", "lifting"))
    lines = ["| BD-rate, 0.1 to 1 bpp | PSNR | SSIM | MS-SSIM |", "|---|---:|---:|---:|"]
    rows = (
        ("9/7 against 5/3", old, plain),
        ("learned against 9/7", plain, new),
        ("learned against 5/3", old, new),
        ("learned, enhanced, against 9/7", plain, best),
        ("9/7, enhanced, against 9/7", plain, better),
        ("learned, enhanced, against 9/7, enhanced", better, best),
        ("learned, enhanced, against learned", new, best),
    )
    for label, reference, test in rows:
        cells = " | ".join(f"{saving(reference, test, metric):+.2f} %" for metric, _ in METRICS)
        lines.append(f"| {label} | {cells} |")
    lines += ["", "| bpp | 5/3 [dB] | 9/7 [dB] | learned [dB] | learned - 9/7 [dB] |", "|---:|---:|---:|---:|---:|"]
    for number, rate in enumerate(LAYERS[: len(new["psnr"])]):
        values = [means["psnr"][number] for means in (old, plain, new)]
        cells = " | ".join(f"{value:.2f}" for value in values)
        lines.append(f"| {rate:g} | {cells} | {values[2] - values[1]:+.2f} |")
    wanted = [30.0, 32.0, 34.0, 36.0]
    at = saving_at(plain["bpp"], plain["psnr"], new["bpp"], new["psnr"], wanted)
    lines += [
        "",
        "Rate against 9/7 at one PSNR: "
        + ", ".join(f"{at[q]:+.1f} % at {q:g} dB" for q in wanted if at[q] is not None),
    ]
    lines[-1] += (
        f". A stock viewer shows {new['stock_psnr'][0]:.2f} dB at 1 bpp (9/7: {plain['stock_psnr'][0]:.2f} dB)."
    )
    against, against_old = saving(plain, new, "psnr"), saving(old, new, "psnr")
    enhanced = saving(plain, best, "psnr")
    lines += ["", "| aim | reached | |", "|---|---:|---|"]
    aims = (
        (f"at least {FLOOR:g} % against 9/7 (luma PSNR)", against, against <= FLOOR),
        (f"at least {FLOOR_53:g} % against 5/3", against_old, against_old <= FLOOR_53),
        (f"goal {GOAL:g} % against 9/7", against, against <= GOAL),
        (f"goal {GOAL:g} % against 9/7, enhanced", enhanced, enhanced <= GOAL),
    )
    lines += [f"| {text} | {value:+.2f} % | {'met' if met else 'not met'} |" for text, value, met in aims]
    seen = new["stock_psnr"][0]
    lines += [
        f"| stock viewer at least {STOCK:g} dB at 1 bpp | {seen:.2f} dB | {'met' if seen >= STOCK else 'not met'} |"
    ]
    return lines


def colour_curves(suffix: str = "") -> tuple[Curve, Curve, list[Curve]]:
    """9/7 and learned files of colour pictures, decoded in the way of the suffix; and the anchors."""
    ours = [read_curve(FOUND / f"kodak-rgb-{name}{suffix}.json") for name in ("97", "lifting")]
    return ours[0], ours[1], [read_curve(RESULTS / "anchors" / "kodak" / f"{name}.json") for name in ANCHORS]


def colour_section() -> list[str]:
    """BD-rates of colour files against 9/7 and the other codecs."""
    plain, new, anchors = colour_curves()
    lines = ["Learned lifting against", "", *_against(new, (plain, *anchors))]
    better, best, _ = colour_curves("-enhance")
    lines += ["", "Learned lifting, enhanced, against", "", *_against(best, (plain, better, new, *anchors))]
    stock = new.description.split("; ")[-1]
    return [*lines, "", f"{stock[0].upper()}{stock[1:]}."]


def _against(new: Curve, references: Sequence[Curve]) -> list[str]:
    """A table of BD-rates."""
    lines = ["| | PSNR Y | PSNR RGB | MS-SSIM RGB | outcome (PSNR Y) |", "|---|---:|---:|---:|---|"]
    for reference in references:
        values = []
        for metric in ("psnr-y", "psnr-rgb", "ms-ssim-rgb"):
            kept = reference.bpp < 2.5
            curves = reference.bpp[kept], quality_db(reference, metric)[kept], new.bpp, quality_db(new, metric)
            values.append(bd_rate(*curves).value)
        outcome = "learned lifting wins" if values[0] < 0 else f"{reference.label} wins"
        lines.append(f"| {reference.label} | " + " | ".join(f"{value:+.1f} %" for value in values) + f" | {outcome} |")
    return lines


def small_section() -> list[str]:
    """Whole files of small pictures against bare codestreams."""
    found = json.loads((FOUND / "small.json").read_text())
    lines = [
        f"{found['images']} validation photographs of 512 to 576 pixels a side: whole files as `wavelic.encode` writes"
        " them, against bare 9/7 codestreams of one layer, the shortest ordinary JPEG 2000"
        " (`python -m benchmarks.studies.lifting_small --images VAL`).",
        "",
        "| BD-rate, PSNR, 0.15 to 1.1 bpp | mean curve | mean of the pictures |",
        "|---|---:|---:|",
    ]
    for kind, title in (("luma", "luma"), ("rgb", "RGB")):
        for way, text in (("lifting", ""), ("enhanced", ", enhanced")):
            row = found["rows"][kind][way]
            lines.append(f"| {title}{text} | {row['mean curve']:+.1f} % | {row['mean of pictures']:+.1f} % |")
    return lines


def curve_section() -> list[str]:
    """The learning curve, about thirty lines of it."""
    rows = [json.loads(line) for log in LOGS for line in log.read_text().splitlines()]
    spent = 0.0
    lines = [
        "| stage | step | minutes | BD-rate [%] | stock viewer [dB] | pseudo-image | T_H2L rms, levels 1..5 |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    previous, offset = "", 0.0
    keep = max(1, len(rows) // 30)
    for number, row in enumerate(rows):
        if row["stage"] != previous:
            offset, previous = spent, row["stage"]
        spent = offset + row["seconds"]
        if number % keep and number != len(rows) - 1:
            continue
        found, train = row["validation"], row["train"]
        moved = " ".join(f"{train[f'h2l{level}']:.2f}" for level in range(1, 6))
        first = f"| {row['stage']} | {row['step']} | {spent / 60:.0f} | {found['bd_rate']:+.2f} "
        lines.append(f"{first}| {found['stock_psnr']:.1f} | {found['lowest']:.0f}..{found['highest']:.0f} | {moved} |")
    return lines


def rates_section() -> list[str]:
    """Training's rates against the real coder's."""
    rows = json.loads((FOUND / "rates.json").read_text())["rates"]
    columns = list(rows["smooth"])
    lines = ["| rate | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for kind, row in rows.items():
        lines.append(f"| `{kind}` | " + " | ".join(f"{row[c][0]:.2f} ± {row[c][1]:.2f}" for c in columns) + " |")
    return lines


def ablation_section() -> list[str]:
    """What was tried at one small budget."""
    path = FOUND / "ablation.json"
    if not path.exists():
        return ["Not run."]
    found = json.loads(path.read_text())
    counts = [sum(row["steps"]) for row in found["rows"]]
    lines = [
        f"{found['seconds']:g} seconds of processor time for each variant, {found['crop']}x{found['crop']} luma crops,"
        f" one a step; luma BD-rate against 9/7 on {found['images']} validation crops of up to {found['side']} pixels a"
        f" side (not Kodak). That is {min(counts)} to {max(counts)} steps, since a step of a wide network takes longer:"
        " the table says what a given time on one core brings, not where a structure ends. Hybrids, which start at"
        " their base wavelet, gain from the first steps, the small ones more than the large ones; hybrid(5/3) has to"
        " make up what 5/3 loses first; predict-update starts at 5/3 and update-predict at an average, and neither has"
        " reached 9/7; iWave's networks start at random and are nowhere yet. Pre-training, progressive or with oracles,"
        " costs steps that this budget does not give back. What the paper's comparison needs, the same days on GPUs"
        " for each, has not been done.",
        "",
        "| transform | weights | training | steps | BD-rate [%] | stock viewer [dB] |",
        "|---|---:|---|---|---:|---:|",
    ]
    for row in found["rows"]:
        steps = " + ".join(map(str, row["steps"]))
        lines.append(
            f"| {row['model']} | {row['weights']:,} | {row['pretraining']} | {steps} | {row['bd_rate']:+.2f} |"
            f" {row['stock_psnr']:.1f} |"
        )
    return lines


def page() -> str:
    """The whole page."""
    text = (Path(__file__).parent / "lifting_page.template.md").read_text()
    sections = {"luma": luma_section, "colour": colour_section, "curve": curve_section, "ablation": ablation_section}
    sections |= {"rates": rates_section, "small": small_section}
    for name, section in sections.items():
        text = text.replace(f"<!-- {name} -->", "\n".join(section()))
    return text


def plot() -> None:
    """Luma PSNR over rate of colour files."""
    plain, new, anchors = colour_curves()
    shown = [curve for curve in anchors if curve.name in ("webp-best", "avif-best", "jpegxl-best")]
    PLOT.write_text(rate_distortion_svg([new, plain, *shown], "psnr-y"))


def picture(folder: Path) -> None:
    """A quarter-size crop of kodim19 from whole files: 9/7 left, learned right, three times enlarged."""
    grey = luma(load_image(next(folder.glob("kodim19.*"))).colour().astype(np.uint8))
    parts = []
    for name in ("9/7", "lifting"):
        transform, model = transform_of(name)
        with torch.no_grad():
            file = open_jp2(encode(grey, transform, model))
            small = synthesis.read(file, transform if name == "lifting" else None, file.request(reduce=2))
            parts.append(small[60:190, :, 0])
    gap = np.full((parts[0].shape[0], 4), 255, np.uint8)
    joined = np.concatenate([parts[0], gap, parts[1]], 1).astype(np.uint8)
    Image.fromarray(joined).resize((3 * joined.shape[1], 3 * joined.shape[0]), Image.Resampling.NEAREST).save(PICTURE)


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, metavar="KODAK", help="make the side-by-side picture too")
    parser.add_argument("--check", action="store_true", help="exit 1 if the page is out of date")
    options = parser.parse_args()
    if options.picture:
        picture(options.picture)
    if not options.check:
        plot()
    return write_page(PAGE, page(), options.check)


if __name__ == "__main__":
    sys.exit(main())
