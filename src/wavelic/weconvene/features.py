"""What the networks of the context model see of coefficients: log2(1 + |v|) in one of two feature maps, by the sign.

Floats are for training.  Integers are for coding: a table gives the same features on every machine.  Both features of a
coefficient stand side by side in its entry, so that one look-up gives both; the feature maps are therefore in another
order than those of floats, and `ExactConv2d.order` says in which.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from wavelic.nn.exact import LIMIT
from wavelic.weconvene.layout import BANDS, COLOURS
from wavelic.weconvene.units import FEATURE, VALUE, magnitude_features

#: Channels of the parent level's features and the step, in integers with one that is not used.
PARENT_FLOATS, PARENT_INTEGERS = 2 * BANDS + 1, 2 * BANDS + 2


def integer_order(coefficients: int) -> tuple[int, ...]:
    """Where the features of integers stand among those of floats.

    Examples:
        >>> integer_order(3)
        (0, 3, 1, 4, 2, 5)
    """
    return tuple(sign * coefficients + number for number in range(coefficients) for sign in range(2))


#: The same for `parent_features`.
PARENT_ORDER = (*integer_order(BANDS), 2 * BANDS, -1)


@cache
def _pairs() -> Tensor:
    """int16: the two bytes of every coefficient in 1/16 step, from the least to the greatest that is not clamped."""
    magnitudes = magnitude_features(LIMIT)
    last, log = len(magnitudes) - 1, torch.tensor(magnitudes, dtype=torch.uint8)
    pairs = torch.zeros(2 * last + 1, 2, dtype=torch.uint8)
    pairs[last:, 0] = log
    pairs[: last + 1, 1] = log.flip(0)
    return pairs.view(torch.int16)[:, 0]


def _look_up(values: Tensor) -> Tensor:
    """Pairs of features (N, h, w, C), int16, of int32 coefficients (N, C, h, w)."""
    pairs = _pairs().to(values.device)
    last = len(pairs) // 2
    places = values.clamp(-last, last).add_(last)
    return pairs.index_select(0, places.flatten()).view(values.shape).permute(0, 2, 3, 1)


def features(values: Tensor) -> Tensor:
    """What the networks see of coefficients (N, C, h, w): (N, 2 C, h, w), channels last.

    float32 in steps -> float32, positive values before negative ones.  int32 in 1/16 step -> uint8 in units of 1/32,
    in `integer_order`.
    """
    if not values.is_floating_point():
        batch, channels, height, width = values.shape
        pairs = torch.empty(batch, height, width, channels, dtype=torch.int16, device=values.device)
        pairs.copy_(_look_up(values))
        return pairs.view(torch.uint8).permute(0, 3, 1, 2)
    log = (FEATURE * torch.log2(1 + values.abs())).round().clamp(max=LIMIT) / FEATURE
    zero = log.new_zeros(())
    both = torch.cat((torch.where(values > 0, log, zero), torch.where(values < 0, log, zero)), 1)
    return both.contiguous(memory_format=torch.channels_last)


def parent_features(values: Tensor, step: Tensor) -> Tensor:
    """Features of the parent level's bands (N, 9, h, w), and the step as a feature map, channels last.

    Args:
        values: as of `features`.
        step: (N or 1, 1, 1, 1), octaves above the finest step; an integer in units of 1/32 for integers.

    Returns:
        (N, 19, h, w) float32, or (N, 20, h, w) uint8 in `PARENT_ORDER`.
    """
    batch, _, height, width = values.shape
    if values.is_floating_point():
        seen = torch.cat((features(values), step.to(values.dtype).expand(batch, 1, height, width)), 1)
        return seen.contiguous(memory_format=torch.channels_last)
    pairs = torch.empty(batch, height, width, BANDS + 1, dtype=torch.int16, device=values.device)
    pairs[..., :BANDS] = _look_up(values)
    whole = pairs.view(torch.uint8)
    whole[..., 2 * BANDS] = step[:, 0].to(torch.uint8)
    whole[..., 2 * BANDS + 1] = 0
    return whole.permute(0, 3, 1, 2)


def low_features(low: Tensor) -> Tensor:
    """Features (N, 24, h / 2, w / 2) of the lowest band (N, 3, h, w): each sample minus the mean of its neighbours.

    float32 in steps -> float32; int32 in steps -> uint8, see `features`.
    """
    rows = torch.cat((low[:, :, :1], low, low[:, :, -1:]), 2)
    columns = torch.cat((low[:, :, :, :1], low, low[:, :, :, -1:]), 3)
    four = 4 * low - rows[:, :, :-2] - rows[:, :, 2:] - columns[..., :-2] - columns[..., 2:]
    difference = four / 4 if low.is_floating_point() else four * (VALUE // 4)
    return features(pixel_unshuffle(difference, 2))


#: Coefficients that `low_features` sees at each of its positions.
LOW_COEFFICIENTS = 4 * COLOURS
