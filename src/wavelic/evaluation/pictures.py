"""Pictures coded by several codecs to one file size, to be looked at side by side.

File sizes are equal, not settings: quality 50 means something else in every codec.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wavelic.errors import UsageError
from wavelic.evaluation.anchors import Anchor
from wavelic.evaluation.metrics import bits_per_pixel, ms_ssim_rgb, psnr_rgb


@dataclass(frozen=True)
class Match:
    """Setting that `match_size` found, and the file it gives.

    Attributes:
        setting: the setting.
        data: the file.
    """

    setting: float
    data: bytes


@dataclass(frozen=True)
class PictureEntry:
    """Picture decoded from one codec's file.

    Attributes:
        label: of the codec.
        bytes: size of the file.
        pixels: decoded, uint8 (height, width, 3).
        psnr_rgb: dB.
        ms_ssim_rgb: in -1..1, `nan` for small pictures.
        setting: in words.
    """

    label: str
    bytes: int
    pixels: np.ndarray
    psnr_rgb: float
    ms_ssim_rgb: float
    setting: str = ""


@dataclass(frozen=True)
class PictureSet:
    """Original picture and its decodes from files of nearly equal size.

    Attributes:
        name: of the picture.
        original: uint8 (height, width, 3).
        target_bytes: size that no file exceeds.
        entries: one for each codec.
    """

    name: str
    original: np.ndarray
    target_bytes: int
    entries: tuple[PictureEntry, ...]


def match_size(
    encode: Callable[[float], bytes],
    target_bytes: int,
    *,
    settings: Sequence[float] | None = None,
    span: tuple[float, float] | None = None,
    integer: bool = False,
    evaluations: int = 16,
) -> Match:
    """Find the finest setting whose file is not above a size, by bisection.

    Args:
        encode: maps a setting to a file.  Sizes must not fall from coarse to fine settings; small ripples only cost a
            little size.
        target_bytes: upper bound of the file size.
        settings: the settings to choose from, coarsest first; this or ``span``.
        span: (coarsest, finest) ends of a continuous setting.  A span over more than a decade is halved geometrically.
        integer: with ``span``, try whole numbers only.
        evaluations: with a continuous ``span``, encodings tried at most.

    Returns:
        The setting and its file.

    Raises:
        UsageError: the coarsest setting is already above the target, or neither or both of ``settings`` and ``span``
            are given.
    """
    if (settings is None) == (span is None):
        raise UsageError("match_size needs either settings or span, got both or neither; give one")
    if span is not None and integer:
        low, high = round(span[0]), round(span[1])
        step = 1 if high >= low else -1
        settings = range(low, high + step, step)
    coarsest = settings[0] if settings is not None else span[0]  # type: ignore[index]
    best = Match(coarsest, encode(coarsest))
    if len(best.data) > target_bytes:
        raise UsageError(
            f"smallest file is {len(best.data)} bytes at {coarsest:g}, target is {target_bytes}; raise the target"
        )
    if settings is not None:
        return _match_list(encode, target_bytes, settings, best)
    assert span is not None
    return _match_span(encode, target_bytes, span, best, evaluations)


def _match_list(encode: Callable[[float], bytes], target: int, settings: Sequence[float], best: Match) -> Match:
    low, high = 0, len(settings)
    while high - low > 1:
        middle = (low + high) // 2
        data = encode(settings[middle])
        if len(data) <= target:
            low, best = middle, Match(settings[middle], data)
        else:
            high = middle
    return best


def _match_span(
    encode: Callable[[float], bytes], target: int, span: tuple[float, float], best: Match, evaluations: int
) -> Match:
    coarse, fine = span
    finest = encode(fine)
    if len(finest) <= target:
        return Match(fine, finest)
    geometric = min(span) > 0 and max(span) / min(span) > 10
    for _ in range(evaluations - 2):
        middle = math.sqrt(coarse * fine) if geometric else (coarse + fine) / 2
        data = encode(middle)
        if len(data) <= target:
            coarse = middle
            if len(data) >= len(best.data):
                best = Match(middle, data)
        else:
            fine = middle
        if target - len(best.data) <= target // 1000:
            break
    return best


def match_anchor(anchor: Anchor, pixels: np.ndarray, target_bytes: int) -> Match:
    """Run `match_size` over the whole range of an anchor's parameter.

    Args:
        anchor: the codec.
        pixels: uint8 (height, width, 3).
        target_bytes: upper bound of the file size.

    Returns:
        The setting and its file.

    Raises:
        UsageError: the anchor cannot make a file that small.
    """
    return match_size(
        lambda setting: anchor.encode(pixels, setting),
        target_bytes,
        span=(anchor.coarsest, anchor.finest),
        integer=anchor.integer,
    )


def picture_entry(
    label: str, original: np.ndarray, data: bytes, decode: Callable[[bytes], np.ndarray], setting: str = ""
) -> PictureEntry:
    """Decode a file and measure it against the original.

    Args:
        label: of the codec.
        original: uint8 (height, width, 3).
        data: the file.
        decode: maps the file to pixels.
        setting: in words.

    Returns:
        The entry.
    """
    decoded = decode(data)
    return PictureEntry(label, len(data), decoded, psnr_rgb(original, decoded), ms_ssim_rgb(original, decoded), setting)


def anchor_pictures(
    name: str,
    original: np.ndarray,
    target_bytes: int,
    anchors: Sequence[Anchor],
    more: Sequence[PictureEntry] = (),
    progress: Callable[[str], None] | None = None,
) -> PictureSet:
    """Code a picture with several anchors to one size; an anchor that cannot make a file that small is left out.

    Args:
        name: of the picture.
        original: uint8 (height, width, 3).
        target_bytes: upper bound of every file.
        anchors: the codecs.
        more: entries that come first, for instance wavelic's own.
        progress: called with a line of text before each anchor.

    Returns:
        The pictures.
    """
    entries = list(more)
    for anchor in anchors:
        if progress is not None:
            progress(f"{name}  {anchor.label}")
        try:
            match = match_anchor(anchor, original, target_bytes)
        except UsageError:
            continue
        setting = f"{anchor.parameter} {match.setting:.4g}"
        entries.append(picture_entry(anchor.label, original, match.data, anchor.decode, setting))
    return PictureSet(name, original, target_bytes, tuple(entries))


def bpp_of(entry: PictureEntry) -> float:
    """Rate of an entry.

    Args:
        entry: a decoded picture and its file size.

    Returns:
        Bits per pixel.
    """
    return bits_per_pixel(entry.bytes, entry.pixels.shape[1], entry.pixels.shape[0])
