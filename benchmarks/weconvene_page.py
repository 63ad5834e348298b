"""Writes docs/weconvene-results.md from committed result files alone.

python benchmarks/weconvene_page.py            # rewrite
python benchmarks/weconvene_page.py --check    # exit 1 if it is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from wavelic.evaluation.bd import bd_rate
from wavelic.evaluation.compare import compare
from wavelic.evaluation.results import Curve, read_curve

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"
PAGE = ROOT / "docs" / "weconvene-results.md"
ANCHORS = ("jpeg-420-best", "jpeg2000", "webp-best", "jpegxl-best", "avif", "avif-best")
TWINS = {
    "weconvene-s": "3DM-WeConv layers, colours in order",
    "weconvene-s-conv": "plain 3x3 convolutions and GDN in the layers",
    "weconvene-s-2d": "luma and chroma of a level coded together",
}


def percent(reference: Curve, test: Curve, metric: str) -> str:
    """BD-rate of the curves of means and the mean over images."""
    (result,) = compare(reference, [test], metric)
    if result.curve is None:
        return "no overlap"
    each = "" if result.per_image is None else f" ({result.per_image:+.1f} %)"
    return f"{result.curve.value:+.1f} %{each}"


def curves(product: Curve) -> list[str]:
    """What the codec reaches and how it stands to the anchors."""
    lines = ["| quality | bpp | PSNR RGB [dB] | PSNR Y [dB] | MS-SSIM | encode [s] | decode [s] |", "|---:" * 7 + "|"]
    keys = ("psnr-rgb", "psnr-y", "ms-ssim-rgb", "encoding_time", "decoding_time")
    for index, rate in enumerate(product.bpp):
        psnr, luma, similarity, encode, decode = (product.points[key][index] for key in keys)
        quality = product.settings[index]
        lines.append(
            f"| {quality:g} | {rate:.4f} | {psnr:.2f} | {luma:.2f} | {similarity:.4f} | {encode:.2f} | {decode:.2f} |"
        )
    lines += ["", "| weconvene-s against | PSNR RGB | MS-SSIM RGB |", "|---|---:|---:|"]
    for name in ANCHORS:
        anchor = read_curve(RESULTS / "anchors" / "kodak" / f"{name}.json")
        lines.append(
            f"| {anchor.label} | {percent(anchor, product, 'psnr-rgb')} | {percent(anchor, product, 'ms-ssim-rgb')} |"
        )
    return lines


def bands() -> list[str]:
    """Bits per subband."""
    data = json.loads((RESULTS / "weconvene" / "bands.json").read_text())["bits per pixel"]
    lines = []
    for quality, table in data.items():
        lines += [f"{quality}, {table['bpp']:.4f} bpp without the lowest band and headers:", ""]
        lines += ["| level | Y | U | V | share |", "|---|---:|---:|---:|---:|"]
        for level, row in table.items():
            if level != "bpp":
                share = 100 * sum(row.values()) / table["bpp"]
                lines.append(f"| {level} | {row['Y']:.4f} | {row['U']:.4f} | {row['V']:.4f} | {share:.1f} % |")
        lines.append("")
    return lines


def rates_of(log: Path) -> list[dict[str, float]]:
    """bpp and PSNR at the validation steps, from the last line of a training log."""
    return json.loads(log.read_text().splitlines()[-1])["validation"]["rates"]


def twins() -> list[str]:
    """Training twins, on validation crops."""
    found = {name: RESULTS / "training" / f"twin-{name}.jsonl" for name in TWINS}
    base = rates_of(found["weconvene-s"])
    lines = ["| twin | steps | BD-rate, PSNR | bpp, PSNR at steps 16, 64, 224 |", "|---|---:|---:|---|"]
    for name, text in TWINS.items():
        if not found[name].exists():
            continue
        rows = rates_of(found[name])
        steps = json.loads(found[name].read_text().splitlines()[-1])["step"]
        columns = ([row[key] for row in rates] for rates in (base, rows) for key in ("bpp", "psnr"))
        delta = "reference" if name == "weconvene-s" else f"{bd_rate(*columns).value:+.1f} %"
        shown = "; ".join(f"{row['bpp']:.3f}, {row['psnr']:.2f}" for row in (rows[0], rows[2], rows[4]))
        lines.append(f"| `{name}`: {text} | {steps} | {delta} | {shown} |")
    return lines


def learning_curve() -> list[str]:
    """Validation of the shipped run."""
    rows = [json.loads(line) for line in (RESULTS / "training" / "weconvene-s-cpu.jsonl").read_text().splitlines()]
    lines = ["| step | minutes | BD-rate against the last, PSNR |", "|---:|---:|---:|"]
    last = [[row[key] for row in rows[-1]["validation"]["rates"]] for key in ("bpp", "psnr")]
    for row in rows:
        mine = [[rate[key] for rate in row["validation"]["rates"]] for key in ("bpp", "psnr")]
        lines.append(f"| {row['step']} | {row['seconds'] / 60:.0f} | {bd_rate(*last, *mine).value:+.1f} % |")
    return lines


def page() -> str:
    """The whole page."""
    product = read_curve(RESULTS / "codecs" / "kodak" / "weconvene.json")
    exact = json.loads((RESULTS / "weconvene" / "exactness.json").read_text())["rows"]
    bits = ", ".join(f"{row['bits_percent']:+.2f} %" for row in exact)
    error = ", ".join(f"{row['squared_error_percent']:+.2f} %" for row in exact)
    training = json.loads((RESULTS / "training" / "weconvene-s-cpu.jsonl").read_text().splitlines()[-1])
    decibels = max(10 * np.log10(1 + row["squared_error_percent"] / 100) for row in exact)
    return "\n".join(
        [
            "# weconvene-s: results",
            "",
            "Written by `benchmarks/weconvene_page.py` from `results/`; the figures are those of these files.",
            "",
            f"One set of weights for all rates, trained for {training['step']} steps in"
            f" {training['seconds'] / 60:.0f} minutes on one CPU core that other work shared. All choices were made on"
            " validation images; the 24 Kodak images were coded once, with the shipped weights.",
            "",
            "## Kodak, real files",
            "",
            "`wavelic eval weconvene --images KODAK --json results/codecs/kodak/weconvene.json --qualities"
            " 5,15,28,40,52,64,76,88,100`; times on one thread. BD-rates of mean curves, in brackets the mean of"
            " those of single images.",
            "",
            *curves(product),
            "",
            "## Twins at equal steps",
            "",
            "Short runs of the same recipe (`wavelic train weconvene-s-cpu model=NAME stages.0.steps=...`), estimated"
            " bits and PSNR on validation crops.",
            "",
            *twins(),
            "",
            "## Bits per subband (table V of the paper, for our subbands)",
            "",
            "`python benchmarks/weconvene_study.py bands --images KODAK --json FILE`; level 1 is"
            " the finest; Y, U, V are the lowest and the two higher bands of the colour axis.",
            "",
            *bands(),
            "## Cost of exactness",
            "",
            "Integer entropy model against the float one it was made from, same tables, Kodak, qualities"
            f" {', '.join(format(row['quality'], 'g') for row in exact)}: bits {bits}; squared quantisation error"
            f" {error} (at most {decibels:.3f} dB). `python benchmarks/weconvene_study.py exactness`.",
            "",
            "## Learning curve",
            "",
            "Five rates, validation crops, averaged weights. The learning rate falls to 1 % of its peak, so the curve's"
            " flat end says little about more steps.",
            "",
            *learning_curve(),
            "",
        ]
    )


def main() -> int:
    """Write or check the page."""
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
