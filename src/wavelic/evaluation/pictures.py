"""Pictures coded by several codecs to the same file size, for looking at them side by side.

Equal file size, not equal setting: quality 50 means something else in every codec.
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
    """The setting found by `match_size` and the file it gives."""

    setting: float
    data: bytes


@dataclass(frozen=True)
class PictureEntry:
    """One codec's rendering: decoded uint8 pixels (height, width, 3), file size, PSNR in dB, MS-SSIM in -1..1."""

    label: str
    bytes: int
    pixels: np.ndarray
    psnr_rgb: float
    ms_ssim_rgb: float
    setting: str = ""


@dataclass(frozen=True)
class PictureSet:
    """One original, uint8 (height, width, 3), and its renderings at nearly `target_bytes`."""

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
    """The finest setting whose file is not above `target_bytes`, by bisection.

    Parameters
    ----------
    encode
        Setting -> file.  Sizes must not fall from coarse to fine settings; small ripples only cost a little size.
    target_bytes
        Upper bound of the file size.
    settings
        The settings to choose from, coarsest first; or:
    span
        (coarsest, finest) ends of a continuous setting.  A span over more than a decade is halved geometrically.
    integer
        With `span`: only whole numbers.
    evaluations
        With a continuous `span`: encodings tried at most.

    Raises
    ------
    UsageError
        The coarsest setting is already above the target, or neither or both of `settings` and `span` are given.
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
    """`match_size` over the whole range of an anchor's parameter."""
    return match_size(
        lambda setting: anchor.encode(pixels, setting),
        target_bytes,
        span=(anchor.coarsest, anchor.finest),
        integer=anchor.integer,
    )


def picture_entry(
    label: str, original: np.ndarray, data: bytes, decode: Callable[[bytes], np.ndarray], setting: str = ""
) -> PictureEntry:
    """Decode a file and measure it against the original."""
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
    """A picture coded by every anchor to `target_bytes`; entries in `more` (wavelic's own) come first.

    An anchor that cannot make a file that small is left out.
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
    """Bits per pixel of an entry."""
    return bits_per_pixel(entry.bytes, entry.pixels.shape[1], entry.pixels.shape[0])
