"""The entropy model of `weconvene-s` in exact integers: what encoder and decoder run, and the order of coding.

`IntegerContextModel` has the networks of `wavelic.weconvene.context` with integer weights and activations
(`wavelic.nn.integer` proves that no sum is ever rounded), so its results do not depend on machine, device, threads,
batch or memory format.  `code_subbands` is the schedule: the one loop over levels and slices that encoder and decoder
share.  They differ only in the function that turns means and tables into residuals: one quantises and writes, the other
reads.

Units: activations and inputs 1/256; coefficients 1/16 step; log2 scales 1/64 octave; steps 1/32 octave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wavelic.errors import ModelError
from wavelic.nn.integer import IntegerConv2d, LookupTable, fixed_point
from wavelic.nn.integer_rows import BLOCK_ROWS, RowConv, clear_frame, framed, inside, row_blocks, rows_of
from wavelic.weconvene.context import (
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
from wavelic.weconvene.subbands import BANDS, PACKED, unpack

ACTIVATION = 1 << 8  # units of an activation
VALUE = 1 << 4  # units of a coefficient in steps
SCALE_UNIT = 1 << 6  # units of an octave of scale
STEP_UNIT = 1 << 5  # units of an octave of the quantiser step
CENTRE_STEP = CENTRE * STEP_UNIT  # the step networks see as 0
LIMIT = (1 << 15) - 1  # of activations
WEIGHT_BITS = 12
VALUE_LIMIT = 1 << 14  # of what networks see of a coefficient, in units of 1/16 step
#: Least units of a weight: in themselves, and relative to the bias; larger sums and shifts would not be exact.
_LEAST_STEP, _BIAS_STEP = 2.0**-27, 2.0**-32

#: (means (n, C, h, w) in 1/16 step, table of every symbol) of one slice -> residuals, int32, in steps.
Coder = Callable[[int, int, Tensor, Tensor], Tensor]


def integer_convolution(conv: nn.Conv2d, output_units: list[float]) -> IntegerConv2d:
    """``conv`` on activations in 1/256; ``output_units``: units per 1.0 of every output channel."""
    assert conv.bias is not None
    weight, bias = conv.weight.detach().double(), conv.bias.detach().double()
    step = weight.abs().amax((1, 2, 3)) / ((1 << (WEIGHT_BITS - 1)) - 1)
    step = torch.maximum(step, bias.abs() * _BIAS_STEP).clamp_min(_LEAST_STEP)  # of channels that (almost) died
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


class Room(NamedTuple):
    """Memory that the slices of a level use one after the other: fresh memory costs more than what is done in it."""

    mixed: Tensor
    added: Tensor
    result: Tensor


class IntegerSlice(nn.Module):
    """`SliceNet` in integers, on framed maps.

    Args:
        net: the trained one.
        order: where its ``known`` features lie in the map of features it gets.
    """

    def __init__(self, net: SliceNet, order: list[int]) -> None:
        super().__init__()
        self.from_context = _hidden(net.from_context)
        self.from_known = _hidden(net.from_known) if net.from_known is not None else None
        self.mix = _hidden(net.mix)
        units = [float(SCALE_UNIT) * HEAD_SCALE] * net.channels + [float(VALUE)] * net.channels
        self.head = integer_convolution(net.head, units)
        self.rows = _rows(self, {"from_known": order})

    def forward(self, context: Tensor, known: Tensor, room: Room) -> Tensor:
        """Framed maps -> (N, h, w, 2 channels): log2 scales in 1/64 octave without their base, means in 1/16 step.

        The result lies in ``room``, until the next slice.
        """
        layers = {name: layer for name, layer in self.rows.items() if isinstance(layer, RowConv)}
        head, pitch = layers["head"], context.shape[2]
        result = room.result[: context.shape[:3].numel() * head.padded].view(-1, head.padded)
        mixed, added = room.mixed, room.added
        for block in row_blocks(context):  # all layers of a block, while it is in the cache
            whole = slice(0, block.stop - block.start)
            x, y = mixed[whole], added[whole]
            layers["from_context"].block(rows_of(context), block, pitch, x)
            if self.from_known is not None:
                x += layers["from_known"].block(rows_of(known), block, pitch, y)
            layers["mix"].block(x.clamp_(0, LIMIT), whole, pitch, y, 0)
            head.block(y, whole, pitch, result[block])
        return inside(result.view(*context.shape[:3], head.padded)[..., : head.outputs])


class IntegerLevel(nn.Module):
    """`LevelContext` in integers, on framed maps."""

    def __init__(self, level: LevelContext) -> None:
        super().__init__()
        self.width = level.width
        self.first, self.second = _hidden(level.first), _hidden(level.second)
        self.slices = nn.ModuleList(
            IntegerSlice(net, _feature_order(level, index))
            for index, net in enumerate(level.slices)
            if isinstance(net, SliceNet)
        )
        self.rows = _rows(self)

    def room(self, context: Tensor) -> Room:
        """What the slices of this level need for a ``context`` of that size."""
        rows = [net.rows for net in self.slices if isinstance(net, IntegerSlice)]
        mix, head = (max(cast("RowConv", layers[name]).padded for layers in rows) for name in ("mix", "head"))
        mixed, added = (context.new_empty(BLOCK_ROWS, mix) for _ in range(2))
        return Room(mixed, added, context.new_empty(context.shape[:3].numel() * head))

    def context(self, parent: Tensor, hidden: Tensor | None, step: Tensor) -> Tensor:
        """As `LevelContext.context`; ``parent``: features (N, h, w, 18), ``hidden`` framed, of half the size, ``step``:
        (N or 1, 1, 1)."""
        batch, height, width, features = parent.shape
        x = framed(parent, batch, height, width, features + self.width + 1)
        inner = inside(x)
        inner[..., :features] = parent
        if hidden is None:
            inner[..., features:-1] = 0
        else:
            pairs = inner[..., features:-1].unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
            pairs.copy_(inside(hidden)[:, :, None, :, None])  # doubled in size
        inner[..., -1] = (step - CENTRE_STEP) * (ACTIVATION // STEP_UNIT)
        return self.rows["second"](clear_frame(self.rows["first"](x, 0)), 0)


def _rows(owner: nn.Module, orders: dict[str, list[int]] | None = None) -> nn.ModuleDict:
    """A `RowConv` for every `IntegerConv2d` directly in ``owner``, by name."""
    layers = {name: layer for name, layer in owner.named_children() if isinstance(layer, IntegerConv2d)}
    return nn.ModuleDict({name: RowConv(layer, (orders or {}).get(name)) for name, layer in layers.items()})


def _fold(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, RowConv):
            module.fold()


def _feature_order(level: LevelContext, index: int) -> list[int]:
    """Where slice ``index`` finds its inputs: features are kept slice by slice, magnitudes and then values of each."""
    magnitudes: list[int] = []
    values: list[int] = []
    for net in level.slices[:index]:
        assert isinstance(net, SliceNet)
        begin = len(magnitudes) + len(values)
        magnitudes += range(begin, begin + net.channels)
        values += range(begin + net.channels, begin + 2 * net.channels)
    return magnitudes + values


class IntegerContextModel(nn.Module):
    """The entropy model as integers, made from a trained one; `load_arrays` replaces all of them by stored ones.

    Raises:
        UsageError: weights so large that sums could not be exact.
    """

    base: Tensor

    def __init__(self, model: ContextModel) -> None:
        super().__init__()
        self.passes = model.passes
        self.levels = nn.ModuleList(IntegerLevel(level) for level in model.levels if isinstance(level, LevelContext))
        self.adapt = nn.ModuleList(_hidden(conv) for conv in model.adapt if isinstance(conv, nn.Conv2d))
        self.adapt_rows = _rows(self.adapt)
        self.register_buffer("base", (model.base.detach().double() * SCALE_UNIT).round().to(torch.int32))
        log_table = [
            round(ACTIVATION * 0.5 * math.log2(1 + abs(k) / VALUE)) for k in range(-VALUE_LIMIT, VALUE_LIMIT + 1)
        ]
        self.magnitude = LookupTable(torch.tensor(log_table, dtype=torch.int32))
        self.register_load_state_dict_post_hook(lambda module, _: _fold(module))

    def features(self, values: Tensor) -> Tensor:
        """int32 coefficients in 1/16 step (N, C, h, w) -> int32 (N, 2 C, h, w): log magnitudes, then clamped values."""
        bound = int(SIGNED * VALUE)
        return torch.cat((self.magnitude(values), values.clamp(-bound, bound) * (ACTIVATION // VALUE)), 1)

    def tables(self, number: int, channels: tuple[int, ...], scale: Tensor, step: Tensor) -> Tensor:
        """Number of the table, 0..63, of every symbol: uint8 (N, C, h, w), from log2 scales int32 of that shape.

        step: as in `code_subbands`, (N or 1, 1, 1, 1).
        """
        base = self.base[number - 1, list(channels)][:, None, None]
        start = base - (step - CENTRE_STEP) * (SCALE_UNIT // STEP_UNIT) - int(LOG2_LOWEST * SCALE_UNIT)
        octaves = (scale + start).mul_(PER_OCTAVE).add_(SCALE_UNIT // 2)
        octaves.bitwise_right_shift_(SCALE_UNIT.bit_length() - 1)
        return octaves.clamp_(0, SCALES - 1).to(torch.uint8)

    @torch.inference_mode()
    def code_subbands(self, low: Tensor, step: int | Sequence[int], coder: Coder) -> list[Tensor]:
        """Run the schedule.

        Args:
            low: int32 (N, 3, h, w), the lowest band, whose size sets that of all others; its values are not looked at.
            step: quantiser step in 1/32 octave of a grey level, of all images or of each.
            coder: called as ``coder(level, slice, means, tables)`` for every slice in coding order.

        Returns:
            Coefficients in 1/16 step, level 1 (finest) first: int32 (N, 9, h_d, w_d).
        """
        batch, _, height, width = low.shape
        steps = torch.tensor(step, dtype=torch.int32, device=low.device).reshape(-1, 1, 1)
        parent = low.new_zeros(batch, BANDS, height // 2, width // 2)
        hidden: Tensor | None = None
        results: list[Tensor] = []
        for number in level_numbers():
            level = self.levels[min(number, 3) - 1]
            assert isinstance(level, IntegerLevel)
            if hidden is not None and number < 3:
                hidden = self.adapt_rows[str(number - 1)](hidden)
            hidden = level.context(self.features(parent).permute(0, 2, 3, 1), hidden, steps)
            height, width = parent.shape[2:]
            packed = low.new_empty(batch, PACKED, height, width)
            known = framed(low, batch, height, width, 2 * (PACKED - len(self.passes[-1].channels)))
            room, written = level.room(hidden), 0
            for index, (part, net) in enumerate(zip(self.passes, level.slices, strict=True)):
                count = len(part.channels)
                scale, mean = net(hidden, known, room).permute(0, 3, 1, 2).to(torch.int32).chunk(2, 1)
                mean = mean.contiguous()
                table = self.tables(number, part.channels, scale.contiguous(), steps[:, None])
                values = coder(number, index, mean, table).mul(VALUE).add_(mean)
                packed[:, list(part.channels)] = values
                if index + 1 < len(self.passes):
                    inside(known)[..., written : written + 2 * count] = self.features(values).permute(0, 2, 3, 1)
                    written += 2 * count
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

    def float_state(self) -> dict[str, Tensor]:
        """State of the float `ContextModel` these integers stand for, to the precision of the weights: to train on."""
        state = {"base": self.base.to(torch.float32) / SCALE_UNIT}
        for name, layer in self.convolutions():
            unit = torch.full((layer.weight.shape[0], 1), float(ACTIVATION), dtype=torch.float64)
            if name.endswith(".head"):
                half = len(unit) // 2
                unit[:half], unit[half:] = SCALE_UNIT * HEAD_SCALE, VALUE
            ratio = layer.multiplier.double() / torch.exp2(layer.shift.double())
            step = ratio * ACTIVATION / unit[:, 0]
            state[f"{name}.weight"] = (layer.weight.double() * step[:, None, None, None]).float()
            state[f"{name}.bias"] = (layer.bias.double() * step / ACTIVATION).float()
        return state

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
