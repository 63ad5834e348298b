"""Put `WaveletConv` in the place of the strided convolutions of a network.

3DM-WeConvene, section IV-G, does this to ResNet, UperNet, MIRNet-v2 and DVC by hand; `replace_strided` does it to any
network of which convolutions with a stride do the down- and upsampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from wavelic.errors import UsageError
from wavelic.nn.wavelet_conv import WaveletConv
from wavelic.nn.wt_conv import WTConv2d

Strided = nn.Conv2d | nn.ConvTranspose2d
#: Makes the layer that replaces a convolution; None leaves the convolution where it is.
Make = Callable[[Strided], nn.Module | None]


class SizedAs(nn.Module):
    """Layer whose output is cut to the size that a convolution of other padding would have given.

    Args:
        layer: whose output has ``stride`` times fewer samples (or more, if transposed) a side, rounded up.
        stride: of both.
        excess: samples that the convolution's formula is short of a multiple of the stride: the convolution gives
            ``floor((side - 1 - excess) / stride) + 1`` samples, transposed ``side * stride - excess``.
        transposed: which of both.
    """

    def __init__(self, layer: nn.Module, stride: int, excess: int, transposed: bool) -> None:
        super().__init__()
        self.layer, self.stride, self.excess, self.transposed = layer, stride, excess, transposed

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, in, H, W) -> (N, out, H', W')."""
        height, width = (self._size(side) for side in x.shape[-2:])
        return self.layer(x)[..., :height, :width]

    def _size(self, side: int) -> int:
        if self.transposed:
            return side * self.stride - self.excess
        return (side - 1 - self.excess) // self.stride + 1


def replace_strided(
    module: nn.Module,
    make: Make | None = None,
    *,
    wavelet: str = "haar",
    levels: int = 2,
    channel_levels: int = 1,
    high_kernel: int = 1,
) -> list[str]:
    """Replace the strided convolutions of a network, in place, by layers of the same input and output sizes.

    Replaced are ``nn.Conv2d`` and ``nn.ConvTranspose2d`` whose stride is larger than 1 and the same both ways.  Left
    alone, unless ``make`` says otherwise: 1x1 convolutions, which are skips, grouped ones, and those whose padding
    gives fewer or more samples than the stride does at sizes that are multiples of it.  New layers are initialised
    afresh, on the device and in the dtype of what they replace, and in its mode (training or evaluation).  A
    convolution that stands in several places is replaced by one layer in all of them.

    Args:
        module: the network; itself no convolution.
        make: makes the layer for a convolution, or gives None to leave it; the arguments below then have no effect.
            Its layers must halve (double) sides as `WaveletConv` does: stride ``s`` gives ceil(side / s).
        wavelet: see `WaveletConv`, as all that follow.
        levels: of the 2-D DWT; 0 with ``channel_levels=0`` gives the twin without wavelets.
        channel_levels: of the DWT along the channels.
        high_kernel: 1 or 3.

    Returns:
        The names of the layers replaced, as in ``module.named_modules()``.

    Raises:
        UsageError: nothing to replace, or an argument of the layer out of range.

    Examples:
        >>> import torch
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1))
        >>> replace_strided(network, wavelet="9/7")
        ['0', '2']
        >>> network(torch.rand(1, 3, 20, 30)).shape
        torch.Size([1, 3, 20, 30])
    """
    options: dict[str, Any] = {
        "wavelet": wavelet, "levels": levels, "channel_levels": channel_levels, "high_kernel": high_kernel
    }  # fmt: skip
    done: dict[nn.Module, nn.Module | None] = {}
    names = []
    for name, parent, child in list(_strided(module, "")):
        if child not in done:
            layer = make(child) if make else _wavelet_conv(child, options)
            done[child] = None if layer is None else _fitted(layer, child)
        replacement = done[child]
        if replacement is not None:
            setattr(parent, name.rpartition(".")[2], replacement)
            names.append(name)
    if not names:
        raise UsageError(
            f"{type(module).__name__} has no strided convolution to replace; give a network that contains some, or "
            "`make` for kinds that are left alone"
        )
    return names


def _strided(parent: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module, Strided]]:
    """Strided convolutions with their names and parents; those inside of a WaveletConv or WTConv2d are its own."""
    for name, child in parent.named_children():
        if isinstance(child, Strided) and max(child.stride) > 1:
            yield prefix + name, parent, child
        elif not isinstance(child, WaveletConv | WTConv2d):
            yield from _strided(child, f"{prefix}{name}.")


def _wavelet_conv(convolution: Strided, options: dict[str, Any]) -> WaveletConv | None:
    if max(convolution.kernel_size) == 1 or convolution.groups > 1 or len(set(convolution.stride)) > 1:
        return None
    excess = _excess(convolution)
    if excess is None:
        return None
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    stride = int(convolution.stride[0])
    return WaveletConv(convolution.in_channels, convolution.out_channels, stride, transposed=transposed, **options)


def _fitted(layer: nn.Module, convolution: Strided) -> nn.Module:
    """The layer on the convolution's device, in its mode, cut to its sizes."""
    weight, stride = convolution.weight, int(convolution.stride[0])
    layer = layer.to(weight.device, weight.dtype).train(convolution.training)
    excess = _excess(convolution)
    return SizedAs(layer, stride, excess, isinstance(convolution, nn.ConvTranspose2d)) if excess else layer


def _excess(convolution: Strided) -> int | None:
    """Samples that the convolution falls short of one sample in (or out) for each step of the stride.

    None where the two directions differ, or where whole multiples of the stride do not shrink to the exact fraction.
    """
    found = set()
    for axis in range(2):
        stride, span = convolution.stride[axis], convolution.dilation[axis] * (convolution.kernel_size[axis] - 1)
        padding = convolution.padding
        # as a word it is "valid": torch allows "same" with stride 1 only
        excess = span - (0 if isinstance(padding, str) else 2 * int(padding[axis]))
        if isinstance(convolution, nn.ConvTranspose2d):
            excess = stride - 1 - excess - convolution.output_padding[axis]
        found.add(int(excess))
        if not 0 <= excess < stride:
            return None
    return found.pop() if len(found) == 1 else None
