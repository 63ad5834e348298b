"""Targets of an encoder, and the one search that meets them, whatever a codec turns to change its rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from wavelic.errors import UsageError

Kind = Literal["quality", "bpp", "psnr", "size"]
TOLERANCE = 0.02
_SECANTS = 6  # probes after which a search halves its bracket
_MAX_PSNR = 200.0  # what an exact decode counts as, in dB
_RANGES: dict[str, tuple[float, float]] = {
    "quality": (0.0, 100.0),
    "bpp": (1e-6, 1e6),
    "psnr": (1.0, 200.0),
    "size": (1.0, 2.0**63),
}
_UNITS: dict[str, str] = {"quality": "", "bpp": " bpp", "psnr": " dB", "size": " bytes"}


@dataclass(frozen=True)
class Target:
    """What an encoder is asked for: a quality 0..100, bits per pixel, PSNR in dB, or a file size in bytes."""

    kind: Kind
    value: float

    def __post_init__(self) -> None:
        low, high = _RANGES[self.kind]
        if not low <= self.value <= high:
            raise UsageError(f"{self.kind} {self.value:g} is outside {low:g}..{high:g}; choose one inside")

    @classmethod
    def of(
        cls,
        quality: float | None = None,
        bpp: float | None = None,
        psnr: float | None = None,
        size: float | None = None,
    ) -> Target | None:
        """Return the one target that is given, None if there is none.

        Args:
            quality: 0..100.
            bpp: bits per pixel of the whole file.
            psnr: dB over all colour samples.
            size: bytes of the file.

        Raises:
            UsageError: two are given at once, or one is out of range.
        """
        named: list[tuple[Kind, float | None]] = [("quality", quality), ("bpp", bpp), ("psnr", psnr), ("size", size)]
        given = [cls(kind, value) for kind, value in named if value is not None]
        if len(given) > 1:
            names = " and ".join(target.kind for target in given)
            raise UsageError(f"{names} given together; give one of quality, bpp, psnr, size")
        return given[0] if given else None

    def admits(self, size: int, pixels: int) -> bool:
        """Return whether a file is small enough.

        Args:
            size: bytes of the file.
            pixels: of the image.
        """
        if self.kind not in ("bpp", "size"):
            return True
        return size <= (self.value if self.kind == "size" else self.value * pixels / 8)

    def __str__(self) -> str:
        return f"{self.value:g}{_UNITS[self.kind]}"


@dataclass(frozen=True)
class Found:
    """Result of a search: where it ended, what was measured there, how many probes it took."""

    position: int
    value: float
    probes: int

    def note(self, target: Target) -> str:
        """Say in one line how well the target was met."""
        unit = _UNITS[target.kind]
        reached = f"{self.value:.4g}{unit}" if target.kind != "size" else f"{self.value:.0f}{unit}"
        met = self.met(target)
        return f"asked for {target}, got {reached}" + ("" if met else ": the nearest this codec comes")

    def met(self, target: Target) -> bool:
        """Return whether the value is within 2 % (for PSNR: 2 % of the mean squared error, 0.086 dB)."""
        if target.kind == "psnr":
            return abs(self.value - target.value) <= 10 * math.log10(1 + TOLERANCE)
        return abs(self.value - target.value) <= TOLERANCE * target.value


def search(
    measure: Callable[[int], float],
    first: int,
    last: int,
    target: Target,
    *,
    start: int | None = None,
    rise: float | None = None,
    close: float = 0.0,
) -> Found:
    """Find the position at which a measurement comes nearest to a target.

    Sizes and rates are taken as exponential in the position and PSNR as linear: secants inside a bracket that holds the
    target, and halving once they have had their chance, which is safe on curves with steps and small dents.

    Args:
        measure: value at a position, in the target's unit, rising with it; called once at most for each position.
        first: the lowest position there is.
        last: the highest one.
        target: what to come near to.  A size is not exceeded unless every position does.
        start: where to begin; None: in the middle.
        rise: how much a measurement usually rises from one position to the next, dB for a PSNR, else the natural
            logarithm of the value; None if that is unknown.
        close: how near is near enough, in the unit of ``rise``; in any case half of what one position makes.
    """
    goal = _scale(target.value, target.kind)
    seen: dict[int, float] = {}

    def gap(position: int) -> float:
        return _scale(seen[position], target.kind) - goal

    below, above = first - 1, last + 1  # exclusive: what is known of where the target lies
    wanted = (first + last) // 2 if start is None else start
    while above - below > 1:
        position = min(max(wanted, below + 1), above - 1)
        seen[position] = measure(position)
        missed = gap(position)
        below, above = (position, above) if missed < 0 else (below, position)
        enough = close if rise is None else max(close, rise / 2)
        if abs(missed) <= enough and (target.kind != "size" or missed <= 0):
            break
        nearest = sorted(seen, key=lambda p: abs(gap(p)))[:2]
        if len(nearest) == 2 and (slope := (gap(nearest[1]) - gap(nearest[0])) / (nearest[1] - nearest[0])) > 0:
            rise = slope
        if rise is None or len(seen) >= _SECANTS:
            wanted = (below + above) // 2
        else:
            wanted = nearest[0] - math.floor(gap(nearest[0]) / rise + 0.5)
    allowed = [p for p, value in seen.items() if target.kind != "size" or value <= target.value] or [min(seen)]
    best = min(allowed, key=lambda p: abs(gap(p)))
    return Found(best, seen[best], len(seen))


def _scale(value: float, kind: Kind) -> float:
    """Turn a value into one that is about linear in the position."""
    return min(value, _MAX_PSNR) if kind == "psnr" else math.log(max(value, 1e-12))
