"""Convolutions in 8-bit integers whose results are the same on every machine, and their float twins for training.

Entropy models must give encoder and decoder the same probabilities to the last bit.  `ExactConv2d` computes

    y = clamp(round_half_to_even((W * x + b) / 2^m + r), 0, 255)

with 8-bit unsigned x, r and y, signed weights W, 32-bit biases b and a shift m of each output channel.  Sums of
products are below 2^23 in magnitude (`ExactConv2d.prove` checks it from the weights), so they are exact in int32 and
also in float32, in any order of additions; dividing by a power of two is exact in float32, and so are the residual r,
rounding and clamping.  Several ways to compute it therefore agree, and the fastest one that passes a test of its own is
used:

    "onednn"    torch's fused 8-bit convolution (300 to 450 G operations a second and core with VNNI instructions, 150
                with AVX2 alone)
    "int_mm"    `torch._int_mm` on CUDA, as a product of matrices
    "float32"   a float32 convolution, anywhere
    "float64"   the same where a library's float32 convolutions are not sums of products (Winograd's algorithm)

`QuantConv2d` is what is trained: an ordinary convolution, which can also behave as its integer twin will ("fake
quantisation", with the gradient of the identity), as in Jacob et al., *Quantization and training of neural networks for
efficient integer-arithmetic-only inference* (CVPR 2018).  Scales are powers of two.

Weights are trained to magnitudes of at most 64.  Processors without VNNI instructions multiply bytes in pairs and add
each pair in 16 bits, which holds 2 * 64 * 255 but saturates beyond; layers with larger weights are computed in float32
there.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, unfold

from wavelic.errors import UsageError

#: Largest activation: 8 bits, unsigned.
LIMIT = 255
#: Largest magnitude of a trained weight, with which any two products make a sum of 16 bits.
WEIGHT_LIMIT = 64
#: Largest magnitude of a weight that a file may have.
_LARGEST_WEIGHT = 127
#: Bound of |sum of products + bias|: half of what float32 holds exactly, the other half is for a residual.
SUM_BOUND = 1 << 23
#: Shifts up to this keep a residual of 255 below the other half.
MAX_SHIFT = 15
#: Positions of an image up to which oneDNN packs weights of some 3x3 kernels in another way than beyond.
_FEW_POSITIONS = 84
#: Units of weights and biases of layers without ReLU, whose results are not rounded.
MAX_EXPONENT = 20


class Conv(Protocol):
    """Maker of a layer of a network that exists in floats and in integers: `QuantConv2d` or `ExactConv2d`."""

    def __call__(self, in_channels: int, out_channels: int, kernel: int = 1, relu: bool = True) -> nn.Module:
        """Make the layer.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            kernel: 1 or 3.
            relu: False for a network's last layer.

        Returns:
            The layer.
        """
        ...


class QuantConv2d(nn.Conv2d):
    """Convolution with ReLU and an optional residual, trained in floats to run in integers.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: 1 or 3; a kernel of 3 is padded with zeros.
        relu: False for a network's last layer, whose results are not rounded.

    Attributes:
        exponents: int32 (2,): an input of 1.0 is 2^exponents[0] units, an output 2^exponents[1].
        quantised: behave as the integer twin will.
        largest: if not None, a list that forward appends its output's 99.95 % quantile to (for `calibrate`).
    """

    exponents: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, relu: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2)
        self.relu = relu
        self.quantised = False
        self.largest: list[float] | None = None
        self.register_buffer("exponents", torch.tensor([5, 5], dtype=torch.int32))

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Compute the layer.

        Args:
            x: (N, in, H, W).
            residual: added before the ReLU, (N, out, H, W).

        Returns:
            (N, out, H, W), not negative with ReLU.
        """
        weight, bias = self.weight, self.bias
        assert bias is not None
        if self.quantised:
            weight, bias = self._quantised(weight, bias)
        y = conv2d(x, weight, bias, padding=self.padding)
        if residual is not None:
            y = y + residual
        if not self.relu:
            return y
        y = torch.relu(y)
        if self.largest is not None:
            self.largest.append(_quantile(y))
        if self.quantised:
            unit = torch.exp2(self.exponents[1].float())  # a tensor, since a GPU would be waited for
            y = torch.minimum(y, (LIMIT / unit).to(y.dtype))
            y = y + ((y.detach().float() * unit).round() / unit - y.detach())
        return y

    def _quantised(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and bias rounded to their units, with the gradient of the identity."""
        with torch.no_grad():
            unit = torch.exp2(self.weight_exponents().float())
            fine = unit * torch.exp2(self.exponents[0].float())
            whole = (weight * unit[:, None, None, None]).round().clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)
            change = whole / unit[:, None, None, None] - weight
            bias_change = (bias * fine).round() / fine - bias
        return weight + change, bias + bias_change

    @torch.no_grad()
    def weight_exponents(self) -> Tensor:
        """Exponents k of the weights, int32 (out,): a weight of 1.0 is 2^k units.

        It is the finest unit that keeps WEIGHT_LIMIT and the bound of sums.
        """
        assert self.bias is not None
        inputs, outputs = self.exponents.double().unbind()
        weight, bias = self.weight.double(), self.bias.double()
        largest = weight.abs().amax((1, 2, 3)).clamp_min(2.0**-40)
        total = LIMIT * weight.abs().sum((1, 2, 3)) + bias.abs() * torch.exp2(inputs)
        bits = torch.minimum(WEIGHT_LIMIT / largest, (SUM_BOUND * 0.98) / total.clamp_min(2.0**-40))
        most = MAX_SHIFT + outputs - inputs if self.relu else torch.full_like(inputs, MAX_EXPONENT)
        return torch.minimum(torch.log2(bits).floor(), most).to(torch.int32)


class ExactConv2d(nn.Module):
    """Integer twin of `QuantConv2d`: the same results on every machine (see the module's text).

    Weights are zero until they are loaded, see `from_float`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: 1 or 3; a kernel of 3 is padded with zeros.
        relu: False for a network's last layer, whose results are not rounded.

    Attributes:
        order: for each channel of the inputs that will be given, its number in the weights, or -1 for one that counts
            for nothing; None: as in the weights.  For inputs that are made faster in another order.
        narrow: whether all weights are within WEIGHT_LIMIT.
    """

    weight: Tensor
    bias: Tensor
    shift: Tensor
    exponents: Tensor
    order: tuple[int, ...] | None = None
    narrow: bool = True

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.relu, self.kernel = relu, kernel
        self.register_buffer("weight", torch.zeros(out_channels, in_channels, kernel, kernel, dtype=torch.int8))
        self.register_buffer("bias", torch.zeros(out_channels, dtype=torch.int32))
        self.register_buffer("shift", torch.zeros(out_channels, dtype=torch.int8))
        self.register_buffer("exponents", torch.tensor([5, 5], dtype=torch.int32))
        self._ready: dict[Any, tuple[Tensor, ...]] = {}  # weights as each way of computing wants them
        self.register_load_state_dict_post_hook(lambda module, _: module.prove())

    @classmethod
    @torch.no_grad()
    def from_float(cls, conv: QuantConv2d) -> ExactConv2d:
        """Quantise a trained layer.

        Args:
            conv: the layer.

        Returns:
            Its integer twin.
        """
        assert conv.bias is not None
        layer = cls(conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.relu)
        exponents = conv.weight_exponents()
        inputs, outputs = (int(e) for e in conv.exponents)
        unit = torch.exp2(exponents.double())
        weight = (conv.weight.double() * unit[:, None, None, None]).round().clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)
        layer.weight.copy_(weight)
        layer.bias.copy_((conv.bias.double() * unit * 2.0**inputs).round())
        layer.shift.copy_(inputs + exponents - (outputs if conv.relu else 0))
        layer.exponents.copy_(conv.exponents)
        layer.prove()
        return layer

    @torch.no_grad()
    def to_float(self, conv: QuantConv2d) -> None:
        """Give a float layer the weights that these integers stand for.

        Args:
            conv: the layer, changed.
        """
        assert conv.bias is not None
        inputs, outputs = (int(e) for e in self.exponents)
        unit = torch.exp2(self.shift.double() + (outputs if self.relu else 0) - inputs)
        conv.weight.copy_(self.weight.double() / unit[:, None, None, None])
        conv.bias.copy_(self.bias.double() / (unit * 2.0**inputs))
        conv.exponents.copy_(self.exponents)

    def prove(self) -> None:
        """Check that no sum can be inexact; runs whenever weights are loaded.

        Raises:
            UsageError: sums or shifts are too large, so that results could differ between machines.
        """
        self._ready = {}
        self.narrow = int(self.weight.long().abs().max()) <= WEIGHT_LIMIT
        sums = self.weight.long().abs().sum((1, 2, 3)) * LIMIT + self.bias.long().abs()
        most = MAX_SHIFT if self.relu else 2 * MAX_EXPONENT
        if int(sums.max()) >= SUM_BOUND or not -8 <= int(self.shift.min()) <= int(self.shift.max()) <= most:
            raise UsageError(
                f"sums reach {int(sums.max())} and shifts {int(self.shift.min())}..{int(self.shift.max())}; expected"
                f" sums below {SUM_BOUND} and shifts -8..{most}: quantise the weights anew"
            )

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Compute the layer.

        Args:
            x: uint8 (N, in, H, W), its channels in `order`.
            residual: uint8 of the output's shape, added before the ReLU; its memory is reused for the result.

        Returns:
            uint8 (N, out, H, W), or float32 with exact values if there is no ReLU.
        """
        return self.compute(_backend(x.device.type, self.narrow), x, residual)

    def compute(self, backend: str, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Compute the layer in a given way.

        Args:
            backend: "onednn", "int_mm", "float32" or "float64" (see the module's text).
            x: uint8 (N, in, H, W).
            residual: uint8 of the output's shape, added before the ReLU; its memory is reused for the result.

        Returns:
            uint8 (N, out, H, W), or float32 with exact values if there is no ReLU.
        """
        if backend == "onednn":
            return self._onednn(x, residual)
        return self._finish(self._matrices(x) if backend == "int_mm" else self._sums(x, backend), residual)

    def _finish(self, sums: Tensor, residual: Tensor | None) -> Tensor:
        """Results from exact sums in float32."""
        result = sums.mul_(torch.exp2(-self.shift.float())[:, None, None])
        if residual is not None:
            result += residual
        return result.round_().clamp_(0, LIMIT).to(torch.uint8) if self.relu else result

    def _onednn(self, x: Tensor, residual: Tensor | None) -> Tensor:
        # weights packed for many positions are packed anew in every call with few, which takes longer than the call
        few = self.kernel > 1 and x.shape[2] * x.shape[3] <= _FEW_POSITIONS
        if few not in self._ready:
            self._ready[few] = self._packed(x)
        weight, scale, zero, bias = self._ready[few]
        size = [1, 1], [self.kernel // 2] * 2, [1, 1], 1
        x = x.contiguous(memory_format=torch.channels_last)
        if residual is None:
            kind, after = (torch.uint8, "relu") if self.relu else (torch.float32, "none")
            return _pointwise()(x, 1.0, 0, weight, scale, zero, bias, *size, 1.0, 0, kind, after, [], "")
        residual = residual.contiguous(memory_format=torch.channels_last)
        return torch.ops.onednn.qconv2d_pointwise.binary(
            x,
            1.0,
            0,
            weight,
            scale,
            zero,
            residual,
            bias,
            *size,
            1.0,
            0,
            torch.uint8,
            1.0,
            0,
            "sum",
            1.0,
            "relu",
            [],
            "",
        )

    def _packed(self, x: Tensor) -> tuple[Tensor, ...]:
        """Weights as oneDNN wants them for inputs like ``x``, their scales and zero points, and the scaled bias."""
        scale = torch.exp2(-self.shift.float())
        zero = torch.zeros(len(scale), dtype=torch.int64)
        padding, shape = [self.kernel // 2] * 2, [1, *x.shape[1:]]
        weight = torch.ops.onednn.qconv_prepack(self._ordered(), scale, 1.0, 0, [1, 1], padding, [1, 1], 1, shape)
        return weight, scale, zero, self.bias.float() * scale

    def _ordered(self) -> Tensor:
        """Weights int8 (out, in, kernel, kernel) for inputs in `order`."""
        if self.order is None:
            return self.weight
        blank = torch.zeros_like(self.weight[:, :1])
        return torch.cat((self.weight, blank), 1)[:, list(self.order)]

    def _sums(self, x: Tensor, kind: str) -> Tensor:
        dtype = torch.float64 if kind == "float64" else torch.float32
        if kind not in self._ready:
            self._ready[kind] = self._ordered().to(dtype), self.bias.to(dtype)
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self._ready[kind]
            return conv2d(x.to(dtype), weight, bias, padding=self.kernel // 2).round_().float()

    def _matrices(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        columns = unfold(x.float(), self.kernel, padding=self.kernel // 2) if self.kernel > 1 else x.flatten(2)
        rows = (columns.transpose(1, 2).reshape(-1, channels * self.kernel**2) - 128).to(torch.int8)
        weight = self._ordered().flatten(1)
        # inputs are shifted into the signed range; sizes are padded to what `_int_mm` takes
        inner, outer = -weight.shape[1] % 8, -weight.shape[0] % 8
        rows = nn.functional.pad(rows, (0, inner, 0, max(0, 32 - len(rows))))
        padded = nn.functional.pad(weight, (0, inner, 0, outer))
        product = torch._int_mm(rows.contiguous(), padded.t().contiguous())
        sums = product[: batch * height * width, : weight.shape[0]] + 128 * weight.int().sum(1) + self.bias
        return sums.float().view(batch, height, width, -1).permute(0, 3, 1, 2).contiguous()


def exact(network: nn.Module) -> nn.Module:
    """Replace every `QuantConv2d` of a network by its integer twin.

    Args:
        network: changed.

    Returns:
        The network.
    """
    for name, child in network.named_children():
        if isinstance(child, QuantConv2d):
            setattr(network, name, ExactConv2d.from_float(child))
        else:
            exact(child)
    return network


def layers(network: nn.Module) -> list[QuantConv2d]:
    """Find all `QuantConv2d` of a network.

    Args:
        network: any module.

    Returns:
        The layers.
    """
    return [module for module in network.modules() if isinstance(module, QuantConv2d)]


def set_quantised(network: nn.Module, quantised: bool) -> None:
    """Let every `QuantConv2d` behave as its integer twin, or as a float layer.

    Args:
        network: changed.
        quantised: as the integer twin.
    """
    for layer in layers(network):
        layer.quantised = quantised


def fitting_exponent(largest: float) -> int:
    """Exponent of two that brings activations just below 2^8 units.

    Args:
        largest: the largest activation.

    Returns:
        A number in 0..7.
    """
    return min(7, max(0, math.floor(math.log2(LIMIT / max(largest, 2.0**-20)))))


def _quantile(y: Tensor, share: float = 0.9995) -> float:
    flat = y.detach().float().flatten()
    return float(flat.kthvalue(max(1, round(share * flat.numel()))).values)


@cache
def _pointwise() -> Any:
    operations = torch.ops.onednn
    return operations.qconv_pointwise if hasattr(operations, "qconv_pointwise") else operations.qconv2d_pointwise


@cache
def _backend(device: str, narrow: bool) -> str:
    """Fastest way to compute layers on a kind of device that agrees with the plain one on hard inputs."""
    fast = {"cpu": "onednn", "cuda": "int_mm"}.get(device, "float32")
    return next((kind for kind in (fast, "float32") if _agrees(kind, device, narrow)), "float64")


def _agrees(backend: str, device: str, narrow: bool) -> bool:
    """Whether a way to compute gives the right integers for large sums, of layers with narrow weights or any."""
    limit = WEIGHT_LIMIT if narrow else _LARGEST_WEIGHT
    generator = torch.Generator().manual_seed(0)
    for kernel, relu in ((1, True), (3, True), (1, False)):
        layer = ExactConv2d(48, 40, kernel, relu)
        weight = torch.randint(limit // 2, limit + 1, layer.weight.shape, generator=generator)
        parity = torch.arange(48)[None, :, None, None] // 24 + torch.arange(40)[:, None, None, None]
        layer.weight.copy_(weight * (1 - 2 * parity.remainder(2)))
        layer.bias.copy_(torch.randint(-1000, 1000, (40,), generator=generator))
        layer.shift.fill_(9)
        layer = layer.to(device)
        x = torch.randint(200, 256, (2, 48, 9, 13), generator=generator, dtype=torch.uint8).to(device)
        residual = torch.randint(0, 256, (2, 40, 9, 13), generator=generator, dtype=torch.uint8).to(device)
        for r in (None, residual) if relu else (None,):
            try:
                found = layer.compute(backend, x, None if r is None else r.clone())
            except (RuntimeError, AttributeError, TypeError, NotImplementedError):
                return False  # this torch or this device lacks the operation
            if not torch.equal(found, layer.compute("float64", x, r)):
                return False
    return True
