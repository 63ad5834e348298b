"""weconvene-s and its twins on a folder of images: real files, bits per subband, where the gain comes from.

    python -m benchmarks.studies.weconvene_study files NAME... --weights DIR --images DIR --out results/weconvene/kodak
    python -m benchmarks.studies.weconvene_study bands NAME --images DIR --json FILE [--weights DIR]
    python -m benchmarks.studies.weconvene_study exactness --checkpoint final.pt --images DIR --json FILE

``files`` measures every named card of family weconvene-study (made with `wavelic.weconvene.export`) as
`wavelic eval` measures a codec, one results file each.  ``bands`` counts the bits of every level and colour.
``exactness`` compares the integer entropy model with the float one of the training run.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring import write_results

TILE = 1024  # one tile for a Kodak picture, whatever the codec has found to be better since
QUALITIES = (5.0, 20.0, 35.0, 50.0, 65.0, 80.0, 95.0)
BAND_QUALITIES = (20.0, 50.0, 80.0)


def measure_files(names: list[str], images: Path, out: Path) -> None:
    """A results file for each card."""
    from wavelic.api.files import decode_image
    from wavelic.codec.weights import cards
    from wavelic.evaluation.own import OwnCodec
    from wavelic.evaluation.runner import evaluate
    from wavelic.images import from_array, list_images
    from wavelic.weconvene.files import SmallEncoding, step_of_quality
    from wavelic.weconvene.weights import load_small

    for name in names:
        card = next(card for card in cards() if card.name == name)
        model = load_small(card)
        codec = OwnCodec(
            name=name,
            label=name,
            description=f"weconvene files with weights {card.hash[:12]}, {card.training.get('step')} steps",
            encode=lambda pixels, quality, model=model: SmallEncoding(
                from_array(pixels), model, strip=True, tile=TILE
            ).file(step_of_quality(quality)),
            decode=lambda data: decode_image(data).pixels,
        )
        curve = evaluate(codec, list_images(images), QUALITIES, out / f"{name}.json", dataset=images.name)
        print(name, [round(float(x), 4) for x in curve.bpp], [round(float(x), 3) for x in curve.quality("psnr-rgb")])


def count_bands(name: str, images: Path, out: Path) -> None:
    """Bits of every level and colour per pixel, means over the images: table V of the paper for our subbands."""
    from wavelic.weconvene.context_integer import VALUE

    from wavelic.codec.weights import cards
    from wavelic.images import list_images, load_image
    from wavelic.weconvene.files import step_of_quality
    from wavelic.weconvene.planes import analyse
    from wavelic.weconvene.subbands import COLOURS, LEVELS, pack
    from wavelic.weconvene.tiles import RATE_WEIGHT, quantise
    from wavelic.weconvene.weights import load_small

    card = next(card for card in cards() if card.name == name)
    model = load_small(card)
    costs = torch.from_numpy(model.costs)
    passes = model.network.entropy.passes
    paths = list_images(images)
    table = {}
    for quality in BAND_QUALITIES:
        total = np.zeros((LEVELS, COLOURS))
        for path in paths:
            pixels = load_image(path).colour()
            step = step_of_quality(quality)
            planes = analyse(model, pixels, step)
            packed = [pack(d[None]) for d in planes.details]
            area = pixels.shape[0] * pixels.shape[1]

            def coder(
                level: int,
                index: int,
                mean: torch.Tensor,
                chosen: torch.Tensor,
                packed: list[torch.Tensor] = packed,
                area: int = area,
                total: np.ndarray = total,
            ) -> torch.Tensor:
                channels = list(passes[index].channels)
                target = packed[level - 1][:, channels] - mean.float() / VALUE
                residual = quantise(target, chosen, costs, RATE_WEIGHT)
                reach = costs.shape[1] // 2
                bits = costs[chosen.long(), residual.clamp(-reach, reach).long() + reach].sum((0, 2, 3))
                for channel, spent in zip(channels, bits.tolist(), strict=True):
                    total[level - 1, channel // 4 % COLOURS] += spent / area / len(paths)
                return residual

            model.entropy.code_subbands(planes.low.round().int()[None], step, coder)
        rows = {f"level {d + 1}": dict(zip("YUV", total[d].round(5).tolist(), strict=True)) for d in range(LEVELS)}
        table[f"quality {quality:g}"] = {"bpp": round(float(total.sum()), 5), **rows}
        print(quality, round(float(total.sum()), 4), total.sum(1).round(4), total.sum(0).round(4))
    result = {"weights": card.hash[:12], "images": len(paths), "bits per pixel": table}
    write_results(result, out)


def cost_of_exactness(checkpoint: Path, images: Path, out: Path) -> None:
    """Bits and error of the integer entropy model against the float one it was made from, same tables and rounding."""
    from wavelic.weconvene.context_integer import STEP_UNIT, VALUE

    from wavelic.codec.weights import family
    from wavelic.images import list_images, load_image
    from wavelic.weconvene.context import LOG2_LOWEST, PER_OCTAVE, SCALES, features, level_numbers
    from wavelic.weconvene.files import step_of_quality
    from wavelic.weconvene.planes import analyse
    from wavelic.weconvene.subbands import pack, unpack
    from wavelic.weconvene.tiles import RATE_WEIGHT, quantise
    from wavelic.weconvene.weights import load_small

    model = load_small(family("weconvene")[-1])
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["objective"]
    network = model.network
    network.load_state_dict({k.removeprefix("model."): v for k, v in state.items() if ".entropy." in k}, strict=False)
    costs = torch.from_numpy(model.costs)
    passes, reach = network.entropy.passes, costs.shape[1] // 2

    def spent(residual: torch.Tensor, table: torch.Tensor) -> float:
        return float(costs[table.long(), residual.clamp(-reach, reach).long() + reach].sum(dtype=torch.float64))

    rows = []
    for quality in BAND_QUALITIES:
        sums = {"integer": [0.0, 0.0], "float": [0.0, 0.0]}
        for path in list_images(images):
            step = step_of_quality(quality)
            planes = analyse(model, load_image(path).colour(), step)
            packed = [pack(d[None]) for d in planes.details]

            def coder(
                level: int,
                index: int,
                mean: torch.Tensor,
                table: torch.Tensor,
                packed: list[torch.Tensor] = packed,
                total: list[float] = sums["integer"],
            ) -> torch.Tensor:
                offset = packed[level - 1][:, list(passes[index].channels)] - mean.float() / VALUE
                residual = quantise(offset, table, costs, RATE_WEIGHT)
                total[0] += spent(residual, table)
                total[1] += float((offset - residual).square().sum(dtype=torch.float64))
                return residual

            model.entropy.code_subbands(planes.low.round().int()[None], step, coder)
            with torch.inference_mode():
                log2_step = torch.full((1,), step / STEP_UNIT)
                parent, hidden = network.entropy.start(planes.low[None]), None
                for number in level_numbers():
                    hidden = network.entropy.context(number, parent, hidden, log2_step)
                    values, known = torch.zeros_like(packed[number - 1]), None
                    done: list[torch.Tensor] = []
                    for part, net in zip(passes, network.entropy.level(number).slices, strict=True):
                        channels = list(part.channels)
                        scale, mean = net(hidden, known)
                        scale = scale + network.entropy.base_scale(number, part.channels, log2_step)
                        table = ((scale - LOG2_LOWEST) * PER_OCTAVE).round().clamp(0, SCALES - 1)
                        offset = packed[number - 1][:, channels] - mean
                        residual = quantise(offset, table, costs, RATE_WEIGHT)
                        sums["float"][0] += spent(residual, table)
                        sums["float"][1] += float((offset - residual).square().sum(dtype=torch.float64))
                        done.append(residual + mean)
                        values[:, channels] = done[-1]
                        known = features(torch.cat(done, 1))
                    parent = unpack(values)
        bits, error = (100 * (a / b - 1) for a, b in zip(sums["integer"], sums["float"], strict=True))
        rows.append({"quality": quality, "bits_percent": round(bits, 4), "squared_error_percent": round(error, 4)})
        print(rows[-1])
    result = {"what": "integer entropy model against float, same tables and rounding", "rows": rows}
    write_results(result, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("files", "bands", "exactness"))
    parser.add_argument("names", nargs="*", default=["weconvene-s"])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="folder for results")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="final.pt of the training run, for exactness")
    arguments = parser.parse_args()
    if arguments.weights:
        os.environ["WAVELIC_WEIGHTS"] = str(arguments.weights)
    if arguments.what == "files":
        measure_files(arguments.names, arguments.images, arguments.out)
    elif arguments.what == "exactness":
        cost_of_exactness(arguments.checkpoint, arguments.images, arguments.json)
    else:
        count_bands(arguments.names[0], arguments.images, arguments.json)


if __name__ == "__main__":
    main()
