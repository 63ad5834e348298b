"""Write the tables of docs/nn.md between its markers, from results/ alone: network_layers.json and the applications.

python -m benchmarks.pages.nn_page            # rewrite
python -m benchmarks.pages.nn_page --check    # exit 1 if it is out of date
"""

from __future__ import annotations

import json
import statistics
import sys
from typing import Any

from benchmarks.measuring import DOCS, RESULTS
from benchmarks.pages.marked import with_figures, write_page
from benchmarks.pages.tables import table

PAGE = DOCS / "nn.md"
ARMS = ("plain", "wavelet", "twin")
#: Scores of each application by key, of which a recipe has one, and what they are called.
MAIN_SCORES = {
    "classification": {"top1": "top-1, %"},
    "segmentation": {"mean_iou": "mean IoU, %"},
    "denoising": {"cc15_psnr": "PSNR on CC15, dB", "cbsd68_psnr": "PSNR on CBSD68, dB"},
}
HEAD = ["layer", "parameters", "multiply-adds", "forward", "forward and backward", "kept for backward"]


def group_table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """One group: times as multiples of the first row's."""
    first = next(iter(rows.values()))
    cells = [
        [
            name,
            f"{row['parameters']:,}",
            f"{row['multiply_adds'] / 1e6:.1f} M",
            *(f"{row[key] / first[key]:.2f}" for key in ("forward_ms", "training_ms")),
            f"{row['kept_mib']:.1f} MiB",
        ]
        for name, row in rows.items()
    ]
    return table(HEAD, cells)


def accuracy() -> list[str]:
    """The main score of every application's arms, means over seeds."""
    rows = []
    for name, titles in MAIN_SCORES.items():
        path = RESULTS / "applications" / f"{name}.json"
        document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        for recipe, results in document.items():
            score = next(key for key in titles if key in results["runs"][0]["scores"])
            scores = [[run["scores"][score] for run in results["runs"] if run["arm"] == arm] for arm in ARMS]
            counts = [str(len(of_arm)) for of_arm in scores]
            means = [f"{statistics.mean(of_arm):.2f}" if of_arm else "" for of_arm in scores]
            rows.append(
                [name, recipe, titles[score], *means, ", ".join(counts if len(set(counts)) > 1 else counts[:1])]
            )
    return table(["application", "recipe", "score", *ARMS, "seeds"], rows)


def figures() -> str:
    """Everything between the markers."""
    results = json.loads((RESULTS / "benchmarks" / "network_layers.json").read_text())
    batch, channels, height, width = results["input"]
    lines = [
        f"From {batch} x {channels} x {height} x {width} to half the size, {results['device']}, one thread, torch "
        f"{results['machine']['torch']}; times",
        "are multiples of the first row's:",
    ]
    for rows in results["groups"].values():
        lines += ["", *group_table(rows)]
    lines += [
        "",
        "What networks gain by it, from [the applications](applications.md), a run 1 to 50 minutes of one core:",
        "",
    ]
    lines += accuracy()
    return "\n".join(lines)


def main() -> int:
    """Rewrite or check the page."""
    text = with_figures(PAGE.read_text(encoding="utf-8"), figures())
    return write_page(PAGE, text, "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
