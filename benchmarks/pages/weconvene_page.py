"""Writes docs/weconvene-results.md and its plots from committed result files alone.

python -m benchmarks.pages.weconvene_page            # rewrite
python -m benchmarks.pages.weconvene_page --check    # exit 1 if it is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import DOCS, RESULTS
from benchmarks.pages.marked import write_page
from wavelic.evaluation.bd import bd_rate
from wavelic.evaluation.compare import compare
from wavelic.evaluation.plots import rate_distortion_svg
from wavelic.evaluation.published import published_curves
from wavelic.evaluation.results import Curve, read_curve

PAGE = DOCS / "weconvene-results.md"
ANCHORS = ("jpeg-420-best", "jpeg2000", "jpeg2000-default", "webp-best", "jpegxl-best", "avif", "avif-best")
PUBLISHED = ("vtm", "cheng2020-anchor@8bit", "HPCM-Large")
PLOTS = {"psnr-rgb": DOCS / "weconvene-psnr.svg", "ms-ssim-rgb": DOCS / "weconvene-msssim.svg"}
LOGS = ("weconvene-s-cpu",)
TWINS = {
    "weconvene-s": "3DM-WeConv layers, colours in order",
    "weconvene-s-conv": "plain 3x3 convolutions and GDN in the layers",
    "weconvene-s-2d": "luma and chroma of a level coded together",
}


PARTS = {
    "weconvene-s-conv": "having wavelets in the layers, instead of plain convolutions,",
    "weconvene-s-2d": "coding colours in order, the third dimension of the entropy model,",
}
STAGES = {
    "one": "w1 = w2 = 1: goes on as before",
    "printed": "w1 = 1.05, w2 = 0.95: low bands dearer, as equation 2 is printed",
    "worded": "w1 = 0.95, w2 = 1.05: low bands cheaper, as the text says",
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
    for curve in (published_curves()[name] for name in PUBLISHED):
        similarity = percent(curve, product, "ms-ssim-rgb") if "ms-ssim-rgb" in curve.points else "–"
        lines.append(f"| {curve.label}, published | {percent(curve, product, 'psnr-rgb')} | {similarity} |")
    return lines


def plot() -> None:
    """Both metrics over rate."""
    product = read_curve(RESULTS / "codecs" / "kodak" / "weconvene.json")
    names = ("jpeg-420-best", "jpeg2000", "webp-best", "avif", "avif-best")
    shown = [read_curve(RESULTS / "anchors" / "kodak" / f"{name}.json") for name in names]
    for metric, path in PLOTS.items():
        path.write_text(rate_distortion_svg([product, *shown, published_curves()["vtm"]], metric))


def parts() -> list[str]:
    """Multiplications and time by part, from `speed/weconvene_parts.py`."""
    found = json.loads((RESULTS / "benchmarks" / "weconvene_parts.json").read_text())
    lines = ["| part | encoder, kMAC/pixel | share of time | decoder, kMAC/pixel | share of time |"]
    lines.append("|---|---:|---:|---:|---:|")
    work, time = found["kmac_per_pixel"], found["time"]
    networks = {"networks f, g": ("f", "g"), "entropy model": ("entropy model",) * 2, "wavelets": ("wavelets",) * 2}
    for part in time["encode"]["shares"]:
        cells = []
        for side, name, timed in zip(
            ("encoder", "decoder"), networks.get(part, ("", "")), ("encode", "decode"), strict=True
        ):
            share = time[timed]["shares"].get(part)
            cells.append(f"{work[side][name]:.2f}" if name else "–")
            cells.append("–" if share is None else f"{100 * share:.0f} %")
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    total = (
        f"{work[side]['in all']:.1f} | {time[timed]['seconds']:.2f} s"
        for side, timed in (("encoder", "encode"), ("decoder", "decode"))
    )
    lines.append("| in all | " + " | ".join(total) + " |")
    return lines


def entropy_models() -> list[str]:
    """Bits by level and colour of the entropy models in three and in two dimensions, briefly trained."""
    found = {name: RESULTS / "weconvene" / f"bands-{name}-short.json" for name in ("3d", "2d")}
    if not all(path.exists() for path in found.values()):
        return ["Not run."]
    tables = {name: json.loads(path.read_text())["bits per pixel"] for name, path in found.items()}
    lines = ["| quality | part | 3-D, bpp | 2-D, bpp | 2-D against 3-D |", "|---:|---|---:|---:|---:|"]
    for quality in tables["3d"]:
        rows = {
            name: [row for level, row in table[quality].items() if level != "bpp"] for name, table in tables.items()
        }
        sums = {
            "all": {name: table[quality]["bpp"] for name, table in tables.items()},
            **{f"colour {c}": {name: sum(row[c] for row in rows[name]) for name in rows} for c in "YUV"},
            **{f"level {n + 1}": {name: sum(rows[name][n].values()) for name in rows} for n in range(len(rows["3d"]))},
        }
        for part, both in sums.items():
            change = f"{100 * (both['2d'] / both['3d'] - 1):+.1f} %" if both["3d"] > 0.0005 else "–"
            lines.append(f"| {quality.split()[-1]} | {part} | {both['3d']:.4f} | {both['2d']:.4f} | {change} |")
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


def change(reference: Path, test: Path) -> float:
    """BD-rate of the ends of two training runs in percent."""
    columns = ([row[key] for row in rates_of(log)] for log in (reference, test) for key in ("bpp", "psnr"))
    return bd_rate(*columns).value


def comparison(text: str, log: Path, base: Path, digits: int) -> str:
    """A table's row: what a run is, its steps, its BD-rate against ``base``, where it stands at three steps."""
    rows = rates_of(log)
    steps = json.loads(log.read_text().splitlines()[-1])["step"]
    delta = "reference" if log == base else f"{change(base, log):+.{digits}f} %"
    shown = "; ".join(f"{row['bpp']:.3f}, {row['psnr']:.2f}" for row in (rows[0], rows[2], rows[4]))
    return f"| {text} | {steps} | {delta} | {shown} |"


def twins() -> list[str]:
    """Training twins, on validation crops."""
    found = {name: RESULTS / "training" / f"twin-{name}.jsonl" for name in TWINS}
    base = found["weconvene-s"]
    lines = ["| twin | steps | BD-rate, PSNR | bpp, PSNR at steps 16, 64, 224 |", "|---|---:|---:|---|"]
    lines += [comparison(f"`{name}`: {text}", found[name], base, 1) for name, text in TWINS.items()]
    gains = {name: change(found[name], base) for name in PARTS}
    said = [f"{PARTS[name]} {'saves' if gain < 0 else 'costs'} {abs(gain):.1f} %" for name, gain in gains.items()]
    return [
        *lines,
        "",
        f"In these short runs {'; '.join(said)} of the rate. One seed; differences below about 1 % mean little.",
    ]


def two_stages() -> list[str]:
    """Fine-tuning with and without reweighted rates, all from the same weights."""
    found = {name: RESULTS / "training" / f"stage-{name}.jsonl" for name in STAGES}
    lines = ["| second stage | steps | BD-rate, PSNR | bpp, PSNR at steps 16, 64, 224 |", "|---|---:|---:|---|"]
    return lines + [comparison(text, found[name], found["one"], 2) for name, text in STAGES.items()]


def shipped_logs() -> list[list[dict[str, Any]]]:
    """The training logs of the shipped weights, in their order."""
    paths = [RESULTS / "training" / f"{name}.jsonl" for name in LOGS]
    return [[json.loads(line) for line in path.read_text().splitlines()] for path in paths if path.exists()]


def learning_curve() -> list[str]:
    """Validation of the runs that made the shipped weights."""
    logs = shipped_logs()
    lines = ["| run | step | minutes | BD-rate against the last, PSNR |", "|---|---:|---:|---:|"]
    last = [[row[key] for row in logs[-1][-1]["validation"]["rates"]] for key in ("bpp", "psnr")]
    spent = 0.0
    for name, rows in zip(LOGS, logs, strict=False):
        for row in rows:
            mine = [[rate[key] for rate in row["validation"]["rates"]] for key in ("bpp", "psnr")]
            minutes = (spent + row["seconds"]) / 60
            lines.append(f"| {name} | {row['step']} | {minutes:.0f} | {bd_rate(*last, *mine).value:+.1f} % |")
        spent += rows[-1]["seconds"]
    return lines


def page() -> str:
    """The whole page."""
    product = read_curve(RESULTS / "codecs" / "kodak" / "weconvene.json")
    exact = json.loads((RESULTS / "weconvene" / "exactness.json").read_text())["rows"]
    bits = ", ".join(f"{row['bits_percent']:+.2f} %" for row in exact)
    error = ", ".join(f"{row['squared_error_percent']:+.2f} %" for row in exact)
    training = [rows[-1] for rows in shipped_logs()]
    decibels = max(10 * np.log10(1 + row["squared_error_percent"] / 100) for row in exact)
    return "\n".join(
        [
            "# weconvene-s: results",
            "",
            "Written by `benchmarks/pages/weconvene_page.py` from `results/`; the figures are those of these files.",
            "",
            f"One set of weights for all rates, trained for {' + '.join(str(row['step']) for row in training)} steps in"
            f" {sum(row['seconds'] for row in training) / 60:.0f} minutes on one CPU core that other work shared. All"
            " choices were made on validation images; the 24 Kodak images were coded once with each set of weights"
            " that was shipped, and once more when tiles changed. Files here are the codec's own, in tiles of 512"
            " pixels, above quality 57 of 256 (`docs/weconvene.md`); files of twins and stages below have one tile.",
            "",
            "## Kodak, real files",
            "",
            "`wavelic eval weconvene --images KODAK --json results/codecs/kodak/weconvene.json --qualities"
            " 5,15,28,40,52,64,76,88,100`; times on one thread. BD-rates of mean curves, in brackets the mean of"
            " those of single images.",
            "",
            *curves(product),
            "",
            f"![PSNR over rate]({PLOTS['psnr-rgb'].name})",
            "",
            f"![MS-SSIM over rate]({PLOTS['ms-ssim-rgb'].name})",
            "",
            "Published curves are as their authors give them: other settings of measuring, no file headers.",
            "",
            "## Work and time by part",
            "",
            "`python -m benchmarks.speed.weconvene_parts`, 512 x 512 crops, two threads.",
            "",
            *parts(),
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
            "`python -m benchmarks.studies.weconvene_study bands --images KODAK --json FILE`; level 1 is"
            " the finest; Y, U, V are the lowest and the two higher bands of the colour axis.",
            "",
            *bands(),
            "The same for the entropy models of the two twins above, trained for 600 steps each (colours in order are"
            " the third dimension):",
            "",
            *entropy_models(),
            "",
            "## One stage, two stages",
            "",
            "The paper's second stage weighs the bits of low and high bands differently (equation 2). From the weights"
            " 171ec103, learning rate 2e-4 falling on a cosine, w1 for the three coarse levels, w2 for the three fine"
            " ones; the first line is the same training without reweighting. Validation crops.",
            "",
            *two_stages(),
            "",
            "## Cost of exactness",
            "",
            "Integer entropy model against the float one it was made from, same tables, Kodak, qualities"
            f" {', '.join(format(row['quality'], 'g') for row in exact)}: bits {bits}; squared quantisation error"
            f" {error} (at most {decibels:.3f} dB). `python -m benchmarks.studies.weconvene_study exactness`.",
            "",
            "## Learning curve",
            "",
            "Five rates, validation crops, averaged weights. The learning rate falls to 1 % of its peak in each run, so"
            " the curves' flat ends say little about more steps.",
            "",
            *learning_curve(),
            "",
        ]
    )


def main() -> int:
    """Write or check the page."""
    check = "--check" in sys.argv[1:]
    if not check:
        plot()
    return write_page(PAGE, page(), check)


if __name__ == "__main__":
    sys.exit(main())
