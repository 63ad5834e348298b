"""`--tune`: other weights in the same format, chosen when encoding and named by the file."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import wavelic
from wavelic.cli.main import app
from wavelic.codec.weights import card_by_id, family
from wavelic.container import read_container
from wavelic.errors import UsageError
from wavelic.images import from_array, save_image
from wavelic.weconvene.codec import WECONVENE
from wavelic.weconvene.config import FAMILIES


def picture() -> np.ndarray:
    """160 x 192: soft shapes, an edge, and faint texture, which squared error gives up first."""
    y, x = np.mgrid[0:160, 0:192]
    random = np.random.default_rng(3)
    shapes = 110 + 60 * np.sin(x / 31) * np.cos(y / 23) + 40 * (np.hypot(x - 120, y - 70) < 40)
    texture = 7 * random.standard_normal((160, 192))
    return np.clip(np.stack([shapes + texture, shapes + texture, shapes + 12 + texture], -1), 0, 255).astype(np.uint8)


def model_of(data: bytes) -> str:
    return card_by_id(read_container(data).header.model).family


@pytest.mark.parametrize("tune", sorted(FAMILIES))
def test_a_file_names_the_weights_it_was_tuned_with(tune: str) -> None:
    data = wavelic.encode(picture(), "weconvene", quality=40, tune=tune)
    assert model_of(data) == FAMILIES[tune]
    decoded = wavelic.decode(data)
    assert decoded.shape == picture().shape
    assert 10 * np.log10(255**2 / np.mean(np.square(decoded.astype(float) - picture()))) > 24


def test_each_is_better_by_its_own_measure() -> None:
    """At the same size, on the picture above."""
    import torch
    from pytorch_msssim import ms_ssim

    original = picture()
    found = {}
    for tune in FAMILIES:
        decoded = wavelic.decode(wavelic.encode(original, "weconvene", bpp=0.5, tune=tune))
        pair = [torch.from_numpy(np.array(p)).permute(2, 0, 1)[None].float() for p in (decoded, original)]
        error = float(np.mean(np.square(decoded.astype(float) - original)))
        found[tune] = (error, float(ms_ssim(*pair, data_range=255.0, win_size=7)))
    assert found["psnr"][0] < found["msssim"][0]
    assert found["psnr"][1] < found["msssim"][1]


def test_the_command(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "a.wlic"
    save_image(from_array(picture()), source)
    run = CliRunner().invoke(app, ["encode", str(source), str(target), "--tune", "msssim", "-q", "30"])
    assert run.exit_code == 0, run.output
    assert model_of(target.read_bytes()) == FAMILIES["msssim"]
    run = CliRunner().invoke(app, ["encode", str(source), str(tmp_path / "b.wlic"), "--tune", "ssim"])
    assert run.exit_code == 2
    assert "choose psnr or msssim" in run.output


def test_what_has_no_tuning() -> None:
    with pytest.raises(UsageError, match="tune is 'vmaf'; choose psnr or msssim"):
        wavelic.encode(picture(), tune="vmaf")
    with pytest.raises(UsageError, match="tune msssim given for codec jp2; it is an option of weconvene"):
        wavelic.encode(picture(), "jp2", tune="msssim")


def test_both_are_listed() -> None:
    assert [card.family for card in WECONVENE.weights()] == [family(name)[-1].family for name in FAMILIES.values()]
