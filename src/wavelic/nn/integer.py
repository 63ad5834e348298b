"""Convolutions whose results are the same integers on every machine.

An entropy decoder must see exactly the probabilities that the encoder saw, and float networks do not give that: their
last bits depend on the order of additions, hence on threads, libraries and devices.  Here activations, weights and
biases are integers.  They are *carried* by floats, so that the ordinary fast convolutions can be used, and every
accumulation is so small that floats represent each partial sum exactly.  Then no order of additions can change it.

    accumulator = sum(weight * input) + bias          exact, see below
    output = clamp((accumulator * multiplier + 2^(shift - 1)) >> shift, -limit, limit)      in int64

Why it is exact.  With |input| <= A, the integer sum_o |weight_o| * A + |bias_o| bounds every partial sum of output
channel o in whatever order it is added up, with or without fused multiply-add.  Up to 2^24 all integers are float32
numbers, up to 2^53 float64 numbers, so nothing is rounded.  The constructor computes the bound from the actual weights
and refuses a carrier that is too small; 2^47 is the limit for float64, so that the 15-bit multiplier fits int64.

The argument covers algorithms that add products of weights and inputs: direct and matrix-product convolution, which
is what torch uses on CPUs.  Winograd and FFT convolutions form other intermediate numbers; their error stays below
1/2, and is removed by the rounding here, only with room to spare.  For devices that may choose them, ask for
``carrier="float64"``, which leaves a factor of 2^53 / bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from wavelic.errors import UsageError

Carrier = Literal["auto", "float32", "float64"]
EXACT_BOUND = {"float32": 1 << 24, "float64": 1 << 47}
MULTIPLIER_BITS = 15
MAX_SHIFT = 62


class IntegerConv2d(nn.Module):
    """Convolution from int32 to int32 tensors, exact on any device, with any memory format, batch or thread count.

    Args:
        weight: whole numbers, (out, in / groups, k, k).
        bias: whole numbers, (out,), in units of weight * input.
        multiplier: whole numbers 0..2^15, (out,).
        shift: whole numbers 0..62, (out,).
        input_limit: inputs are clamped to -input_limit..input_limit.
        output_limit: outputs are clamped to -output_limit..output_limit.
        stride: as for `torch.nn.Conv2d`.
        padding: as for `torch.nn.Conv2d`.
        groups: as for `torch.nn.Conv2d`.
        carrier: "float32", "float64", or "auto" for the smallest that is exact.

    Raises:
        UsageError: values out of range, or a carrier in which the worst case is not exact.

    Examples:
        >>> one = torch.tensor([1])
        >>> layer = IntegerConv2d(torch.full((1, 1, 1, 1), 3), one, one, one, input_limit=127, output_limit=99)
        >>> layer(torch.tensor([[[[-5, 0, 5, 1000]]]], dtype=torch.int32)).tolist()
        [[[[-7, 1, 8, 99]]]]
    """

    weight: Tensor
    bias: Tensor
    multiplier: Tensor
    shift: Tensor

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        multiplier: Tensor,
        shift: Tensor,
        input_limit: int,
        output_limit: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        carrier: Carrier = "auto",
    ) -> None:
        super().__init__()
        for name, values, low, high in (
            ("weight", weight, -(1 << 15), 1 << 15),
            ("bias", bias, -(1 << 46), 1 << 46),
            ("multiplier", multiplier, 0, 1 << MULTIPLIER_BITS),
            ("shift", shift, 0, MAX_SHIFT),
        ):
            if values.is_floating_point() or not low <= int(values.min()) <= int(values.max()) <= high:
                raise UsageError(f"{name} is not made of integers from {low} to {high}; quantise it again")
        if not (0 < input_limit < 1 << 24 and 0 < output_limit < 1 << 31):
            raise UsageError(f"limits {input_limit}, {output_limit}; expected 1..2^24 - 1 and 1..2^31 - 1")
        self.input_limit, self.output_limit = input_limit, output_limit
        self.stride, self.padding, self.groups = stride, padding, groups
        self.register_buffer("weight", weight.to(torch.int32))
        self.register_buffer("bias", bias.to(torch.int64))
        self.register_buffer("multiplier", multiplier.to(torch.int32))
        self.register_buffer("shift", shift.to(torch.int32))
        self.requested = carrier
        self.prove()
        self.register_load_state_dict_post_hook(lambda module, _: module.prove())

    def prove(self) -> None:
        """Check the bound for the weights as they are and settle the carrier; runs again when weights are loaded.

        Raises:
            UsageError: the requested carrier is too small.
        """
        worst, name = int(self.worst_case().max()), self.requested
        if name == "auto":
            name = "float32" if worst <= EXACT_BOUND["float32"] else "float64"
        if name not in EXACT_BOUND or worst > EXACT_BOUND[name]:
            raise UsageError(f"sums reach {worst}, too large for carrier {name!r}; use fewer bits or 'float64'")
        self.carrier = torch.float32 if name == "float32" else torch.float64

    @classmethod
    def from_float(
        cls,
        conv: nn.Conv2d,
        input_step: float,
        output_step: float,
        *,
        input_bits: int = 12,
        weight_bits: int = 10,
        output_bits: int = 12,
        carrier: Carrier = "auto",
    ) -> IntegerConv2d:
        """Quantise a trained convolution; done once, before weights are shipped.

        Args:
            conv: with a bias, zero padding, one stride and padding for both directions, no dilation.
            input_step: value of one unit of an input integer.
            output_step: value of one unit of an output integer.
            input_bits: signed width of the inputs.
            weight_bits: signed width of the weights, which get a scale of their own per output channel.
            output_bits: signed width of the outputs.
            carrier: "float32", "float64", or "auto" for the smallest that is exact.

        Returns:
            The integer layer.

        Raises:
            UsageError: another kind of convolution, or a step that is not positive.
        """
        stride, padding = conv.stride, conv.padding
        plain = conv.bias is not None and conv.padding_mode == "zeros" and set(conv.dilation) == {1}
        if not plain or isinstance(padding, str) or stride[0] != stride[1] or padding[0] != padding[1]:
            raise UsageError(f"cannot quantise {conv}; expected a bias, zero padding, equal strides, no dilation")
        if min(input_step, output_step) <= 0:
            raise UsageError(f"steps {input_step}, {output_step}; give positive numbers")
        weight, bias = conv.weight.detach().double(), conv.bias.detach().double()  # type: ignore[union-attr]
        largest = weight.abs().amax((1, 2, 3)).clamp_min(1e-12)
        step = largest / ((1 << (weight_bits - 1)) - 1)
        fixed = [fixed_point(ratio) for ratio in (step * input_step / output_step).tolist()]
        return cls(
            (weight / step[:, None, None, None]).round().to(torch.int32),
            (bias / (step * input_step)).round().to(torch.int64),
            torch.tensor([multiplier for multiplier, _ in fixed]),
            torch.tensor([shift for _, shift in fixed]),
            (1 << (input_bits - 1)) - 1,
            (1 << (output_bits - 1)) - 1,
            stride=stride[0],
            padding=int(padding[0]),
            groups=conv.groups,
            carrier=carrier,
        )

    def worst_case(self) -> Tensor:
        """Largest absolute value any partial sum of each output channel can reach: int64 (out,)."""
        return self.weight.to(torch.int64).abs().sum((1, 2, 3)) * self.input_limit + self.bias.abs()

    def accumulate(self, x: Tensor) -> Tensor:
        """Compute the exact sums before requantisation.

        Args:
            x: int32 (N, in, H, W).

        Returns:
            int64 (N, out, H', W').
        """
        x = x.clamp(-self.input_limit, self.input_limit).to(self.carrier)
        with torch.autocast(device_type=x.device.type, enabled=False):
            weight, bias = self.weight.to(self.carrier), self.bias.to(self.carrier)
            y = conv2d(x, weight, bias, self.stride, self.padding, groups=self.groups)
        return y.round().to(torch.int64)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Compute int32 (N, in, H, W) -> int32 (N, out, H', W').

        Args:
            x: int32 (N, in, H, W).

        Returns:
            int32 (N, out, H', W').

        Raises:
            UsageError: another dtype.
        """
        if x.dtype != torch.int32:
            raise UsageError(f"integer layers take int32, got {x.dtype}; round and convert the input first")
        y = requantize(self.accumulate(x), self.multiplier[:, None, None], self.shift[:, None, None])
        return y.clamp(-self.output_limit, self.output_limit).to(torch.int32)


class LookupTable(nn.Module):
    """Tabulated function of one integer: y = table[clamp(x, -limit, limit) + limit], int32 in and out.

    Args:
        table: int32 (2 * limit + 1,), the values at -limit..limit.

    Examples:
        >>> relu = LookupTable.from_function(lambda x: max(x, 0.0), 4, input_step=0.5, output_step=0.25, output_limit=7)
        >>> relu(torch.tensor([-9, -1, 0, 1, 3, 9], dtype=torch.int32)).tolist()
        [0, 0, 0, 2, 6, 7]
    """

    table: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        if table.dtype != torch.int32 or table.dim() != 1 or table.numel() % 2 == 0:
            raise UsageError(f"table is {table.dtype} {tuple(table.shape)}; expected int32, one odd-sized dimension")
        self.limit = table.numel() // 2
        self.register_buffer("table", table)

    @classmethod
    def from_function(
        cls,
        function: Callable[[float], float],
        limit: int,
        *,
        input_step: float,
        output_step: float,
        output_limit: int,
    ) -> LookupTable:
        """Tabulate a function; floats are used here only.

        Args:
            function: maps a float to a float.
            limit: largest absolute input integer.
            input_step: value of one unit of an input integer.
            output_step: value of one unit of an output integer.
            output_limit: largest absolute output integer.

        Returns:
            The table.
        """
        values = [round(function(k * input_step) / output_step) for k in range(-limit, limit + 1)]
        return cls(torch.tensor(values).clamp(-output_limit, output_limit).to(torch.int32))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Look up every element: int32 in and out, any shape."""
        index = x.clamp(-self.limit, self.limit).to(torch.int64) + self.limit
        return self.table[index]


def requantize(x: Tensor, multiplier: Tensor, shift: Tensor) -> Tensor:
    """Multiply and shift with rounding: floor(x * multiplier / 2^shift + 1/2), in int64.

    Args:
        x: integers, |x| <= 2^47.
        multiplier: integers of at most 2^15, broadcast to ``x``.
        shift: integers of at most 62, broadcast to ``x``.

    Returns:
        int64, in the shape of ``x``.

    Examples:
        >>> requantize(torch.tensor([-3, -1, 1, 3]), torch.tensor(1), torch.tensor(1))
        tensor([-1,  0,  1,  2])
    """
    shift = shift.to(torch.int64)
    half = (torch.ones_like(shift) << shift) >> 1
    return (x.to(torch.int64) * multiplier.to(torch.int64) + half) >> shift


def fixed_point(ratio: float) -> tuple[int, int]:
    """Fixed-point form of a ratio, with a multiplier in 2^14..2^15 - 1 where possible.

    Args:
        ratio: from 0 to 2^15.

    Returns:
        (multiplier, shift) with multiplier / 2^shift closest to ``ratio``.

    Raises:
        UsageError: a ratio that is negative, not finite, or above 2^15.

    Examples:
        >>> fixed_point(0.5), fixed_point(3.0), fixed_point(1e-30)
        ((16384, 15), (24576, 13), (0, 0))
    """
    if not 0 <= ratio <= 1 << MULTIPLIER_BITS:
        raise UsageError(f"ratio of steps {ratio}; expected 0 to {1 << MULTIPLIER_BITS}: choose a larger output step")
    fraction, exponent = math.frexp(ratio)
    multiplier, shift = round(fraction * (1 << MULTIPLIER_BITS)), MULTIPLIER_BITS - exponent
    if multiplier == 1 << MULTIPLIER_BITS and shift > 0:
        multiplier, shift = multiplier >> 1, shift - 1
    if shift > MAX_SHIFT:
        return 0, 0
    return (multiplier, shift) if shift >= 0 else (multiplier << -shift, 0)
