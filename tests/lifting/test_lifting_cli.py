"""Codec `lifting` on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from commands import error_of, wavelic_cli
from pictures import image

import wavelic
from wavelic.lifting.cards import LUMA, PRODUCT
from wavelic.lifting.codec import STOCK_LOSS

ROOT = Path(__file__).resolve().parents[2]

torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("weights")


def test_the_command_line(tmp_path: Path) -> None:
    photo, coded = tmp_path / "photo.png", tmp_path / "a.jp2"
    PIL.Image.fromarray(image(90, 120)).save(photo)
    assert wavelic_cli("encode", photo, coded, "--bpp", "2", "--layers", "0.5,1").exit_code == 0  # .jp2 says lifting
    assert [layer.bpp for layer in wavelic.open(coded).layers] == pytest.approx([0.5, 1, 2], rel=0.3)
    assert wavelic_cli("encode", photo, f"{tmp_path}/out/", "--codec", "lifting", "--access", "windows").exit_code == 0
    windows = wavelic.open(tmp_path / "out" / "photo.jp2").info
    assert (windows["progression"], windows["precincts"][-1]) == ("RPCL", [256, 256])
    part = ["--reduce", "1", "--max-layers", "2", "--region", "10,20,60,50"]
    assert wavelic_cli("decode", coded, tmp_path / "part.png", *part).exit_code == 0
    expected = wavelic.decode(coded.read_bytes(), reduce=1, layers=2, region=(10, 20, 60, 50))
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "part.png")), expected)
    assert wavelic_cli("verify", coded).stdout.startswith("OK")
    text = wavelic_cli("info", coded).stdout
    for word in ("codec lifting", PRODUCT, "5 levels on 9/7", "one per resolution", "layers", "checksum"):
        assert word in text
    facts = json.loads(wavelic_cli("info", coded, "--json").stdout)["files"][0]
    assert [layer["layers"] for layer in facts["layers"]] == [1, 2, 3]
    assert sum(chunk["bytes"] for chunk in facts["chunks"]) == facts["bytes"]


@pytest.mark.parametrize(("learned", "model", "warned"), [("all", PRODUCT, 1), ("luma", LUMA, 1), ("none", "none", 0)])
def test_learned_steps_can_be_left_out(learned: str, model: str, warned: int, tmp_path: Path) -> None:
    """And who writes a file that other software shows worse is told so, once."""
    for name in "ab":
        PIL.Image.fromarray(image(90, 120)).save(tmp_path / f"{name}.png")
    command = ["encode", tmp_path / "a.png", tmp_path / "b.png", f"{tmp_path}/out/", "--codec", "lifting", "--bpp", "4"]
    done = wavelic_cli(*command, "--learned", learned)
    assert done.stderr.count("other JPEG 2000 software") == warned
    file = wavelic.open(tmp_path / "out" / "a.jp2")
    assert (file.info["model"], file.codec) == (model, "lifting")
    assert "other JPEG 2000 software" not in wavelic_cli(*command, "--learned", learned, "-f", "--quiet").stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["encode", "photo.png", "x.wlic", "--codec", "lifting"], "does not end in .jp2"),
        (["encode", "photo.png", "x.jp2", "--codec", "wcae"], "does not end in .wlic"),
        (["encode", "photo.png", "x.wlic", "--layers", "3"], "it is an option of lifting"),
        (["encode", "photo.png", "x.jp2", "--layers", "a,b"], "neither a number"),
        (["encode", "photo.png", "x.jp2", "--layers", "2,1"], "ascending"),
        (["encode", "photo.png", "x.jp2", "--access", "fast"], "choose whole or windows"),
        (["encode", "photo.png", "x.jp2", "--published"], "it is an option of wcae"),
        (["encode", "photo.png", "x.jp2", "--learned", "chroma"], "choose all, luma, none"),
        (["encode", "photo.png", "x.wlic", "--learned", "luma"], "it is an option of lifting"),
        (["decode", "a.jp2", "x.png", "--region", "1,2,3"], "x,y,width,height"),
        (["decode", "a.jp2", "x.png", "--region", "0,0,999,1"], "not inside the image"),
        (["decode", "a.jp2", "x.png", "--reduce", "6"], "the file has 0..5"),
        (["decode", "a.jp2", "x.png", "--max-layers", "9"], "choose 1..3"),
        (["decode", "a.wlic", "x.png", "--reduce", "4"], "the file has 0..3"),
    ],
)
def test_wrong_commands(arguments: list[str], part: str, layered: bytes, tmp_path: Path) -> None:
    PIL.Image.fromarray(image(20, 20)).save(tmp_path / "photo.png")
    (tmp_path / "a.jp2").write_bytes(layered)
    if "a.wlic" in arguments:
        (tmp_path / "a.wlic").write_bytes(wavelic.encode(image(20, 20)))
    names = [str(tmp_path / name) if Path(name).suffix in (".png", ".jp2", ".wlic") else name for name in arguments]
    result = wavelic_cli(*names)
    assert result.exit_code == 2
    assert part in error_of(result)
    assert not list(tmp_path.glob("x.*"))


def test_a_cut_file_on_the_command_line(layered: bytes, tmp_path: Path) -> None:
    (tmp_path / "cut.jp2").write_bytes(layered[: wavelic.open(layered).layers[1].bytes + 100])
    assert "cut short" in error_of(wavelic_cli("decode", tmp_path / "cut.jp2", tmp_path / "a.png"))
    result = wavelic_cli("decode", tmp_path / "cut.jp2", tmp_path / "a.png", "--allow-partial", "--json")
    facts = json.loads(result.stdout)["files"][0]
    assert (facts["complete"], facts["note"]) == (
        False,
        "the file is cut short: decoded to layer 2, the last whole one",
    )
    assert "layer 2" in result.stderr
    expected = wavelic.open(layered).read(layers=2)
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "a.png")), expected)


def test_the_loss_that_is_told_is_the_measured_one() -> None:
    found = json.loads((ROOT / "results" / "lifting" / "kodak-rgb-lifting.json").read_text())
    shown_elsewhere = float(re.findall(r"stock viewer at 1 bpp ([\d.]+) dB", found["description"])[0])
    here = found["results"]["psnr-rgb"][-1]
    assert found["wavelic"]["settings"][-1] == 1
    assert round(here - shown_elsewhere) == STOCK_LOSS
