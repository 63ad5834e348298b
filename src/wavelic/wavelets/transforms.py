"""Wavelet transforms: 1-D along any axis, 2-D and 3-D; any number of levels, any size from 1.

Analysis and synthesis mirror each other: ``idwt*(dwt*(x)) == x`` up to rounding, exactly for ``reversible``.  All are
differentiable any number of times, work on any device and floating dtype, and take any leading (batch) dimensions.
"""

from __future__ import annotations

from torch import Tensor

from wavelic.errors import UsageError
from wavelic.wavelets import lifting, plane, reversible
from wavelic.wavelets.coefficients import Bands2d, Coefficients1d, Coefficients2d, Coefficients3d
from wavelic.wavelets.geometry import check_levels, check_start, level_sizes, level_sizes2d, low_start
from wavelic.wavelets.haar import haar_analysis2d, haar_synthesis2d
from wavelic.wavelets.schemes import Normalization, Scheme, get_scheme


def dwt1(
    x: Tensor,
    wavelet: str = "haar",
    levels: int = 1,
    normalization: Normalization = "orthonormal",
    *,
    axis: int = -1,
    start: int = 0,
) -> Coefficients1d:
    """Transform ``x`` along one axis.

    The low band of n samples has ceil(n / 2) of them (``start = 0``); a single sample passes unchanged.

    Args:
        x: floating tensor of any shape; int32 or int64 for "reversible".
        wavelet: "haar", "5/3" or "9/7".
        levels: number of levels, at least 0.
        normalization: "orthonormal" or "jpeg2000" for floating tensors, "reversible" for integers (see `schemes`).
        axis: the axis to transform.
        start: absolute coordinate of the first sample; even coordinates become low-pass samples, so a window that
            starts at an odd coordinate starts with a high-pass sample.

    Returns:
        The bands and what `idwt1` needs to invert the transform.

    Raises:
        UsageError: an unknown wavelet, a dtype that does not go with the normalisation, or an empty axis.

    Examples:
        >>> import torch
        >>> coefficients = dwt1(torch.tensor([1.0, 3.0, 5.0, 7.0, 9.0]), "5/3", normalization="jpeg2000")
        >>> coefficients.low, coefficients.highs[0]
        (tensor([1., 5., 9.]), tensor([0., 0.]))
    """
    scheme = get_scheme(wavelet, normalization)
    check_levels(levels)
    check_start(start)
    axis = _negative_axis(x, axis)
    _check_signal(x, normalization, (axis,))
    low, highs, at = x, [], start
    for _ in range(levels):
        low, high = _split(low, scheme, normalization, axis, at)
        highs.append(high)
        at = low_start(at)
    return Coefficients1d(low, tuple(highs), x.shape[axis], axis, wavelet, normalization, start)


def idwt1(coefficients: Coefficients1d) -> Tensor:
    """Invert `dwt1`.

    Args:
        coefficients: a decomposition along one axis.

    Returns:
        The signal, ``coefficients.size`` samples along ``coefficients.axis``.

    Raises:
        UsageError: the bands do not have the sizes that ``size`` and ``start`` imply.
    """
    c = coefficients
    scheme = get_scheme(c.wavelet, c.normalization)
    sizes = level_sizes(c.size, len(c.highs), c.start)
    low = c.low
    _check_dtype(low, c.normalization)
    expected = sizes[-1][0] if sizes else c.size
    if low.shape[c.axis] != expected:
        raise UsageError(f"the low band has {low.shape[c.axis]} samples; expected {expected} for size {c.size}")
    starts = _starts(c.start, len(sizes))
    for (_, high_size), high, at in zip(reversed(sizes), reversed(c.highs), reversed(starts), strict=True):
        if high.shape[c.axis] != high_size:
            raise UsageError(f"a high band has {high.shape[c.axis]} samples; expected {high_size} for size {c.size}")
        low = _merge(low, high, scheme, c.normalization, c.axis, at)
    return low


def dwt2(
    x: Tensor,
    wavelet: str = "haar",
    levels: int = 1,
    normalization: Normalization = "orthonormal",
    *,
    start: tuple[int, int] = (0, 0),
) -> Coefficients2d:
    """Transform ``x`` along its last two axes, then its low band, ``levels`` times.

    A channels_last input gives channels_last bands.

    Args:
        x: floating tensor (..., H, W); int32 or int64 for "reversible".
        wavelet: "haar", "5/3" or "9/7".
        levels: number of levels, at least 0.
        normalization: "orthonormal" or "jpeg2000" for floating tensors, "reversible" for integers (see `schemes`).
        start: absolute (row, column) of the first sample.

    Returns:
        The bands and what `idwt2` needs to invert the transform.

    Raises:
        UsageError: an unknown wavelet, a dtype that does not go with the normalisation, or an empty axis.

    Examples:
        >>> import torch
        >>> stripes = torch.tensor([1.0, -1.0]).repeat(4)[:, None].expand(8, 8)  # rows alternate: horizontal stripes
        >>> bands = dwt2(stripes, "9/7").levels[0]
        >>> [round(float(band.abs().max()), 3) for band in (bands.lh, bands.hl, bands.hh)]
        [2.0, 0.0, 0.0]
    """
    scheme = get_scheme(wavelet, normalization)
    check_levels(levels)
    check_start(start[0])
    check_start(start[1])
    _check_signal(x, normalization, (-2, -1))
    low, details, at = x, [], (start[0], start[1])
    for _ in range(levels):
        low, lh, hl, hh = _split2d(low, scheme, normalization, at)
        details.append(Bands2d(lh, hl, hh))
        at = (low_start(at[0]), low_start(at[1]))
    size = (x.shape[-2], x.shape[-1])
    return Coefficients2d(low, tuple(details), size, wavelet, normalization, (start[0], start[1]))


def idwt2(coefficients: Coefficients2d) -> Tensor:
    """Invert `dwt2`.

    Args:
        coefficients: a 2-D decomposition.

    Returns:
        A tensor (..., H, W) with (H, W) = ``coefficients.size``.

    Raises:
        UsageError: the bands do not have the shapes that ``size`` and ``start`` imply.

    Examples:
        >>> import torch
        >>> x = torch.rand(2, 3, 17, 30, dtype=torch.float64)
        >>> torch.allclose(idwt2(dwt2(x, "5/3", levels=5)), x)
        True
    """
    c = coefficients
    scheme = get_scheme(c.wavelet, c.normalization)
    sizes = level_sizes2d(c.size, len(c.levels), c.start)
    low = c.low
    _check_dtype(low, c.normalization)
    _check_band("low", low, sizes[-1].low if sizes else c.size, c.size)
    starts = list(zip(_starts(c.start[0], len(sizes)), _starts(c.start[1], len(sizes)), strict=True))
    for shapes, bands, at in zip(reversed(sizes), reversed(c.levels), reversed(starts), strict=True):
        _check_band("lh", bands.lh, shapes.lh, c.size)
        _check_band("hl", bands.hl, shapes.hl, c.size)
        _check_band("hh", bands.hh, shapes.hh, c.size)
        low = _merge2d((low, bands.lh, bands.hl, bands.hh), scheme, c.normalization, at)
    return low


def dwt3(
    x: Tensor,
    wavelet: str = "haar",
    levels: int = 1,
    channel_levels: int = 1,
    normalization: Normalization = "orthonormal",
) -> Coefficients3d:
    """Transform ``x`` along its channels, then every channel band in the plane.

    Args:
        x: floating tensor (..., C, H, W); int32 or int64 for "reversible".
        wavelet: "haar", "5/3" or "9/7", for all three directions.
        levels: number of levels in the plane.
        channel_levels: number of levels along the channels; Haar pairs channels 2n and 2n + 1.
        normalization: "orthonormal" or "jpeg2000" for floating tensors, "reversible" for integers (see `schemes`).

    Returns:
        The bands and what `idwt3` needs to invert the transform.

    Raises:
        UsageError: an unknown wavelet, a dtype that does not go with the normalisation, or an empty axis.

    Examples:
        >>> import torch
        >>> coefficients = dwt3(torch.rand(2, 5, 8, 8), "haar", levels=2)
        >>> coefficients.low.low.shape, coefficients.highs[0].levels[0].hh.shape
        (torch.Size([2, 3, 2, 2]), torch.Size([2, 2, 4, 4]))
    """
    if x.dim() < 3:
        raise UsageError(f"a tensor of shape {tuple(x.shape)} has no channels; expected (..., C, H, W)")
    along = dwt1(x, wavelet, channel_levels, normalization, axis=-3)
    low = dwt2(along.low, wavelet, levels, normalization)
    highs = tuple(dwt2(high, wavelet, levels, normalization) for high in along.highs)
    return Coefficients3d(low, highs, x.shape[-3])


def idwt3(coefficients: Coefficients3d) -> Tensor:
    """Invert `dwt3`.

    Args:
        coefficients: a 3-D decomposition.

    Returns:
        A tensor (..., C, H, W).

    Raises:
        UsageError: the bands do not have the shapes that the sizes imply.
    """
    c = coefficients
    low, highs = idwt2(c.low), tuple(idwt2(high) for high in c.highs)
    return idwt1(Coefficients1d(low, highs, c.channels, -3, c.low.wavelet, c.low.normalization))


def _split(x: Tensor, scheme: Scheme, normalization: Normalization, axis: int, start: int) -> tuple[Tensor, Tensor]:
    if normalization == "reversible":
        return reversible.analyze_reversible(x, axis, start)
    return lifting.analyze(x, scheme, normalization, axis, start)


def _merge(low: Tensor, high: Tensor, scheme: Scheme, normalization: Normalization, axis: int, start: int) -> Tensor:
    if normalization == "reversible":
        return reversible.synthesize_reversible(low, high, axis, start)
    return lifting.synthesize(low, high, scheme, normalization, axis, start)


def _split2d(x: Tensor, scheme: Scheme, normalization: Normalization, start: tuple[int, int]) -> plane.Bands:
    if normalization == "reversible":
        even_rows, odd_rows = reversible.analyze_reversible(x, -2, start[0])
        low, hl = reversible.analyze_reversible(even_rows, -1, start[1])
        lh, hh = reversible.analyze_reversible(odd_rows, -1, start[1])
        return low, lh, hl, hh
    if _is_plain_haar(scheme, normalization, (x.shape[-2], x.shape[-1]), start):
        return haar_analysis2d(x)
    return plane.analyze2d(x, scheme, normalization, start)


def _merge2d(bands: plane.Bands, scheme: Scheme, normalization: Normalization, start: tuple[int, int]) -> Tensor:
    low, lh, hl, hh = bands
    if normalization == "reversible":
        even_rows = reversible.synthesize_reversible(low, hl, -1, start[1])
        odd_rows = reversible.synthesize_reversible(lh, hh, -1, start[1])
        return reversible.synthesize_reversible(even_rows, odd_rows, -2, start[0])
    size = (low.shape[-2] + lh.shape[-2], low.shape[-1] + hl.shape[-1])
    if _is_plain_haar(scheme, normalization, size, start):
        return haar_synthesis2d(low, lh, hl, hh)
    return plane.synthesize2d(bands, scheme, normalization, start)


def _is_plain_haar(scheme: Scheme, normalization: str, size: tuple[int, int], start: tuple[int, int]) -> bool:
    """Whether the transform is that of `haar`: 2x2 blocks without borders."""
    even = all(number % 2 == 0 for number in (*size, *start))
    return scheme.name == "haar" and normalization == "orthonormal" and even


def _starts(start: int, levels: int) -> list[int]:
    starts = []
    for _ in range(levels):
        starts.append(start)
        start = low_start(start)
    return starts


def _negative_axis(x: Tensor, axis: int) -> int:
    if not -x.dim() <= axis < x.dim():
        raise UsageError(f"axis={axis} does not exist in a tensor of shape {tuple(x.shape)}; choose an axis it has")
    return axis - x.dim() if axis >= 0 else axis


def _check_signal(x: Tensor, normalization: str, axes: tuple[int, ...]) -> None:
    _check_dtype(x, normalization)
    if x.dim() < len(axes) or any(x.shape[axis] == 0 for axis in axes):
        raise UsageError(f"nothing to transform in a tensor of shape {tuple(x.shape)}; give sizes of at least 1")


def _check_dtype(x: Tensor, normalization: str) -> None:
    if normalization == "reversible":
        if x.dtype not in reversible.INTEGER_DTYPES:
            raise UsageError(f"the reversible transform got {x.dtype}; give int32 or int64, or another normalization")
    elif not x.is_floating_point():
        raise UsageError(
            f"normalization {normalization!r} got {x.dtype}; convert to a floating dtype or use 'reversible'"
        )


def _check_band(name: str, band: Tensor, shape: tuple[int, int], size: tuple[int, int]) -> None:
    if band.dim() < 2 or (band.shape[-2], band.shape[-1]) != shape:
        raise UsageError(
            f"band {name} has shape {tuple(band.shape)}; expected (..., {shape[0]}, {shape[1]}) for size {size}"
        )
