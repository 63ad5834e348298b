"""Writes docs/weconvene-results.md and its plots from committed result files alone; what was not run is left out.

python -m benchmarks.pages.weconvene_page            # rewrite
python -m benchmarks.pages.weconvene_page --check    # exit 1 if it is out of date
"""

from __future__ import annotations

import json
import sys
from statistics import median

from benchmarks.measuring import DOCS, RESULTS
from benchmarks.pages.marked import Section, with_sections, write_or_check
from benchmarks.pages.weconvene_training import learning_curve, training, twins
from wavelic.evaluation.compare import compare
from wavelic.evaluation.plots import rate_distortion_svg
from wavelic.evaluation.published import published_curves
from wavelic.evaluation.results import Curve, read_curve

PAGE = DOCS / "weconvene-results.md"
KODAK = RESULTS / "codecs" / "kodak" / "weconvene.json"
ANCHORS = (
    "jpeg-420-best",
    "jpeg2000",
    "jpeg2000-default",
    "webp-best",
    "jpegxl-best",
    "avif",
    "avif-best",
    "hevc",
    "hevc-best",
    "vvc",
)
PUBLISHED = ("vtm", "cheng2020-anchor@8bit", "HPCM-Large")
PLOTS = {"psnr-rgb": DOCS / "weconvene-psnr.svg", "ms-ssim-rgb": DOCS / "weconvene-msssim.svg"}
TUNED = RESULTS / "codecs" / "kodak" / "weconvene-msssim.json"
SEARCHED = RESULTS / "codecs" / "kodak" / "weconvene-effort9.json"
TUNED_SEARCHED = RESULTS / "codecs" / "kodak" / "weconvene-msssim-effort9.json"


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
    lines += ["", "| weconvene against | PSNR RGB | MS-SSIM RGB |", "|---|---:|---:|"]
    for name in ANCHORS:
        anchor = read_curve(RESULTS / "anchors" / "kodak" / f"{name}.json")
        lines.append(
            f"| {anchor.label} | {percent(anchor, product, 'psnr-rgb')} | {percent(anchor, product, 'ms-ssim-rgb')} |"
        )
    for curve in (published_curves()[name] for name in PUBLISHED):
        similarity = percent(curve, product, "ms-ssim-rgb") if "ms-ssim-rgb" in curve.points else "–"
        lines.append(f"| {curve.label}, published | {percent(curve, product, 'psnr-rgb')} | {similarity} |")
    return lines


def tuned() -> list[str]:
    """The weights for MS-SSIM beside those for squared error."""
    if not (TUNED.exists() and KODAK.exists()):
        return []
    product = read_curve(TUNED)
    lines = ["| weconvene `--tune msssim` against | MS-SSIM RGB | PSNR RGB |", "|---|---:|---:|"]
    for path in (KODAK, *(RESULTS / "anchors" / "kodak" / f"{name}.json" for name in ANCHORS)):
        other = read_curve(path)
        lines.append(
            f"| {other.label} | {percent(other, product, 'ms-ssim-rgb')} | {percent(other, product, 'psnr-rgb')} |"
        )
    return lines + tuned_effort(product)


def tuned_effort(usual: Curve) -> list[str]:
    """The search for MS-SSIM beside the default effort with the same weights."""
    if not TUNED_SEARCHED.exists():
        return []
    product = read_curve(TUNED_SEARCHED)
    lines = ["", "| weconvene `--tune msssim --effort 9` against | MS-SSIM RGB | PSNR RGB |", "|---|---:|---:|"]
    others = (read_curve(RESULTS / "anchors" / "kodak" / f"{name}.json") for name in ANCHORS)
    for other in (usual, *others):
        rates = (percent(other, product, metric) for metric in ("ms-ssim-rgb", "psnr-rgb"))
        lines.append(f"| {other.label} | " + " | ".join(rates) + " |")
    seconds = [median(curve.points["encoding_time"]) for curve in (usual, product)]
    return [
        *lines,
        "",
        f"A picture takes {seconds[1]:.1f} s to encode at the median rate ({seconds[0]:.1f} s without).",
    ]


def effort() -> list[str]:
    """Effort 9 on Kodak beside the default effort, and all efforts on validation images."""
    lines: list[str] = []
    if SEARCHED.exists() and KODAK.exists():
        product, default = read_curve(SEARCHED), read_curve(KODAK)
        slowest = read_curve(RESULTS / "anchors" / "kodak" / "avif-best.json")
        seconds = (median(curve.points["encoding_time"]) for curve in (default, product, slowest))
        lines += ["| weconvene `--effort 9` against | PSNR RGB | MS-SSIM RGB |", "|---|---:|---:|"]
        others = (RESULTS / "anchors" / "kodak" / f"{name}.json" for name in ANCHORS)
        for other in (default, *map(read_curve, others), published_curves()["vtm"]):
            rates = (percent(other, product, metric) for metric in ("psnr-rgb", "ms-ssim-rgb"))
            lines.append(f"| {other.label} | " + " | ".join(rates) + " |")
        usual, searched, anchor = (f"{value:.1f} s" for value in seconds)
        lines += [
            "",
            f"A picture takes {searched} to encode at the median rate on one thread ({usual} with the default effort;"
            f" {slowest.label}: {anchor}, measured on another day), and as long as ever to decode.",
            "",
        ]
    path = RESULTS / "weconvene" / "encoder.json"
    if path.exists():
        found = json.loads(path.read_text())
        lines += [
            f"All efforts, `python -m benchmarks.studies.weconvene_encoder` on {found['images']} squares of"
            f" {found['side']} pixels of validation images, against the default effort, {found['default']}:",
            "",
            "| effort | BD-rate, PSNR, mean curve | mean of images | low rates | high rates | time of encoding |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for row in found["rows"]:
            rates = (f"{row[key]:+.1f} %" for key in ("mean_curve", "mean_of_images", "low", "high"))
            lines.append(f"| {row['way']} | " + " | ".join(rates) + f" | {row['time']:.1f} x |")
    return lines


def plot() -> None:
    """Both metrics over rate."""
    if not KODAK.exists():
        return
    products = [read_curve(path) for path in (KODAK, TUNED) if path.exists()]
    names = ("jpeg-420-best", "jpeg2000", "webp-best", "avif", "avif-best", "hevc-best")
    shown = [read_curve(RESULTS / "anchors" / "kodak" / f"{name}.json") for name in names]
    for metric, path in PLOTS.items():
        path.write_text(rate_distortion_svg([*products, *shown, published_curves()["vtm"]], metric))


def parts() -> list[str]:
    """Multiplications and processor time by part, from `speed/weconvene_parts.py`."""
    path = RESULTS / "benchmarks" / "weconvene_parts.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    work, time = found["kmac_per_pixel"], found["time"]
    networks = {"networks f, g": ("f", "g")}
    lines = ["| part | encoder, kMAC/pixel | share of time | decoder, kMAC/pixel | share of time |"]
    lines.append("|---|---:|---:|---:|---:|")
    for part in time["encode"]["shares"]:
        cells = []
        for column, (side, timed) in enumerate((("encoder", "encode"), ("decoder", "decode"))):
            count = work[side].get(networks.get(part, (part, part))[column])
            share = time[timed]["shares"].get(part)
            cells.append("–" if count is None else f"{count:.2f}")
            cells.append("–" if share is None else f"{100 * share:.0f} %")
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    total = (
        f"{work[side]['in all']:.1f} | {time[timed]['processor_seconds']:.2f} s"
        for side, timed in (("encoder", "encode"), ("decoder", "decode"))
    )
    lines += ["| in all | " + " | ".join(total) + " |", ""]
    avif, large = found["avif"], found["large"]
    return [
        *lines,
        f"Pillow's AVIF, speed {avif['speed']}, quality {avif['quality']}, of the same pictures in the same run:"
        f" {time['encode']['avif_processor_seconds']:.3f} s to encode, {time['decode']['avif_processor_seconds']:.4f} s"
        f" to decode, so weconvene takes {time['encode']['times_avif']:g} and {time['decode']['times_avif']:g} times as"
        f" long ({time['bpp']:.2f} bits per pixel beside {time['avif_bpp']:.2f}).",
        "",
        *(
            f"{name.capitalize()} of {row['megapixels']:g} megapixels on {row['threads']} threads:"
            f" {row['seconds']:g} s, {row['peak_mb']} MiB at most."
            for name, row in large.items()
        ),
        "",
        f"This processor has {found['instructions']}, {'and' if found['vnni'] else 'no'} VNNI instructions for bytes,"
        f" and {'multiplies' if found['bfloat16'] else 'does not multiply'} bfloat16, in which f and g run where it is"
        " there.",
        *other_processor(),
    ]


def other_processor() -> list[str]:
    """The same figures of a run on another kind of processor, with the weights before these."""
    path = RESULTS / "benchmarks" / "weconvene_parts_vnni.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    time, large = found["time"], found["large"]
    return [
        "",
        "A processor with AVX-512 and VNNI instructions, with the weights before these, which left out no slices:"
        f" {time['encode']['processor_seconds']:.2f} s to encode and {time['decode']['processor_seconds']:.2f} s to"
        f" decode, {time['encode']['times_avif']:g} and {time['decode']['times_avif']:g} times as long as AVIF; 24"
        f" megapixels {large['encode']['seconds']:g} and {large['decode']['seconds']:g} s on two threads.",
    ]


def reduced() -> list[str]:
    """PSNR and time of pictures of reduced size, from `studies/weconvene_reduced.py`."""
    path = RESULTS / "weconvene" / "reduced.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    lines = ["| quality | sides halved | PSNR, dB | of the full decode | time |", "|---:|---:|---:|---:|---:|"]
    lines += [
        f"| {row['quality']} | {row['reduce']} x | {row['psnr']:.2f} | {row['psnr_of_full_decode']:.2f} |"
        f" {100 * row['time']:.0f} % |"
        for row in found["rows"]
    ]
    return [
        *lines,
        "",
        f"{found['images']} squares of {found['side']} pixels of validation images. Against the low band of 9/7 of the"
        " source; *of the full decode* is the low band of the whole decoded picture, *time* the processor time of the"
        " reduced decode as a share of the full one's.",
    ]


def bands() -> list[str]:
    """Bits per subband, for every quality."""
    path, lines = RESULTS / "weconvene" / "bands.json", []
    data = json.loads(path.read_text())["bits per pixel"] if path.exists() else {}
    for quality, table in data.items():
        lines += [f"{quality}, {table['bpp']:.4f} bpp without the lowest band and headers:", ""]
        lines += ["| level | Y | U | V | share |", "|---|---:|---:|---:|---:|"]
        for level, row in table.items():
            if level != "bpp":
                share = 100 * sum(row.values()) / table["bpp"]
                lines.append(f"| {level} | {row['Y']:.4f} | {row['U']:.4f} | {row['V']:.4f} | {share:.1f} % |")
        lines.append("")
    return lines


def kodak() -> list[str]:
    """Rates and distortions of real files, with the plots."""
    if not KODAK.exists():
        return []
    product = read_curve(KODAK)
    return [
        f"{product.description}.",
        "",
        *curves(product),
        "",
        f"![PSNR over rate]({PLOTS['psnr-rgb'].name})",
        "",
        f"![MS-SSIM over rate]({PLOTS['ms-ssim-rgb'].name})",
        "",
        "Published curves are as their authors give them: other settings of measuring, no file headers.",
    ]


SECTIONS: tuple[Section, ...] = (
    (
        "Kodak, real files",
        "`wavelic eval weconvene --images KODAK --json results/codecs/kodak/weconvene.json --qualities"
        " 5,15,28,40,52,64,76,88,100`; times on one thread. BD-rates of mean curves, in brackets the mean of those of"
        " single images.",
        kodak,
    ),
    (
        "Tuned for MS-SSIM",
        "`wavelic eval weconvene --tune msssim --images KODAK --json results/codecs/kodak/weconvene-msssim.json"
        " --qualities 5,15,28,40,52,64,76,88,100`: other weights in the same format. With `--effort 9`"
        " (`weconvene-msssim-effort9.json`, `--qualities 15,40,60,80,100`) the encoder searches.",
        tuned,
    ),
    (
        "Effort",
        "`wavelic eval weconvene --effort 9 --images KODAK --json results/codecs/kodak/weconvene-effort9.json"
        " --qualities 15,40,60,80,100`: the same weights and format; the encoder searches"
        " ([how](weconvene.md#weconvene)).",
        effort,
    ),
    (
        "Work and time by part",
        "`python -m benchmarks.speed.weconvene_parts`: processor times on one thread, weights in memory, pictures of"
        " Kodak's size.",
        parts,
    ),
    (
        "Reduced sizes",
        "`python -m benchmarks.studies.weconvene_reduced --images DIR`: `--reduce` and `read(reduce=...)`, from the"
        " coarse levels alone.",
        reduced,
    ),
    (
        "Twins at equal processor time",
        "`python -m benchmarks.studies.weconvene_twins --data DIR --validation DIR`: what a run loses without a lever;"
        " estimated bits and PSNR on validation crops.",
        twins,
    ),
    (
        "Bits per subband (table V of the paper, for our subbands)",
        "`python -m benchmarks.studies.weconvene_study bands weconvene --images KODAK --json"
        " results/weconvene/bands.json`; level 1 is the finest; Y, U, V are the lowest and the two higher bands of the"
        " colour axis.",
        bands,
    ),
    (
        "Learning curve",
        "Validation crops at the rates of `validation_steps`, averaged weights, estimated bits; in the stages `finish`"
        " and `integers` of symbols as an encoder with RDOQ chooses them. Neither the run that went on from the"
        " shipped weights, on crops of 384, nor the run on an H100, which went on from the first run's stage `main`,"
        " is shipped: one ended where it began, the other behind it"
        " ([training](recipes.md#on-a-gpu-for-some-minutes) says what is known of the cause).",
        learning_curve,
    ),
)


def page() -> str:
    """The whole page."""
    lines = [
        "# weconvene: results",
        "",
        "Written by `benchmarks/pages/weconvene_page.py` from `results/`; the figures are those of these files, and a"
        " section whose file is absent is left out.",
        "",
        f"One set of weights serves all rates.{training()} All choices were made on validation images.",
        "",
    ]
    return with_sections(lines, SECTIONS)


def main() -> int:
    """Write or check the page."""
    return write_or_check(PAGE, page, plot)


if __name__ == "__main__":
    sys.exit(main())
