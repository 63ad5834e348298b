"""Write the tables of docs/applications.md between its markers, from results/applications/ alone.

python -m benchmarks.pages.applications_page            # rewrite
python -m benchmarks.pages.applications_page --check    # exit 1 if it is out of date
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import DOCS, RESULTS
from benchmarks.pages.marked import with_figures, write_page
from benchmarks.pages.tables import spread, table
from benchmarks.pages.transformer_table import processor_hours, transformer
from wavelic.errors import UsageError
from wavelic.evaluation.bd import MINIMUM_POINTS, Delta, bd_quality, bd_rate

PAGE, FOLDER = DOCS / "applications.md", RESULTS / "applications"
PLOT = DOCS / "applications-video.svg"
APPLICATIONS = ("classification", "denoising", "segmentation")
ARMS = ("plain", "wavelet", "twin")
_RATE_AND_PSNR = (("bpp", 3), ("psnr", 2))  # of the video coder, and their digits
#: Scores of each application that the tables show, and what they are called there.
SCORES = {
    "top1": "top-1, %",
    "top5": "top-5, %",
    "test_psnr": "PolyU test, dB",
    "cc15_psnr": "CC15, dB",
    "cbsd68_psnr": "CBSD68, dB",
    "mean_iou": "mean IoU, %",
    "pixel_accuracy": "pixel accuracy, %",
}


def recipe_table(runs: list[dict[str, Any]]) -> list[str]:
    """The arms of one recipe."""
    names = [name for name in SCORES if name in runs[0]["scores"]]
    rows = []
    for arm in ARMS:
        of_arm = [run for run in runs if run["arm"] == arm]
        if of_arm:
            rows.append(
                [
                    arm,
                    f"{of_arm[0]['parameters']:,}",
                    str(len(of_arm)),
                    *(spread([run["scores"][name] for run in of_arm]) for name in names),
                    f"{statistics.mean(run['processor_seconds'] for run in of_arm):.0f} s",
                ]
            )
    return table(["arm", "parameters", "seeds", *(SCORES[name] for name in names), "processor time of a run"], rows)


def application(name: str) -> list[str]:
    """All recipes of an application that have a finished run."""
    path = FOLDER / f"{name}.json"
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    lines = []
    for recipe, results in document.items():
        lines += ["", f"`{name}`, recipe `{recipe}`, {results['runs'][0]['steps']:,} steps:", ""]
        lines += recipe_table(results["runs"])
    return lines or ["", f"`{name}`: no run has finished; there are no figures."]


def video_points() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Runs of the video coder with the first seed, by kind of recipe and arm, in the order of their lambdas."""
    path = FOLDER / "video.json"
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    kinds: dict[str, dict[str, list[dict[str, Any]]]] = {}
    coders = (name for name in document if not name.endswith(("-flow", "-motion", "-residual")))
    for recipe in sorted(coders, key=lambda name: int(name.rpartition("-")[2])):
        kind, _, lambda_ = recipe.rpartition("-")
        for run in document[recipe]["runs"]:
            if run["seed"] == 0:
                kinds.setdefault(kind, {}).setdefault(run["arm"], []).append({**run, "lambda": int(lambda_)})
    return kinds


def video() -> list[str]:
    """Rate and PSNR of the arms at every lambda, real bytes of whole clips."""
    path = FOLDER / "video.json"
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    lines: list[str] = []
    for recipe, results in document.items():
        if recipe.endswith(("-flow", "-motion")):
            lines += motion(recipe, results["runs"])
        if recipe.endswith("-residual"):
            lines += residual(recipe, results["runs"])
    for kind, arms in video_points().items():
        lambdas = [run["lambda"] for run in next(iter(arms.values()))]
        rows = []
        for arm in (name for name in ARMS if name in arms):
            cells = [f"{run['scores']['bpp']:.3f} bpp, {run['scores']['psnr']:.2f} dB" for run in arms[arm]]
            seconds = sum(run["processor_seconds"] for run in arms[arm])
            rows.append([arm, f"{arms[arm][0]['parameters']:,}", *cells, f"{seconds:.0f} s"])
        steps = {run["lambda"]: run["steps"] for run in next(iter(arms.values()))}
        told = ", ".join(f"{count:,} steps at {lambda_}" for lambda_, count in steps.items())
        lines += ["", f"`video`, recipes `{kind}-`lambda, {told}; the ten test clips, means of clips:", ""]
        heads = [f"lambda {lambda_}" for lambda_ in lambdas]
        lines += table(["arm", "parameters", *heads, "processor time, all"], rows)
        lines += differences(arms)
    return lines or ["", "`video`: no run has finished; there are no figures."]


def motion(recipe: str, runs: list[dict[str, Any]]) -> list[str]:
    """What the flow alone or the motion's coder alone has learned: PSNR of warped frames in the test clips."""
    seen = "by the flow" if recipe.endswith("-flow") else "by the flow that the coder decodes"
    copied = runs[0]["scores"]["copied"]
    title = (
        f"`video`, recipe `{recipe}`, {runs[0]['steps']:,} steps; the frame before, warped {seen}, against the frame;"
        f" as it is, it has {copied:.2f} dB:"
    )
    rows = []
    for arm in ARMS:
        if of_arm := [run for run in runs if run["arm"] == arm]:
            decibels = spread([run["scores"]["warped"] for run in of_arm])
            seconds = statistics.mean(run["processor_seconds"] for run in of_arm)
            rows.append([arm, f"{of_arm[0]['parameters']:,}", str(len(of_arm)), decibels, f"{seconds:.0f} s"])
    return ["", title, "", *table(["arm", "parameters", "seeds", "PSNR, dB", "processor time of a run"], rows)]


def residual(recipe: str, runs: list[dict[str, Any]]) -> list[str]:
    """What the coder gives before anything but the flow, the motion's coder and the residual's has learned."""
    title = (
        f"`video`, recipe `{recipe}`, {runs[0]['steps']:,} steps; the ten test clips, with the frame before,"
        " warped by the decoded flow, as the prediction:"
    )
    rows = []
    for arm in ARMS:
        if of_arm := [run for run in runs if run["arm"] == arm]:
            rate, decibels = (spread([run["scores"][name] for run in of_arm], digits=d) for name, d in _RATE_AND_PSNR)
            seconds = statistics.mean(run["processor_seconds"] for run in of_arm)
            rows.append([arm, f"{of_arm[0]['parameters']:,}", str(len(of_arm)), rate, decibels, f"{seconds:.0f} s"])
    heads = ["arm", "parameters", "seeds", "real bytes, bpp", "PSNR, dB", "processor time of a run"]
    return ["", title, "", *table(heads, rows)]


def differences(arms: dict[str, list[dict[str, Any]]]) -> list[str]:
    """BD-rate and BD-PSNR of the wavelet arm: of the mean curves, and the mean of the clips' own."""
    if not {"wavelet", "plain", "twin"} <= arms.keys() or len(arms["wavelet"]) < MINIMUM_POINTS:
        return []
    rows = []
    for arm in ("plain", "twin"):
        curves = [[[run["scores"] for run in arms[name]] for name in (arm, "wavelet")]]
        curves += [
            [[run["scores"]["clips"][clip] for run in arms[name]] for name in (arm, "wavelet")]
            for clip in arms[arm][0]["scores"]["clips"]
        ]
        rows.append([f"against {arm}", *delta(bd_rate, curves, "%"), *delta(bd_quality, curves, "dB")])
    heads = [
        "wavelet arm",
        "BD-rate of mean curves",
        "mean of the clips' own",
        "BD-PSNR of mean curves",
        "mean of the clips' own",
    ]
    return ["", *table(heads, rows)]


def delta(measure: Callable[..., Delta], curves: list[list[list[dict[str, float]]]], unit: str) -> tuple[str, str]:
    """That of the first pair of curves, and the mean of those of the others that can be compared."""
    found: list[float | None] = []
    for pair in curves:
        ordered = [sorted(points, key=lambda point: point["bpp"]) for points in pair]
        try:
            found.append(measure(*([p[name] for p in points] for points in ordered for name in ("bpp", "psnr"))).value)
        except UsageError:
            found.append(None)
    own = [value for value in found[1:] if value is not None]
    of_means = "not comparable" if found[0] is None else f"{found[0]:+.2f} {unit}"
    if not own:
        return of_means, "not comparable"
    return of_means, f"{statistics.mean(own):+.2f} {unit}, {len(own)} of {len(found) - 1} clips"


def plot() -> None:
    """Draw the video coder's arms beside x264 and x265."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    anchors = json.loads((FOLDER / "video-anchors.json").read_text())["encoders"]
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "video", "font.size": 10.5}):
        figure = Figure(figsize=(8, 4.8), layout="constrained")
        axes = figure.add_subplot()
        for name, points in anchors.items():
            axes.plot([p["bpp"] for p in points], [p["psnr"] for p in points], "--s", label=name, markersize=4)
        for kind, arms in video_points().items():
            for arm, runs in arms.items():
                scores = [run["scores"] for run in runs]
                label = f"DVC, {arm} ({kind})"
                axes.plot([p["bpp"] for p in scores], [p["psnr"] for p in scores], "-o", label=label, markersize=5)
        axes.set(xlabel="Bit-rate [bpp]", ylabel="PSNR RGB [dB]", xscale="log")
        axes.set_xticks([0.05, 0.1, 0.2, 0.3, 0.5, 1], ["0.05", "0.1", "0.2", "0.3", "0.5", "1"], minor=False)
        axes.grid(alpha=0.2)
        axes.legend(frameon=False)
        figure.savefig(PLOT, format="svg", metadata={"Date": None, "Creator": None})


def anchors(path: Path = FOLDER / "video-anchors.json") -> list[str]:
    """Means of x264 and x265 over the test clips."""
    if not path.exists():
        return []
    document = json.loads(path.read_text())
    rows = [
        [encoder, *(f"{point['bpp']:.3f} bpp, {point['psnr']:.2f} dB" for point in points)]
        for encoder, points in document["encoders"].items()
    ]
    factors = [f"CRF {point['crf']}" for point in next(iter(document["encoders"].values()))]
    title = (
        f"ffmpeg {document['ffmpeg']}, `-preset {document['preset']} -tune {document['tune']}`, groups of "
        f"{document['group']} frames, the ten test clips:"
    )
    return ["", title, "", *table(["encoder", *factors], rows)]


def hours() -> list[str]:
    """Processor time of all runs of the tables, scoring left out."""
    spent = {}
    for name in (*APPLICATIONS, "video"):
        path = FOLDER / f"{name}.json"
        document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        spent[name] = sum(run["processor_seconds"] for results in document.values() for run in results["runs"]) / 3600
    spent["transformer codec"] = processor_hours()
    told = ", ".join(f"{name} {value:.1f}" for name, value in spent.items())
    return ["", f"Processor hours of the runs in these tables: {told}; {sum(spent.values()):.1f} in all."]


def sizes() -> list[str]:
    """Parameters of the published networks."""
    found: dict[str, dict[str, int]] = json.loads((FOLDER / "sizes.json").read_text())
    rows = [
        [name, str(row["layers"]), f"{row['plain']:,}", f"{row['wavelet']:,}", f"{row['wavelet'] / row['plain']:.2f}"]
        for name, row in found.items()
    ]
    return table(["network", "layers replaced", "plain", "with the layer", "ratio"], rows)


COST = """## What the layer costs

The paper does not say how large its networks are with the layer. They are larger than without
(`python -m applications.sizes`):
"""
MEANING = """
So a gain over the plain network may be one of parameters, and most of all in MIRNet-v2, whose own resampling layers are
a 1x1 convolution with pooling or interpolation. What the wavelets do shows against the twin only.

## Results"""


def figures() -> str:
    """Everything between the markers."""
    lines = [line for name in APPLICATIONS for line in application(name)]
    picture = ["", f"![Video: PSNR over rate]({PLOT.name})"] if PLOT.exists() else []
    return "\n".join([COST, *sizes(), MEANING, *lines, *transformer(), *video(), *anchors(), *picture, *hours()])


def main() -> int:
    """Rewrite or check the page."""
    check = "--check" in sys.argv[1:]
    if not check and video_points():
        plot()
    return write_page(PAGE, with_figures(PAGE.read_text(encoding="utf-8"), figures()), check)


if __name__ == "__main__":
    sys.exit(main())
