"""The representation of `weconvene`: perfect reconstruction, packing, order of coding, windows."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from weconvene_tiny import CONFIG, STEP, random_subbands, tiny_model, tiny_network

from wavelic.codec.weights import family
from wavelic.rect import Rect
from wavelic.weconvene import grid as grids
from wavelic.weconvene import planes as weconvene_planes
from wavelic.weconvene.context import code_levels
from wavelic.weconvene.layout import BANDS, LEVELS, MULTIPLE, PACKED, SLICES, SLICES_2D
from wavelic.weconvene.network import Network
from wavelic.weconvene.planes import Planes, analyse, synthesise, window_count
from wavelic.weconvene.subbands import (
    COLOUR,
    from_grid,
    join_grid,
    pack,
    pack_slice,
    split_grid,
    to_colours,
    to_grid,
    to_rgb,
    unpack,
    unpack_slices,
)
from wavelic.weconvene.units import COARSEST, FINEST
from wavelic.weconvene.weights import load_model


def test_colour_transform_is_orthonormal_and_gray_is_luma() -> None:
    matrix = np.array(COLOUR)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(to_rgb(to_colours(x)), x)
    gray = to_colours(torch.full((1, 3, 1, 1), 7.0, dtype=torch.float64)).flatten()
    torch.testing.assert_close(gray, torch.tensor([7 * 3**0.5, 0, 0], dtype=torch.float64))


def test_packed_channels_are_band_row_phase_column_phase() -> None:
    details = torch.randn(2, BANDS, 6, 8)
    packed = pack(details)
    for band, row, column in itertools.product(range(BANDS), range(2), range(2)):
        assert torch.equal(packed[:, band * 4 + row * 2 + column], details[:, band, row::2, column::2])
    assert torch.equal(unpack(packed), details)


@pytest.mark.parametrize("passes", [SLICES, SLICES_2D])
def test_slices_partition_the_packed_channels(passes) -> None:
    assert sorted(c for part in passes for c in part.channels) == list(range(PACKED))


def test_luma_comes_before_chroma_and_the_first_phase_is_alone() -> None:
    colours = [{c // 4 % 3 for c in part.channels} for part in SLICES]
    assert colours == [{0}, {0}, {0}, {1, 2}, {1, 2}]
    assert {c % 4 for c in SLICES[0].channels} == {0}
    assert [{c % 4 for c in part.channels} for part in SLICES_2D] == [{0}, {3}, {1, 2}]


@pytest.mark.parametrize("size", [(128, 128), (256, 128), (128, 384)])
def test_perfect_reconstruction(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    grid = to_grid(x)
    assert grid.shape == (2, 192, size[0] // 8, size[1] // 8)
    torch.testing.assert_close(from_grid(grid), x, atol=1e-12, rtol=0)
    subbands = split_grid(grid)
    assert [d.shape[2] for d in subbands.details] == [size[0] >> d for d in range(1, LEVELS + 1)]
    torch.testing.assert_close(join_grid(subbands), grid, atol=1e-12, rtol=0)
    energy = subbands.low.square().sum() + sum(d.square().sum() for d in subbands.details)
    assert float(energy / x.square().sum()) == pytest.approx(1, abs=0.06)  # 9/7 is only nearly orthonormal


@pytest.mark.parametrize("levels", range(1, LEVELS + 1))
def test_fewer_levels(levels: int) -> None:
    x = torch.randn(1, 3, 2 << levels, 4 << levels, dtype=torch.float64)
    grid = to_grid(x, min(levels, 3))
    subbands = split_grid(grid, levels)
    assert [d.shape[2] for d in subbands.details] == [(2 << levels) >> d for d in range(1, levels + 1)]
    torch.testing.assert_close(from_grid(join_grid(subbands), min(levels, 3)), x, atol=1e-12, rtol=0)


def test_training_transforms_are_float32() -> None:
    """Under autocast, with networks that correct nothing, training reproduces a picture to 1e-3 grey levels."""
    network = Network(CONFIG).train()
    x = 255 * torch.rand(1, 3, 128, 128)
    for log2_step in (3.6, 6.0, 8.3):
        step = torch.full((1,), log2_step)
        subbands = network.analysis(x, step, autocast=True)
        assert subbands.low.dtype == torch.float32
        assert float((network.synthesis(subbands, step, autocast=True) - x).detach().abs().max()) < 1e-3


@pytest.mark.parametrize("ordered", [True, False])
def test_parameters_depend_only_on_what_was_coded_before(ordered: bool) -> None:
    """Change one slice's coefficients: parameters up to and with that slice stay, some of those after it change."""
    network = tiny_network(replace(CONFIG, ordered_colours=ordered))
    slices = network.entropy.slices
    low, details = random_subbands(128, 256)

    def parameters(bands: list[torch.Tensor]) -> list[torch.Tensor]:
        packed, seen = [pack(b) for b in bands], []

        def coder(number: int, index: int, mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
            seen.append(torch.cat((mean, scale), 1))
            return packed[number - 1][:, list(slices[index].channels)]

        code_levels(network.entropy, low, torch.tensor([6.0]), LEVELS, coder)
        return seen

    before = parameters(details)
    assert len(before) == LEVELS * len(slices)
    for number, index in [(LEVELS, 0), (3, len(slices) - 1), (2, 1), (1, 1)]:
        changed = [d.clone() for d in details]
        packed = pack(changed[number - 1])
        packed[:, list(slices[index].channels)] += 3
        changed[number - 1] = unpack(packed)
        after = parameters(changed)
        at = (LEVELS - number) * len(slices) + index
        assert all(torch.equal(a, b) for a, b in zip(before[: at + 1], after[: at + 1], strict=True))
        assert not torch.equal(before[at + 1], after[at + 1])


@pytest.mark.parametrize("passes", [SLICES, SLICES_2D])
def test_slices_are_cut_and_put_together(passes) -> None:
    details = torch.randn(2, BANDS, 6, 10, generator=torch.Generator().manual_seed(0))
    parts = [pack_slice(details, part) for part in passes]
    for part, values in zip(passes, parts, strict=True):
        assert torch.equal(values, pack(details)[:, list(part.channels)])
    assert torch.equal(unpack_slices(parts, passes), details)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_grids_compute_what_the_trained_transform_does(levels: int) -> None:
    transform = tiny_model().transform
    rgb = 255 * torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    log2_step = torch.tensor([STEP / 32, FINEST / 32])
    with torch.inference_mode():
        expected = transform.analysis(rgb, log2_step, levels)
        grid = grids.analysis(transform, rgb.clone(), log2_step, levels)
        low, details = grids.split(grid)
        torch.testing.assert_close(low, expected.low, atol=1e-5, rtol=1e-5)
        for found, wanted in zip(details, expected.details, strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
        assert torch.equal(grids.join(low, details), grid)
        shown = grids.synthesis(transform, grid, log2_step)
        torch.testing.assert_close(shown, transform.synthesis(expected, log2_step), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("layer", ["wide", "wavelet", "plain"])
def test_windows_do_not_matter(picture, monkeypatch: pytest.MonkeyPatch, layer: str) -> None:
    """Analysis and synthesis in windows are those of the network on the whole picture, apart from rounding."""
    model = tiny_model(replace(CONFIG, layer=layer))
    model = replace(model, fast=model.transform)  # float32, to compare with
    pixels = picture(300, 420)
    extended = np.pad(pixels, ((0, -300 % MULTIPLE), (0, -420 % MULTIPLE), (0, 0)), "edge")
    log2_step = torch.tensor([STEP / 32])
    with torch.inference_mode():
        expected = model.transform.analysis(torch.from_numpy(extended).permute(2, 0, 1)[None].float(), log2_step)
        shown = model.transform.synthesis(expected, log2_step)[0].permute(1, 2, 0).numpy()
    for window in (1536, 160):
        monkeypatch.setattr(weconvene_planes, "WINDOW", window)
        planes = analyse(model, pixels, STEP)
        torch.testing.assert_close(planes.low, expected.low[0], atol=1e-3, rtol=1e-4)
        for ours, theirs in zip(planes.details, expected.details, strict=True):
            torch.testing.assert_close(ours, theirs[0], atol=1e-4, rtol=1e-4)
        for left, top, width, height in ((0, 0, 420, 300), (5, 17, 300, 1), (161, 33, 259, 267)):
            reports: list[tuple[int, int]] = []

            def report(done: int, total: int, reports: list[tuple[int, int]] = reports) -> None:
                reports.append((done, total))

            part = synthesise(model, planes, STEP, Rect(left, top, width, height), 3, np.dtype(np.uint8), report)
            box = shown[top : top + height, left : left + width]
            assert np.abs(part - np.clip(box, 0, 255)).max() <= 0.51
            total = window_count(Rect(left, top, width, height))
            assert sorted(reports) == [(n, total) for n in range(1, total + 1)]


def test_bfloat16_corrections_change_few_samples(picture) -> None:
    """Where f and g run in bfloat16, 99.9 % of the samples are within 1 of those in float32."""
    model = load_model(family("weconvene")[-1])
    if model.fast is model.transform:
        pytest.skip("this processor computes in float32 anyway")
    pixels = picture(256, 384)
    for step in (FINEST, STEP, COARSEST):
        planes = analyse(model, pixels, step)
        area = Rect(0, 0, 384, 256)
        fast = synthesise(model, planes, step, area, 3, np.dtype(np.uint8)).astype(int)
        plain = synthesise(replace(model, fast=model.transform), planes, step, area, 3, np.dtype(np.uint8))
        assert np.mean(np.abs(fast - plain) <= 1) >= 0.999


def test_planes_cut_what_was_pasted() -> None:
    from wavelic.weconvene.tile_reader import Decoded

    planes = Planes.empty(256, 384, LEVELS)
    tile = Rect(128, 0, 256, 128)
    random = np.random.default_rng(0)
    low = random.integers(-9, 9, (3, 2, 4), np.int32)
    details = tuple(random.integers(-99, 99, (9, 128 >> d, 256 >> d), np.int32) for d in range(1, LEVELS + 1))
    planes.paste(tile, Decoded(low, details))
    cut_low, cut_details = planes.cut(tile)
    np.testing.assert_array_equal(cut_low, low)
    for cut, detail in zip(cut_details, details, strict=True):
        np.testing.assert_array_equal(cut, detail / 16)
    assert float(planes.details[0][:, :, :64].abs().max()) == 0
