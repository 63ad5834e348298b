"""Exact convolutions as products of matrices over rows of pixels: `IntegerConv2d` where speed counts.

An `IntegerConv2d` turns its sums into outputs by an integer multiply and shift.  Here both are folded into the weights:

    output = floor(sum(folded weight * input) + folded bias),     folded weight = weight * multiplier / 2^shift
                                                                  folded bias = bias * multiplier / 2^shift + 1/2 + u

All of it in float64.  In units of 2u = 2^-shift every weight, product and partial sum is a whole number, and in units
of u so is the rest.  With every partial sum below 2^53 u nothing is ever rounded, in any order of additions, with or
without fused multiply-add; `RowConv` computes that bound and refuses weights that break it.  The u = 2^-(shift + 1)
changes no result; it moves the exact sums half a unit away from the steps of floor, so that even an algorithm that
rounds a little would give the same integers.

Pixels are rows of a matrix, (N * (H + 2) * (W + 2), C): a map with a frame of one pixel.  Shifting all pixels by a tap
of a 3x3 kernel is then shifting the rows, and a convolution is nine products of matrices that overlap in memory, done
in blocks of rows that stay in the cache.  float64 convolutions of torch take three times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from wavelic.errors import UsageError
from wavelic.nn.integer import IntegerConv2d

BLOCK_ROWS = 2048
_GROUP = 24  # columns of a product that AVX-512 does at once; 64 of them take longer than 72
_EXACT = 1 << 53


class RowConv(nn.Module):
    """The function of an `IntegerConv2d` with stride 1, one group and a 1x1 or padded 3x3 kernel, on framed maps.

    Args:
        layer: whose integers to use; its results are reproduced exactly for inputs within its limit.
        order: where to find each of the layer's input channels; in their own order if not given.

    Raises:
        UsageError: another kind of layer, or numbers so large that float64 could not hold every sum.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: IntegerConv2d, order: Sequence[int] | None = None) -> None:
        super().__init__()
        kernel = layer.weight.shape[-1]
        if kernel not in (1, 3) or (layer.stride, layer.groups, layer.padding) != (1, 1, kernel // 2):
            raise UsageError(f"kernel {kernel}, stride {layer.stride}, groups {layer.groups}; expected 1x1 or 3x3")
        self.kernel, self.limit, self.outputs = kernel, layer.output_limit, layer.weight.shape[0]
        self.padded = _padded(self.outputs)
        self.register_buffer("weight", torch.empty(0), persistent=False)
        self.register_buffer("bias", torch.empty(0), persistent=False)
        self._order = list(range(layer.weight.shape[1])) if order is None else list(order)
        self._source = (layer,)  # in a tuple: not a part of this module
        self._views: tuple[Tensor | None, Sequence[Tensor]] = (None, ())
        self.fold()

    def fold(self) -> None:
        """Take over the layer's integers as they are now.  Raises UsageError if sums of them could be inexact."""
        (layer,) = self._source
        multiplier, shift = layer.multiplier.to(torch.int64), layer.shift.to(torch.int64)
        for sum_, factor, bits in zip(layer.worst_case().tolist(), multiplier.tolist(), shift.tolist(), strict=True):
            if factor < 0 or bits < 0 or 2 * sum_ * factor + (1 << bits) + 1 > _EXACT:
                raise UsageError(f"sums reach {sum_} times {factor} / 2^{bits}, too large to be exact; use fewer bits")
        unit = torch.exp2(-shift.double())
        ratio = multiplier.double() * unit
        folded = layer.weight.double() * ratio[:, None, None, None]
        ordered = torch.empty_like(folded)
        ordered[:, self._order] = folded
        taps = ordered.permute(2, 3, 1, 0).reshape(self.kernel**2, *folded.shape[1::-1])
        missing = self.padded - self.outputs  # columns of zeros, whose outputs are floor(1/2)
        self.weight = pad(taps, (0, missing)).contiguous()
        self.bias = pad(layer.bias.double() * ratio + unit / 2, (0, missing)) + 0.5

    @torch.no_grad()
    def forward(self, x: Tensor, lowest: int | None = None) -> Tensor:
        """Whole numbers in float64, framed: (N, H + 2, W + 2, in or more) -> (N, H + 2, W + 2, out), a view.

        Outputs are clamped to ``lowest``..limit; -limit if not given.  The frame of the input must be zero for a 3x3
        kernel; that of the output holds no meaningful values.
        """
        rows = rows_of(x)
        result = x.new_empty(len(rows), self.padded)
        for block in row_blocks(x):
            self.block(rows, block, x.shape[2], result[block], lowest)
        return result.view(*x.shape[:3], self.padded)[..., : self.outputs]

    def _taps(self) -> Sequence[Tensor]:
        """`weight` tap by tap; views, kept because making them anew holds Python's lock, which other threads want."""
        weight, taps = self._views
        if weight is not self.weight:
            taps = self.weight.unbind()
            self._views = self.weight, taps
        return taps

    def block(self, rows: Tensor, block: slice, pitch: int, out: Tensor, lowest: int | None = None) -> Tensor:
        """`forward` of the rows ``block``, into ``out``: (rows, padded).  pitch: rows to a line of the map."""
        size, strides = (block.stop - block.start, self.weight.shape[1]), rows.stride()
        first = rows.storage_offset() + block.start * strides[0]
        offsets = [i * pitch + j for i in (-1, 0, 1) for j in (-1, 0, 1)] if self.kernel == 3 else [0]
        for number, (offset, tap) in enumerate(zip(offsets, self._taps(), strict=True)):
            shifted = rows.as_strided(size, strides, first + offset * strides[0])
            if number:
                out.addmm_(shifted, tap)
            else:
                torch.addmm(self.bias, shifted, tap, out=out)
        return out.floor_().clamp_(-self.limit if lowest is None else lowest, self.limit)


def rows_of(x: Tensor) -> Tensor:
    """The pixels of a framed map as rows of a matrix, a view."""
    return x.flatten(0, 2)


def row_blocks(x: Tensor) -> Iterator[slice]:
    """Blocks of the rows of a framed map, without those at both ends whose neighbours would lie outside it."""
    edge = x.shape[2] + 1
    rows = x.shape[0] * x.shape[1] * x.shape[2]
    for begin in range(edge, rows - edge, BLOCK_ROWS):
        yield slice(begin, min(begin + BLOCK_ROWS, rows - edge))


def _padded(columns: int) -> int:
    """How many columns the matrix for so many outputs has: products are fastest for whole groups of them."""
    group = _GROUP if columns > _GROUP else _GROUP // 2
    return -(-columns // group) * group


def framed(like: Tensor, batch: int, height: int, width: int, channels: int) -> Tensor:
    """A map that is not filled in yet, in a frame of zeros, on the device of ``like``."""
    return clear_frame(torch.empty(batch, height + 2, width + 2, channels, dtype=torch.float64, device=like.device))


def inside(x: Tensor) -> Tensor:
    """A framed map without its frame: (N, H, W, C), a view."""
    return x[:, 1:-1, 1:-1]


def clear_frame(x: Tensor) -> Tensor:
    """Zeros in the frame, in place."""
    x[:, 0] = x[:, -1] = 0
    x[:, :, 0] = x[:, :, -1] = 0
    return x
