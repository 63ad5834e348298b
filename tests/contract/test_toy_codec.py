"""A new codec is one folder and one registry line: `toy` works everywhere without a change to any other file.

The folder is ``tests/contract/toy``, the line an entry point of the group ``wavelic.codecs``, as another package has.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import wavelic

HERE = Path(__file__).resolve().parent
TOYS = {"toy": ".wlic", "toy-own": ".toy"}
each_toy = pytest.mark.parametrize(("codec", "extension"), TOYS.items())


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a process in which the package of the toys is installed."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(HERE / "toy", site / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    about = site / "toy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[wavelic.codecs]\ntoy = toy.codec:TOY\ntoy-own = toy.codec:TOY_OWN\nwcae = toy.codec:NOT_THERE\n"
    )
    source = Path(wavelic.__file__).resolve().parents[1]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(source)]), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def images(tmp_path: Path, picture) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        PIL.Image.fromarray(picture(190, 230, seed=number)).save(folder / f"{number}.png")
    return folder


#: Runs command lines one after the other in a process, which starts once: exit status, output and errors of each.
SHELL = """
import contextlib, io, json, sys
commands, results = json.loads(sys.argv[1]), []
sys.argv[1:] = commands[0]  # help texts look at it when they are made
from wavelic.cli.main import run
for words in commands:
    sys.argv = ["wavelic", *words]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            code = run()
        except SystemExit as end:
            code = end.code
    results.append((code or 0, out.getvalue(), errors.getvalue()))
print(json.dumps(results))
"""


def run(environment: dict[str, str], *commands: tuple[object, ...]) -> list[str]:
    """Output of each command, or its errors where it ends with 2 and not with 0."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    command = [sys.executable, "-c", SHELL, words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == len(commands)
    for code, _, errors in results:
        assert code in (0, 2), errors
    return [errors if code else out for code, out, errors in results]


def test_the_whole_contract_holds(environment: dict[str, str]) -> None:
    tests = [str(HERE / "test_every_codec.py"), "-k", "toy", "-q", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *tests]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=HERE, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:]


@each_toy
def test_command_line(environment: dict[str, str], codec: str, extension: str, images: Path, tmp_path: Path) -> None:
    coded, back = tmp_path / f"x{extension}", tmp_path / "x.png"
    told, _, facts, verified, _, refused, untrimmed = run(
        environment,
        ("encode", "--help"),
        ("encode", images / "0.png", coded, "--codec", codec, "--bpp", "4"),
        ("info", coded, "--json"),
        ("verify", coded),
        ("decode", coded, back),
        ("encode", images, coded, "--codec", codec, "--layers", "3"),
        ("trim", coded, tmp_path / "t.jp2", "--max-layers", "1"),
    )
    assert codec in told
    assert json.loads(facts)["files"][0]["codec"] == codec
    assert "OK" in verified
    assert PIL.Image.open(back).size == (230, 190)
    assert "option of lifting" in refused
    assert "no quality layers" in untrimmed


def test_the_extension_chooses_it(environment: dict[str, str], images: Path, tmp_path: Path) -> None:
    run(environment, ("encode", images / "0.png", tmp_path / "x.toy"))
    assert (tmp_path / "x.toy").read_bytes().startswith(b"\x93TOY")


def test_models_lists_its_networks_and_training_says_what_can_be_trained(environment: dict[str, str]) -> None:
    models, message = run(environment, ("models", "--json"), ("train", "wcae-cpu", "model=toy-net"))
    rows = {row["name"]: row for row in json.loads(models)["models"]}
    assert (rows["toy-net"]["system"], rows["toy-net"]["parameters"]) == ("toy", 12)
    assert "model 'toy-net': it can be built but not trained; choose one of " in message


@each_toy
def test_python(environment: dict[str, str], codec: str, extension: str, tmp_path: Path) -> None:
    code = f"""
import numpy as np, wavelic
x = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), np.uint8)
files = [wavelic.encode(each, {codec!r}, 100) for each in x]
assert (wavelic.decode_batch([*files, wavelic.encode(x[0], "wcae")])[:3] == x).all()
assert (wavelic.decode_many(files)[1] == x[1]).all()
file = wavelic.open(files[0])
assert file.codec == {codec!r} and (file[3:9, 5:8] == x[0, 3:9, 5:8]).all()
assert {codec!r} in wavelic.CODECS and wavelic.CODECS[0] == "weconvene"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr


def test_evaluation(environment: dict[str, str], images: Path, tmp_path: Path) -> None:
    given = {codec: ("eval", codec, "--images", images, "--json", tmp_path / codec) for codec in TOYS}
    measured = [(*words, "--qualities", "20,60,100") for words in given.values()]
    refused = run(environment, *measured, *((*words, "--published") for words in given.values()))[len(TOYS) :]
    for codec, text in zip(TOYS, refused, strict=True):
        assert codec in json.dumps(json.loads((tmp_path / codec).read_text()))
        assert f"published True given for codec {codec}" in text


def test_collections(environment: dict[str, str], images: Path, tmp_path: Path) -> None:
    commands: list[tuple[object, ...]] = []
    for codec in TOYS:
        given = ("encode-dir", images, tmp_path / codec, "--codec", codec)
        commands += [
            (*given, "--layout", "tree", "-j", "2", "--quality", "50"),
            ("verify-dir", tmp_path / codec, "-j", "1"),
            ("encode-dir", images, tmp_path / f"{codec}-windows", "--codec", codec, "--access", "windows"),
        ]
    refused = run(environment, *commands)[2::3]
    for (codec, extension), text in zip(TOYS.items(), refused, strict=True):
        assert len(list((tmp_path / codec).rglob(f"*{extension}"))) == 3
        assert f"given for codec {codec}" in text


def test_serving(environment: dict[str, str], images: Path, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    given = ("--quality", "100", images / "0.png")
    run(environment, *(("encode", *given, served / f"x{end}", "--codec", codec) for codec, end in TOYS.items()))
    command = [sys.executable, "-c", "from wavelic.cli.main import run; run()", "serve", str(served), "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().decode().strip()
            for codec, extension in TOYS.items():
                with urllib.request.urlopen(f"{address}api/images/x{extension}", timeout=60) as answer:
                    assert json.load(answer)["codec"] == codec
                url = f"{address}iiif/3/x{extension}/full/max/0/default.png"
                with urllib.request.urlopen(url, timeout=60) as answer:
                    shown = np.asarray(PIL.Image.open(answer))
                np.testing.assert_array_equal(shown, np.asarray(PIL.Image.open(images / "0.png")))
        finally:
            server.terminate()
