"""Networks of the applications: parameter counts of the literature, shapes at any size, sizes of twins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from applications.arms import ARMS, layer_options, parameters, wavelet_layers
from applications.classification.network import ResNet
from applications.denoising.network import MIRNetV2
from applications.initial import octaves_of_noise
from applications.run import APPLICATIONS, recipes
from applications.segmentation.network import UperNet
from applications.video.network import DVC, MotionEstimation, warp
from applications.video.task import warping_error
from wavelic.errors import UsageError


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("make", "millions"),
    [
        (lambda: ResNet(18), 11.22),
        (lambda: ResNet(34), 21.33),
        (lambda: UperNet(), 64.10),
        (lambda: MIRNetV2(), 5.86),
        (lambda: DVC().estimation, 0.96),
        (lambda: DVC().compensation, 0.49),
        (lambda: DVC().motion, 2.08),
    ],
    ids=["ResNet-18", "ResNet-34", "UperNet-50", "MIRNet-v2", "DVC flow", "DVC compensation", "DVC motion"],
)
def test_published_networks_have_the_published_size(make: Callable[[], nn.Module], millions: float) -> None:
    with torch.device("meta"):
        assert round(parameters(make()) / 1e6, 2) == millions


NETWORKS: dict[str, tuple[Callable[[str], nn.Module], tuple[int, ...], tuple[int, ...], int]] = {
    "classification": (lambda arm: ResNet(18, 2, 10, arm), (2, 3, 19, 14), (2, 10), 3),
    "segmentation": (lambda arm: UperNet(5, 2, arm=arm), (1, 3, 37, 50), (1, 5, 37, 50), 4),
    "denoising": (lambda arm: MIRNetV2(4, (1,), arm), (1, 3, 11, 18), (1, 3, 11, 18), 14),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("arm", ARMS)
def test_shapes_and_replaced_layers(name: str, arm: str) -> None:
    make, given, expected, layers = NETWORKS[name]
    network = make(arm).eval()
    with torch.inference_mode():
        assert network(torch.rand(given)).shape == expected
    assert wavelet_layers(network) == (0 if arm == "plain" else layers)


@pytest.mark.parametrize("arm", ARMS)
def test_the_video_network_codes_a_frame(arm: str) -> None:
    network = DVC(4, arm)
    coded = network(torch.rand(1, 3, 64, 128), torch.rand(1, 3, 64, 128))
    assert coded.frame.shape == coded.prediction.shape == coded.warped.shape == (1, 3, 64, 128)
    assert coded.motion_bits > 0
    assert coded.residual_bits > 0
    assert wavelet_layers(network) == (0 if arm == "plain" else 16)


def _sized(name: str, recipe: Any, arm: str) -> nn.Module:
    """The network of a recipe without its data."""
    module = __import__(APPLICATIONS[name][0], fromlist=["task"])
    task = object.__new__(getattr(module, APPLICATIONS[name][1]))
    task.recipe = recipe
    with torch.device("meta"):
        return task.network(arm)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_twins_have_as_many_parameters(name: str) -> None:
    seen = set()
    for title, recipe in recipes(name).items():
        kind = (
            str(recipe.widths),
            *(str(recipe.option(name, 0)) for name in ("depth", "groups", "residual", "latents")),
        )
        if title == "smoke" or kind in seen or "twin" not in recipe.widths:
            continue
        seen.add(kind)
        wavelet, twin = (parameters(_sized(name, recipe, arm)) for arm in ("wavelet", "twin"))
        assert twin == pytest.approx(wavelet, rel=0.02), title


@pytest.mark.parametrize("arm", ARMS)
def test_signals_keep_their_size_in_new_layers(arm: str) -> None:
    torch.manual_seed(0)
    network = DVC(4, arm)
    x = octaves_of_noise(3)
    for coder in (network.residual.encoder, network.residual.decoder):
        for layer in coder:
            x = layer(x)
            assert 0.02 < x.std() < 8.0
    for name, parameter in network.residual.encoder.named_parameters():
        assert not name.endswith("bias") or not parameter.any()


def test_the_flow_sees_no_motion_before_it_has_learned_and_learns_it() -> None:
    torch.manual_seed(0)
    network = MotionEstimation(4)
    reference = octaves_of_noise(3)
    frame = warp(reference, torch.full((2, 2, 64, 64), 1.5))
    assert not network(frame, reference).any()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    errors = []
    for _ in range(30):
        errors.append(warping_error(network, frame, reference))
        optimizer.zero_grad()
        errors[-1].backward()
        optimizer.step()
    assert errors[-1] < 0.8 * errors[0]


def test_warping_moves_pixels() -> None:
    image = torch.rand(1, 2, 6, 9)
    flow = torch.zeros(1, 2, 6, 9)
    assert torch.allclose(warp(image, flow), image, atol=1e-6)
    flow[:, 1] = 2.0  # down
    torch.testing.assert_close(warp(image, flow)[..., :4, :], image[..., 2:, :], rtol=0, atol=1e-5)
    flow[:] = -100.0
    torch.testing.assert_close(warp(image, flow), image[..., :1, :1].expand_as(image), rtol=0, atol=1e-6)


def test_unknown_arm() -> None:
    with pytest.raises(UsageError, match="plain, wavelet, twin"):
        layer_options("wavelets")
