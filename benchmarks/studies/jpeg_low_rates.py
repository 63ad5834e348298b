"""Measure JPEG 4:2:0 below the rates of its anchor: qualities 1 to 6, where 0.10 to 0.15 bits per pixel would be.

    python -m benchmarks.studies.jpeg_low_rates --images KODAK [--json results/anchors/kodak/jpeg-420-low.json]

The anchor `jpeg-420` starts at quality 5, as nobody uses less.  The comparison of WCAE with JPEG at the lowest rates
needs the qualities down to 1, the least that JPEG has.  Everything else is the anchor's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.measuring import RESULTS
from wavelic.evaluation.anchors import get_anchor
from wavelic.evaluation.runner import evaluate
from wavelic.images import list_images

QUALITIES = (1, 2, 3, 4, 5, 6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=RESULTS / "anchors" / "kodak" / "jpeg-420-low.json")
    arguments = parser.parse_args()
    anchor = replace(get_anchor("jpeg-420"), name="jpeg-420-low", label="JPEG 4:2:0, lowest", settings=QUALITIES)
    curve = evaluate(anchor, list_images(arguments.images), QUALITIES, arguments.json, dataset="kodak")
    for quality, bpp, ms_ssim in zip(curve.settings, curve.bpp, curve.quality("ms-ssim-rgb"), strict=True):
        print(f"quality {quality:g}: {bpp:.4f} bpp, MS-SSIM {ms_ssim:.4f}")


if __name__ == "__main__":
    main()
