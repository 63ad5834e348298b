"""WeConvene networks: published sizes, the slice plan, causality, training, real streams."""

from __future__ import annotations

import doctest
from dataclasses import replace
from typing import Any

import pytest
import torch
from threedm_small import CONFIG, lively, picture, small
from torch import Tensor, nn

from wavelic.codec.architectures import architectures
from wavelic.errors import FormatError, ModelError, UsageError
from wavelic.threedm import network as weconvene_module
from wavelic.threedm import objective as weconvene_objective
from wavelic.threedm import plan as weconvene_plan
from wavelic.threedm.coding import LatentCoder
from wavelic.threedm.config import CONFIGS, PUBLISHED, Config
from wavelic.threedm.network import CodecNetwork, Output, WeConvene, network_named
from wavelic.threedm.objective import (
    FIRST_STAGE,
    REWEIGHTING_AS_PRINTED,
    REWEIGHTING_AS_WORDED,
    SECOND_STAGE,
    RateDistortion,
    optimizer,
)
from wavelic.threedm.plan import Slice, SlicePlan, plan_2d, plan_3d, plan_channels
from wavelic.threedm.swin import WindowAttentionBlock

PLANS = {
    "3d haar": plan_3d(16, "haar"),
    "3d 5/3": plan_3d(16, "5/3"),
    "3d 9/7": plan_3d(16, "9/7"),
    "2d haar": plan_2d(16, "haar", low_parts=4, high_parts=3),
    "2d 9/7": plan_2d(16, "9/7", low_parts=4, high_parts=3),
    "polyphase": plan_3d(16, split="polyphase"),
    "channels": plan_channels(16, 8),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_parts_of_the_published_network() -> None:
    """Table 4.3 of the specification, and the variant in which every high slice sees all earlier ones."""
    with torch.device("meta"):
        model = network_named("3dm-weconvene")
        wide = WeConvene(replace(CONFIGS["3dm-weconvene"], high_support=5))
    assert [count(part) for part in (model.analysis, model.synthesis, model.hyper_analysis)] == [
        4_082_496,
        6_493_964,
        3_025_856,
    ]
    assert count(model.hyper_means) == count(model.hyper_scales) == 4_412_160
    nets = list(model.slices)
    assert (
        sum(count(net.mean_attention) for net in nets) == sum(count(net.scale_attention) for net in nets) == 10_717_280
    )
    assert sum(count(net.mean_net) for net in nets) == 7_874_240
    assert sum(count(net.residual_net) for net in nets) == 14_325_440
    assert count(wide) == 74_069_708


def test_shapes_at_the_published_latent_size() -> None:
    """y at 1/8, coefficients at 1/16, z at 1/64."""
    model = small("3dm-weconvene", latent=320, hyper=192)
    images = picture(1, 64, 128)
    with torch.no_grad():
        assert model.analysis(images).shape == (1, 320, 8, 16)
        coefficients = model.coefficients(images)
        z = model.hyper_analysis(coefficients)
    assert coefficients.shape == (1, 1280, 4, 8)
    assert z.shape == (1, 192, 1, 2)


def test_the_twin_is_as_large() -> None:
    assert architectures()["3dm-weconvene-plain"].parameters == pytest.approx(
        architectures()["3dm-weconvene"].parameters, rel=0.012
    )


def test_unknown_name() -> None:
    with pytest.raises(ModelError, match="choose one of 3dm, "):
        network_named("3dm-nonesuch")


# --- plan -------------------------------------------------------------------------------------------------------------


def test_published_slices() -> None:
    """10 slices: LLL and HLL in 2 x 80, six of 160; widths of the nets as in table 4.3."""
    plan = plan_3d()
    assert [s.name for s in plan.slices] == ["LLL0", "LLL1", "HLL0", "HLL1", *weconvene_plan.BANDS_3D[2:]]
    assert [s.channels for s in plan.slices] == [80] * 4 + [160] * 6
    assert [s.support for s in plan.slices] == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert [s.features for s in plan.slices] == [320, 400, 480, 560] + [320] * 6
    two = plan_2d()
    assert [s.channels for s in two.slices] == [64] * 5 + [192] * 5
    assert [s.features for s in two.slices] == [320, 384, 448, 512, 576, 320, 512, 704, 896, 1088]


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("size", [(2, 2), (6, 10), (16, 4)])
def test_split_is_undone(plan: SlicePlan, size: tuple[int, int]) -> None:
    y = torch.randn(2, 16, *size)
    coefficients = plan.analysis(y)
    assert coefficients.shape == (2, 64, size[0] // 2, size[1] // 2)
    torch.testing.assert_close(plan.synthesis(coefficients), y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["3d haar", "2d haar", "polyphase", "channels"])
def test_orthonormal_splits_keep_the_energy(name: str) -> None:
    y = torch.randn(1, 16, 8, 8)
    coefficients = PLANS[name].analysis(y)
    torch.testing.assert_close(coefficients.square().sum(), y.square().sum(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["3d haar", "3d 5/3", "3d 9/7"])
def test_bands_are_where_their_names_say(name: str) -> None:
    """Alternating signs along channels, rows or columns end up in the band that is high-pass there and nowhere else."""
    plan = PLANS[name]
    c, v, h = ((-1.0) ** torch.arange(16) for _ in range(3))
    flat = torch.ones(16)
    for high_c, high_v, high_h, band_name in (
        (0, 0, 0, "LLL"), (1, 0, 0, "HLL"), (0, 1, 0, "LLH"), (0, 0, 1, "LHL"),
        (0, 1, 1, "LHH"), (1, 1, 0, "HLH"), (1, 0, 1, "HHL"), (1, 1, 1, "HHH"),
    ):  # fmt: skip
        pattern = torch.einsum("c,v,h->cvh", c if high_c else flat, v if high_v else flat, h if high_h else flat)
        coefficients = plan.analysis(pattern[None])
        energies = {b.name: coefficients[:, b.start : b.stop].square().sum().item() for b in plan.bands}
        assert energies[band_name] > 0.99 * sum(energies.values())


def test_2d_bands_are_where_their_names_say() -> None:
    plan = PLANS["2d haar"]
    stripes = ((-1.0) ** torch.arange(8))[:, None].expand(8, 8).expand(1, 16, 8, 8)
    coefficients = plan.analysis(stripes)
    assert [bool(coefficients[:, b.start : b.stop].any()) for b in plan.bands] == [False, True, False, False]


def test_wrong_plans_and_inputs() -> None:
    plan = plan_3d(16)
    with pytest.raises(UsageError, match="depends on itself or a later one; give"):
        replace(plan, slices=(replace(plan.slices[0], support=1), *plan.slices[1:]))
    with pytest.raises(UsageError, match="expected a tiling"):
        replace(plan, slices=plan.slices[:-1])
    with pytest.raises(UsageError, match="choose a multiple"):
        plan_3d(18)
    with pytest.raises(UsageError, match="choose a multiple"):
        plan_2d(16, low_parts=3)
    with pytest.raises(UsageError, match="unknown split"):
        Config(split="4d").plan()
    with pytest.raises(UsageError, match=r"expected \(N, 16, even, even\)"):
        plan.analysis(torch.zeros(1, 16, 3, 4))
    with pytest.raises(UsageError, match="multiples of 64"):
        small("3dm-weconvene")(torch.zeros(1, 3, 64, 63))


# --- causality --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["3dm-weconvene", "3dm-weconvene-wecharm", "3dm-weconvene-plain"])
def test_parameters_of_a_slice_ignore_it_and_all_later_ones(name: str) -> None:
    model = small(name).eval()
    plan = model.plan
    means, scales = torch.randn(1, 16, 4, 4), torch.randn(1, 16, 4, 4)

    def parameters(values: Tensor) -> list[tuple[Tensor, Tensor]]:
        seen: list[tuple[Tensor, Tensor]] = []

        def code(part: Slice, mean: Tensor, scale: Tensor) -> Tensor:
            seen.append((mean, scale))
            return values[:, part.start : part.stop]

        with torch.no_grad():
            model.slices(means, scales, code)
        return seen

    values = torch.randn(1, 64, 4, 4)
    original = parameters(values)
    for altered, part in enumerate(plan.slices):
        changed = values.clone()
        changed[:, part.start : part.stop] += torch.randn(1, part.channels, 4, 4)
        for number, (before, after) in enumerate(zip(original, parameters(changed), strict=True)):
            same = torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
            assert same == (altered >= plan.slices[number].support)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_model_passes_gradients_to_every_parameter(name: str) -> None:
    model = small(name)
    images = picture(1, 64, 64)
    output = model(images)
    assert output.reconstruction.shape == images.shape
    assert output.bits.shape == (1, 64)
    terms = RateDistortion(0.01)(output, images, model.plan)
    (terms.loss + model.prior.quantile_loss()).backward()
    for parameter_name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, parameter_name
        assert parameter.grad is None or parameter.grad.isfinite().all(), parameter_name


def test_a_few_steps_reduce_the_loss_and_the_trained_stream_decodes() -> None:
    model = small("3dm-weconvene", layer_wavelet="haar", latent_wavelet="haar")
    images, objective = picture(1, 64, 64), RateDistortion(0.01)
    adam = optimizer(model, 4e-3)
    assert sum(len(group["params"]) for group in adam.param_groups) == len(list(model.parameters()))
    losses = []
    for _ in range(20):
        terms = objective(model(images), images, model.plan)
        adam.zero_grad()
        (terms.loss + model.prior.quantile_loss()).backward()
        nn.utils.clip_grad_norm_(adam.param_groups[0]["params"], 1.0)
        adam.step()
        losses.append(terms.loss.item())
    assert losses[-1] < 0.5 * losses[0]
    coder = LatentCoder(model)
    with torch.no_grad():
        expected = model(images).reconstruction
    assert torch.equal(coder.decode(coder.encode(images), (64, 64)), expected)


def test_noise_is_reproducible_and_only_in_training() -> None:
    model, images = lively(small("3dm-weconvene")), picture(1, 64, 64)
    with torch.no_grad():
        first, again = (model(images, noise=torch.Generator().manual_seed(3)) for _ in range(2))
        other = model(images, noise=torch.Generator().manual_seed(4))
        rounded = model.eval()(images)
    assert torch.equal(first.bits, again.bits)
    assert not torch.equal(first.bits, other.bits)
    # values are rounded in both modes, so pictures agree; noise costs about as many bits as rounding
    torch.testing.assert_close(first.reconstruction, rounded.reconstruction, rtol=0, atol=1e-5)
    torch.testing.assert_close(first.bits.sum(), rounded.bits.sum(), rtol=0.05, atol=0)


def test_loss_equations() -> None:
    """(1) and (2), with rates per pixel and distortion on the 8-bit scale, band by band."""
    plan = plan_3d(16)
    images = torch.full((2, 3, 64, 64), 0.5)
    bits = torch.arange(128.0).view(2, 64)
    output = Output(images + 2.0 / 255.0, bits, torch.tensor([10.0, 20.0]))
    pixels = 2 * 64 * 64
    low, high, hyper = (part.sum().item() / pixels for part in (bits[:, :16], bits[:, 16:], output.hyper_bits))
    terms = RateDistortion(0.013)(output, images, plan)
    assert terms.distortion.tolist() == pytest.approx([4.0] * 2, rel=1e-4)
    assert terms.bpp.mean().item() == pytest.approx(low + high + hyper)
    assert terms.loss.item() == pytest.approx(0.013 * 4.0 + low + high + hyper, rel=1e-4)
    assert terms.band_bpp["LLL"].item() == pytest.approx(bits[:, :8].sum().item() / pixels)
    assert sum(terms.band_bpp.values()).item() == pytest.approx(low + high)  # type: ignore[union-attr]
    for first, second in (REWEIGHTING_AS_PRINTED, REWEIGHTING_AS_WORDED):
        loss = RateDistortion(0.013, weights=(first, second))(output, images, plan).loss.item()
        assert loss == pytest.approx(0.013 * 4.0 + first * low + second * high + hyper, rel=1e-4)
    assert REWEIGHTING_AS_PRINTED[0] > REWEIGHTING_AS_PRINTED[1]
    assert REWEIGHTING_AS_WORDED[0] < REWEIGHTING_AS_WORDED[1]


def test_ms_ssim_loss() -> None:
    pytest.importorskip("pytorch_msssim")
    images = picture(1, 192, 192)
    zero = torch.zeros(1, 64), torch.zeros(1)
    objective = RateDistortion(8.0, "ms-ssim")
    assert objective(Output(images, *zero), images, plan_3d(16)).loss.item() == pytest.approx(0.0, abs=1e-4)
    blurred = nn.functional.avg_pool2d(images, 5, 1, 2)
    assert objective(Output(blurred, *zero), images, plan_3d(16)).loss.item() > 0.02


@pytest.mark.parametrize("arguments", [{"lambda_": 0.0}, {"weights": (1.0, -1.0)}, {"distortion": "psnr"}])
def test_wrong_objective(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected positive numbers"):
        RateDistortion(**({"lambda_": 0.01} | arguments))


def test_published_schedule() -> None:
    rates = [FIRST_STAGE.learning_rate_at(step) for step in (0, 749_999, 750_000, 849_999, 850_000, 1_499_999)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-12])
    assert {SECOND_STAGE.learning_rate_at(step) for step in (0, 999_999)} == {1e-4}


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_streams_decode_to_the_encoder_s_own_picture(name: str) -> None:
    model, images = lively(small(name)).eval(), picture(2, 64, 128)
    coder = LatentCoder(model)
    data = coder.encode(images)
    with torch.no_grad():
        output = model(images)
    assert torch.equal(coder.decode(data, (64, 128), batch=2), output.reconstruction)
    estimate = (output.bits.sum() + output.hyper_bits.sum()).item()
    assert estimate > 8_000  # something was coded
    assert 8 * len(data) == pytest.approx(estimate, rel=0.01)


def test_smallest_image_and_damaged_stream() -> None:
    model = lively(small("3dm-weconvene")).eval()
    coder, images = LatentCoder(model), picture(1, 64, 64)
    data = coder.encode(images)
    with torch.no_grad():
        expected = model(images).reconstruction
    assert torch.equal(coder.decode(data, (64, 64)), expected)
    try:
        damaged = coder.decode(bytes([data[0] ^ 255]) + data[1:], (64, 64))
    except FormatError:
        return
    assert damaged.shape == expected.shape
    assert not torch.equal(damaged, expected)


def test_wrong_sizes_and_broken_weights() -> None:
    model = small("3dm-weconvene")
    coder = LatentCoder(model)
    with pytest.raises(UsageError, match="multiples of 64"):
        coder.decode(b"", (64, 65))
    with torch.no_grad():
        model.hyper_analysis[-1].weight.fill_(float("nan"))
    with pytest.raises(UsageError, match="infinite"):
        coder.encode(picture(1, 64, 64))


@pytest.mark.parametrize("module", [weconvene_module, weconvene_plan, weconvene_objective])
def test_doctests(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


# --- a transformer codec ----------------------------------------------------------------------------------------------


def test_window_attention_sees_its_window_only() -> None:
    block = WindowAttentionBlock(8, moved=False)
    x = torch.randn(1, 8, 12, 20)
    changed = x.clone()
    changed[..., 8:] = torch.randn(1, 8, 12, 12)
    with torch.no_grad():
        assert torch.equal(block(x)[..., :8], block(changed)[..., :8])
        moved = WindowAttentionBlock(8, moved=True)
        before, after = moved(x), moved(changed)
    assert torch.equal(before[..., :4], after[..., :4])
    assert not torch.allclose(before[..., 4:8], after[..., 4:8])


def test_a_transformer_codec_passes_gradients() -> None:
    config = replace(CONFIG, group="swin", split="channels", low_parts=1, blocks=(0, 2, 1))
    network, images = CodecNetwork(config), picture(1, 64, 64)
    network.start_from(images)
    terms = RateDistortion(0.01)(network(images, torch.zeros(1)), images, network.plan)
    (terms.loss + network.prior.quantile_loss()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    with pytest.raises(UsageError, match="group 'mlp'; choose residual or swin"):
        replace(CONFIG, group="mlp")
    with pytest.raises(UsageError, match="choose a multiple"):
        plan_channels(16, 3)
