"""Codestreams to enhance, and a network that changes much."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

from wavelic.codec.weights import save_weights
from wavelic.enhance.config import CONFIGS, Config
from wavelic.enhance.network import Network
from wavelic.enhance.reading import Reader
from wavelic.jpeg2000 import EncodeOptions, decode_codestream, encode_codestream, parse_main_header

SMALL = Config(8, 2, 4)


def random_network(config: Config = SMALL) -> Network:
    """A network with random weights, whose corrections fill the intervals they are kept in."""
    torch.manual_seed(0)
    network = Network(config)
    nn.init.normal_(network.leave.weight, std=0.3)
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]


def save_random_weights(folder: Path) -> None:
    """Write random weights of the shipped sizes: of ordinary JPEG 2000, and of codec lifting."""
    for name, config in CONFIGS.items():
        tensors = {key: value.half().numpy() for key, value in random_network(config).state_dict().items()}
        save_weights(folder, name, name, "enhance", 0, tensors, {})


def random_weights(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For a fixture: a folder with `save_random_weights`, which are the installed ones meanwhile."""
    folder = factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAVELIC_WEIGHTS", str(folder))
        save_random_weights(folder)
        yield folder


def coded(pixels: np.ndarray, rates: tuple[float, ...] = (0.5, 1.5), *, reversible: bool = False, **options) -> bytes:
    """Code (H, W, 1 or 3) in layers of so many bits per pixel; rate 0 stands for everything."""
    height, width, channels = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    layers = [round(rate * height * width / 8) or None for rate in rates]
    coding = EncodeOptions(reversible=reversible, colour_transform=channels == 3, layer_bytes=layers, **options)
    return encode_codestream([pixels[..., index] for index in range(channels)], bits, coding)


def coded_in_tiles(pixels: np.ndarray, tile: tuple[int, int], *, reversible: bool) -> bytes:
    """Code RGB in tiles and two layers."""
    out = io.BytesIO()
    image = PIL.Image.fromarray(pixels)
    options = {"no_jp2": True, "quality_mode": "rates", "quality_layers": [60, 20], "num_resolutions": 4}
    image.save(out, "JPEG2000", irreversible=not reversible, tile_size=tile, **options)
    return out.getvalue()


def plain(codestream: bytes, layers: int | None = None, reduce: int = 0) -> np.ndarray:
    """What libopenjp2 gives, (components, H, W)."""
    return np.stack(decode_codestream(codestream, max_layers=layers, reduce=reduce).planes)


def reader(codestream: bytes, network: Network | None = None, layers: int | None = None) -> Reader:
    """A reader of so many layers; None for all."""
    header = parse_main_header(codestream)
    network = random_network() if network is None else network
    return Reader(codestream, header, network, layers or header.layers)
