"""What the carrier costs without learned steps: plain 8-bit OpenJPEG 9/7 and 5/3 files with the same layers against it.

    python -m benchmarks.studies.lifting_carrier IMAGES [--json results/lifting/carrier.json]

Grey files of the 8-bit luma.  The carrier's side are the committed results of `lifting_results.py luma IMAGES 9/7`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.measuring import RESULTS, write_results
from benchmarks.pictures import luma, psnr
from benchmarks.studies.lifting_results import LAYERS, STOCK
from wavelic.evaluation.bd import bd_rate
from wavelic.images import list_images, load_image
from wavelic.jpeg2000 import GREY, EncodeOptions, decode_codestream, encode_codestream, trim_codestream, write_jp2

LIFTING = RESULTS / "lifting"


def plain(images: Path, reversible: bool) -> tuple[list[float], list[float]]:
    """Mean bits per pixel and PSNR of every layer up to 1 bit per pixel."""
    rows = []
    for path in list_images(images):
        grey = luma(load_image(path).colour())[..., 0]
        budgets = [int(rate * grey.size / 8) for rate in LAYERS]
        data = encode_codestream([grey], 8, EncodeOptions(reversible=reversible, layer_bytes=budgets))
        for layer in range(STOCK + 1):
            part = trim_codestream(data, max_layers=layer + 1)
            size = len(write_jp2(part, colour=GREY))
            rows.append((8 * size / grey.size, psnr(grey, np.asarray(decode_codestream(part).planes[0]))))
    bits, quality = np.array(rows).reshape(-1, STOCK + 1, 2).mean(0).T.tolist()
    return bits, quality


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of photographs, those of the committed results")
    parser.add_argument("--json", type=Path, default=LIFTING / "carrier.json")
    options = parser.parse_args()
    found = {}
    for name, reversible in (("97", False), ("53", True)):
        means = json.loads((LIFTING / f"kodak-luma-{name}.json").read_text())["means"]
        bits, quality = plain(options.images, reversible)
        found[name] = {"bpp": bits, "psnr": quality}
        found[name]["carrier_bd_rate"] = bd_rate(bits, quality, means["bpp"], means["psnr"]).value
    nine, five = found["97"], found["53"]
    found["plain 9/7 against plain 5/3"] = bd_rate(five["bpp"], five["psnr"], nine["bpp"], nine["psnr"]).value
    write_results(found, options.json)
    print(nine["carrier_bd_rate"], five["carrier_bd_rate"], found["plain 9/7 against plain 5/3"])


if __name__ == "__main__":
    main()
