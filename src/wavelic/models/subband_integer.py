"""The entropy model of `weconvene-s` in exact integers: what encoder and decoder run, and the order of coding.

`IntegerContextModel` has the networks of `wavelic.models.subband_context` with integer weights and activations
(`wavelic.nn.integer` proves that no sum is ever rounded), so its results do not depend on machine, device, threads,
batch or memory format.  `code_subbands` is the schedule: the one loop over levels and slices that encoder and decoder
share.  They differ only in the function that turns means and tables into residuals: one quantises and writes, the other
reads.

Units: activations and inputs 1/256; coefficients 1/16 step; log2 scales 1/64 octave; steps 1/32 octave.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wavelic.errors import ModelError
from wavelic.models.subband_context import (
    CENTRE,
    HEAD_SCALE,
    LOG2_LOWEST,
    PER_OCTAVE,
    SCALES,
    SIGNED,
    ContextModel,
    LevelContext,
    SliceNet,
    level_numbers,
)
from wavelic.models.subbands import BANDS, LEVELS, PACKED, SLICES, pack, unpack
from wavelic.nn.integer import IntegerConv2d, LookupTable, fixed_point

ACTIVATION = 1 << 8  # units of an activation
VALUE = 1 << 4  # units of a coefficient in steps
SCALE_UNIT = 1 << 6  # units of an octave of scale
STEP_UNIT = 1 << 5  # units of an octave of the quantiser step
CENTRE_STEP = CENTRE * STEP_UNIT  # the step networks see as 0
LIMIT = (1 << 15) - 1  # of activations
WEIGHT_BITS = 12
VALUE_LIMIT = 1 << 14  # of what networks see of a coefficient, in units of 1/16 step
_TENSORS = ("weight", "bias", "multiplier", "shift")

#: (means (n, C, h, w) in 1/16 step, table of every symbol) of one slice -> residuals, int32, in steps.
Coder = Callable[[int, int, Tensor, Tensor], Tensor]


def integer_convolution(conv: nn.Conv2d, output_units: list[float]) -> IntegerConv2d:
    """``conv`` on activations in 1/256; ``output_units``: units per 1.0 of every output channel."""
    assert conv.bias is not None
    weight, bias = conv.weight.detach().double(), conv.bias.detach().double()
    step = weight.abs().amax((1, 2, 3)).clamp_min(1e-9) / ((1 << (WEIGHT_BITS - 1)) - 1)
    ratios = [fixed_point(s / ACTIVATION * unit) for s, unit in zip(step.tolist(), output_units, strict=True)]
    return IntegerConv2d(
        (weight / step[:, None, None, None]).round().to(torch.int32),
        (bias / step * ACTIVATION).round().to(torch.int64),
        torch.tensor([multiplier for multiplier, _ in ratios]),
        torch.tensor([shift for _, shift in ratios]),
        LIMIT,
        LIMIT,
        padding=conv.padding[0] if isinstance(conv.padding, tuple) else 0,
    )


def _hidden(conv: nn.Conv2d) -> IntegerConv2d:
    return integer_convolution(conv, [float(ACTIVATION)] * conv.out_channels)


class IntegerSlice(nn.Module):
    """`SliceNet` in integers."""

    def __init__(self, net: SliceNet) -> None:
        super().__init__()
        self.from_context = _hidden(net.from_context)
        self.from_known = _hidden(net.from_known) if net.from_known is not None else None
        self.mix = _hidden(net.mix)
        units = [float(SCALE_UNIT) * HEAD_SCALE] * net.channels + [float(VALUE)] * net.channels
        self.head = integer_convolution(net.head, units)

    def forward(self, context: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        """int32 -> log2 scales in 1/64 octave without their base, means in 1/16 step; int32 (N, channels, h, w)."""
        x = self.from_context(context)
        if self.from_known is not None and known is not None:
            x = x + self.from_known(known)
        scale, mean = self.head(self.mix(x.clamp(0, LIMIT)).clamp_min_(0)).chunk(2, 1)
        return scale, mean


class IntegerLevel(nn.Module):
    """`LevelContext` in integers."""

    def __init__(self, level: LevelContext) -> None:
        super().__init__()
        self.width = level.width
        self.first, self.second = _hidden(level.first), _hidden(level.second)
        self.slices = nn.ModuleList(IntegerSlice(net) for net in level.slices if isinstance(net, SliceNet))

    def context(self, parent: Tensor, hidden: Tensor | None, step: int) -> Tensor:
        """As `LevelContext.context`; ``parent``: features int32 (N, 18, h, w)."""
        batch, _, height, width = parent.shape
        if hidden is None:
            hidden = parent.new_zeros(batch, self.width, height, width)
        else:
            hidden = hidden.repeat_interleave(2, 2).repeat_interleave(2, 3)
        octaves = parent.new_full((batch, 1, height, width), (step - CENTRE_STEP) * (ACTIVATION // STEP_UNIT))
        x = torch.cat((parent, hidden, octaves), 1).contiguous(memory_format=torch.channels_last)
        return self.second(self.first(x).clamp_min_(0)).clamp_min_(0)


class IntegerContextModel(nn.Module):
    """The entropy model as integers.  Made from a trained one, or empty (`like`) to be filled with stored integers.

    Raises:
        UsageError: weights so large that sums could not be exact.
    """

    base: Tensor

    def __init__(self, model: ContextModel) -> None:
        super().__init__()
        self.levels = nn.ModuleList(IntegerLevel(level) for level in model.levels if isinstance(level, LevelContext))
        self.adapt = nn.ModuleList(_hidden(conv) for conv in model.adapt if isinstance(conv, nn.Conv2d))
        self.register_buffer("base", (model.base.detach().double() * SCALE_UNIT).round().to(torch.int32))
        log_table = [
            round(ACTIVATION * 0.5 * math.log2(1 + abs(k) / VALUE)) for k in range(-VALUE_LIMIT, VALUE_LIMIT + 1)
        ]
        self.magnitude = LookupTable(torch.tensor(log_table, dtype=torch.int32))

    def features(self, values: Tensor) -> Tensor:
        """int32 coefficients in 1/16 step (N, C, h, w) -> int32 (N, 2 C, h, w)."""
        bound = int(SIGNED * VALUE)
        return torch.cat((self.magnitude(values), values.clamp(-bound, bound) * (ACTIVATION // VALUE)), 1)

    def tables(self, number: int, channels: tuple[int, ...], scale: Tensor, step: int) -> Tensor:
        """Number of the table, 0..63, of every symbol: int32 (N, C, h, w)."""
        base = self.base[number - 1, list(channels)][:, None, None]
        octaves = scale + base - (step - CENTRE_STEP) * (SCALE_UNIT // STEP_UNIT) - int(LOG2_LOWEST * SCALE_UNIT)
        return ((octaves * PER_OCTAVE + SCALE_UNIT // 2) >> int(math.log2(SCALE_UNIT))).clamp(0, SCALES - 1)

    @torch.inference_mode()
    def code_subbands(self, low: Tensor, step: int, coder: Coder) -> list[Tensor]:
        """Run the schedule.

        Args:
            low: int32 (N, 3, h, w), the lowest band, whose size sets that of all others; its values are not looked at.
            step: quantiser step in 1/32 octave of a grey level.
            coder: called as ``coder(level, slice, means, tables)`` for every slice in coding order.

        Returns:
            Coefficients in 1/16 step, level 1 (finest) first: int32 (N, 9, h_d, w_d).
        """
        batch, _, height, width = low.shape
        parent = low.new_zeros(batch, BANDS, height // 2, width // 2)
        hidden: Tensor | None = None
        results: list[Tensor] = []
        for number in level_numbers():
            level = self.levels[min(number, 3) - 1]
            assert isinstance(level, IntegerLevel)
            if hidden is not None and number < 3:
                hidden = self.adapt[number - 1](hidden)
            hidden = level.context(self.features(parent), hidden, step)
            packed = hidden.new_zeros(batch, PACKED, *hidden.shape[2:])
            done: list[Tensor] = []
            for index, (part, net) in enumerate(zip(SLICES, level.slices, strict=True)):
                known = self.features(torch.cat(done, 1)) if done else None
                if known is not None:
                    known = known.contiguous(memory_format=torch.channels_last)
                scale, mean = net(hidden, known)
                table = self.tables(number, part.channels, scale, step)
                values = mean + coder(number, index, mean, table) * VALUE
                done.append(values)
                packed[:, list(part.channels)] = values
            parent = unpack(packed)
            results.append(parent)
        return results[::-1]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Integers for the weights file; int16 and int8 where they fit."""
        stored: dict[str, NDArray[np.generic]] = {}
        for name, value in self.state_dict().items():
            array = value.numpy()
            small = next(t for t in (np.int16, np.int32, np.int64) if _fits(array, t))
            stored[name] = array.astype(small)
        return {name: array for name, array in stored.items() if not name.startswith("magnitude.")}

    def load_arrays(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        """Fill in what `arrays` gave.  Raises ModelError if it does not fit this architecture."""
        state = self.state_dict()
        missing = {name for name in state if not name.startswith("magnitude.")} ^ set(arrays)
        if missing:
            raise ModelError(f"the entropy model in the weights lacks or has too much: {sorted(missing)[:3]}")
        try:
            for name, array in arrays.items():
                state[name] = torch.from_numpy(np.array(array)).to(state[name].dtype).reshape(state[name].shape)
            self.load_state_dict(state)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the entropy model in the weights has another shape ({error}); reinstall") from error

    def convolutions(self) -> list[tuple[str, IntegerConv2d]]:
        """All integer convolutions by name."""
        return [(name, layer) for name, layer in self.named_modules() if isinstance(layer, IntegerConv2d)]


def _fits(array: NDArray[np.generic], dtype: type[np.signedinteger]) -> bool:
    info = np.iinfo(dtype)
    return array.size == 0 or (int(array.min()) >= info.min and int(array.max()) <= info.max)


def low_residuals(low: NDArray[np.int32]) -> NDArray[np.int32]:
    """What is coded of the lowest band (3, h, w): a sample minus its left neighbour, in the first column its upper."""
    residual = low.copy()
    residual[:, :, 1:] -= low[:, :, :-1]
    residual[:, 1:, 0] -= low[:, :-1, 0]
    return residual


def low_from_residuals(residual: NDArray[np.int32]) -> NDArray[np.int32]:
    """Inverse of `low_residuals`; int32 wraps, as there."""
    low = residual.copy()
    low[:, :, 0] = np.cumsum(residual[:, :, 0], axis=1, dtype=np.int32)
    return np.cumsum(low, axis=2, dtype=np.int32)


def step_code(step: float) -> int:
    """A step in grey levels in 1/32 octave, nearest."""
    return round(STEP_UNIT * math.log2(step))


__all__ = ["LEVELS", "IntegerContextModel", "low_from_residuals", "low_residuals", "pack", "step_code"]
