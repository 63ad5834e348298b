"""Finding the rate point that meets a target: a bisection over a ladder, guided by the logarithm of measurements."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from wavelic.errors import UsageError

Point = TypeVar("Point")
Kind = Literal["quality", "bpp", "psnr", "size"]
TOLERANCE = 0.02
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
        """The one target that is given, None if there is none.  Raises UsageError for two at once."""
        named: list[tuple[Kind, float | None]] = [("quality", quality), ("bpp", bpp), ("psnr", psnr), ("size", size)]
        given = [cls(kind, value) for kind, value in named if value is not None]
        if len(given) > 1:
            names = " and ".join(target.kind for target in given)
            raise UsageError(f"{names} given together; give one of quality, bpp, psnr, size")
        return given[0] if given else None

    def __str__(self) -> str:
        return f"{self.value:g}{_UNITS[self.kind]}"


@dataclass(frozen=True)
class Found:
    """Result of a search: position in the ladder, what was measured there, how many probes it took."""

    index: int
    value: float
    probes: int

    def note(self, target: Target) -> str:
        """One line that says how well the target was met."""
        unit = _UNITS[target.kind]
        reached = f"{self.value:.4g}{unit}" if target.kind != "size" else f"{self.value:.0f}{unit}"
        met = self.met(target)
        return f"asked for {target}, got {reached}" + ("" if met else ": the nearest these weights allow")

    def met(self, target: Target) -> bool:
        """Whether the value is within 2 % (for PSNR: 2 % of the mean squared error, 0.086 dB)."""
        if target.kind == "psnr":
            return abs(self.value - target.value) <= 10 * math.log10(1 + TOLERANCE)
        return abs(self.value - target.value) <= TOLERANCE * target.value


def search(points: Sequence[Point], measure: Callable[[Point], float], target: Target) -> Found:
    """The point whose measured value is nearest to ``target``; a size is not exceeded unless every point does.

    Args:
        points: by rising rate; the value is assumed to rise along them, small dents do no harm.
        measure: value of a point, in the target's unit; called about log2(len(points)) times.
    """
    seen: dict[int, float] = {}

    def value(index: int) -> float:
        if index not in seen:
            seen[index] = measure(points[index])
        return seen[index]

    def log(x: float) -> float:
        return x if target.kind == "psnr" else math.log(max(x, 1e-12))

    goal = log(target.value)
    low, high = 0, len(points) - 1
    by_value = True  # alternate interpolation and halving: fast on smooth curves, safe on steps
    if log(value(low)) < goal < log(value(high)):
        while high - low > 1:
            start, stop = log(value(low)), log(value(high))
            share = (goal - start) / (stop - start) if by_value and stop > start else 0.5
            middle = min(max(low + round(share * (high - low)), low + 1), high - 1)
            by_value = not by_value
            if log(value(middle)) < goal:
                low = middle
            else:
                high = middle
    allowed = [i for i, v in seen.items() if target.kind != "size" or v <= target.value] or list(seen)
    best = min(allowed, key=lambda index: abs(log(seen[index]) - goal))
    return Found(best, seen[best], len(seen))
