"""Measures lifting transforms on a folder of images with the real coder, and keeps every row.

    python -m benchmarks.studies.lifting_results luma DIR 9/7 5/3 lifting       # results/lifting/kodak-luma-*.json
    python -m benchmarks.studies.lifting_results rgb DIR 9/7 lifting            # results/lifting/kodak-rgb-*.json
    python -m benchmarks.studies.lifting_results luma DIR 9/7+enhance lifting+enhance

One encode per image, of high quality and in 12 layers up to 2 bits per pixel; lower rates are the same file with layers
dropped (`wavelic trim`).  The three transforms go through the same coder with the same layers.  "luma" codes the 8-bit
luma of BT.601 as a grey file; "rgb" codes the picture.  Rates count whole files.  A transform is "9/7", "5/3", or the
name of installed weights; with "+enhance" the same files are decoded with the network of enhanced decoding.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_msssim import ms_ssim, ssim

from benchmarks.measuring import RESULTS
from benchmarks.pictures import luma, psnr
from wavelic.enhance.catalogue import find_enhance
from wavelic.enhance.weights import load_network
from wavelic.evaluation.metrics import ms_ssim_rgb, psnr_rgb, psnr_y
from wavelic.evaluation.results import Row, curve_from_rows, write_curve
from wavelic.evaluation.runner import environment
from wavelic.images import list_images, load_image
from wavelic.jpeg2000 import EncodeOptions, decode_codestream
from wavelic.lifting.cards import find_lifting, lifting_id
from wavelic.lifting.jp2 import synthesis
from wavelic.lifting.jp2.opening import open_jp2, trim_jp2
from wavelic.lifting.jp2.pseudo_image import encode_coefficients
from wavelic.lifting.jp2.samples import to_components
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting

LAYERS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.4, 2.0)  # bpp
STOCK = LAYERS.index(1.0)
BASES = {"9/7": "CDF-9/7", "5/3": "LeGall-5/3"}
ENHANCE = "+enhance"
LABELS = {"9/7": "JPEG 2000 9/7, layers dropped", "5/3": "JPEG 2000 5/3, layers dropped"}
LABELS |= {"lifting+enhance": "Learned lifting, enhanced", "9/7+enhance": "JPEG 2000 9/7, layers dropped, enhanced"}


@dataclass(frozen=True)
class Point:
    """One image at one layer; luma metrics of 8-bit pictures; stock_psnr: of what a stock viewer shows."""

    image: str
    layer: int
    bytes: int
    bpp: float
    psnr: float
    ssim: float
    ms_ssim: float
    stock_psnr: float


def transform_of(name: str) -> tuple[LiftingTransform, bytes]:
    """The transform and the identity its files carry."""
    name = name.removesuffix(ENHANCE)
    if name in BASES:
        return build_lifting(BASES[name]), bytes(8)
    return load_lifting(name), lifting_id(find_lifting(name))


@torch.no_grad()
def encode(pixels: NDArray[np.uint8], transform: LiftingTransform, model: bytes) -> bytes:
    """The file with all layers."""
    coefficients = transform.analysis(to_components(pixels, transform.base), 5)
    samples = pixels.shape[0] * pixels.shape[1]
    options = EncodeOptions(layer_bytes=[int(rate * samples / 8) for rate in LAYERS])
    return encode_coefficients(coefficients, 8, options, model=model)


def stock_view(data: bytes) -> NDArray[np.uint8]:
    """What a viewer without wavelic shows once the bit depth and the headroom are undone."""
    file = open_jp2(data)
    planes = np.stack(decode_codestream(file.jp2.codestream).planes, -1)
    return np.clip(np.rint((planes - file.box.offset) / file.box.scale * 255), 0, 255).astype(np.uint8)


def layers(
    pixels: NDArray[np.uint8], name: str, kept: tuple[int, ...]
) -> Iterator[tuple[int, bytes, NDArray[np.uint8], float]]:
    """Layer, its file, the decoded picture, seconds of decoding."""
    transform, model = transform_of(name)
    data = encode(pixels, transform, model)
    learned = None if name.removesuffix(ENHANCE) in BASES else transform
    for layer in kept:
        file = open_jp2(part := trim_jp2(data, max_layers=layer + 1))
        network = load_network(find_enhance(file.network_name)) if name.endswith(ENHANCE) else None
        started = time.perf_counter()
        decoded = synthesis.read(file.enhanced(network is not None), learned, network=network)
        yield layer, part, decoded.astype(np.uint8), time.perf_counter() - started


def measure_luma(name: str, pixels: NDArray[np.uint8], image: str) -> list[Point]:
    """All layers up to 1 bit per pixel."""
    grey, points = luma(pixels), []
    for layer, data, decoded, _ in layers(grey, name, tuple(range(STOCK + 1))):
        a, b = (torch.from_numpy(x.astype(np.float32)).permute(2, 0, 1)[None] for x in (grey, decoded))
        stock = psnr(grey, stock_view(data)) if layer == STOCK else math.nan
        similar = float(ssim(a, b, data_range=255)), float(ms_ssim(a, b, data_range=255))
        points.append(
            Point(image, layer + 1, len(data), 8 * len(data) / grey.size, psnr(grey, decoded), *similar, stock)
        )
    return points


def measure_rgb(name: str, pixels: NDArray[np.uint8], image: str) -> tuple[list[Row], float]:
    """Six layers, and the PSNR over RGB of a stock viewer's picture at 1 bit per pixel."""
    rows, stock = [], math.nan
    for layer, data, decoded, seconds in layers(pixels, name, (0, 1, 3, 5, 7, 9)):
        height, width = pixels.shape[:2]
        quality = psnr_rgb(pixels, decoded), psnr_y(pixels, decoded), ms_ssim_rgb(pixels, decoded)
        rows.append(Row(image, LAYERS[layer], len(data), width, height, *quality, math.nan, seconds))
        if layer == STOCK:
            stock = psnr_rgb(pixels, stock_view(data))
    return rows, stock


def means(points: list[Point]) -> dict[str, list[float]]:
    """Means over images, a value per layer; the PSNR of stock viewers at 1 bit per pixel."""
    numbers = sorted({point.layer for point in points})
    result: dict[str, list[float]] = {}
    for key in ("bpp", "psnr", "ssim", "ms_ssim"):
        result[key] = [float(np.mean([getattr(p, key) for p in points if p.layer == n])) for n in numbers]
    result["stock_psnr"] = [float(np.nanmean([p.stock_psnr for p in points if p.layer == STOCK + 1]))]
    return {key: [round(value, 6) for value in values] for key, values in result.items()}


def main() -> None:
    """Measure and write; a file that exists is measured again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("luma", "rgb"))
    parser.add_argument("folder", type=Path, help="photographs")
    parser.add_argument("names", nargs="+", metavar="TRANSFORM", help="9/7, 5/3, or the name of installed weights")
    options = parser.parse_args()
    mode, folder, names = options.mode, options.folder, options.names
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    images = [(path.stem, load_image(path).colour().astype(np.uint8)) for path in list_images(folder)]
    for name in names:
        identity = transform_of(name)[1].hex()
        stem = f"{folder.name}-{mode}-{name.replace('/', '').replace('+', '-')}"
        out = RESULTS / "lifting" / f"{stem}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        if mode == "luma":
            points = []
            for stem_, pixels in images:
                points += measure_luma(name, pixels, stem_)
                print(name, stem_, round(points[-1].psnr, 2), file=sys.stderr)
            rows = [
                [p if not isinstance(p, float) else round(p, 6) for p in asdict(point).values()] for point in points
            ]
            head = {"transform": name, "model": identity, "layers": LAYERS, "environment": environment()}
            body = {"means": means(points), "columns": list(Point.__dataclass_fields__)}
            lines = ",\n  ".join(json.dumps(row).replace("NaN", "null") for row in rows)
            text = json.dumps(head | body, indent=1)[:-2] + ',\n "rows": [\n  ' + lines + "\n ]\n}\n"
            out.write_text(text)
        else:
            collected, stock = [], []
            for stem_, pixels in images:
                rows_, seen = measure_rgb(name, pixels, stem_)
                collected += rows_
                stock.append(seen)
                print(name, stem_, round(rows_[-1].psnr_rgb, 2), file=sys.stderr)
            label = LABELS.get(name, "Learned lifting")
            description = f"{label}; model {identity}; stock viewer at 1 bpp {np.mean(stock):.3f} dB RGB"
            curve = curve_from_rows(
                f"{'jpeg2000' if name[0].isdigit() else 'lifting'}-{name.replace('/', '').replace('+', '-')}",
                label,
                description,
                collected,
                parameter="layer rate",
                dataset=folder.name,
                environment=environment(),
            )
            write_curve(out, curve)


if __name__ == "__main__":
    main()
