"""WCAE as published: counts, shapes, and how far its windows look."""

import pytest
import torch

from wavelic.codec.architecture import Architecture
from wavelic.codec.architectures import architectures
from wavelic.errors import ModelError
from wavelic.wcae.klt import klt_initialize
from wavelic.wcae.network import WCAE_PARAMETERS, WaveletAutoencoder, build_autoencoder
from wavelic.wcae.receptive_field import analysis_margin, synthesis_margin

AUTOENCODERS = [name for name, entry in architectures().items() if entry.system == "wcae"]


@pytest.mark.parametrize("entry", architectures().values(), ids=list(architectures()))
def test_registry(entry: Architecture) -> None:
    """Every named architecture can be built and has the parameters it states (counted without allocating them)."""
    with torch.device("meta"):
        model = entry.build()
    assert sum(p.numel() for p in model.parameters()) == entry.parameters


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_shapes(name: str) -> None:
    torch.manual_seed(0)
    model = build_autoencoder(name)
    x = torch.rand(2, 3, 2 * model.stride, 3 * model.stride) * 2 - 1
    y = model.analysis(x)
    assert y.shape == (2, model.latent_channels, 2, 3)
    assert model.synthesis(y).shape == x.shape


def test_published_figures() -> None:
    model = build_autoencoder("wcae")
    assert sum(p.numel() for p in model.parameters()) == WCAE_PARAMETERS == 256_606
    assert (model.latent_channels, model.stride) == (96, 32)
    assert [spec.channels for spec in model.branches] == [12, 9, 9]
    assert [spec.downsampling for spec in model.branches] == [4, 8, 16]
    assert [spec.latent_channels for spec in model.branches] == [32, 32, 32]
    assert build_autoencoder("wcae-64").latent_channels == 128
    twin = build_autoencoder("nowcae")
    assert (twin.latent_channels, twin.stride, twin.levels) == (32, 16, 0)
    assert twin.branches[0].widths == model.branches[2].widths


def test_unknown_architecture() -> None:
    with pytest.raises(ModelError, match="wcae-64"):
        build_autoencoder("wcae-65")
    with pytest.raises(ModelError, match="not an autoencoder"):
        build_autoencoder("CDF-9/7")


def test_branches_must_match_levels() -> None:
    with pytest.raises(ValueError, match="one per level"):
        WaveletAutoencoder(build_autoencoder("wcae").branches, levels=2)


@pytest.mark.parametrize("name", ["wcae", "nowcae"])
def test_klt_start_is_a_linear_codec(name: str) -> None:
    """From Karhunen-Loeve transforms, an untrained network already shows smooth images; from noise it does not."""
    rows = torch.linspace(-1, 1, 128)[:, None] * torch.tensor([0.5, 0.8, -0.6])[:, None, None]
    x = (rows + 0.3 * torch.linspace(-1, 1, 128)).expand(4, 3, 128, 128).contiguous()
    torch.manual_seed(0)
    model = build_autoencoder(name)
    random_error = (model.synthesis(model.analysis(x)) - x).square().mean()
    klt_initialize(model, x)
    error = (model.synthesis(model.analysis(x)) - x).square().mean()
    assert error < 0.25 * x.square().mean()
    assert error < 0.5 * random_error


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_margins_are_sufficient_and_tight(name: str) -> None:
    """Changing what lies beyond the margin changes nothing inside; changing what lies within it does."""
    torch.manual_seed(0)
    model = build_autoencoder(name).double()
    stride, look = model.stride, analysis_margin(model)
    size = 2 * look + 5
    x = torch.rand(1, 3, size * stride, stride, dtype=torch.double, requires_grad=True)
    centre = size // 2
    model.analysis(x)[0, :, centre].sum().backward()
    assert x.grad is not None
    used = x.grad.abs().sum((0, 1, 3)).nonzero().ravel()
    first, last = int(used[0]) // stride, int(used[-1]) // stride
    assert max(centre - first, last - centre) == look

    look = synthesis_margin(model)
    size = 2 * look + 5
    y = torch.rand(1, model.latent_channels, size, 1, dtype=torch.double, requires_grad=True)
    centre = size // 2
    shown = model.synthesis(y)[0, :, centre * stride : (centre + 1) * stride]
    (shown * torch.rand_like(shown)).sum().backward()  # a plain sum would cancel the detail bands
    assert y.grad is not None
    used = y.grad.abs().sum((0, 1, 3)).nonzero().ravel()
    assert max(centre - int(used[0]), int(used[-1]) - centre) == look


@pytest.mark.parametrize("name", ["wcae", "wcae-64", "nowcae"])
@pytest.mark.parametrize("size", [(1, 1), (1, 33), (4, 90), (9, 17), (70, 5), (64, 96)])
def test_the_first_samples_are_those_of_the_whole(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = build_autoencoder(name).eval()
    with torch.no_grad():
        whole = network.synthesis(latent := torch.randn(1, network.latent_channels, 3, 4))
        rows, columns = (min(pair) for pair in zip(size, whole.shape[2:], strict=True))
        part = network.synthesis(latent, (rows, columns))
    assert rows <= part.shape[2] < rows + (1 << network.levels)
    assert columns <= part.shape[3] < columns + (1 << network.levels)
    torch.testing.assert_close(part[..., :rows, :columns], whole[..., :rows, :columns], rtol=0, atol=1e-6)
