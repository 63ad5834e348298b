"""Applying a learned operator to bands: extend, run the network once, get the samples of the target band.

Networks see (B, inputs, H + 2r, W + 2r) and give (B, outputs, H, W).  Which samples of which band lie there is decided
by absolute coordinates (`lifting_grid`), so a window of an image gives the samples the whole image gives, apart from
those nearer than r to an edge that is not the image's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from wavelic.lifting.transform.grid import Axis, Kind
from wavelic.lifting.transform.proposal_opacity import ProposalOpacity
from wavelic.lifting.transform.proposal_opacity_fast import fast_operator
from wavelic.threads import map_on_threads

Kinds = tuple[Kind, Kind]  # of rows, of columns

# Output samples of one strip of one plane when no gradient is kept.  The widest network holds some 60 maps of 2 or 4
# bytes for each: strips of this size need about 20 MB a thread whatever the size of the image, and have enough rows for
# those that the networks' margins add to matter little.
STRIP_SAMPLES = 1 << 17
# The planes of a band are worked on in at least so many pieces, more than the components of an image.
_PIECES = 4


class Operator(Protocol):
    """What `apply` needs of a network: how far it sees and how many bands it predicts."""

    radius: int
    outputs: int

    def __call__(self, x: Tensor, /) -> Tensor: ...


def apply(
    operator: Operator,
    bands: Sequence[tuple[Tensor, Kinds]],
    axes: tuple[Axis, Axis],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> Tensor:
    """Run ``operator`` for the output samples with indices rows[0]..rows[1] - 1 and columns[0]..columns[1] - 1.

    bands: the inputs (B, 1, h, w), none empty, each with the kinds of its rows and columns.  axes: rows and columns of
    the signal these bands belong to.  Returns (B, outputs, rows[1] - rows[0], columns[1] - columns[0]).
    """
    first = bands[0][0]
    if torch.is_grad_enabled() or first.device.type != "cpu":
        return operator(_extended(bands, axes, rows, columns, operator.radius))
    run: Callable[[Tensor], Tensor] = operator
    if isinstance(operator, ProposalOpacity) and operator.runs_in is not None:
        run = fast_operator(operator, operator.runs_in)
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    planes = first.shape[0]
    result = first.new_empty((planes, operator.outputs, height, width))
    strip = max(1, STRIP_SAMPLES // max(1, width))
    strips = -(-height // strip)
    # Small planes of many images go together; those of one image do not, and threads make no difference.
    together = max(1, min(STRIP_SAMPLES // max(1, height * width), planes // _PIECES))

    def piece(number: int) -> None:
        some, part = divmod(number, strips)
        chosen = slice(some * together, (some + 1) * together)
        top = rows[0] + part * height // strips
        stop = rows[0] + (part + 1) * height // strips
        seen = [(band[chosen], kinds) for band, kinds in bands]
        result[chosen, :, top - rows[0] : stop - rows[0]] = run(
            _extended(seen, axes, (top, stop), columns, operator.radius)
        )

    map_on_threads(piece, range(-(-planes // together) * strips), result.numel())
    return result


def apply_to_band(
    operator: Operator, source: Tensor, source_kinds: Kinds, target_kinds: Kinds, axes: tuple[Axis, Axis]
) -> Tensor | float:
    """What a one-input, one-output operator adds to the band of ``target_kinds``; 0 if either band is empty."""
    for kinds in (source_kinds, target_kinds):
        if any(axis.is_empty(kind) for axis, kind in zip(axes, kinds, strict=True)):
            return 0.0
    rows, columns = (axis.span(kind) for axis, kind in zip(axes, target_kinds, strict=True))
    return apply(operator, [(source, source_kinds)], axes, rows, columns)


def _extended(
    bands: Sequence[tuple[Tensor, Kinds]],
    axes: tuple[Axis, Axis],
    rows: tuple[int, int],
    columns: tuple[int, int],
    radius: int,
) -> Tensor:
    """The bands as channels of one tensor that reaches ``radius`` beyond the given range."""
    channels = []
    for band, kinds in bands:
        row_index = axes[0].extension(kinds[0], rows[0] - radius, rows[1] + radius, band.device)
        column_index = axes[1].extension(kinds[1], columns[0] - radius, columns[1] + radius, band.device)
        channels.append(band.index_select(-2, row_index).index_select(-1, column_index))
    return torch.cat(channels, 1)
