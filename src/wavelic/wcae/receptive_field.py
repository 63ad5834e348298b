"""How far analysis and synthesis look: the margins that make a window equal to the crop of the whole.

Worked out from kernel sizes and strides, as the paper's convolutions are all 3x3 with padding 1.
"""

from __future__ import annotations

from wavelic.wcae.network import BranchSpec, WaveletAutoencoder


def _analysis_reach(spec: BranchSpec, scale: int) -> tuple[int, int]:
    """Pixels (first, last) that latent 0 of a branch depends on; its input has one sample per ``scale`` pixels."""
    first = last = 0
    for stride in reversed(spec.strides):
        first, last = first * stride - 1, last * stride + 1
    return first * scale, last * scale + scale - 1


def _synthesis_reach(spec: BranchSpec, scale: int) -> tuple[int, int]:
    """Latents (first, last) that the pixels of latent 0's cell depend on."""
    first, last = 0, spec.downsampling - 1
    for stride in spec.strides:
        first, last = -((1 - first) // stride), (last + 1) // stride
    return first, last


def analysis_margin(network: WaveletAutoencoder) -> int:
    """Latents by which a window of the image must be larger on each side for its inner latents to be exact."""
    margin = 0
    for spec in network.branches:
        scale = network.stride // spec.downsampling
        first, last = _analysis_reach(spec, scale)
        margin = max(margin, -(first // network.stride), last // network.stride)
    return margin


def synthesis_margin(network: WaveletAutoencoder) -> int:
    """Latents by which a window of the latent must be larger on each side for its inner pixels to be exact."""
    reaches = [_synthesis_reach(spec, network.stride // spec.downsampling) for spec in network.branches]
    return max(max(-first, last) for first, last in reaches)
