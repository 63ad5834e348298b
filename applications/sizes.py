"""Count the parameters of the published networks with and without the layer.

python -m applications.sizes      # writes results/applications/sizes.json
"""

from __future__ import annotations

import json
from collections.abc import Callable

import torch
from torch import nn

from applications.arms import parameters, wavelet_layers
from applications.classification.network import ResNet
from applications.denoising.network import MIRNetV2
from applications.run import ROOT
from applications.segmentation.network import UperNet
from applications.video.network import DVC

NETWORKS: dict[str, Callable[[str], nn.Module]] = {
    "ResNet-18, 100 classes": lambda arm: ResNet(18, arm=arm),
    "ResNet-34, 100 classes": lambda arm: ResNet(34, arm=arm),
    "UperNet-50, 150 classes": lambda arm: UperNet(arm=arm),
    "MIRNet-v2": lambda arm: MIRNetV2(arm=arm),
    "DVC": lambda arm: DVC(arm=arm),
}


def main() -> None:
    """Count them all, without memory for the weights."""
    sizes = {}
    with torch.device("meta"):
        for name, make in NETWORKS.items():
            plain, wavelet = make("plain"), make("wavelet")
            sizes[name] = {
                "plain": parameters(plain), "wavelet": parameters(wavelet), "layers": wavelet_layers(wavelet)
            }  # fmt: skip
    path = ROOT / "results" / "applications" / "sizes.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sizes, indent=1) + "\n")


if __name__ == "__main__":
    main()
