"""WTConv2d: depthwise convolution on wavelet subbands, for large receptive fields at few parameters.

Finder, Amoyal, Treister and Freifeld, *Wavelet convolutions for large receptive fields* (ECCV 2024), section 3.2.  With
W the 2-D DWT of one level, X_0 the input and K_i the kernel of level i, both of them depthwise:

    (X_i, H_i) = W(X_{i-1})                                 low band and the three high bands of level i
    (Y_i, G_i) = s_i * conv_{K_i}(X_i, H_i)                 all four bands, no bias
    Z_i        = W^-1(Y_i + Z_{i+1}, G_i)                   from the coarsest level up, Z_{levels+1} = 0
    output     = s_0 * (conv_{K_0}(X_0) + bias) + Z_1

A k x k kernel at level i reaches over 2^i k samples, so the receptive field grows exponentially with the levels and the
parameters linearly: 4 k^2 + 4 a level and channel.

Arguments, names in the state dict and, for Haar, results are those of the authors' layer, so that trained networks load
as they are.  Different: a stride is carried out where it saves work instead of being taken after everything has been
computed; "5/3" and "9/7" are lifting with symmetric extension.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from wavelic.errors import UsageError
from wavelic.nn.traced import analyze, every, extended, is_tracing, synthesize
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2, idwt2

#: What the argument ``wt_type`` may be, and the wavelet it means; "db1" is PyWavelets' name of Haar.
WT_TYPES = {"db1": "haar", "haar": "haar", "5/3": "5/3", "9/7": "9/7"}
_WAVELET_SCALE = 0.1  # initial factor of the wavelet branch, so that training starts close to the plain convolution


class ChannelScale(nn.Module):
    """Learned factor for each channel, which `WTConv2d` multiplies into the kernel before it.

    Args:
        channels: C.
        value: initial factor.
    """

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, channels, 1, 1), value))

    @property
    def factors(self) -> Tensor:
        """The factors, (C,)."""
        return self.weight.flatten()


class WTConv2d(nn.Module):
    """Depthwise convolution on wavelet subbands, added to a depthwise convolution of the input.

    (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride)), any float tensor, any H and W from 1.  A drop-in for
    ``nn.Conv2d(C, C, kernel_size, stride, padding="same", groups=C)``.

    Args:
        in_channels: C.
        out_channels: the same number again; a depthwise layer keeps it.
        kernel_size: side of all kernels, at every level.
        stride: factor by which both sides shrink.  The result is every ``stride``-th sample of that with stride 1, and
            with Haar and stride 2, samples that nobody asks for are not computed.
        bias: of the convolution of the input.
        wt_levels: levels of the DWT; 0 leaves the depthwise convolution alone.
        wt_type: "db1" or "haar", which are the same, "5/3" or "9/7".

    Raises:
        UsageError: an argument out of range, or an input that is not (N, C, H, W).

    Examples:
        >>> layer = WTConv2d(16, 16, kernel_size=5, wt_levels=3)
        >>> layer(torch.rand(1, 16, 33, 50)).shape
        torch.Size([1, 16, 33, 50])
        >>> WTConv2d(16, 16, 3, stride=2, wt_type="9/7")(torch.rand(1, 16, 33, 50)).shape
        torch.Size([1, 16, 17, 25])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 5,
        stride: int = 1,
        bias: bool = True,
        wt_levels: int = 1,
        wt_type: str = "db1",
    ) -> None:
        super().__init__()
        _check_arguments(in_channels, out_channels, kernel_size, stride, wt_levels, wt_type)
        self.in_channels, self.stride, self.wavelet = in_channels, stride, WT_TYPES[wt_type]
        self.base_conv = _depthwise(in_channels, kernel_size, bias)
        self.base_scale = ChannelScale(in_channels, 1.0)
        self.wavelet_convs = nn.ModuleList(_depthwise(4 * in_channels, kernel_size, False) for _ in range(wt_levels))
        self.wavelet_scale = nn.ModuleList(ChannelScale(4 * in_channels, _WAVELET_SCALE) for _ in range(wt_levels))
        # The authors' layer keeps its filters in the state dict.  Nothing here computes with them.
        if self.wavelet == "haar":
            filters = haar_filters(in_channels)
            self.register_buffer("wt_filter", filters)
            self.register_buffer("iwt_filter", filters.clone())
        if stride > 1:
            self.register_buffer("stride_filter", torch.ones(in_channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer.

        Args:
            x: (N, C, H, W).

        Returns:
            (N, C, ceil(H / stride), ceil(W / stride)).

        Raises:
            UsageError: another shape.
        """
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise UsageError(f"input has shape {tuple(x.shape)}; expected (N, {self.in_channels}, H, W)")
        y = self._base(x)
        return y + self._subbands(x) if len(self.wavelet_convs) else y

    def _base(self, x: Tensor) -> Tensor:
        """Convolve the input, with the stride."""
        factors, bias = self.base_scale.factors, self.base_conv.bias
        kernel = self.base_conv.weight * factors[:, None, None, None]
        before = (kernel.shape[-1] - 1) // 2
        after = kernel.shape[-1] - 1 - before
        bias = None if bias is None else bias * factors
        return conv2d(pad(x, (before, after, before, after)), kernel, bias, self.stride, groups=self.in_channels)

    def _subbands(self, x: Tensor) -> Tensor:
        """Z_1 of the module's formulas, every ``stride``-th sample."""
        low, levels = x, []
        for _ in self.wavelet_convs:
            height, width = low.shape[-2:]
            low, bands = _analyze(_to_even(low, self.wavelet), self.wavelet)
            levels.append((torch.stack((low, bands.lh, bands.hl, bands.hh), 2).flatten(1, 2), height, width))
        coarser: Tensor | None = None
        for number, (stacked, height, width) in reversed(list(enumerate(levels))):
            halved = number == 0 and self.stride == 2 and self.wavelet == "haar"
            kernel = self._kernel(number) * 0.5 if halved else self._kernel(number)
            mixed = conv2d(stacked, kernel, padding="same", groups=len(kernel)).unflatten(1, (self.in_channels, 4))
            if halved:  # the even samples of the inverse transform: half the sum of the four bands
                return mixed.sum(2) if coarser is None else mixed.sum(2) + 0.5 * coarser
            low, lh, hl, hh = mixed.unbind(2)
            low = low if coarser is None else low + coarser
            coarser = _synthesize(low, Bands2d(lh, hl, hh), self.wavelet, (height, width))
        assert coarser is not None  # called with a level at least
        return every(coarser, self.stride) if is_tracing() else coarser[..., :: self.stride, :: self.stride]

    def _kernel(self, number: int) -> Tensor:
        """Kernels of a level, times their factors: (4 C, 1, k, k)."""
        convolution, scale = self.wavelet_convs[number], self.wavelet_scale[number]
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(scale, ChannelScale)
        return convolution.weight * scale.factors[:, None, None, None]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Refuse filters of another wavelet: the layer would load them and compute something else."""
        errors: list[str] = arguments[-1]
        for name in ("wt_filter", "iwt_filter"):
            given = state_dict.get(prefix + name)
            if given is not None and not self._has_filter(name, given):
                errors.append(f"{prefix}{name} is not that of Haar; use weights trained with wt_type='db1'")
                return
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def _has_filter(self, name: str, given: Tensor) -> bool:
        own: Tensor | None = self._buffers.get(name)
        if own is None or own.shape != given.shape:
            return False
        return torch.allclose(given.float().cpu(), haar_filters(self.in_channels), atol=1e-2)


def haar_filters(channels: int) -> Tensor:
    """Filters of the Haar DWT as depthwise kernels, the form in which state dicts of the public layer have them.

    Args:
        channels: C.

    Returns:
        (4 C, 1, 2, 2): for each channel LL, LH (high-pass from row to row), HL, HH, all +-1/2.
    """
    low, high = torch.tensor([1.0, 1.0]), torch.tensor([1.0, -1.0])
    bands = [torch.outer(rows, columns) / 2 for columns in (low, high) for rows in (low, high)]
    return torch.stack(bands)[:, None].repeat(channels, 1, 1, 1)


def _depthwise(channels: int, kernel: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, padding="same", groups=channels, bias=bias)


def _analyze(x: Tensor, wavelet: str) -> tuple[Tensor, Bands2d]:
    if is_tracing():
        return analyze(x, wavelet)
    coefficients = dwt2(x, wavelet)
    return coefficients.low, coefficients.levels[0]


def _synthesize(low: Tensor, bands: Bands2d, wavelet: str, size: tuple[int, int]) -> Tensor:
    """The plane of these bands, without what `_to_even` added to its ``size``."""
    if is_tracing():
        return every(synthesize(low, bands, wavelet), 1, size)
    whole = (2 * low.shape[-2], 2 * low.shape[-1])
    return idwt2(Coefficients2d(low, (bands,), whole, wavelet, "orthonormal"))[..., : size[0], : size[1]]


def _to_even(x: Tensor, wavelet: str) -> Tensor:
    """Extend odd sides by one sample: by zeros for Haar, as in the authors' layer; else by repeating the last."""
    if is_tracing():
        return extended(x, 2, zeros=wavelet == "haar")
    bottom, right = x.shape[-2] % 2, x.shape[-1] % 2
    if not (bottom or right):
        return x
    return pad(x, (0, right, 0, bottom), mode="constant" if wavelet == "haar" else "replicate")


def _check_arguments(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, wt_levels: int, wt_type: str
) -> None:
    if in_channels != out_channels:
        raise UsageError(f"in_channels={in_channels}, out_channels={out_channels}; a depthwise layer keeps the number")
    if min(in_channels, kernel_size, stride) < 1 or wt_levels < 0:
        raise UsageError(
            f"in_channels={in_channels}, kernel_size={kernel_size}, stride={stride}, wt_levels={wt_levels}; "
            "give numbers of at least 1, levels of at least 0"
        )
    if wt_type not in WT_TYPES:
        raise UsageError(f"unknown wt_type {wt_type!r}; choose one of {', '.join(map(repr, WT_TYPES))}")
