"""What `-q` means in JPEG 2000 files: at which rates they have the mean PSNR of the default codec, quality by quality.

    python -m benchmarks.studies.quality_scale --images DIR [--count 8] [--side 384]

Run it again whenever the weights of `weconvene` or `lifting` change: it writes the table that the codecs read,
src/wavelic/codec/quality_scale.json.  DIR are validation images, of which every so many are taken, the middle of each.
The default codec codes each at every quality; of the others one file with many layers is measured layer by layer.
Between these rates the logarithm of the rate is interpolated linearly in PSNR, which is a mean over images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.pictures import psnr

QUALITIES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
RATES = tuple(2.0 ** (k / 2) for k in range(-13, 7))
CODECS = ("lifting", "jp2")


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--side", type=int, default=384, help="pixels of the middle of each image")
    arguments = parser.parse_args()

    from wavelic.codec.quality_scale import TABLE
    from wavelic.codec.registry import DEFAULT_CODEC, get_codec

    pictures = some_pictures(arguments.images, arguments.count, arguments.side)
    goal = [mean_psnr_at(pictures, DEFAULT_CODEC, quality) for quality in QUALITIES]
    document = {
        "qualities": QUALITIES,
        "psnr": [round(value, 3) for value in goal],
        "bpp": {codec: rates_for(pictures, codec, goal) for codec in CODECS},
        "images": len(pictures),
        "side": arguments.side,
        "weights": {c: [card.hash[:16] for card in get_codec(c).weights()] for c in (DEFAULT_CODEC, *CODECS)},
    }
    TABLE.write_text(json.dumps(document, indent=1) + "\n")
    print(TABLE)
    for row in zip(QUALITIES, document["psnr"], *document["bpp"].values(), strict=True):
        print(*row)


def some_pictures(folder: Path, count: int, side: int) -> list[np.ndarray]:
    """The middle of about ``count`` RGB images, spread over the folder."""
    from wavelic.images import list_images, load_image

    paths = list_images(folder)
    pictures = []
    for path in paths[:: max(1, len(paths) // count)]:
        colours = load_image(path).colour()
        height, width, channels = colours.shape
        if channels == 3:
            top, left = max(0, height - side) // 2, max(0, width - side) // 2
            pictures.append(np.ascontiguousarray(colours[top : top + side, left : left + side]))
    return pictures


def mean_psnr_at(pictures: list[np.ndarray], codec: str, quality: float) -> float:
    """Mean PSNR in dB of files of one quality."""
    import wavelic

    return float(np.mean([psnr(p, wavelic.decode(wavelic.encode(p, codec, quality))) for p in pictures]))


def rates_for(pictures: list[np.ndarray], codec: str, goal: list[float]) -> list[float]:
    """Bits per pixel for colours at which files have these mean PSNRs."""
    import wavelic

    reached = []
    for picture in pictures:
        file = wavelic.open(wavelic.encode(picture, codec, layers=RATES))
        reached.append([psnr(picture, file.read(layers=min(n, file.layer_count))) for n in range(1, len(RATES) + 1)])
    return interpolated(np.mean(reached, axis=0), goal)


def interpolated(means: np.ndarray, goal: list[float]) -> list[float]:
    """Bits per pixel at which the mean PSNRs of files of RATES are those wanted."""
    rising = np.diff(means, prepend=0) > 0  # the smallest layers of small pictures are alike
    if not means[0] < min(goal) < max(goal) < means[-1]:
        raise SystemExit(f"PSNRs {means.round(2)} do not lie around {goal}; choose other RATES")
    return [round(float(2 ** np.interp(value, means[rising], np.log2(RATES)[rising])), 5) for value in goal]


if __name__ == "__main__":
    main()
