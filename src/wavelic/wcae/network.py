"""WCAE and NoWCAE: a convolutional autoencoder on a 3-scale Haar decomposition, and its twin without wavelets.

Akyazi and Ebrahimi, *Learning-Based Image Compression using Convolutional Autoencoder and Wavelet Decomposition*
(CVPR workshops 2019), section 2 and figures 1-2.

What the paper fixes: three branches (12, 9 and 9 input channels; 2, 3 and 4 down-samplings; 32 outputs each at 1/32),
3x3 convolutions, GDN between them, "outputs doubled once", 256,606 parameters in total.  What it leaves open is
settled by that total: 5, 6 and 7 convolutions with biases, of which 0, 2 and 3 have 16 outputs and the others 32, and
one more GDN per branch at the latent side of one half.  ``docs/wcae.md`` has the whole table and the arithmetic.

The sentence "32 x NM/1024 ... reduced by a factor of 100" cannot be literally true; three equally sized components of
32 channels give 96 values per 32 x 32 block, that is 3*1024/96 = 32 times fewer values than samples.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from wavelic.errors import ModelError
from wavelic.nn.gdn import GDN
from wavelic.wavelets import dwt2, idwt2
from wavelic.wavelets.coefficients import Bands2d, Coefficients2d


@dataclass(frozen=True)
class BranchSpec:
    """One branch of the autoencoder, listed in analysis order; synthesis mirrors it.

    Attributes:
        channels: input channels (12: the low band and three high bands of R, G, B; 9: three high bands; 3: RGB).
        widths: output channels of each 3x3 convolution; the last is the branch's share of the latent.
        strides: 1 or 2 for each convolution.
    """

    channels: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def latent_channels(self) -> int:
        """Channels of the branch's latent."""
        return self.widths[-1]

    @property
    def downsampling(self) -> int:
        """Samples per latent position along each side."""
        return 2 ** sum(stride == 2 for stride in self.strides)


COARSE = BranchSpec(12, (32, 32, 32, 32, 32), (1, 2, 2, 1, 1))
# The second down-sampling waits for the convolution with 64 outputs, or 32 channels at 1/32 would be a bottleneck.
COARSE_64 = BranchSpec(12, (32, 32, 32, 32, 64), (1, 2, 1, 1, 2))
MIDDLE = BranchSpec(9, (16, 16, 32, 32, 32, 32), (1, 2, 2, 2, 1, 1))
FINE = BranchSpec(9, (16, 16, 16, 32, 32, 32, 32), (1, 2, 2, 2, 2, 1, 1))
FINE_RGB = BranchSpec(3, FINE.widths, FINE.strides)

WCAE_PARAMETERS = 256_606


class BranchAnalysis(nn.Sequential):
    """conv, GDN, conv, ..., conv: (N, channels, H, W) -> (N, latent_channels, H/downsampling, W/downsampling)."""

    def __init__(self, spec: BranchSpec) -> None:
        layers: list[nn.Module] = []
        for (before, after), stride in zip(pairwise((spec.channels, *spec.widths)), spec.strides, strict=True):
            layers += [nn.Conv2d(before, after, 3, stride, padding=1), GDN(after)]
        super().__init__(*layers[:-1])

    def of_repeated(self, x: Tensor, places: list[int], axis: int) -> Tensor:
        """The result for a map in which many rows or columns are alike: what comes out alike is computed once.

        Args:
            x: the distinct rows or columns, (N, channels, H, W).
            places: which of them each row or column of the map is.
            axis: 2 for rows, 3 for columns.
        """
        for layer in self:
            if not isinstance(layer, nn.Conv2d):
                x = layer(x)
                continue
            stride = layer.stride[0]
            around = [x.shape[axis], *places, x.shape[axis]]  # zeros beyond the map, which come after the last of x
            threes = [tuple(around[place : place + 3]) for place in range(0, len(places), stride)]
            distinct = list(dict.fromkeys(threes))
            last = x.permute(0, 2, 3, 1)  # channels last, where whole rows and columns are copied faster
            zeros = torch.zeros_like(last.narrow(axis - 1, 0, 1))
            chosen = torch.tensor(distinct, device=x.device).flatten()
            side_by_side = torch.cat((last, zeros), axis - 1).index_select(axis - 1, chosen).permute(0, 3, 1, 2)
            steps, padding = ((3, stride), (0, 1)) if axis == 2 else ((stride, 3), (1, 0))
            x = conv2d(side_by_side, layer.weight, layer.bias, steps, padding)
            places = [distinct.index(three) for three in threes]
        return x.index_select(axis, torch.tensor(places, device=x.device))


class BranchSynthesis(nn.Sequential):
    """IGDN, deconv, IGDN, ..., deconv: the analysis read backwards; the first IGDN is the one extra per branch."""

    def __init__(self, spec: BranchSpec) -> None:
        layers: list[nn.Module] = []
        backwards = list(zip(pairwise((spec.channels, *spec.widths)), spec.strides, strict=True))[::-1]
        for (after, before), stride in backwards:
            layers += [
                GDN(before, inverse=True),
                nn.ConvTranspose2d(before, after, 3, stride, padding=1, output_padding=stride - 1),
            ]
        super().__init__(*layers)
        self._strides = spec.strides[::-1]

    def first(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """The first samples of the result, (N, channels, *size), from those that they depend on.

        Args:
            x: (N, latent_channels, h, w).
            size: rows and columns, at most those of the result.
        """
        wanted = [size]  # of the results of the layers, the last one first
        for stride in self._strides[::-1]:
            # sample o of a result is made of samples (o - 1) / stride to (o + 1) / stride
            rows, columns = (side // stride + 1 for side in wanted[-1])
            wanted.append((rows, columns))
        layers = list(self)
        for number, (rows, columns) in enumerate(wanted[:0:-1]):
            normalize, deconvolve = layers[2 * number : 2 * number + 2]
            x = deconvolve(normalize(x[..., :rows, :columns]))
        return x[..., : size[0], : size[1]]


class WaveletAutoencoder(nn.Module):
    """Branches side by side on the scales of a Haar decomposition; with ``levels=0`` one branch on the pixels.

    Args:
        branches: one per scale, coarsest first.
        levels: Haar levels; equals ``len(branches)``, or 0 for the twin without wavelets (a single branch).
    """

    def __init__(self, branches: tuple[BranchSpec, ...], levels: int) -> None:
        super().__init__()
        if levels != len(branches) and not (levels == 0 and len(branches) == 1):
            raise ValueError(f"{len(branches)} branches cannot serve {levels} wavelet levels; give one per level")
        self.branches = branches
        self.levels = levels
        self.analyses = nn.ModuleList(BranchAnalysis(spec) for spec in branches)
        self.syntheses = nn.ModuleList(BranchSynthesis(spec) for spec in branches)
        self._transposed: list[WaveletAutoencoder] = []  # not a part of this one's state

    @property
    def latent_channels(self) -> int:
        """Channels of the latent of all branches."""
        return sum(spec.latent_channels for spec in self.branches)

    @property
    def stride(self) -> int:
        """Pixels per latent position along each side; image sides must be multiples of it."""
        return self.branches[0].downsampling * 2**self.levels

    def transposed(self) -> WaveletAutoencoder:
        """The network for transposed images and latents, made once where nothing is trained: for a few columns.

        Channels lie together in memory and then columns, so maps of a few columns take twice the time of maps of a few
        rows.
        """
        if not self._transposed:
            with torch.inference_mode(False), torch.no_grad():
                turned = copy.deepcopy(self)
                for layer in turned.modules():
                    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                        layer.weight.copy_(layer.weight.transpose(2, 3).clone())
                for analysis, synthesis, spec in zip(turned.analyses, turned.syntheses, turned.branches, strict=True):
                    order = _transposed_bands(spec.channels)
                    first, last = analysis[0], synthesis[-1]  # type: ignore[index]
                    first.weight.copy_(first.weight[:, order])
                    last.weight.copy_(last.weight[:, order])
                    last.bias.copy_(last.bias[order])
            if any(parameter.requires_grad for parameter in self.parameters()):
                return turned
            self._transposed.append(turned)
        return self._transposed[0]

    def analysis(self, x: Tensor) -> Tensor:
        """Image (N, 3, H, W) in [-1, 1], sides multiples of ``stride`` -> latent (N, C, H/stride, W/stride)."""
        return torch.cat([net(scale) for net, scale in zip(self.analyses, self.scales(x), strict=True)], 1)

    def analysis_extended(self, x: Tensor, side: int, axis: int) -> Tensor:
        """`analysis` of an image that is extended by its last row or column, which costs little more than the image.

        Args:
            x: (N, 3, H, W), its other side a multiple of ``stride``.
            side: how long it is to be along ``axis``, a multiple of ``stride``.
            axis: 2 for rows, 3 for columns.
        """
        cell, before = 1 << self.levels, x.shape[axis] - 1  # from this one on all are alike
        count = min(side, -(-before // cell) * cell + cell)
        rows = torch.arange(count, device=x.device).clamp_(max=before)
        parts = []
        for net, scale in zip(self.analyses, self.scales(x.index_select(axis, rows)), strict=True):
            unit = count // scale.shape[axis]
            last = min(-(-before // unit), scale.shape[axis] - 1)
            assert isinstance(net, BranchAnalysis)
            places = [min(number, last) for number in range(side // unit)]
            parts.append(net.of_repeated(scale.narrow(axis, 0, last + 1), places, axis))
        return torch.cat(parts, 1)

    def synthesis(self, y: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Latent (N, C, h, w) -> image (N, 3, h*stride, w*stride), unclipped, nominally in [-1, 1].

        Args:
            y: the latent.
            size: rows and columns that are wanted of the image, from its first sample on: the result has these, and up
                to one more, computed from what they depend on; None: all.
        """
        parts = y.split([spec.latent_channels for spec in self.branches], 1)
        if size is None:
            return self._merge([net(part) for net, part in zip(self.syntheses, parts, strict=True)])
        scales = []
        for number, (net, part) in enumerate(zip(self.syntheses, parts, strict=True)):
            cell = 1 << (self.levels - number)  # samples of the image to a position of the scale
            rows, columns = (-(-side // cell) for side in size)
            assert isinstance(net, BranchSynthesis)
            scales.append(net.first(part, (rows, columns)))
        return self._merge(scales)

    def scales(self, x: Tensor) -> list[Tensor]:
        """Inputs of the branches, coarsest first: [LL LH HL HH] of the last level, then [LH HL HH] of the others."""
        if self.levels == 0:
            return [x]
        coefficients = dwt2(x, "haar", self.levels)
        scales = [torch.cat([level.lh, level.hl, level.hh], 1) for level in reversed(coefficients.levels)]
        scales[0] = torch.cat([coefficients.low, scales[0]], 1)
        return scales

    def _merge(self, scales: list[Tensor]) -> Tensor:
        """Inverse of `scales`; where a finer one is smaller than twice the one before, for its size."""
        if self.levels == 0:
            return scales[0]
        low, coarsest = scales[0][:, :3], scales[0][:, 3:]
        for details in (coarsest, *scales[1:]):
            low = low[..., : details.shape[-2], : details.shape[-1]]
            size = (2 * low.shape[-2], 2 * low.shape[-1])
            low = idwt2(Coefficients2d(low, (Bands2d(*details.split(3, 1)),), size, "haar", "orthonormal"))
        return low


def _transposed_bands(channels: int) -> list[int]:
    """Where each input channel of a branch comes from when its image is transposed: LH and HL change places."""
    low = channels % 9  # [LL] LH HL HH of three colours
    if low == channels:
        return list(range(channels))
    return [*range(low), *range(low + 3, low + 6), *range(low, low + 3), *range(low + 6, channels)]


def wcae() -> WaveletAutoencoder:
    """The published network: 256,606 parameters, 96 latent channels at 1/32."""
    return WaveletAutoencoder((COARSE, MIDDLE, FINE), levels=3)


def wcae_64() -> WaveletAutoencoder:
    """The published variant with 64 outputs at the fifth convolution of the coarsest scale (figure 4c)."""
    return WaveletAutoencoder((COARSE_64, MIDDLE, FINE), levels=3)


def nowcae() -> WaveletAutoencoder:
    """NoWCAE, the twin without wavelets: the blocks of the finest scale on RGB, 32 latent channels at 1/16."""
    return WaveletAutoencoder((FINE_RGB,), levels=0)


def build_autoencoder(name: str) -> WaveletAutoencoder:
    """Return the network called ``name`` with new weights.

    Args:
        name: "wcae", "wcae-64" or "nowcae".

    Raises:
        ModelError: there is no such network.
    """
    makers = {"wcae": wcae, "wcae-64": wcae_64, "nowcae": nowcae}
    if name not in makers:
        raise ModelError(f"{name} is not an autoencoder of the wcae system; choose one of {', '.join(makers)}")
    return makers[name]()
