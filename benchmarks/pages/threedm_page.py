"""Writes docs/threedm-results.md and its plots from committed result files alone; what was not run is left out.

python -m benchmarks.pages.threedm_page            # rewrite
python -m benchmarks.pages.threedm_page --check    # exit 1 if it is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.measuring import DOCS, RESULTS
from benchmarks.pages.marked import Section, with_sections, write_or_check
from benchmarks.pages.tables import spread
from benchmarks.pages.transformer_table import bd_rates, seeds
from benchmarks.pages.weconvene_page import percent
from wavelic.evaluation.bd import bd_rate
from wavelic.evaluation.plots import rate_distortion_svg
from wavelic.evaluation.published import published_curves
from wavelic.evaluation.results import Curve, read_curve

PAGE = DOCS / "threedm-results.md"
KODAK = RESULTS / "codecs" / "kodak"
OWN, TWIN = "3dm", "3dm-plain"
ANCHORS = ("jpeg-420-best", "jpeg2000", "webp-best", "jpegxl-best", "avif", "avif-best", "hevc-best")
DRAWN = ("jpeg-420-best", "jpeg2000", "avif", "avif-best")
PLOTS = {"psnr-rgb": DOCS / "threedm-psnr.svg", "ms-ssim-rgb": DOCS / "threedm-msssim.svg"}
LOG = RESULTS / "training" / "3dm-gpu.jsonl"
CARDS = {OWN: Path("src/wavelic/weights/3dm.json"), TWIN: Path("results/threedm/weights/3dm-plain.json")}
#: The subbands of the 3-D split: low channels, then high ones.
BANDS = ("LLL", "LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH")


def curve(name: str) -> Curve:
    """A committed Kodak curve of ours, or of an anchor."""
    own = KODAK / f"{name}.json"
    return read_curve(own if own.exists() else RESULTS / "anchors" / "kodak" / f"{name}.json")


def points(found: Curve) -> list[str]:
    """One row for each quality."""
    lines = ["| quality | bpp | PSNR RGB [dB] | PSNR Y [dB] | MS-SSIM | encode [s] | decode [s] |", "|---:" * 7 + "|"]
    keys = ("psnr-rgb", "psnr-y", "ms-ssim-rgb", "encoding_time", "decoding_time")
    for index, rate in enumerate(found.bpp):
        psnr, luma, similarity, encode, decode = (found.points[key][index] for key in keys)
        lines.append(
            f"| {found.settings[index]:g} | {rate:.4f} | {psnr:.2f} | {luma:.2f} | {similarity:.4f} | {encode:.2f} |"
            f" {decode:.2f} |"
        )
    return lines


def kodak() -> list[str]:
    """Curves of real files of both networks, BD-rates and plots."""
    if not all((KODAK / f"{name}.json").exists() for name in (OWN, TWIN)):
        return []
    own, twin = curve(OWN), curve(TWIN)
    lines = []
    for name, found in ((OWN, own), (TWIN, twin)):
        lines += [f"`{name}` ({found.description}):", "", *points(found), ""]
    lines += [
        "| against | `3dm`, PSNR RGB | `3dm`, MS-SSIM | `3dm-plain`, PSNR RGB | `3dm-plain`, MS-SSIM |",
        "|---|---:|---:|---:|---:|",
    ]
    references = [twin, curve("weconvene"), *(curve(name) for name in ANCHORS), published_curves()["vtm"]]
    for reference in references:
        cells = [
            "" if test.name == reference.name else percent(reference, test, metric)
            for test in (own, twin)
            for metric in ("psnr-rgb", "ms-ssim-rgb")
        ]
        published = "" if reference.rows else ", published"
        lines.append(f"| {reference.label}{published} | " + " | ".join(cells) + " |")
    alternatives = {"psnr-rgb": "PSNR", "ms-ssim-rgb": "MS-SSIM"}
    return [
        *lines,
        *(line for m, path in PLOTS.items() for line in ("", f"![{alternatives[m]} over rate]({path.name})")),
    ]


def plot() -> None:
    """Both metrics over rate."""
    if kodak():
        shown = [curve(name) for name in (OWN, TWIN, "weconvene", *DRAWN)]
        for metric, path in PLOTS.items():
            path.write_text(rate_distortion_svg([*shown, published_curves()["vtm"]], metric))


def log() -> dict[str, list[dict[str, Any]]]:
    """Rows of the training log for each run."""
    rows = [json.loads(line) for line in LOG.read_text().splitlines()]
    return {name: [row for row in rows if row["run"] == name] for name in (OWN, TWIN)}


def change(reference: dict[str, Any], test: dict[str, Any]) -> float:
    """BD-rate in percent of one validation against another."""
    (base_bpp, base), (bpp, decibels) = (
        ([rate["bpp"] for rate in rates], [rate["quality"] for rate in rates])
        for rates in (reference["validation"]["rates"], test["validation"]["rates"])
    )
    return bd_rate(base_bpp, base, bpp, decibels).value


def learning_curve() -> list[str]:
    """Every validation of both runs, and the twins at equal steps and at equal time."""
    runs = log()
    last = runs[OWN][-1]
    lines = [
        "| run | step | seconds | loss | BD-rate against the end of `3dm`, PSNR | bpp, PSNR at r = -2.5, -1, 0.5, 2 |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, rows in runs.items():
        for row in rows:
            shown = "; ".join(f"{rate['bpp']:.3f}, {rate['quality']:.2f}" for rate in row["validation"]["rates"])
            delta = "" if row is last else f"{change(last, row):+.1f} %"
            numbers = f"{row['step']} | {row['seconds']:.0f} | {row['validation']['loss']:.3f}"
            lines.append(f"| `{name}` | {numbers} | {delta} | {shown} |")
    own, twin = runs[OWN], runs[TWIN]
    first = own[0]["step"]
    assert first == twin[0]["step"]
    at_end, more = change(own[-1], twin[-1]), 100 * (twin[-1]["step"] / own[-1]["step"] - 1)
    loss = [f"{rows[-1]['validation']['loss']:.3f}" for rows in (own, twin)]
    return [
        *lines,
        "",
        f"**The twin without wavelets is {'ahead' if at_end < 0 else 'behind'}.** At equal time by the clock its"
        f" BD-rate against `3dm` is {at_end:+.1f} % (loss {loss[1]} against {loss[0]}), with {more:.0f} % more steps,"
        f" since its steps are faster; at step {first} of both it is {change(own[0], twin[0]):+.1f} %. One seed each."
        " So at this size and budget the wavelet transforms of layers and latent do not pay for themselves, by step or"
        " by time. This does not test the paper, whose network has sixteen times the parameters and is"
        " trained for three orders of magnitude longer.",
    ]


def budget() -> list[str]:
    """What was spent, beside the paper."""
    from wavelic.threedm.objective import FIRST_STAGE, LAMBDAS_MSE, SECOND_STAGE

    lines = ["| | steps | crops | pixels | seconds |", "|---|---:|---:|---:|---:|"]
    pixels = {}
    for name, path in CARDS.items():
        about = json.loads((RESULTS.parent / path).read_text())["training"]
        stage = about["stage"]
        pixels[name] = about["step"] * stage["batch"] * stage["crop"] ** 2
        lines.append(
            f"| `{name}`, all rates | {about['step']:,} | {stage['batch']} of {stage['crop']} | {pixels[name]:.2e} |"
            f" {about['seconds']:.0f} |"
        )
    for text, stage in (("the paper, each lambda", FIRST_STAGE), ("its second stage", SECOND_STAGE)):
        count = stage.steps * stage.batch * stage.crop**2
        lines.append(f"| {text} | {stage.steps:,} | {stage.batch} of {stage.crop} | {count:.2e} | – |")
    one = FIRST_STAGE.steps * FIRST_STAGE.batch * FIRST_STAGE.crop**2
    return [
        *lines,
        "",
        f"The first stage of the paper sees {one / pixels[OWN]:,.0f} times the pixels, for one rate; with its"
        f" {len(LAMBDAS_MSE)} rates {len(LAMBDAS_MSE) * one / pixels[OWN]:,.0f} times in all, before its second stage."
        " From that it reports -12.2 % against VTM, with sixteen times the parameters.",
    ]


def subbands() -> list[str]:
    """Share of each subband in the bits, at the ends of the runs."""
    lines = [f"| run | r | bpp | z | {' | '.join(BANDS)} |", "|---|" + "---:|" * (3 + len(BANDS))]
    for name, rows in log().items():
        for rate in rows[-1]["validation"]["rates"]:
            shares = (f"{100 * rate[band] / rate['bpp']:.1f}" for band in ("hyper", *BANDS))
            lines.append(f"| `{name}` | {rate['rate']:g} | {rate['bpp']:.3f} | " + " | ".join(shares) + " |")
    return lines


def times() -> list[str]:
    """Time and memory beside AVIF's, from `speed/threedm_times.py`."""
    path = RESULTS / "benchmarks" / "threedm_times.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    lines = [
        "| picture | encode [s] | times AVIF | decode [s] | times AVIF | encoder [MiB] | decoder [MiB] | bpp, AVIF's |",
        "|---|" + "---:|" * 7,
    ]
    for name, row in found["sizes"].items():
        cells = [f"{row[way][key]:.3g}" for way in ("encode", "decode") for key in ("processor_seconds", "times_avif")]
        cells += [f"{row[way]['peak_mb']:.0f}" for way in ("encode", "decode")]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {row['bpp']:.2f}, {row['avif_bpp']:.2f} |")
    return [
        *lines,
        "",
        f"The machine was busy (load {found['machine']['load']:g} on {found['machine']['processors']} processors): the"
        " ratios to AVIF, taken in turns in the same run, say more than the seconds. AVIF's files are larger here (last"
        " column), which costs its encoder time.",
    ]


def exactness() -> list[str]:
    """Crosswise decoding, from `studies/exactness_across.py`."""
    path = RESULTS / "threedm" / "exactness.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    pixels = found["pixels"]
    backends = sorted({kind for place in found["places"].values() for kind in place["backends"]})
    return [
        f"{found['files']} files of {len(found['places'])} writers ({'; '.join(found['places'])}), each read"
        f" {found['readings_of_each_file']} times, with 1, 2 and 4 threads, oneDNN on and off:"
        f" {found['files_with_one_set_of_coefficients']} of {found['files']} gave the same integers every time, and"
        f" {found['files_whose_bytes_come_back']} of {found['files']} code to the bytes of the file again. Two tiles"
        f" decoded alone, together and by each exact backend there ({', '.join(backends)}):"
        f" {found['different_contexts']['3dm']} set of integers. Pixels are float work: they differ by at most"
        f" {pixels['largest_difference']} of 255, in {100 * pixels['share_that_differs']:.3f} % of the samples."
    ]


def ablations() -> list[str]:
    """The arms of `studies/threedm_ablations.py`: what was run here, beside what the paper prints."""
    from benchmarks.studies.threedm_ablations import ARMS, STAGES

    path = RESULTS / "threedm" / "ablations.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    rows, spent = found["arms"], found["budget"]
    crops = f"{spent['batch']} crops of {spent['crop']} pixels"
    kodak = ", and of files of the 24 Kodak pictures at four qualities" if "kodak" in rows["base"] else ""
    columns = ("arm", "what differs", "parameters", "kMAC/pixel", "processor s", "validation", "Kodak", "the paper")
    lines = [
        f"{spent['steps']} steps of {crops}, seed {spent['seed']}, the same crops for every arm; second stages:"
        f" {rows['stage-2-none']['steps']} steps from the end of `base`. BD-rate of PSNR against `base`: of estimated"
        f" bits on central crops of validation images{kodak}. What the paper prints is against its own system."
        " Processor times are of a machine whose other core was at work, more for the later arms: `haar` computes what"
        " `base` does.",
        "",
        f"| {' | '.join(columns)} |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for name in (*ARMS, *STAGES):
        if name not in rows:
            continue
        row = rows[name]
        printed = ARMS[name][1] if name in ARMS else "0.02 to 0.03 dB better"
        cells = (_percent(row.get(key)) if name != "base" else "" for key in ("bd-rate", "bd-rate kodak"))
        lines.append(
            f"| `{name}` | {ARM_TEXTS[name]} | {row['parameters']:,} | {row['kMAC/pixel']:g}"
            f" | {row['processor_seconds']:.0f} |"
            f" {' | '.join(cells)} | {printed} |"
        )
    missing = [f"`{name}`" for name in (*ARMS, *STAGES) if name not in rows]
    if missing:
        lines += ["", f"Not run: {', '.join(missing)}."]
    if {"swin", "swin-charm"} <= set(rows):
        delta = _against(rows["swin-charm"], rows["swin"])
        lines += [
            "",
            f"Swin blocks in g_a and g_s: 3DWeChARM against ChARM (`swin` against `swin-charm`) {delta:+.2f} %.",
        ]
    if {"swin", "swin-plain"} <= set(rows):
        delta = _against(rows["swin-plain"], rows["swin"])
        lines[-1] += f" Against its twin without wavelets (`swin` against `swin-plain`) {delta:+.2f} %."
    return [*lines, "", *_verdict(rows), "", *_subbands_of_base(rows["base"])]


def _verdict(rows: dict[str, dict[str, Any]]) -> list[str]:
    """What the arms say together, in the figures of validation."""
    found = {name: row["bd-rate"] for name, row in rows.items()}
    layers = [found[name] for name in ("one-level", "3x3", "weconv", "9/7")]
    more = found["stage-2-none"]
    of_seeds = [bd_rates(document, "wavelet")[0] for document in seeds()]
    return [
        "**What this says**, in the figures of validation. The split of the latent matters most: slices of channels"
        " alone (`charm`) cost"
        f" {found['charm']:+.1f} %, with a fifth fewer parameters, and with Swin blocks about as much. It is the split"
        f" that matters here, not the wavelet: the lazy one of `plain` gives {found['plain']:+.1f} %, Haar"
        f" {found['haar']:+.1f} % and 5/3 {found['5/3']:+.1f} % against 9/7, where the paper has Haar behind."
        f" Other layers change {min(layers):+.1f} to {max(layers):+.1f} %; `3x3` has the paper's sign, `weconv` the"
        f" other one, `one-level` none. The 2-D entropy model changes {found['wecharm']:+.1f} % and has a quarter more"
        f" parameters. Of the second stage {more:+.1f} % is more training (`stage-2-none`); the weights of"
        f" equation 2 add {found['stage-2-printed'] - more:+.1f} % as printed and"
        f" {found['stage-2-worded'] - more:+.1f} % as worded; on Kodak the two change places."
        f" What seeds change was measured for `swin` against `swin-plain` alone: {spread(of_seeds, '+')} %"
        f" ({len(of_seeds)} seeds), so that differences of a percent or two say little.",
    ]


ARM_TEXTS = {
    "base": "`3dm`",
    "one-level": "one 2-D level in the layers",
    "3x3": "one 3x3 convolution over LH, HL, HH",
    "weconv": "2-D layers: one level, no split of the channels, 3x3",
    "wecharm": "2-D entropy model",
    "charm": "ChARM: slices of channels, no wavelet in the latent",
    "haar": "Haar for the latent",
    "5/3": "5/3 in layers and latent",
    "9/7": "9/7 in the layers too",
    "plain": "no wavelet anywhere",
    "float": "no integers",
    "no-shortcut": "no linear shortcut",
    "swin": "Swin blocks for residual blocks in g_a and g_s",
    "swin-charm": "the same with ChARM",
    "swin-plain": "Swin blocks, and no wavelet anywhere",
    "stage-2-none": "second stage, w1 = w2",
    "stage-2-printed": "second stage, equation 2 as printed",
    "stage-2-worded": "second stage, equation 2 as worded",
}


def _percent(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:+.2f} %"


def _against(reference: dict[str, Any], test: dict[str, Any]) -> float:
    return bd_rate(reference["bpp"], reference["psnr"], test["bpp"], test["psnr"]).value


def _subbands_of_base(row: dict[str, Any]) -> list[str]:
    """Share of each subband in the bits of `base`."""
    lines = ["Percent of the bits of `base` by subband:", ""]
    lines += [f"| r | bpp | z | {' | '.join(BANDS)} |", "|---:" * (3 + len(BANDS)) + "|"]
    for rate in row["subbands"]:
        shares = (f"{100 * rate[band] / rate['bpp']:.1f}" for band in ("hyper", *BANDS))
        lines.append(f"| {rate['rate']:g} | {rate['bpp']:.3f} | " + " | ".join(shares) + " |")
    return lines


SECTIONS: tuple[Section, ...] = (
    (
        "Kodak, real files",
        "`wavelic eval 3dm --images KODAK --dataset kodak --json results/codecs/kodak/3dm.json --qualities"
        " 0,20,40,60,80,100`, and the twin as `benchmarks/studies/threedm_twins.py` says; times on one thread of a busy"
        " machine. BD-rates of mean curves, in brackets the mean of those of single images; negative: fewer bits.",
        kodak,
    ),
    (
        "Twins and learning curve",
        "`results/training/3dm-gpu.jsonl`: central crops of 24 validation images, estimated bits, averaged weights."
        " Recipe `3dm-gpu`, the same settings and budget by the clock for both, trained at once on one H100.",
        learning_curve,
    ),
    (
        "Budget beside the paper's",
        "Steps, crops and seconds are those of the weight cards, and the paper's schedule.",
        budget,
    ),
    (
        "Bits per subband (table V of the paper)",
        "Percent of the estimated bits at the ends of the two runs, z included in the whole. The first letter is of the"
        " channels, the others of the space; in the twin they name the phases of the lazy wavelet.",
        subbands,
    ),
    (
        "Time and memory",
        "`python -m benchmarks.speed.threedm_times --images KODAK`: quality 50, one thread, processor times; Pillow's"
        " AVIF with speed 6, quality 60, one thread.",
        times,
    ),
    (
        "The same integers everywhere",
        "`python -m benchmarks.studies.exactness_across PYTHON --images FOLDER --codecs 3dm --json"
        " results/threedm/exactness.json`, on crops of validation images at three qualities.",
        exactness,
    ),
    (
        "Ablations",
        "`python -m benchmarks.studies.threedm_ablations` trains and measures them at one budget each, a small one: the"
        " size of `3dm`, short runs and small crops. So this says what a choice does early in training, one seed each.",
        ablations,
    ),
)


def page() -> str:
    """The whole page."""
    lines = [
        "# 3dm: results",
        "",
        "Written by `benchmarks/pages/threedm_page.py` from `results/`; the figures are those of these files, and a"
        " section whose file is absent is left out. [Codec 3dm](threedm.md) says what the networks are.",
        "",
    ]
    return with_sections(lines, SECTIONS)


def main() -> int:
    """Write or check the page."""
    return write_or_check(PAGE, page, plot)


if __name__ == "__main__":
    sys.exit(main())
