"""Enhanced decoding of lifting files: what is promised of other JPEG 2000 files is true of them too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from commands import wavelic_cli
from enhance_support import random_weights
from pictures import image

import wavelic
from wavelic.enhance.examples import Coding
from wavelic.enhance.training import example
from wavelic.errors import FormatError, UsageError
from wavelic.images import from_array, save_image
from wavelic.lifting.cards import ENHANCE, LUMA, PRODUCT
from wavelic.lifting.jp2 import synthesis
from wavelic.lifting.jp2.opening import open_jp2
from wavelic.lifting.training.enhance_task import LiftingEnhanceTask, decoded_picture, export_stages, stored_picture
from wavelic.lifting.weights import load_lifting
from wavelic.training.export import Export
from wavelic.training.loop import train
from wavelic.training.recipe import load_recipe

torch.set_num_threads(1)
PIXELS = image(130, 150)
GRAY = image(97, 110, 1)


@pytest.fixture(autouse=True, scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Random networks that change much, beside the shipped transforms."""
    yield from random_weights(tmp_path_factory)


def lifting(pixels: np.ndarray = PIXELS, **options) -> bytes:
    return wavelic.encode(pixels, "lifting", bpp=1.0, **options)


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize("learned", ["all", "luma", "none"])
@pytest.mark.parametrize("pixels", [PIXELS, GRAY, image(90, 80, 3, 16), image(80, 70, 4)])
def test_a_file_is_enhanced_where_that_is_asked_for(pixels: np.ndarray, learned: str) -> None:
    file = wavelic.open(lifting(pixels, learned=learned))
    plain, enhanced = file.read(), file.read(enhance=True)
    assert file.can_enhance
    assert np.array_equal(plain, file.read(enhance=False))
    assert far(plain, enhanced) > 2
    assert (plain.shape, plain.dtype) == (enhanced.shape, enhanced.dtype)
    assert not file.enhanced().decode().remarks
    if pixels.shape[2] == 4:
        assert np.array_equal(enhanced[..., 3], pixels[..., 3])


def test_a_file_may_say_that_it_is_meant_to_be_enhanced() -> None:
    without, meant = (wavelic.open(lifting(enhance=enhance)) for enhance in (False, True))
    assert np.array_equal(meant.read(), without.read(enhance=True))
    assert np.array_equal(meant.read(enhance=False), without.read())
    assert np.array_equal(wavelic.decode_batch([lifting(enhance=True)] * 2)[1], meant.read())


@pytest.mark.parametrize("learned", ["all", "none"])
@pytest.mark.parametrize("reduce", [0, 1, 3, 5])
def test_a_window_is_the_crop(reduce: int, learned: str) -> None:
    file = wavelic.open(lifting(image(160, 200), layers=3, learned=learned)).enhanced()
    for layers in (1, 3):
        whole = file.read(reduce=reduce, layers=layers)
        part = file.read(reduce=reduce, layers=layers, region=(64, 32, 96, 64))
        scale = 1 << reduce
        assert np.array_equal(part, whole[32 // scale : 96 // scale, 64 // scale : 160 // scale])


def test_a_large_picture_is_decoded_level_by_level(monkeypatch: pytest.MonkeyPatch) -> None:
    file = wavelic.open(lifting(image(200, 230))).enhanced()
    whole = file.read()
    monkeypatch.setattr(synthesis, "BY_LEVELS", 100)
    assert far(file.read(), whole) <= 1


def test_a_part_of_a_remote_file_is_the_crop(tmp_path: Path) -> None:
    data = lifting(image(600, 500), access="windows")
    (tmp_path / "a.jp2").write_bytes(data)
    file = open_jp2(wavelic.remote.open_source(str(tmp_path / "a.jp2"))).enhanced()
    part = file.read(reduce=1, region=(200, 300, 60, 50))
    assert far(part, wavelic.open(data).enhanced().read(reduce=1)[150:175, 100:130]) <= 1


def test_without_weights_a_file_that_is_meant_to_be_enhanced_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    file = wavelic.open(lifting(enhance=True))
    monkeypatch.setattr("wavelic.enhance.catalogue.cards", lambda: ())
    decoded = file.decode()
    assert np.array_equal(decoded.pixels, file.read(enhance=False))
    assert any("no weights" in remark for remark in decoded.remarks)


def test_damaged_files_give_errors_of_ours() -> None:
    data = bytearray(lifting(image(64, 64), enhance=True))
    for place in range(len(data) // 2, len(data), 97):
        changed = bytes(data[:place] + bytes([data[place] ^ 0x5A]) + data[place + 1 :])
        with pytest.raises(FormatError):
            wavelic.open(changed).read()


def test_the_command_line(tmp_path: Path) -> None:
    source, out, better = (tmp_path / name for name in ("a.png", "a.jp2", "b.png"))
    save_image(from_array(PIXELS), source)
    for words in (("encode", source, out, "--codec", "lifting", "--bpp", "1", "--enhance"), ("decode", out, better)):
        assert not wavelic_cli(*words).exit_code
    assert np.array_equal(np.asarray(PIL.Image.open(better)), wavelic.open(out).read(enhance=True))


@pytest.mark.parametrize("pixels", [PIXELS, GRAY, image(64, 64, 3, 16)])
@pytest.mark.parametrize("name", [PRODUCT, LUMA])
def test_the_picture_of_a_pseudo_image_is_the_picture(pixels: np.ndarray, name: str) -> None:
    transform = load_lifting(name)
    stored, bits = stored_picture(pixels, transform)
    coding = Coding((30.0,), gray=pixels.shape[2] == 1, bits=bits)
    views, _ = example(stored, coding)
    found = decoded_picture(views[0].signals[0], transform, bits, pixels.shape[2])[0].permute(1, 2, 0).numpy()
    peak = np.iinfo(pixels.dtype).max
    assert np.abs((found + 0.5) * peak - pixels).max() < 0.02 * peak


def test_a_short_run_is_exported_and_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("train", "val"):
        (tmp_path / folder).mkdir()
        save_image(from_array(image(64, 64)), tmp_path / folder / "a.png")
    overrides = {
        "data": tmp_path / "train",
        "validation": tmp_path / "val",
        "defaults.crop": 64,
        "defaults.batch": 1,
        "defaults.optimizer": "adam",
        "defaults.warmup": 0,
        "defaults.ema": 0.0,
        "defaults.gray": 0.5,
        "defaults.deep": 0.5,
        "stages.0.steps": 4,
    }
    recipe = load_recipe("enhance-lifting-cpu", tuple(f"{key}={value}" for key, value in overrides.items()))
    run = train(recipe, tmp_path / "runs")
    assert '"gray"' in (run / "main" / "log.jsonl").read_text()
    (card,) = export_stages([run / "main" / "final.pt"], Export(tmp_path / "weights", tmp_path, tmp_path))
    monkeypatch.setenv("WAVELIC_WEIGHTS", str(tmp_path / "weights"))
    assert card.name == ENHANCE
    file = wavelic.open(lifting())
    assert file.can_enhance
    assert far(file.read(), file.read(enhance=True)) > 0
    stage: Any = recipe.stages[0]
    with pytest.raises(UsageError, match="9/7 alone"):
        LiftingEnhanceTask(recipe, replace(stage, reversible=0.5))
    task = LiftingEnhanceTask(recipe, stage)
    assert set(task.installed(card)) == set(task.objective.state_dict())
