"""Data-driven initialisation: a cascade of small Karhunen-Loeve transforms.

Training a deep autoencoder from random weights spends its first tens of thousands of steps finding out that images
are smooth.  Instead every down-sampling convolution starts as the best orthonormal linear map of its 2x2 input blocks
(the leading eigenvectors of their second moments, measured on training crops), every other convolution as the
identity, and the synthesis as the transpose of the analysis; GDN starts nearly linear.  Step 0 is then a linear block
transform codec.  The method knows nothing of wavelets and treats the twins alike.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavelic.wcae.network import BranchAnalysis, BranchSynthesis, WaveletAutoencoder

_NOISE = 0.1  # share of the usual random initialisation that is kept, to break symmetries


def _leading_maps(x: Tensor, kept: int) -> Tensor:
    """Leading eigenvectors of the second moments of the 2x2 blocks of (N, C, H, W): (min(kept, 4C), C, 2, 2)."""
    channels = x.shape[1]
    blocks = nn.functional.pixel_unshuffle(x, 2).permute(0, 2, 3, 1).reshape(-1, channels * 4).double()
    _, vectors = torch.linalg.eigh(blocks.t() @ blocks)
    return vectors.flip(1)[:, :kept].t().reshape(-1, channels, 2, 2).float()


def _linear_weights(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """3x3 weights whose lower right 2x2 taps (stride 2) or centre tap (stride 1) hold the linear map."""
    weights = torch.zeros_like(convolution.weight)
    if convolution.stride[0] == 2:
        maps = _leading_maps(x, convolution.out_channels)
        weights[: len(maps), :, 1:, 1:] = maps
    else:
        shared = min(convolution.in_channels, convolution.out_channels)
        weights[:shared, :shared, 1, 1] = torch.eye(shared)
    return weights


@torch.no_grad()
def _initialise_branch(analysis: BranchAnalysis, synthesis: BranchSynthesis, x: Tensor) -> None:
    convolutions = [layer for layer in analysis if isinstance(layer, nn.Conv2d)]
    mirrored = [layer for layer in synthesis if isinstance(layer, nn.ConvTranspose2d)][::-1]
    for convolution, deconvolution in zip(convolutions, mirrored, strict=True):
        weights = _linear_weights(convolution, x)
        for layer in (convolution, deconvolution):
            layer.weight.mul_(_NOISE).add_(weights)
            assert layer.bias is not None
            layer.bias.zero_()
        x = nn.functional.conv2d(x, weights, None, convolution.stride, padding=1)


def klt_initialize(model: WaveletAutoencoder, crops: Tensor) -> None:
    """Set the weights of ``model`` in place from training crops (N, 3, H, W) in [-1, 1].

    They are the same on every machine up to the sign and rounding of the eigenvectors.
    """
    for analysis, synthesis, scale in zip(model.analyses, model.syntheses, model.scales(crops), strict=True):
        assert isinstance(analysis, BranchAnalysis)
        assert isinstance(synthesis, BranchSynthesis)
        _initialise_branch(analysis, synthesis, scale)
