"""What tiles of several sizes cost: bytes and PSNR of `weconvene` files, by quality.

    python -m benchmarks.studies.weconvene_tiles --images DIR [--count 8] [--json results/weconvene/tiles.json]

Every so many of the images of DIR that are larger than the second tile size, up to 1100 pixels a side.  The
networks' transform does not know of tiles, so all sizes code nearly the same coefficients; PSNR differs because
residuals are rounded by what they cost.  Bytes are means over images of the ratio to tiles of 1024, in percent.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.measuring import RESULTS, write_results
from benchmarks.pictures import psnr

TILES = (1024, 512, 256)
QUALITIES = (10.0, 25.0, 40.0, 50.0, 57.0, 64.0, 76.0, 88.0)
LARGEST = 1100


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--json", type=Path, default=RESULTS / "weconvene" / "tiles.json")
    arguments = parser.parse_args()

    from wavelic.codec.weights import family
    from wavelic.images import from_array, list_images, load_image
    from wavelic.weconvene.files import Encoding, step_of_quality
    from wavelic.weconvene.weights import load_model

    card = family("weconvene")[-1]
    model = load_model(card)
    pictures = []
    for path in list_images(arguments.images):
        colour = load_image(path).colour()[:LARGEST, :LARGEST]
        if colour.shape[2] == 3 and max(colour.shape) > TILES[1]:
            pictures.append(np.ascontiguousarray(colour))
    pictures = pictures[:: max(1, len(pictures) // arguments.count)][: arguments.count]
    rows = []
    for quality in QUALITIES:
        step = step_of_quality(quality)
        sizes, gains = np.empty((2, len(pictures), len(TILES)))
        for number, pixels in enumerate(pictures):
            for column, tile in enumerate(TILES):
                encoding = Encoding(from_array(pixels), model, strip=True, tile=tile)
                sizes[number, column] = len(encoding.file(step))
                gains[number, column] = psnr(pixels, encoding.reconstruction(step))
        change = 100 * (sizes / sizes[:, :1]).mean(0) - 100
        gain = (gains - gains[:, :1]).mean(0)
        rows.append({
            "quality": quality, "step": step, "bytes": int(sizes[:, 0].sum()),
            "change": dict(zip(map(str, TILES), change.round(2).tolist(), strict=True)),
            "psnr": dict(zip(map(str, TILES), gain.round(3).tolist(), strict=True)),
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    found = {"weights": card.hash[:8], "folder": arguments.images.name, "images": len(pictures), "rows": rows}
    write_results(found, arguments.json)


if __name__ == "__main__":
    main()
