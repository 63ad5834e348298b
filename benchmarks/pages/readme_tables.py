"""Write the figures of README.md and docs/results.md between their markers, from committed result files alone.

python -m benchmarks.pages.readme_tables            # rewrite both pages
python -m benchmarks.pages.readme_tables --check    # exit 1 if one of them is out of date (the tests do this)
"""

from __future__ import annotations

import json
import sys

import numpy as np
from scipy.interpolate import PchipInterpolator

from benchmarks.measuring import RESULTS, ROOT
from benchmarks.pages.marked import with_figures, write_page
from wavelic.evaluation.bd import bd_rate
from wavelic.evaluation.compare import compare
from wavelic.evaluation.metrics import to_db
from wavelic.evaluation.results import Curve, read_curve

RATE = 0.143  # bpp, the rate the WCAE paper reports
OURS = ("wcae", "wcae-64", "nowcae", "wcae-published")
PRODUCT, SEARCHED, TUNED, BOTH = "weconvene", "weconvene-effort9", "weconvene-msssim", "weconvene-msssim-effort9"
RATES = (0.25, 0.5, 1.0)  # bpp, at which the variable-rate codec is shown
SHORT_RATE = 0.5  # bpp, the one the README shows
METRICS = (("psnr-rgb", 2), ("ms-ssim-rgb", 4))  # with the digits that are shown
ANCHORS = ("jpeg-420", "jpeg-420-best", "jpeg2000", "webp-best", "avif", "avif-best", "jpegxl-best")
#: Shown where no times are: theirs were measured beside other work.
UNTIMED = ("hevc", "hevc-best", "vvc")


def curve(name: str) -> Curve:
    """A committed Kodak curve of ours or of an anchor."""
    folder = "codecs" if name in (*OURS, PRODUCT, SEARCHED, TUNED, BOTH) else "anchors"
    return read_curve(RESULTS / folder / "kodak" / f"{name}.json")


def at_rate(found: Curve, metric: str, rate: float = RATE) -> float | None:
    """The metric at ``rate``, interpolated over the logarithm of the rate; None outside the curve."""
    if not found.bpp[0] <= rate <= found.bpp[-1]:
        return None
    return float(PchipInterpolator(np.log(found.bpp), found.quality(metric))(np.log(rate)))


def cell(value: float | None, digits: int) -> str:
    """A number, or a dash where the codec cannot reach the rate."""
    return "–" if value is None else f"{value:.{digits}f}"


def main_table() -> list[str]:
    """Quality at the paper's rate, range of rates and time, codec by codec."""
    lines = [
        f"| codec | PSNR at {RATE} bpp [dB] | MS-SSIM at {RATE} bpp | rates [bpp] | encode, decode [s] |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in (*OURS, *ANCHORS):
        found = curve(name)
        encode, decode = (np.median(found.points[key]) for key in ("encoding_time", "decoding_time"))
        lines.append(
            f"| {found.label} | {cell(at_rate(found, 'psnr-rgb'), 2)} | {cell(at_rate(found, 'ms-ssim-rgb'), 4)} |"
            f" {found.bpp[0]:.2f}..{found.bpp[-1]:.2f} | {encode:.2f}, {decode:.2f} |"
        )
    return lines


def product_table() -> list[str]:
    """The variable-rate codec beside the anchors, and its BD-rates against them."""
    product = curve(PRODUCT)
    head = "".join(f" PSNR, MS-SSIM at {rate:g} bpp |" for rate in RATES)
    lines = [f"| codec |{head} {product.label} against it, PSNR | MS-SSIM |", "|---|" + "---:|" * (len(RATES) + 2)]
    for name in (PRODUCT, *ANCHORS, *UNTIMED):
        found = curve(name)
        cells = [
            f"{cell(at_rate(found, 'psnr-rgb', rate), 2)}, {cell(at_rate(found, 'ms-ssim-rgb', rate), 4)}"
            for rate in RATES
        ]
        cells += (
            ["", ""] if name == PRODUCT else [bd_text(found, product, m, False) for m in ("psnr-rgb", "ms-ssim-rgb")]
        )
        lines.append(f"| {found.label} | " + " | ".join(cells) + " |")
    return lines


def bd_text(reference: Curve, test: Curve, metric: str, span: bool = True) -> str:
    """The BD-rate of the curves of means, with the overlap it is over."""
    (result,) = compare(reference, [test], metric)
    if result.curve is None:
        return "no overlap"
    value = f"{result.curve.value:+.1f} %"
    return f"{value} ({result.curve.low:.1f}..{result.curve.high:.1f} dB)" if span else value


def twin_table() -> list[str]:
    """BD-rates of the pairs that differ in one thing."""
    pairs = (
        ("nowcae", "wcae", "the wavelet decomposition: WCAE against NoWCAE, same recipe and steps"),
        ("wcae-published", "wcae", "integer contexts in the weights against the published histogram in the stream"),
        ("wcae", "wcae-64", "64 instead of 32 channels at the coarsest scale (the steps of a stage alike)"),
        ("jpeg-420", "wcae", "WCAE against JPEG 4:2:0"),
        ("jpeg2000", "wcae-64", "WCAE-64 against JPEG 2000"),
    )
    lines = ["| what | BD-rate, PSNR | BD-rate, MS-SSIM |", "|---|---:|---:|"]
    for reference, test, text in pairs:
        cells = [bd_text(curve(reference), curve(test), metric) for metric in ("psnr-rgb", "ms-ssim-rgb")]
        lines.append(f"| {text} | {cells[0]} | {cells[1]} |")
    return lines


def lifting_table() -> list[str]:
    """BD-rates of the learned steps in gray files of the same coder and layers, 0.1 to 1 bpp."""
    means = {
        name: json.loads((RESULTS / "lifting" / f"kodak-luma-{name}.json").read_text())["means"]
        for name in ("53", "97", "97-enhance", "lifting", "lifting-enhance")
    }
    lines = ["| learned lifting in JPEG 2000, luma | BD-rate, PSNR | MS-SSIM |", "|---|---:|---:|"]
    rows = (
        ("97", "lifting", "against 9/7, its twin without learned steps"),
        ("53", "lifting", "against 5/3"),
        ("97", "lifting-enhance", "enhanced, against 9/7"),
        ("97-enhance", "lifting-enhance", "enhanced, against 9/7, enhanced"),
    )
    for reference, test, text in rows:
        cells = []
        for metric in ("psnr", "ms_ssim"):
            decibels = [means[n][metric] if metric == "psnr" else [to_db(v) for v in means[n][metric]] for n in means]
            curves = dict(zip(means, decibels, strict=True))
            found = bd_rate(means[reference]["bpp"], curves[reference], means[test]["bpp"], curves[test])
            cells.append(f"{found.value:+.1f} %")
        lines.append(f"| {text} | {cells[0]} | {cells[1]} |")
    return lines


def speed_lines() -> list[str]:
    """The ratios of the benchmarks, with the bars they are held against."""
    folder = RESULTS / "benchmarks"
    wavelets = json.loads((folder / "wavelet_transforms.json").read_text())
    entropy = json.loads((folder / "entropy_coding.json").read_text())
    million = {name: speed["core"] / 1e6 for name, speed in entropy["symbols_per_second"].items()}
    return [
        f"`make bench`: 5-level 9/7 of a 2048 x 2048 RGB image, there and back,"
        f" {wavelets['ratio']:.1f} times as fast as PyWavelets on two cores (bar: {wavelets['bar']:.0f});"
        f" entropy coding {million['wavelic encode']:.0f} M symbols/s and decoding {million['wavelic decode']:.0f} M on"
        f" one core (bars: {entropy['bars']['encode'] / 1e6:.0f} and {entropy['bars']['decode'] / 1e6:.0f}; coding each"
        f" symbol with its own Gaussian: {million['per-symbol Gaussian encode']:.0f} and"
        f" {million['per-symbol Gaussian decode']:.0f}), {100 * (entropy['bytes_over_ideal'] - 1):.3f} % above the"
        " ideal code length."
    ]


def short_table() -> list[str]:
    """The default codec beside the anchors at one rate, for the README."""
    product, searched, tuned, both = (curve(name) for name in (PRODUCT, SEARCHED, TUNED, BOTH))
    lines = [
        f"| 24 Kodak images, files of {SHORT_RATE:g} bpp | PSNR [dB] | MS-SSIM | rate of `{PRODUCT}` at equal PSNR"
        " | with `--effort 9` | at equal MS-SSIM | with `--tune msssim` | with both |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in (PRODUCT, *ANCHORS):
        found = curve(name)
        values = [cell(at_rate(found, metric, SHORT_RATE), digits) for metric, digits in METRICS]
        rates = [bd_text(found, ours, "psnr-rgb", False) for ours in (product, searched)]
        rates += [bd_text(found, ours, "ms-ssim-rgb", False) for ours in (product, tuned, both)]
        if name == PRODUCT:
            rates[0] = rates[2] = ""
        label = f"`{PRODUCT}`" if name == PRODUCT else found.label
        lines.append(f"| {label} | " + " | ".join((*values, *rates)) + " |")
    return lines


def short_figures() -> str:
    """The generated part of the README."""
    table = lifting_table()
    saving, both = (table[line].split("|")[2].strip() for line in (2, 4))
    enhanced = {}
    for name in ("97", "53"):
        found = json.loads((RESULTS / "enhance" / f"kodak-{name}.json").read_text())
        enhanced[name] = f"{found['bd_rate_psnr_rgb']:+.1f} %"
    return "\n".join(
        [
            *short_table(),
            "",
            "Means over images of real files; the last five columns are BD-rates (negative: fewer bits). In JPEG 2000"
            f" files the learned lifting steps change the rate by {saving} at equal PSNR against plain 9/7 (luma),"
            f" `--enhance` that of ordinary files by {enhanced['97']} (9/7) and {enhanced['53']} (5/3), and both"
            f" together by {both} (luma).",
        ]
    )


def figures() -> str:
    """The generated part of docs/results.md."""
    command = "wavelic eval CODEC --images KODAK --json FILE` and `wavelic anchors NAME --images KODAK --json FILE"
    intro = f"24 Kodak images, real file bytes, means over images; from `results/`, made by `{command}`."
    sections = (
        ("## The default codec", product_table()),
        ("## WCAE, at the rate its paper reports", main_table()),
        ("## Pairs that differ in one thing", twin_table()),
        ("## Learned lifting", lifting_table()),
        ("## Speed of the parts", speed_lines()),
    )
    return "\n".join([intro, *(line for title, table in sections for line in ("", title, "", *table))])


def main() -> int:
    """Rewrite or check both pages."""
    check = "--check" in sys.argv[1:]
    pages = {ROOT / "README.md": short_figures(), ROOT / "docs" / "results.md": figures()}
    return max(
        write_page(path, with_figures(path.read_text(encoding="utf-8"), content), check)
        for path, content in pages.items()
    )


if __name__ == "__main__":
    sys.exit(main())
