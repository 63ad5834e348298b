"""Learned lifting transforms, by the names of the paper.

Li, Naman and Taubman, *Exploration of learned lifting-based transform structures for fully scalable and accessible
wavelet-like image compression* (arXiv 2402.18761).  One set of weights serves all levels, all rates and all colour
components.  `lifting_structures` has the structures, `wavelic.nn` the operators; here they are put together.

The paper prints parameter counts, not layer sizes.  The sizes used here (F18) reproduce every row of its table III
within 4 %; ``docs/lifting.md`` has the comparison.  U16 is not the paper's: the compact hybrid with one width
throughout and a common trunk for the three details.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from wavelic.errors import ModelError, UsageError
from wavelic.lifting.transform.iwave import IWaveOperator, PBlock
from wavelic.lifting.transform.proposal_opacity import ProposalOpacity, SideBySide, f18, u16
from wavelic.lifting.transform.steps import EVERYWHERE, LUMA_ONLY, LearnedSteps, Steps
from wavelic.lifting.transform.structures import (
    FixedLevel,
    FusedLevel,
    HybridLevel,
    Level,
    PredictUpdateLevel,
    UpdatePredictLevel,
)
from wavelic.threads import map_on_threads
from wavelic.wavelets import Bands2d, Coefficients2d, level_sizes2d, low_start

#: The finest level that `LiftingTransform.deploy` leaves in float32.  See there.
SINGLE_FROM = 3


class LiftingTransform(nn.Module):
    """A level applied again and again to its own low band.

    Images are (N, C, H, W); the components are transformed independently with the same weights.  Pixel range: centred
    at 0 and one wide, [-0.5, 0.5], for every component, since the offset of equation 5 is absolute.  Any size from 1x1.

    steps: at which levels which components have which learned steps; where they have none they have the base wavelet
    alone.  Only a hybrid can do one step without the other.  luma_only=True: `LUMA_ONLY`.

    finer_bits: how many bits more than the pseudo-image has a file's decoder asks the stock decoder for (see
    `jpeg2000.precision`).  It changes nothing here; it belongs to what files made with these weights mean.
    """

    def __init__(
        self, level: Level, *, luma_only: bool = False, steps: LearnedSteps = EVERYWHERE, finer_bits: int = 0
    ) -> None:
        super().__init__()
        self.level = level
        self.plain = FixedLevel(level.base)
        self.steps = LUMA_ONLY if luma_only else steps
        self.finer_bits = finer_bits
        self._deployed: tuple[Level, Level] | None = None  # levels before `SINGLE_FROM`, and from there on

    def deploy(self, dtype: torch.dtype) -> None:
        """From now on run without gradients, on a processor, as fast as it can; the weights have to stay as they are.

        dtype: float32, or bfloat16 for the levels before `SINGLE_FROM`, which have most of the samples.  A difference
        in the last bit of a coefficient (of a file read in parts, say) can become one of 0.4 % where bfloat16 rounds
        the other way, and every level to come makes it larger: from the coarsest on up to two grey levels.
        Moving or converting the module ends this.
        """
        self._deployed = _running_in(self.level, dtype), _running_in(self.level, torch.float32)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LiftingTransform:
        self._deployed = None
        return super()._apply(fn, recurse)

    @property
    def luma_only(self) -> bool:
        """Whether of several components the first is treated as if alone, and no other has a learned step."""
        return self.steps.chroma == LUMA_ONLY.chroma and self.steps.luma == self.steps.grey

    def reach(self, number: int) -> int:
        """No sample of level ``number`` depends on anything farther away, in samples of the signal it splits."""
        of = self.steps
        return max(self._level(steps, number).reach for steps in (of.luma, of.chroma, of.grey))

    def reach_of(self, components: int, number: int) -> int:
        """`reach` for an image of so many components, which need not have the learned steps of every kind."""
        return max(self._level(steps, number).reach for steps in self.steps.of(components))

    @property
    def base(self) -> str:
        """The wavelet whose inverse makes a picture of the coefficients: "5/3" or "9/7"."""
        return self.level.base

    def analysis(
        self, x: Tensor, levels: int = 5, *, start: tuple[int, int] = (0, 0), finest: int = 1
    ) -> Coefficients2d:
        """Transform an image (N, C, H, W) whose first sample is at ``start`` (row, column).

        finest: the number of the first of these levels, 1 unless ``x`` is the low band of some levels before.
        The result says ``wavelet`` = `base` and normalisation "jpeg2000": `wavelic.wavelets.idwt2` of it is the
        pseudo-image, `synthesis` of it the image.  Raises UsageError for another number of dimensions.
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
        """Inverse of `analysis`: (N, C, H, W) with (H, W) = ``coefficients.size``.

        finest: as there; the number of the first of the coefficients' levels.
        Raises UsageError if a band has not the shape that size and start imply.
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


def build_lifting(
    name: str, *, luma_only: bool = False, steps: LearnedSteps = EVERYWHERE, finer_bits: int = 0
) -> LiftingTransform:
    """The transform called ``name``, with new weights.  Raises ModelError, listing the names, if there is none."""
    if name not in STRUCTURES:
        raise ModelError(f"no lifting transform {name!r}; choose one of {', '.join(STRUCTURES)}")
    level = STRUCTURES[name]()
    return LiftingTransform(level, luma_only=luma_only, steps=steps, finer_bits=finer_bits)


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


# The filters of LeGall 5/3 (equations 1 to 4) as 3x3 kernels along the columns direction: taps at offsets -1, 0, 1 of
# the source's index.  High sample i lies between the low samples i and i + 1.
_PREDICT = (0.0, -0.5, -0.5)
_UPDATE = (0.25, 0.25, 0.0)


def _kernel(taps: tuple[float, float, float], vertical: bool) -> Tensor:
    """The taps as a (1, 3, 3) filter."""
    kernel = torch.zeros(1, 3, 3)
    if vertical:
        kernel[0, :, 1] = torch.tensor(taps)
    else:
        kernel[0, 1, :] = torch.tensor(taps)
    return kernel


def _predict(channels: int, *, vertical: bool) -> ProposalOpacity:
    shape = replace(f18(1, channels), zero_sum_input=True, zero_sum_taps=True)
    return ProposalOpacity(shape, _kernel(_PREDICT, vertical))


def _update(channels: int, *, vertical: bool) -> ProposalOpacity:
    return ProposalOpacity(f18(1, channels), _kernel(_UPDATE, vertical))


def _four_steps(channels: int) -> tuple[ProposalOpacity, ProposalOpacity, ProposalOpacity, ProposalOpacity]:
    """P_V, U_V, P_H, U_H."""
    vertical = _predict(channels, vertical=True), _update(channels, vertical=True)
    return *vertical, _predict(channels, vertical=False), _update(channels, vertical=False)


def _low_to_high(channels: int, compact: bool = False) -> SideBySide:
    shape = replace(f18(1, channels, last=1, compact=compact), zero_sum_input=True, zero_sum_taps=True)
    return SideBySide([ProposalOpacity(shape) for _ in range(3)])


def _fused_high_to_low(channels: int) -> ProposalOpacity:
    """T_H2L that starts as LeGall's last update: being subtracted, minus the update filter on HL, its first input."""
    taps = torch.zeros(3, 3, 3)
    taps[0] = -_kernel(_UPDATE, vertical=False)
    return ProposalOpacity(f18(3, channels), taps)


def _hybrid(base: str, channels: int, compact: bool = False) -> HybridLevel:
    return HybridLevel(base, ProposalOpacity(f18(3, channels, compact=compact)), _low_to_high(channels, compact))


def _hybrid_u16() -> HybridLevel:
    low_to_high = replace(u16(1, 3, last=1), zero_sum_input=True, zero_sum_taps=True)
    return HybridLevel("9/7", ProposalOpacity(u16(3, 1, last=3)), ProposalOpacity(low_to_high))


def _custom_4s(channels: int) -> PredictUpdateLevel:
    return PredictUpdateLevel(*_four_steps(channels))


def _custom_4ms(channels: int) -> FusedLevel:
    return FusedLevel(*_four_steps(channels), _fused_high_to_low(channels))


def _custom_5s(channels: int) -> FusedLevel:
    return FusedLevel(*_four_steps(channels), _fused_high_to_low(channels), _low_to_high(channels))


def _proposal_update_predict() -> UpdatePredictLevel:
    """The predictor starts as the average itself: H = (x_odd - x_even) / 2."""
    shape = replace(f18(1, 9), zero_sum_input=True, zero_sum_taps=True)
    return UpdatePredictLevel(ProposalOpacity(shape, _kernel((0.0, 1.0, 0.0), vertical=True)))


# Figure 11 compares topologies without stating N; the proposal-opacity variants there have N = 9 here.
_STRUCTURES: dict[str, Callable[[], Level]] = {
    "LeGall-5/3": lambda: FixedLevel("5/3"),
    "CDF-9/7": lambda: FixedLevel("9/7"),
    "PO-P-U": lambda: _custom_4s(9),
    "iWave-P-U": lambda: PredictUpdateLevel(*(IWaveOperator() for _ in range(4))),
    "iWave++-P-U": lambda: PredictUpdateLevel(*(PBlock() for _ in range(4))),
    "PO-U-P": _proposal_update_predict,
    "iWave-U-P": lambda: UpdatePredictLevel(IWaveOperator()),
    "PO-Hybrid(9/7)": lambda: _hybrid("9/7", 9),
    "Hybrid(5/3)-5c": lambda: _hybrid("5/3", 5),
    "Hybrid(9/7)-5c": lambda: _hybrid("9/7", 5),
    "Hybrid(5/3)-9c": lambda: _hybrid("5/3", 9),
    "Hybrid(9/7)-9c": lambda: _hybrid("9/7", 9),
    "Hybrid(9/7)-9c-compact": lambda: _hybrid("9/7", 9, compact=True),
    "Custom-4S-5c": lambda: _custom_4s(5),
    "Custom-4MS-5c": lambda: _custom_4ms(5),
    "Custom-5S-5c": lambda: _custom_5s(5),
    "Custom-4S-9c": lambda: _custom_4s(9),
    "Custom-4MS-9c": lambda: _custom_4ms(9),
    "Custom-5S-9c": lambda: _custom_5s(9),
    "Hybrid(9/7)-U16": _hybrid_u16,
}
STRUCTURES: Mapping[str, Callable[[], Level]] = MappingProxyType(_STRUCTURES)
