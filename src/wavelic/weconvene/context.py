"""Context model of `weconvene`: location and scale of a logistic distribution for every coefficient.

After 3DWeChARM (3DM-WeConvene, section III-B): subbands are coded from low to high, each slice conditioned on all that
was coded before.  There is no hyperprior; coarser subbands are the side information.  A state of some hundred feature
maps is carried from slice to slice and from level to level.  Per level, on the grid of its packed coefficients
(`wavelic.weconvene.subbands`):

    state <- ReLU( ReLU conv3 (parent bands, step) + conv1 (state of the parent level, doubled in size) )
    state <- ReLU( state + conv1 ReLU conv3 state )
    for every slice:
        state <- ReLU( state + conv3 (coefficients of the slice before) )
        state <- ReLU( state + conv1 ReLU conv1 state )
        log2 scale, mean <- conv1 ReLU conv1 state
    state <- ReLU( state + conv3 (coefficients of the last slice) )          for the next finer level

One description serves training and coding: `ContextModel` with layers of `QuantConv2d` computes in floats, with layers
of `ExactConv2d` in integers that are the same on every machine, and `code_levels` is the one loop over levels and
slices that training, encoder and decoder share.  Networks see a coefficient v as log2(1 + |v|), in one of two feature
maps by its sign.

Units of the integers: activations 1/32 or as their layer says; coefficients 1/16 quantiser step; log2 scales 1/64
octave; quantiser steps 1/32 octave.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from wavelic.nn.constants import constant
from wavelic.nn.exact import Conv, ExactConv2d, QuantConv2d
from wavelic.weconvene.features import (
    LOW_COEFFICIENTS,
    PARENT_FLOATS,
    PARENT_ORDER,
    features,
    integer_order,
    low_features,
    parent_features,
)
from wavelic.weconvene.layout import BANDS, LEVELS, PACKED, SLICES, Slice, coding_order
from wavelic.weconvene.subbands import unpack, unpack_slices
from wavelic.weconvene.units import (
    CENTRE,
    FEATURE,
    FINEST,
    HEAD_SCALE,
    LOG2_LOWEST,
    MAX_MEAN,
    PER_OCTAVE,
    SCALE_UNIT,
    SCALES,
    STEP_UNIT,
    VALUE,
)


class LevelContext(nn.Module):
    """Networks of one level, or of several that share weights.

    Args:
        width: feature maps of the state.
        parent_width: those of the parent level's.
        slices: of a level in coding order.
        layer: `QuantConv2d` or `ExactConv2d`.
    """

    def __init__(self, width: int, parent_width: int, slices: tuple[Slice, ...], layer: Conv) -> None:
        super().__init__()
        counts = [len(part.channels) for part in slices]
        self.from_parent = layer(PARENT_FLOATS, width, 3)
        self.from_state = layer(parent_width, width)
        self.trunk, self.trunk_out = layer(width, width, 3), layer(width, width)
        self.from_slice = nn.ModuleList(layer(2 * count, width, 3) for count in counts)
        self.mix = nn.ModuleList(layer(width, width) for _ in counts)
        self.mix_out = nn.ModuleList(layer(width, width) for _ in counts)
        self.before_head = nn.ModuleList(layer(width, width) for _ in counts)
        self.heads = nn.ModuleList(layer(width, 2 * count, relu=False) for count in counts)
        _ordered(self.from_parent, PARENT_ORDER)
        for conv, count in zip(self.from_slice, counts, strict=True):
            _ordered(conv, integer_order(count))
        for head in self.heads:
            for parameter in head.parameters():
                nn.init.zeros_(parameter)

    def state_layers(self) -> list[nn.Module]:
        """The layers whose results are the state, all in one unit."""
        return [self.from_parent, self.from_state, self.trunk_out, *self.from_slice, *self.mix_out]

    def begin(self, parent: Tensor, state: Tensor | None) -> Tensor:
        """The state before the first slice: (N, width, h, w).

        Args:
            parent: `parent_features` of the parent level's bands.
            state: of the parent level, (N, parent_width, h / 2, w / 2); None at the coarsest.
        """
        new = self.from_parent(parent)
        if state is not None:
            new = self.from_state(interpolate(state, scale_factor=2.0, mode="nearest"), new)
        return self.trunk_out(self.trunk(new), new)

    def parameters_of(self, index: int, state: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """The state after slice ``index`` was prepared, and its log2 scales in units of HEAD_SCALE and then its means.

        The latter are float32 (N, 2 channels, h, w).  ``before``: features of the slice before, None for the first.
        """
        if before is not None:
            state = self.from_slice[index - 1](before, state)
        state = self.mix_out[index](self.mix[index](state), state)
        return state, self.heads[index](self.before_head[index](state)).float()

    def finish(self, state: Tensor, last: Tensor) -> Tensor:
        """The state for the next finer level; ``last``: features of the last slice."""
        return self.from_slice[-1](last, state)


class ContextModel(nn.Module):
    """Context model of all levels.

    Args:
        widths: feature maps of level 1, level 2, and of the levels from 3 on, which share one set of weights.
        slices: of a level in coding order.
        layer: `QuantConv2d` to train, `ExactConv2d` to code.
    """

    base: Tensor

    def __init__(
        self, widths: tuple[int, int, int], slices: tuple[Slice, ...] = SLICES, layer: Conv = QuantConv2d
    ) -> None:
        super().__init__()
        self.slices, self.exact = slices, layer is ExactConv2d
        parents = (widths[1], widths[2], widths[2])
        self.levels = nn.ModuleList(
            LevelContext(width, parent, slices, layer) for width, parent in zip(widths, parents, strict=True)
        )
        self.from_low = layer(2 * LOW_COEFFICIENTS, widths[2], 3)
        _ordered(self.from_low, integer_order(LOW_COEFFICIENTS))
        base = torch.zeros(LEVELS, PACKED)
        if self.exact:
            self.register_buffer("base", base.to(torch.int32))
        else:
            self.base = nn.Parameter(base)

    @torch.no_grad()
    def start_from(self, magnitudes: Tensor) -> None:
        """Start from mean magnitudes (LEVELS, 9) of the bands, level 1 first, at a step of 2^CENTRE grey levels."""
        scale = (magnitudes / (2 * math.log(2))).clamp_min(1e-3)  # of a logistic distribution with that mean magnitude
        self.base.copy_(torch.log2(scale).repeat_interleave(PACKED // BANDS, 1))

    @torch.no_grad()
    def set_exponents(self, outputs: dict[nn.Module, int]) -> None:
        """Set the units of all activations: 2^exponent to 1.0, from those that suit each layer's outputs.

        All layers that write a level's state get the smallest of theirs.
        """
        feature = FEATURE.bit_length() - 1
        shared: list[int] = []
        for level in self.levels:
            assert isinstance(level, LevelContext)
            writers = [*level.state_layers(), *([self.from_low] if level is self.levels[-1] else [])]
            shared.append(min(outputs[layer] for layer in writers))
            for layer in writers:
                _exponents(layer)[1] = shared[-1]
        for number, level in enumerate(self.levels):
            assert isinstance(level, LevelContext)
            for layer in (level.from_parent, *level.from_slice):
                _exponents(layer)[0] = feature
            _exponents(level.from_state)[0] = shared[min(number + 1, len(shared) - 1)]
            pairs = [(level.trunk, level.trunk_out), *zip(level.mix, level.mix_out, strict=True)]
            for inner, outer in (*pairs, *zip(level.before_head, level.heads, strict=True)):
                _exponents(inner)[0] = shared[number]
                _exponents(inner)[1] = _exponents(outer)[0] = outputs[inner]
        _exponents(self.from_low)[0] = feature

    def level(self, number: int) -> LevelContext:
        """Networks of level ``number``, 1 (finest) .. LEVELS."""
        chosen = self.levels[min(number, 3) - 1]
        assert isinstance(chosen, LevelContext)
        return chosen

    def starts(self, log2_step: Tensor) -> Tensor:
        """What is added to the networks' scales of every level and packed channel at a step (N,): (N, LEVELS, 36).

        In floats: log2 scales.  In integers: numbers of tables, with the half that rounds them, exact in float32.
        """
        step = log2_step[:, None, None]
        if not self.exact:
            return self.base - (step - CENTRE)
        code = (step * STEP_UNIT).to(torch.int32)
        octaves = self.base - (code - CENTRE * STEP_UNIT) * (SCALE_UNIT // STEP_UNIT) - round(LOG2_LOWEST * SCALE_UNIT)
        return octaves * (PER_OCTAVE / SCALE_UNIT) + 0.5

    def location_and_scale(self, found: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """What a slice is coded with, from the networks' results (N, 2 channels, h, w), see `parameters_of`.

        Args:
            found: the results; overwritten in integers.
            start: `starts` of the slice's channels, (N, channels, 1, 1).

        Returns:
            In floats: mean in steps and log2 scale.  In integers: mean int32 in 1/16 step and table uint8, 0..63.
        """
        if not self.exact:
            scale, mean = found.chunk(2, 1)
            return mean, HEAD_SCALE * scale + start
        scale, mean = found.contiguous().chunk(2, 1)
        scale.mul_(HEAD_SCALE * SCALE_UNIT).clamp_(-64 * SCALE_UNIT, 64 * SCALE_UNIT).round_()
        table = scale.mul_(PER_OCTAVE / SCALE_UNIT).add_(start).floor_().clamp_(0, SCALES - 1)
        return mean.clamp_(-MAX_MEAN, MAX_MEAN).mul_(VALUE).round_().to(torch.int32), table.to(torch.uint8)


#: (level, slice, location, scale or table) of a slice -> its coefficients, in the units of the location.
Coder = Callable[[int, int, Tensor, Tensor], Tensor]


def code_levels(
    model: ContextModel,
    low: Tensor,
    log2_step: Tensor,
    levels: int,
    coder: Coder,
    count: int | None = None,
    first: int = 1,
) -> list[Tensor]:
    """Walk over levels and slices in coding order: the schedule that training, encoder and decoder share.

    Args:
        model: in floats or in integers.
        low: the lowest band in steps, (N, 3, h, w): float32 or int32.
        log2_step: log2 of the quantiser step in grey levels, (N or 1,), a multiple of 1/32 for integers.
        levels: wavelet levels of the picture, 1..LEVELS.
        coder: called as ``coder(level, slice, location, scale)`` for every slice in coding order.
        count: slices that are coded, the first ones of all levels; of the others coefficients are zero, and nothing is
            computed.  None: all.
        first: the finest level that is wanted.

    Returns:
        Coefficients of levels ``first``.. ``levels`` in the units of ``coder``, (N, 9, h_d, w_d) each.
    """
    octaves = log2_step[:, None, None, None] - FINEST / STEP_UNIT
    step = (octaves * FEATURE).round() if model.exact else octaves
    order, counts = coding_order(model.slices)
    ordered = model.starts(log2_step).index_select(2, constant(order, low, torch.int64))
    starts = [start[..., None, None] for start in ordered.split(counts, 2)]
    batch, _, height, width = low.shape
    parent = low.new_zeros(batch, BANDS, height // 2, width // 2)
    state: Tensor | None = None
    results: list[Tensor] = []
    left = levels * len(model.slices) if count is None else count
    for number in range(levels, first - 1, -1):
        if left <= 0:
            parent = parent.new_zeros(batch, BANDS, height << (levels - number), width << (levels - number))
            results.append(parent)
            continue
        net = model.level(number)
        state = net.begin(parent_features(parent.detach(), step), state)
        if number == LEVELS:
            state = model.from_low(low_features(low.detach()), state)
        parts: list[Tensor] = []
        for index in range(min(left, len(model.slices))):
            before = features(parts[-1].detach()) if parts else None
            state, found = net.parameters_of(index, state, before)
            parts.append(coder(number, index, *model.location_and_scale(found, starts[index][:, number - 1])))
        left -= len(parts)
        if number > first and left > 0:
            state = net.finish(state, features(parts[-1].detach()))
        for part in model.slices[len(parts) :]:
            parts.append(parts[0].new_zeros(batch, len(part.channels), *parts[0].shape[2:]))
        if model.exact:
            parent = unpack_slices(parts, model.slices)
        else:
            places = tuple(order.index(channel) for channel in range(PACKED))
            parent = unpack(torch.cat(parts, 1).index_select(1, constant(places, low, torch.int64)))
        results.append(parent)
    return results[::-1]


def _ordered(layer: nn.Module, order: tuple[int, ...]) -> None:
    """Tell a layer of integers that its inputs are features in another order than those of floats."""
    if isinstance(layer, ExactConv2d):
        layer.order = order


def _exponents(layer: nn.Module) -> Tensor:
    assert isinstance(layer, QuantConv2d)
    return layer.exponents
