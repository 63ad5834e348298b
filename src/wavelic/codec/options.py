"""What an encoder is told and what it returns, for every codec."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import UsageError

Progress = Callable[[int, int], None]
Access = Literal["whole", "windows"]
#: What weights are trained for: squared error, or MS-SSIM (Wang, Simoncelli and Bovik, 2003).
Tune = Literal["psnr", "msssim"]
_TUNES: tuple[Tune, ...] = ("psnr", "msssim")
_ACCESSES: tuple[Access, ...] = ("whole", "windows")
Strip = Literal["all", "gps"]
Learned = Literal["all", "luma", "none"]
_LEARNED: tuple[Learned, ...] = ("all", "luma", "none")
MAX_LAYERS = 64
MAX_EFFORT = 9
#: Options of every codec; which of the others it takes is for each codec to say (`Codec.options`).
COMMON = frozenset({"strip", "strip_gps", "device", "progress"})
_PSNR_SAMPLES = 1 << 22


@dataclass(frozen=True)
class Options:
    """How to encode.  The values are checked here; whether a codec takes them, in `registry.check_options`.

    Attributes:
        strip: leave out ICC, Exif, XMP, IPTC and resolution.
        strip_gps: leave out the position in Exif and XMP.
        published: entropy-code and pad as the WCAE paper does (histogram in the stream, zeros at the edges).
        device: where the network runs, a torch device.
        progress: called as ``progress(done, total)`` with windows of the analysis.
        layers: how many quality layers, or the bits per pixel of each, ascending; None: as many as the size is worth.
        access: "windows" arranges the file so that a window needs few of its bytes: codecs lifting and jp2 in
            precincts, weconvene and 3dm in small tiles.
        effort: 1 .. 9 (smallest files, slowest); None: the codec's default.  Files decode alike.
        tune: codec weconvene: what its weights were trained for, "psnr" or "msssim" (MS-SSIM).  Files decode alike.
        lossless: every sample comes back; there is no target then.
        tile_size: side of independent tiles in pixels, for readers that want them; None: one tile, which codes better
            and whose windows can be read alone as well.
        resync: codec jp2: markers around every packet (SOP, EPH), by which some decoders get past damage.
        enhance: codecs jp2 and lifting: say in the file that it is meant to be decoded with what a network estimates of
            its coefficients.
        learned: codec lifting: which components have learned steps: "all", "luma" alone, or "none".  Other software
            undoes none of them: the fewer there are, the more the picture it shows is like ours.
    """

    strip: bool = False
    published: bool = False
    device: str = "cpu"
    progress: Progress | None = None
    layers: int | tuple[float, ...] | None = None
    access: Access = "whole"
    strip_gps: bool = False
    effort: int | None = None
    lossless: bool = False
    tile_size: int | None = None
    resync: bool = False
    enhance: bool = False
    learned: Learned = "all"
    tune: Tune = "psnr"

    def __post_init__(self) -> None:
        check_effort(self.effort)
        check_access(self.access)
        check_tune(self.tune)
        check_layers_asked(self.layers)


@dataclass(frozen=True)
class Encoded:
    """A compressed file and how it came about.

    Attributes:
        data: the file.
        model: name of the weights, "none" without learned steps.
        quality: where on 0..100 it lies.
        note: one line on how well a bpp, PSNR or size target was met, and on options that changed nothing; else empty.
        codec: which made it; filled in by `wavelic.api.files.encode_image`.
    """

    data: bytes
    model: str
    quality: float
    note: str
    codec: str = ""


def check_access(name: str) -> Access:
    """``name`` if it is an access, else UsageError."""
    for access in _ACCESSES:
        if name == access:
            return access
    raise UsageError(f"access is {name!r}; choose whole or windows")


def check_learned(name: str) -> Learned:
    """``name`` if it says which components have learned steps, else UsageError."""
    for learned in _LEARNED:
        if name == learned:
            return learned
    raise UsageError(f"learned is {name!r}; choose {', '.join(_LEARNED)}")


def check_tune(name: str) -> Tune:
    """``name`` if it is a `Tune`, else UsageError."""
    for tune in _TUNES:
        if name == tune:
            return tune
    raise UsageError(f"tune is {name!r}; choose psnr or msssim")


def check_effort(effort: int | None) -> None:
    """Raise UsageError unless ``effort`` is None or 1..9."""
    if effort is not None and not 1 <= effort <= MAX_EFFORT:
        raise UsageError(f"effort {effort}, expected 1..{MAX_EFFORT}; choose another number")


def check_layers_asked(layers: int | tuple[float, ...] | None) -> None:
    """Raise UsageError unless `Options.layers` makes sense: 1..64 layers, or ascending positive bits per pixel."""
    rates = layers if isinstance(layers, tuple) else (1.0,)
    ascending = list(rates) == sorted(set(rates)) and all(0 < rate < math.inf for rate in rates)
    if not rates or not ascending:
        raise UsageError(f"layers {','.join(map(str, rates))} are not ascending bits per pixel; sort them")
    count = len(layers) if isinstance(layers, tuple) else layers
    if count is not None and not 1 <= count <= MAX_LAYERS:
        raise UsageError(f"{count} layers, expected 1..{MAX_LAYERS}; choose another number")


def check_device(name: str) -> str:
    """``name`` if torch can use it, else UsageError."""
    if name == "cpu":
        return name
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device {name!r} cannot be used here; choose cpu, or cuda where there is one") from error
    return name


def psnr(reference: NDArray[Any], test: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in dB over all samples of two arrays of equal shape and integer type."""
    rows = max(1, _PSNR_SAMPLES // max(1, reference[0].size))  # a large image is compared in bands
    bands = (slice(first, first + rows) for first in range(0, len(reference), rows))
    error = sum(float(np.square(reference[band].astype(np.float64) - test[band]).sum()) for band in bands)
    error /= reference.size  # the sums are whole numbers, and exact
    return float(10 * np.log10(float(np.iinfo(reference.dtype).max) ** 2 / error)) if error else float("inf")
