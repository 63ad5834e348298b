"""Writes golden files: `python tests/golden/make.py [CODEC ...]`.  Existing files are never touched: they are promises.

For each codec and kind of image a `.wlic` file and, as PNG, the pixels its decoder showed when it was made.  A codec's
first weights have files ``v1-CODEC-KIND``, later ones ``v1-CODEC-HASH-KIND`` with the first digits of the hash that the
files name them by.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from wavelic.api.files import Options, decode_image, encode_image
from wavelic.codec.target import Target
from wavelic.container import read_container
from wavelic.images import Metadata, from_array, save_image
from wavelic.wcae.codec import FAMILIES

HERE = Path(__file__).parent
KINDS = {
    "gray": (1, np.uint8),
    "gray-alpha": (2, np.uint8),
    "rgb": (3, np.uint8),
    "rgba": (4, np.uint8),
    "rgb16": (3, np.uint16),
}


def picture(channels: int, dtype: type) -> np.ndarray:
    """61 x 83: an edge, a gradient, a disc and some noise, on the full range of ``dtype``."""
    y, x = np.mgrid[0:61, 0:83]
    random = np.random.default_rng(7)
    planes = [
        0.3 + 0.2 * (x > 20 + 9 * c) + 0.3 * y / 61 - 0.3 * (np.hypot(x - 50, y - 30) < 12 + c) for c in range(channels)
    ]
    unit = np.clip(np.stack(planes, -1) + 0.03 * random.normal(size=(61, 83, channels)), 0, 1)
    return np.rint(unit * np.iinfo(dtype).max).astype(dtype)


def dotted() -> np.ndarray:
    """Single black pixels on white, far from each other."""
    pixels = np.full((61, 83, 3), 255, np.uint8)
    pixels[9::16, 5::17] = 0
    return pixels


def stem(codec: str, data: bytes) -> str:
    """``v1-CODEC``, with the weights' hash if ``v1-CODEC-rgb`` has other ones."""
    first = HERE / f"v1-{codec}-rgb.wlic"
    model = read_container(data).header.model
    if not first.exists() or read_container(first.read_bytes()).header.model == model:
        return f"v1-{codec}"
    return f"v1-{codec}-{model.hex()[:8]}"


def write(codec: str, kind: str, data: bytes) -> None:
    """The file and what it shows, if there is none yet."""
    path = HERE / f"{stem(codec, data)}-{kind}.wlic"
    if not path.exists():
        path.write_bytes(data)
        save_image(decode_image(data), path.with_suffix(".png"))
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")


def weconvene() -> None:
    """Each kind, several tiles, dots that are not coded sparsely, a plain picture; and one with MS-SSIM's weights."""
    from wavelic.codec.weights import family
    from wavelic.weconvene.config import FAMILIES as FAMILIES_BY_TUNE
    from wavelic.weconvene.files import Encoding, step_of_quality
    from wavelic.weconvene.layout import COLOURS
    from wavelic.weconvene.tile_reader import SPARSE
    from wavelic.weconvene.weights import load_model

    model = load_model(family("weconvene")[-1])
    for kind, (channels, dtype) in {**KINDS, "rgb-tiles": (3, np.uint8)}.items():
        pixels = picture(channels, dtype)
        metadata = Metadata(exif=b"II*\0\x08\0\0\0\0\0") if kind == "rgb" else Metadata()
        if kind == "rgb-tiles":
            pixels = np.tile(pixels, (3, 3, 1))
        encoding = Encoding(from_array(pixels, metadata), model, tile=128 if kind == "rgb-tiles" else 1024)
        write("weconvene", kind, encoding.file(step_of_quality(60)))
    dots = Encoding(from_array(dotted()), model).file(step_of_quality(50))
    assert read_container(dots).tiles[0][0] < SPARSE
    write("weconvene", "dots", dots)
    blank = Encoding(from_array(np.full((61, 83, 3), 90, np.uint8)), model).file(step_of_quality(50))
    assert read_container(blank).tiles[0][COLOURS] == 0
    write("weconvene", "blank", blank)
    tuned = load_model(family(FAMILIES_BY_TUNE["msssim"])[-1])
    write("weconvene", "rgb", Encoding(from_array(picture(*KINDS["rgb"])), tuned).file(step_of_quality(60)))


def bilevel() -> None:
    """Both methods that matter: T.6 for a drawing, PNG for a checkerboard, with alpha."""
    y, x = np.mgrid[0:61, 0:83]
    drawing = np.where(np.hypot(x - 40, y - 30) < 24, 255, 0).astype(np.uint8)
    board = np.stack([(x + y) % 2 * 255, x], -1).astype(np.uint8)
    for kind, pixels in (("drawing", drawing), ("board-alpha", board)):
        write("bilevel", kind, encode_image(from_array(pixels)).data)


def threedm() -> None:
    """Each kind, and one in several tiles."""
    from wavelic.codec.weights import family
    from wavelic.threedm.files import TILE, Encoding, rate_of_quality
    from wavelic.threedm.weights import load_model

    model = load_model(family("3dm")[-1])
    for kind, (channels, dtype) in {**KINDS, "rgb-tiles": (3, np.uint8)}.items():
        pixels = picture(channels, dtype)
        metadata = Metadata(exif=b"II*\0\x08\0\0\0\0\0") if kind == "rgb" else Metadata()
        if kind == "rgb-tiles":
            pixels = np.tile(pixels, (3, 2, 1))
        encoding = Encoding(from_array(pixels, metadata), model, tile=128 if kind == "rgb-tiles" else TILE)
        write("3dm", kind, encoding.file(rate_of_quality(60)))


def lifting() -> None:
    """Each kind, with three layers; always with the hash of the weights in the name.

    Files without ``range`` in their names are from when a tenth of the codes was headroom.
    """
    from wavelic.lifting.cards import PRODUCT, find_lifting

    model = find_lifting(PRODUCT).hash[:8]
    for kind, (channels, dtype) in KINDS.items():
        path = HERE / f"v1-lifting-{model}-range-{kind}.jp2"
        if path.exists():
            continue
        metadata = Metadata(exif=b"II*\0\x08\0\0\0\0\0") if kind == "rgb" else Metadata()
        options = Options(layers=3, access="windows" if kind == "rgba" else "whole")
        encoded = encode_image(
            from_array(picture(channels, dtype), metadata), "lifting", Target("quality", 70), options
        )
        path.write_bytes(encoded.data)
        save_image(decode_image(path.read_bytes()), path.with_suffix(".png"))
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")


def jp2() -> None:
    """Each kind with layers, and one without loss in tiles."""
    for kind, (channels, dtype) in {**KINDS, "rgba-lossless": (4, np.uint8)}.items():
        path = HERE / f"v1-jp2-{kind}.jp2"
        if path.exists():
            continue
        lossless = kind.endswith("lossless")
        options = Options(lossless=lossless, tile_size=64 if lossless else None, layers=3, resync=kind == "rgb16")
        target = None if lossless else Target("quality", 70)
        path.write_bytes(encode_image(from_array(picture(channels, dtype)), "jp2", target, options).data)
        save_image(decode_image(path.read_bytes()), path.with_suffix(".png"))
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")


def main() -> None:
    families = [codec.name for codec in FAMILIES]
    asked = sys.argv[1:] or families
    if "weconvene" in asked:
        weconvene()
    if "bilevel" in asked:
        bilevel()
    if "3dm" in asked:
        threedm()
    if "lifting" in asked:
        lifting()
    if "jp2" in asked:
        jp2()
    for codec in (codec for codec in families if codec in asked):
        for kind, (channels, dtype) in KINDS.items():
            for mode in ("", "-published") if kind == "rgb" else ("",):
                metadata = Metadata(exif=b"II*\0\x08\0\0\0\0\0") if kind == "rgb" else Metadata()
                image = from_array(picture(channels, dtype), metadata)
                options = Options(published=bool(mode))
                write(codec, f"{kind}{mode}", encode_image(image, codec, Target("quality", 60), options).data)


if __name__ == "__main__":
    main()
