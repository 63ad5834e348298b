"""A learned lifting transform: one level applied again and again to its own low band.

One set of weights serves all levels, all rates and all colour components.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from wavelic.errors import UsageError
from wavelic.lifting.transform.levels import FixedLevel, Level
from wavelic.lifting.transform.proposal_opacity import ProposalOpacity
from wavelic.lifting.transform.steps import EVERYWHERE, LearnedSteps, Steps
from wavelic.threads import map_on_threads
from wavelic.wavelets import Bands2d, Coefficients2d, level_sizes2d, low_start

#: The finest level that `LiftingTransform.deploy` leaves in float32.  See there.
SINGLE_FROM = 3


class LiftingTransform(nn.Module):
    """Transform of images (N, C, H, W) of any size from 1x1; components are transformed independently.

    Samples are centred at 0 with a range of one, [-0.5, 0.5], for every component, since the offset of equation 5 is
    absolute.

    Args:
        level: the level that is applied.
        steps: at which levels which components have which learned steps; where they have none they have the base
            wavelet alone.  Only a hybrid can do one step without the other.
    """

    def __init__(self, level: Level, *, steps: LearnedSteps = EVERYWHERE) -> None:
        super().__init__()
        self.level = level
        self.plain = FixedLevel(level.base)
        self.steps = steps
        self._deployed: tuple[Level, Level] | None = None  # levels before `SINGLE_FROM`, and from there on

    def deploy(self, dtype: torch.dtype) -> None:
        """From now on run without gradients, on the CPU, as fast as it can; the weights must not change.

        A difference in the last bit of a coefficient (of a file read in parts, say) can become one of 0.4 % where
        bfloat16 rounds the other way, and every level to come enlarges it: from the coarsest on up to two gray levels.
        So the levels from `SINGLE_FROM` on run in float32.  Moving or converting the module ends this.

        Args:
            dtype: float32, or bfloat16 for the levels before `SINGLE_FROM`, which have most of the samples.
        """
        self._deployed = _running_in(self.level, dtype), _running_in(self.level, torch.float32)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LiftingTransform:
        self._deployed = None
        return super()._apply(fn, recurse)

    def receptive_radius(self, number: int, components: int | None = None) -> int:
        """Return the radius of the receptive field of a level, in samples of the signal it splits.

        Args:
            number: of the level, 1 for the finest.
            components: of the image, 1 or 3; None: the larger radius of the two kinds.
        """
        kinds = [self.steps.of(count) for count in ((components,) if components else (1, 3))]
        return max(self._level(steps, number).receptive_radius for pair in kinds for steps in pair)

    @property
    def base(self) -> str:
        """The wavelet whose inverse makes a picture of the coefficients: "5/3" or "9/7"."""
        return self.level.base

    def analysis(
        self, x: Tensor, levels: int = 5, *, start: tuple[int, int] = (0, 0), finest: int = 1
    ) -> Coefficients2d:
        """Transform an image.

        Args:
            x: (N, C, H, W).
            levels: how many, 0 or more.
            start: absolute (row, column) of the first sample.
            finest: number of the first of these levels: 1, or more if ``x`` is the low band of the levels before.

        Returns:
            Coefficients with ``wavelet`` = `base` and normalisation "jpeg2000": `wavelic.wavelets.idwt2` of them is the
            pseudo-image, `synthesis` of them the image.

        Raises:
            UsageError: ``x`` has another number of dimensions or no samples, or a number is negative.
        """
        if x.dim() != 4 or 0 in x.shape:
            raise UsageError(f"an image of shape {tuple(x.shape)}; expected (batch, components, height, width)")
        if levels < 0 or min(start) < 0:
            raise UsageError(f"levels={levels} and start={start}; expected numbers of at least 0")
        low, details, at = x, [], start
        for number in range(finest, finest + levels):
            parts = []
            for level, part in self._by_level(low, number):
                part_low, bands = level.analyze(_planes(part), at)
                parts.append([_images(band, part.shape[:2]) for band in (part_low, bands.lh, bands.hl, bands.hh)])
            low, *bands_ = parts[0] if len(parts) == 1 else map(_side_by_side, *parts)
            details.append(Bands2d(*bands_))
            at = (low_start(at[0]), low_start(at[1]))
        return Coefficients2d(low, tuple(details), (x.shape[2], x.shape[3]), self.base, "jpeg2000", start)

    def synthesis(self, coefficients: Coefficients2d, *, finest: int = 1) -> Tensor:
        """Undo `analysis`.

        Args:
            coefficients: as from `analysis`.
            finest: number of the first of their levels, as there.

        Returns:
            The image (N, C, H, W), with (H, W) = ``coefficients.size``.

        Raises:
            UsageError: a band has not the shape that size and start imply.
        """
        c = coefficients
        sizes = level_sizes2d(c.size, len(c.levels), c.start)
        starts = [c.start]
        for _ in c.levels:
            starts.append((low_start(starts[-1][0]), low_start(starts[-1][1])))
        low = c.low
        _check("low", low, sizes[-1].low if sizes else c.size)
        numbers = range(finest, finest + len(c.levels))
        for number, size, at, bands in zip(
            reversed(numbers), reversed(sizes), reversed(starts[:-1]), reversed(c.levels), strict=True
        ):
            _check("lh", bands.lh, size.lh)
            _check("hl", bands.hl, size.hl)
            _check("hh", bands.hh, size.hh)
            parts = []
            groups = zip(*(self._by_level(band, number) for band in (low, bands.lh, bands.hl, bands.hh)), strict=True)
            for (level, part), *others in groups:
                details = Bands2d(*(_planes(other) for _, other in others))
                parts.append(_images(level.synthesize(_planes(part), details, at), part.shape[:2]))
            low = parts[0] if len(parts) == 1 else _side_by_side(*parts)
        return low

    def _by_level(self, x: Tensor, number: int) -> list[tuple[Level, Tensor]]:
        """The components of ``x`` (N, C, h, w), grouped by what transforms them at level ``number``."""
        first, others = self.steps.of(x.shape[1])
        if first.at(number) == others.at(number):
            return [(self._level(first, number), x)]
        return [(self._level(first, number), x[:, :1]), (self._level(others, number), x[:, 1:])]

    def _level(self, steps: Steps, number: int) -> Level:
        high_to_low, low_to_high = steps.at(number)
        level = self.level if self._deployed is None else self._deployed[number >= SINGLE_FROM]
        if high_to_low and low_to_high:
            return level
        return level.partial(high_to_low, low_to_high) if high_to_low or low_to_high else self.plain


def _running_in(level: Level, dtype: torch.dtype) -> Level:
    """A copy of ``level`` whose proposal-opacity networks run in ``dtype``."""
    level = copy.deepcopy(level)
    for module in level.modules():
        if isinstance(module, ProposalOpacity):
            module.runs_in = dtype
    return level


def _check(name: str, band: Tensor, size: tuple[int, int]) -> None:
    if band.dim() != 4 or tuple(band.shape[2:]) != size:
        raise UsageError(
            f"band {name} has shape {tuple(band.shape)}; expected (batch, components, {size[0]}, {size[1]})"
        )


def _side_by_side(*parts: Tensor) -> Tensor:
    """Groups of components (N, ., h, w) as one image: `torch.cat`, without gradients one component on each thread."""
    if parts[0].device.type != "cpu" or any(part.requires_grad for part in parts):
        return torch.cat(parts, 1)
    image = parts[0].new_empty((parts[0].shape[0], sum(part.shape[1] for part in parts), *parts[0].shape[2:]))
    planes = [plane for part in parts for plane in part.unbind(1)]

    def copy(number: int) -> None:
        image[:, number].copy_(planes[number])

    map_on_threads(copy, range(len(planes)), image.numel())
    return image


def _planes(x: Tensor) -> Tensor:
    """(N, C, h, w) -> (N * C, 1, h, w)."""
    return x.flatten(0, 1).unsqueeze(1)


def _images(planes: Tensor, shape: torch.Size) -> Tensor:
    """(N * C, 1, h, w) -> (N, C, h, w)."""
    return planes.unflatten(0, shape).squeeze(2)
