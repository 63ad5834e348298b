"""What enhanced decoding gains on pictures that libopenjp2 coded.

    python -m benchmarks.studies.enhance_kodak PICTURES [-j 2]        # results/enhance/kodak-97.json, kodak-53.json

Every picture is coded once with layers of 0.1 to 1 bits per pixel, plainly (one tile, code-blocks of 64 x 64, five
levels), and each layer is decoded plainly and enhanced.  The files keep for every picture and layer the bits per pixel
of the layer, PSNR in RGB and MS-SSIM of both, and in sum: Bjontegaard deltas of the rate, the mean gain in dB, and the
least gain of any picture at any layer.  Kodak pictures are for this table only; nothing was chosen by it.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import wavelic
from benchmarks.measuring import RESULTS
from wavelic.enhance.catalogue import find_enhance
from wavelic.evaluation.bd import bd_rate
from wavelic.evaluation.metrics import ms_ssim_rgb, psnr_rgb, to_db
from wavelic.evaluation.pixels import load_rgb
from wavelic.images import list_images
from wavelic.jpeg2000 import EncodeOptions, encode_codestream, layer_sizes

RATES = (0.1, 0.15, 0.25, 0.4, 0.6, 1.0)


def measure(path: Path, reversible: bool) -> dict[str, Any]:
    """Code one picture and decode all of its layers both ways."""
    import torch

    torch.set_num_threads(1)
    pixels = load_rgb(path)
    area = pixels.shape[0] * pixels.shape[1]
    options = EncodeOptions(
        reversible=reversible, colour_transform=True, layer_bytes=[round(rate * area / 8) for rate in RATES]
    )
    codestream = encode_codestream([pixels[..., index] for index in range(3)], 8, options)
    file = wavelic.open(codestream)
    rows = []
    for layer, size in enumerate(layer_sizes(codestream), 1):
        row = {"bpp": 8 * size / area}
        for name, enhance in (("plain", False), ("enhanced", True)):
            found = file.read(layers=layer, enhance=enhance)
            row |= {f"psnr_{name}": psnr_rgb(pixels, found), f"ms_ssim_{name}": ms_ssim_rgb(pixels, found)}
        rows.append(row)
    return {"picture": path.stem, "layers": rows}


def summary(pictures: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean deltas over the pictures, and the least gain of all."""
    deltas: dict[str, list[float]] = {"psnr": [], "ms_ssim": []}
    gains = np.array([[row["psnr_enhanced"] - row["psnr_plain"] for row in one["layers"]] for one in pictures])
    for one in pictures:
        rate = [row["bpp"] for row in one["layers"]]
        for metric, found in deltas.items():
            curves = [[row[f"{metric}_{name}"] for row in one["layers"]] for name in ("plain", "enhanced")]
            if metric == "ms_ssim":
                curves = [[to_db(value) for value in curve] for curve in curves]
            found.append(bd_rate(rate, curves[0], rate, curves[1]).value)
    return {
        "bd_rate_psnr_rgb": float(np.mean(deltas["psnr"])),
        "bd_rate_ms_ssim": float(np.mean(deltas["ms_ssim"])),
        "gain_db": dict(zip(map(str, RATES), gains.mean(0).tolist(), strict=True)),
        "least_gain_db": float(gains.min()),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="folder of RGB pictures of 8 bits")
    parser.add_argument("-j", type=int, default=1, help="processes")
    options = parser.parse_args()
    paths = list_images(options.pictures)
    card = find_enhance()
    for name, reversible in (("kodak-97", False), ("kodak-53", True)):
        with ProcessPoolExecutor(options.j) as pool:
            pictures = list(pool.map(partial(measure, reversible=reversible), paths))
        head = {"weights": card.hash[:16], "wavelet": "5/3" if reversible else "9/7", "pictures": len(pictures)}
        result = json.loads(
            json.dumps(head | summary(pictures) | {"rows": pictures}),
            parse_float=lambda text: round(float(text), 4),
        )
        out = RESULTS / "enhance" / f"{name}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        lines = ",\n  ".join(json.dumps(row) for row in result.pop("rows"))
        out.write_text(json.dumps(result, indent=1)[:-2] + ',\n "rows": [\n  ' + lines + "\n ]\n}\n")
        print(name, json.dumps({key: value for key, value in result.items() if key != "gain_db"}))


if __name__ == "__main__":
    main()
