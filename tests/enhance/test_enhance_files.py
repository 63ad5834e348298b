"""Enhanced decoding of whole files: what is enhanced, what is not, and what callers are told."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from commands import error_of, wavelic_cli
from enhance_support import random_weights
from paths import TESTS
from pictures import image

import wavelic
from wavelic.api.files import encode_image
from wavelic.codec.options import Options
from wavelic.codec.target import Target
from wavelic.errors import ModelError
from wavelic.images import from_array
from wavelic.lifting.jp2.opening import open_jp2

torch.set_num_threads(1)
PIXELS = image(130, 150)
RGBA = np.concatenate([PIXELS, image(130, 150, 1)], -1)


@pytest.fixture(autouse=True, scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Random weights of the shipped size, which are the installed ones."""
    yield from random_weights(tmp_path_factory)


def jp2(pixels: np.ndarray = PIXELS, **options) -> bytes:
    target = None if options.get("lossless") else Target("bpp", 1.0)
    return encode_image(from_array(pixels), "jp2", target, Options(**options)).data


def by_pillow(pixels: np.ndarray, **options) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).save(out, "JPEG2000", **options)
    return out.getvalue()


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).max())


def test_a_file_is_enhanced_where_that_is_asked_for() -> None:
    for data in (jp2(), by_pillow(PIXELS, quality_layers=[30], irreversible=True)):
        file = wavelic.open(data)
        assert np.array_equal(file.read(), file.read(enhance=False))
        assert far(file.read(), file.read(enhance=True)) > 2
        assert np.array_equal(file.read(enhance=True), file.enhanced().read())
        assert not file.enhanced().decode().remarks


def test_a_file_may_say_that_it_is_meant_to_be_enhanced() -> None:
    data = jp2(enhance=True)
    file = wavelic.open(data)
    assert np.array_equal(file.read(), file.read(enhance=True))
    assert far(file.read(), file.read(enhance=False)) > 2
    assert np.array_equal(file.read(enhance=False), wavelic.open(jp2()).read())


def test_without_weights_only_who_asks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = wavelic.open(jp2(enhance=True))
    monkeypatch.setattr("wavelic.enhance.catalogue.cards", lambda: ())
    decoded = file.decode()
    assert np.array_equal(decoded.pixels, file.read(enhance=False))
    assert any("no weights" in remark for remark in decoded.remarks)
    assert not file.can_enhance
    with pytest.raises(ModelError, match="no weights"):
        file.read(enhance=True)


def test_windows_sizes_and_layers_of_a_file() -> None:
    file = wavelic.open(jp2(layers=3)).enhanced()
    whole = file.read(layers=2)
    assert far(file.read(layers=2, region=(40, 30, 50, 60)), whole[30:90, 40:90]) <= 1
    assert file.read(reduce=2).shape == (33, 38, 3)
    assert file[30:90, 40:90].shape == (60, 50, 3)


def test_a_part_of_a_remote_file_is_the_crop(tmp_path: Path) -> None:
    data = jp2(image(600, 500), access="windows")
    (tmp_path / "a.jp2").write_bytes(data)
    file = open_jp2(wavelic.remote.open_source(str(tmp_path / "a.jp2"))).enhanced()
    region = (200, 300, 60, 50)
    part = file.read(region=region)
    whole = wavelic.open(data).enhanced().read()
    assert far(part, whole[300:350, 200:260]) <= 1
    assert file.read_bytes(region=region) > file.enhanced(False).read_bytes(region=region)


def test_opacity_is_left_as_it_is() -> None:
    file = wavelic.open(jp2(RGBA))
    found = file.read(enhance=True)
    assert np.array_equal(found[..., 3], RGBA[..., 3])
    assert far(found[..., :3], file.read()[..., :3]) > 2


def test_lossless_files_stay_lossless() -> None:
    data = jp2(lossless=True)
    assert np.array_equal(wavelic.open(data).read(enhance=True), PIXELS)


@pytest.mark.parametrize("name", ["palette.jp2", "opj_sycc420.jp2"])
def test_what_cannot_be_enhanced_is_decoded_as_it_is(name: str) -> None:
    file = wavelic.open(TESTS / "data" / "images" / name)
    enhanced = file.enhanced().decode()
    assert np.array_equal(enhanced.pixels, file.read())
    assert any("not enhanced" in remark for remark in enhanced.remarks)


def test_the_command_line(tmp_path: Path) -> None:
    source, plain, better = (tmp_path / name for name in ("a.jp2", "plain.png", "better.png"))
    source.write_bytes(jp2())
    for target, flags in ((plain, []), (better, ["--enhance"])):
        assert not wavelic_cli("decode", source, target, *flags).exit_code
    found = [np.asarray(PIL.Image.open(path)) for path in (plain, better)]
    assert np.array_equal(found[1], wavelic.open(jp2()).read(enhance=True))
    assert far(*found) > 2
    message = error_of(wavelic_cli("decode", source, tmp_path / "c.png", "--enhance", "--max-bytes", "9999"))
    assert "leave out one of them" in message
