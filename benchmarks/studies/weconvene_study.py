"""`weconvene` and its twins on a folder of images: real files, and bits per subband.

    python -m benchmarks.studies.weconvene_study files NAME... --weights DIR --images DIR --out results/weconvene/kodak
    python -m benchmarks.studies.weconvene_study bands NAME --images DIR --json FILE [--weights DIR]

``files`` measures every named card (made with `wavelic.weconvene.export`, a twin with a name of its own) as
`wavelic eval` measures a codec, one results file each.  ``bands`` counts the bits of every level and colour.
The learning curve of a run is its log; `benchmarks.pages.weconvene_page` shows it.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measuring import write_results

if TYPE_CHECKING:
    from wavelic.weconvene.weights import Model

TILE = 1024  # one tile for a Kodak picture, whatever the codec has found to be better since
QUALITIES = (5.0, 20.0, 35.0, 50.0, 65.0, 80.0, 95.0)
BAND_QUALITIES = (20.0, 50.0, 80.0)


def measure_files(names: list[str], images: Path, out: Path) -> None:
    """Write a results file for each card."""
    from wavelic.api.files import decode_image
    from wavelic.codec.weights import cards
    from wavelic.evaluation.own import OwnCodec
    from wavelic.evaluation.runner import evaluate
    from wavelic.images import from_array, list_images
    from wavelic.weconvene.files import Encoding, step_of_quality
    from wavelic.weconvene.weights import load_model

    for name in names:
        card = next(card for card in cards() if card.name == name)
        model = load_model(card)
        codec = OwnCodec(
            name=name,
            label=name,
            description=f"weconvene files with weights {card.hash[:12]}, {card.training.get('step')} steps",
            encode=lambda pixels, quality, model=model: Encoding(from_array(pixels), model, strip=True, tile=TILE).file(
                step_of_quality(quality)
            ),
            decode=lambda data: decode_image(data).pixels,
        )
        curve = evaluate(codec, list_images(images), QUALITIES, out / f"{name}.json", dataset=images.name)
        print(name, [round(float(x), 4) for x in curve.bpp], [round(float(x), 3) for x in curve.quality("psnr-rgb")])


def count_bands(name: str, images: Path, out: Path) -> None:
    """Write the bits of every level and colour per pixel, means over the images: table V of the paper."""
    from wavelic.codec.weights import cards
    from wavelic.images import list_images, load_image
    from wavelic.weconvene.files import step_of_quality
    from wavelic.weconvene.layout import COLOURS, LEVELS
    from wavelic.weconvene.weights import load_model

    card = next(card for card in cards() if card.name == name)
    model, paths, table = load_model(card), list_images(images), {}
    for quality in BAND_QUALITIES:
        total = np.zeros((LEVELS, COLOURS))
        for path in paths:
            pixels = load_image(path).colour()
            total += bits_of(model, pixels, step_of_quality(quality)) / (pixels.shape[0] * pixels.shape[1] * len(paths))
        rows = {f"level {d + 1}": dict(zip("YUV", total[d].round(5).tolist(), strict=True)) for d in range(LEVELS)}
        table[f"quality {quality:g}"] = {"bpp": round(float(total.sum()), 5), **rows}
        print(quality, round(float(total.sum()), 4), total.sum(1).round(4), total.sum(0).round(4))
    write_results({"weights": card.hash[:12], "images": len(paths), "bits per pixel": table}, out)


@torch.inference_mode()
def bits_of(model: Model, pixels: NDArray[Any], step: int) -> NDArray[np.float64]:
    """Bits (LEVELS, 3) of every level and colour of a picture coded as one tile, without its lowest band."""
    from wavelic.weconvene.context import code_levels
    from wavelic.weconvene.layout import COLOURS, LEVELS
    from wavelic.weconvene.planes import analyse
    from wavelic.weconvene.rdoq import RDOQ_LAMBDA, quantise
    from wavelic.weconvene.subbands import pack
    from wavelic.weconvene.units import STEP_UNIT, VALUE

    planes = analyse(model, pixels, step)
    packed = [pack(d[None]) for d in planes.details]
    costs, total = torch.from_numpy(model.costs), np.zeros((LEVELS, COLOURS))
    largest = costs.shape[1] // 2

    def coder(level: int, index: int, mean: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        channels = list(model.entropy.slices[index].channels)
        residual = quantise(packed[level - 1][:, channels] - mean.float() / VALUE, table, costs, RDOQ_LAMBDA)
        column = residual.clamp(-largest, largest).long() + largest
        bits = costs[table.long(), column].sum((0, 2, 3), dtype=torch.float64)
        for channel, spent in zip(channels, bits.tolist(), strict=True):
            total[level - 1, channel // 4 % COLOURS] += spent
        return residual.mul_(VALUE).add_(mean)

    low = planes.low.round().to(torch.int32)[None]
    code_levels(model.entropy, low, torch.full((1,), step / STEP_UNIT), planes.levels, coder)
    return total


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("files", "bands"))
    parser.add_argument("names", nargs="*", default=["weconvene"])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="folder for results, for files")
    parser.add_argument("--json", type=Path, help="result file, for bands")
    arguments = parser.parse_args()
    if arguments.weights:
        os.environ["WAVELIC_WEIGHTS"] = str(arguments.weights)
    if arguments.what == "files":
        measure_files(arguments.names, arguments.images, arguments.out)
    else:
        count_bands(arguments.names[0], arguments.images, arguments.json)


if __name__ == "__main__":
    main()
