"""Training examples: crops coded by libopenjp2, with what their packet headers tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wavelic.enhance.knowledge import TileKnowledge
from wavelic.enhance.level import Area, LevelInput, Span, batched, level_input
from wavelic.enhance.signals import Signals
from wavelic.jpeg2000 import EncodeOptions, parse_main_header
from wavelic.jpeg2000.code_blocks import TilePackets, tiles_of
from wavelic.jpeg2000.encode import encode_filled
from wavelic.jpeg2000.quantisers import quantisers
from wavelic.wavelets import dwt2

#: Wavelet levels of the codestreams.
LEVELS = 5
#: Bytes of a codestream's headers, which do not count as its rate.
_HEADERS = 120


@dataclass(frozen=True)
class Coding:
    """How a crop is coded.

    Attributes:
        rates: bits per pixel of its quality layers, rising.
        reversible: with 5/3, else 9/7.
        gray: only luma.
        block: side of the code-blocks.
        bits: per sample.
    """

    rates: tuple[float, ...]
    reversible: bool = False
    gray: bool = False
    block: int = 64
    bits: int = 8


@dataclass(frozen=True)
class Examples:
    """Decoded crops, batched.

    Attributes:
        levels: inputs of every level, the finest first.
        signals: decoded signals, (N, 3, ...): the image, and its low bands to the coarsest.
        wavelet: "9/7" or "5/3".
    """

    levels: tuple[LevelInput, ...]
    signals: tuple[Tensor, ...]
    wavelet: str


def components_of(pixels: NDArray[np.integer], coding: Coding) -> list[NDArray[np.integer]]:
    """Planes that are coded: of RGB pixels (H, W, 3) red, green and blue, or luma alone."""
    if not coding.gray:
        return [pixels[..., index] for index in range(3)]
    return [np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(pixels.dtype)]


def coded(pixels: NDArray[np.integer], coding: Coding) -> bytes:
    """Code a crop (H, W, 3) with libopenjp2 at the rates of its layers.

    Samples may lie outside the range of `Coding.bits` by as much as libopenjp2 takes.
    """
    area = pixels.shape[0] * pixels.shape[1]
    sizes: list[int] = []
    for rate in coding.rates:  # ascending; two that are nearly equal differ by a byte
        sizes.append(max(round(rate * area / 8) + _HEADERS, sizes[-1] + 1 if sizes else 0))
    options = EncodeOptions(
        reversible=coding.reversible,
        colour_transform=not coding.gray,
        levels=LEVELS,
        layer_bytes=sizes,
        code_block=(coding.block, coding.block),
        packet_lengths=False,
    )
    planes = components_of(pixels, coding)

    def fill(targets: Sequence[NDArray[np.int32]]) -> None:
        for target, plane in zip(targets, planes, strict=True):
            target[...] = plane

    return encode_filled(planes[0].shape, len(planes), coding.bits, fill, options)


def decoded(codestream: bytes, layers: int) -> Examples:
    """Decode layers of a single-tile codestream at the origin into one example."""
    header = parse_main_header(codestream)
    signals = Signals.of(codestream, header, layers)
    area: Area = (Span(0, header.height), Span(0, header.width))
    signal = signals.components(signals.read(0, area))
    (tile,) = tiles_of(header)
    blocks = TilePackets.of(codestream, header).code_blocks(tile, layers)
    knowledge = TileKnowledge(header, quantisers(codestream, header), blocks)
    wavelet = knowledge.wavelet
    inputs, lows = [], [_three(signal.float())]
    for level in range(1, header.levels + 1):
        split = dwt2(signal, wavelet, 1, "reversible" if signals.reversible else "jpeg2000")
        inputs.append(level_input(split.levels[0], split.low, area, knowledge, tuple(range(len(signal))), level))
        signal, area = split.low, (area[0].band(False), area[1].band(False))
        lows.append(_three(signal.float()))
    return Examples(tuple(inputs), tuple(lows), wavelet)


def _three(signal: Tensor) -> Tensor:
    """(1, 3, h, w) of one or three components."""
    if signal.shape[0] == 1:
        signal = torch.cat((signal, torch.zeros_like(signal).repeat(2, 1, 1)))
    return signal[None]


def joined(examples: list[Examples]) -> Examples:
    """Batch examples of one size and wavelet."""
    levels = tuple(batched([one.levels[index] for one in examples]) for index in range(len(examples[0].levels)))
    count = len(examples[0].signals)
    signals = tuple(torch.cat([one.signals[index] for one in examples]) for index in range(count))
    return Examples(levels, signals, examples[0].wavelet)
