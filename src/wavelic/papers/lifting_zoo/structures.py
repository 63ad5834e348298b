"""The published structures by name, put together from their operators.

The paper prints parameter counts, not layer sizes.  The sizes used here (F18) reproduce every row of its table III
within 4 %; ``docs/lifting.md`` has the comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from wavelic.errors import ModelError
from wavelic.lifting.transform.levels import HybridLevel, Level
from wavelic.lifting.transform.proposal_opacity import ProposalOpacity
from wavelic.papers.lifting_zoo.iwave import IWaveOperator, PBlock
from wavelic.papers.lifting_zoo.predict_update import FusedLevel, PredictUpdateLevel
from wavelic.papers.lifting_zoo.side_by_side import SideBySide, f18
from wavelic.papers.lifting_zoo.update_predict import UpdatePredictLevel

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
}


def build_level(name: str) -> Level:
    """Build a level of a published structure, with new weights.

    Args:
        name: as in `wavelic.papers.catalogue`.

    Raises:
        ModelError: there is no published structure of that name.
    """
    if name not in _STRUCTURES:
        raise ModelError(f"no published lifting structure {name!r}; choose one of {', '.join(_STRUCTURES)}")
    return _STRUCTURES[name]()
