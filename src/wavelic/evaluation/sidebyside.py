"""Comparison of all codecs on one picture at one file size: files on disk, decoded from there, timed and measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wavelic.api.files import Options, decode_image, encode_image
from wavelic.codec.base import Codec
from wavelic.codec.registry import codecs
from wavelic.codec.target import Target
from wavelic.errors import MissingDependencyError, OutputError, UsageError
from wavelic.evaluation.anchors import get_anchor
from wavelic.evaluation.pictures import PictureEntry, PictureSet, match_anchor, picture_entry
from wavelic.images import from_array

Step = Callable[[int, int, str], None]
"""Called as step(done, total, what comes next)."""
QUICK = ("jpeg-420-best", "jpeg2000-default", "webp-best", "avif", "jpegxl")
"""A setting of each anchor that is good and found within seconds."""
BEST = ("jpeg-420-best", "jpeg2000", "webp-best", "avif-best", "jpegxl-best")
"""The setting of each anchor with the best PSNR; minutes for a large picture."""
EXTENSIONS = {"jpeg2000-default": ".jp2", "jpeg2000": ".j2k", "webp": ".webp", "avif": ".avif", "jpegxl": ".jxl"}


@dataclass(frozen=True)
class Rendering:
    """File of one codec, with its decode and times.

    Attributes:
        file: where it is.
        entry: decoded pixels and metrics.
        encode_s: seconds of one encode.
        decode_s: seconds of one decode.
    """

    file: Path
    entry: PictureEntry
    encode_s: float
    decode_s: float


def side_by_side(
    name: str, pixels: np.ndarray, bpp: float, folder: Path, anchors: Sequence[str], device: str, step: Step
) -> tuple[PictureSet, list[Rendering], list[str]]:
    """Code a picture with wavelic's codecs and with anchors.

    The default codec comes first and is given ``bpp``; no other file is larger than its file.

    Args:
        name: of the picture.
        pixels: uint8 (height, width, 3).
        bpp: rate of the default codec.
        folder: for the files; created.
        anchors: names of anchors.
        device: for wavelic's codecs, for instance "cpu".
        step: called as step(done, total, text) before each codec.

    Returns:
        Pictures for a report, the files, and one remark for each codec that could not take part.

    Raises:
        OutputError: the folder cannot be written.
    """
    renderings: list[Rendering] = []
    remarks: list[str] = []
    own, target = codecs(), 0
    total = len(own) + len(anchors)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for codec in own:
            step(len(renderings), total, codec.label)
            goal = Target("size", target) if target else Target("bpp", bpp)
            renderings.append(_own(codec, name, pixels, goal, folder, device))
            target = target or renderings[0].entry.bytes
        for anchor in anchors:
            step(len(renderings), total, anchor)
            try:
                renderings.append(_anchor(anchor, name, pixels, target, folder))
            except (UsageError, MissingDependencyError) as error:
                remarks.append(f"{anchor} is left out: {error}")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}); choose another folder") from error
    entries = tuple(rendering.entry for rendering in renderings)
    return PictureSet(name, pixels, target, entries), renderings, remarks


def _own(codec: Codec, name: str, pixels: np.ndarray, target: Target, folder: Path, device: str) -> Rendering:
    image, options = from_array(pixels), Options(strip=True, device=device)
    found = encode_image(image, codec.name, target, options)
    # what a user waits for: one encode at a known quality, with the weights in memory
    _, encode_s = _timed(lambda: encode_image(image, codec.name, Target("quality", found.quality), options))
    file = folder / f"{name}-{codec.name}{codec.extension}"
    setting = f"{found.model}, quality {found.quality:g}"

    def decode(data: bytes) -> np.ndarray:
        return decode_image(data, device=device).pixels

    return _written(file, codec.label, pixels, found.data, decode, setting, encode_s)


def _anchor(anchor_name: str, name: str, pixels: np.ndarray, target: int, folder: Path) -> Rendering:
    anchor = get_anchor(anchor_name)
    match = match_anchor(anchor, pixels, target)
    _, encode_s = _timed(lambda: anchor.encode(pixels, match.setting))
    extension = EXTENSIONS.get(anchor_name, EXTENSIONS.get(anchor_name.partition("-")[0], ".jpg"))
    setting = f"{anchor.parameter} {match.setting:.4g}"
    file = folder / f"{name}-{anchor_name}{extension}"
    return _written(file, anchor.label, pixels, match.data, anchor.decode, setting, encode_s)


def _written(
    file: Path,
    label: str,
    pixels: np.ndarray,
    data: bytes,
    decode: Callable[[bytes], np.ndarray],
    setting: str,
    encode_s: float,
) -> Rendering:
    file.write_bytes(data)
    stored = file.read_bytes()
    _, decode_s = _timed(lambda: decode(stored))
    return Rendering(file, picture_entry(label, pixels, stored, decode, setting), encode_s, decode_s)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return call(), time.perf_counter() - started
