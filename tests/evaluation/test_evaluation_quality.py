"""SSIMULACRA2 and Butteraugli, by their programs or by the Python package; results with metrics of one's own."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from wavelic.errors import MissingDependencyError, UsageError, WavelicError
from wavelic.evaluation import perceptual
from wavelic.evaluation.compare import as_markdown, compare, headings, to_dict
from wavelic.evaluation.quality import BASIC, MORE, get_metric, metric_names
from wavelic.evaluation.results import Row, curve_from_rows, read_curve, write_curve


def picture(sigma: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[:64, :96]
    smooth = 128 + 60 * np.sin(x / 9)[..., None] + 40 * np.cos(y / 7)[..., None] * [1, 0.5, 0.2]
    noise = np.random.default_rng(0).normal(0, 1, smooth.shape) * sigma
    return np.rint(smooth + noise).clip(0, 255).astype(np.uint8)


def program(folder: Path, name: str, text: str, code: int = 0) -> None:
    """A program of libjxl's that prints ``text`` if it is given two files, the first of which is the original."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    answer = f"printf '%b\\n' '{text}'; exit {code}"
    file.write_text(f'#!/bin/sh\ncase "$1$2" in *original.png*decoded.png) {answer};; esac\nexit 9\n')
    file.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only one programs are looked for in, besides the shell's."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{Path(shutil.which('sh') or '/bin/sh').parent}")
    monkeypatch.setattr(shutil, "which", lambda name: str(folder / name) if (folder / name).exists() else None)
    return folder


def test_the_python_package_measures_ssimulacra2_where_there_is_no_program(programs: Path) -> None:
    assert "Python package ssimulacra2" in perceptual.ssimulacra2_version()
    assert perceptual.ssimulacra2(picture(), picture()) == 100
    assert math.isnan(perceptual.ssimulacra2(picture()[:7], picture()[:7]))


@pytest.mark.parametrize(
    ("reference", "test", "score"),
    [
        (picture(), picture(3), 74.30595688),
        (picture(), picture(12), 13.68256966),
        (picture(3), picture(3) >> 5 << 5 | 16, 28.89555692),
        (picture(3)[:61, :83], (picture(3) >> 5 << 5 | 16)[:61, :83], 29.33239648),
    ],
)
def test_ssimulacra2_in_python_is_the_program_s(
    reference: np.ndarray, test: np.ndarray, score: float, programs: Path
) -> None:
    """The scores are those of the program built from the metric's repository, cloudinary/ssimulacra2, version 2.1."""
    assert perceptual.ssimulacra2(reference, test) == pytest.approx(score, abs=0.05)


def test_programs_are_given_both_pictures_and_their_numbers_read(programs: Path) -> None:
    program(programs, "ssimulacra2", "-20.95399654")
    program(programs, "butteraugli_main", "8.7828464508\\n3-norm: 4.135401")
    assert perceptual.ssimulacra2_version() == "program ssimulacra2 of libjxl"
    assert perceptual.ssimulacra2(picture(), picture(3)) == pytest.approx(-20.95399654)
    assert perceptual.butteraugli(picture(), picture(3)) == pytest.approx(4.135401)
    assert math.isnan(perceptual.butteraugli(picture()[:7], picture()[:7]))


def test_programs_that_fail_or_say_nothing(programs: Path) -> None:
    with pytest.raises(MissingDependencyError, match="libjxl-devtools"):
        perceptual.butteraugli(picture(), picture(3))
    program(programs, "butteraugli_main", "3-norm: 1.0", code=3)
    with pytest.raises(WavelicError, match="exit code 3"):
        perceptual.butteraugli(picture(), picture(3))
    program(programs, "butteraugli_main", "usage")
    with pytest.raises(WavelicError, match="expected a number"):
        perceptual.butteraugli(picture(), picture(3))
    with pytest.raises(UsageError, match="differ in size"):
        perceptual.butteraugli(picture(), picture()[1:])


def test_metrics_by_name() -> None:
    assert metric_names()[: len(BASIC) + len(MORE)] == tuple(metric.name for metric in (*BASIC, *MORE))
    assert get_metric("butteraugli").scale(0.5) == pytest.approx(10 * math.log10(2))
    assert get_metric("butteraugli").scale(0) == math.inf
    assert get_metric("ms-ssim-rgb").scale(0.9) == pytest.approx(10)
    assert headings("ssimulacra2")[3:6] == ["BD gain [points]", "overlap [points]", "at 30 points [%]"]


def row(image: str, setting: float, size: int, score: float, distance: float) -> Row:
    more = {"ssimulacra2": score, "butteraugli": distance}
    return Row(image, setting, size, 100, 100, 30 + setting, 31 + setting, 0.9, 0.1, 0.1, more)


def test_curves_keep_and_compare_further_metrics(tmp_path: Path) -> None:
    """The second codec needs 10 % more bytes for the same values, so that is the BD-rate under every metric."""
    for name, factor in (("a", 1.0), ("b", 1.1)):
        rows = [
            row(image, k, round(10_000 * factor * 1.5**k), 30 + 12 * k + offset, 4 / 1.6**k)
            for k in range(5)
            for image, offset in (("x", 0), ("y", 3))
        ]
        write_curve(tmp_path / f"{name}.json", curve_from_rows(name, name, "", rows))
        assert read_curve(tmp_path / f"{name}.json").rows[0].more.keys() == {"ssimulacra2", "butteraugli"}
    first, second = (read_curve(tmp_path / f"{name}.json") for name in "ab")
    assert first.metrics() == ("psnr-rgb", "psnr-y", "ms-ssim-rgb", "ssimulacra2", "butteraugli")
    assert first.quality("ssimulacra2")[0] == 31.5
    for metric in ("ssimulacra2", "butteraugli"):
        (found,) = compare(first, [second], metric)
        assert found.curve is not None
        assert found.curve.value == pytest.approx(10, abs=0.01)
        assert found.per_image == pytest.approx(10, abs=0.01)
        assert "+10.0" in as_markdown([found])
    assert to_dict(found)["unit"] == "dB"
    with pytest.raises(UsageError, match="measure them alike"):
        curve_from_rows("c", "c", "", [row("x", 1, 9, 50, 2), Row("x", 2, 9, 100, 100, 30, 30, 0.9, 0.1, 0.1)])


@pytest.mark.skipif(shutil.which("butteraugli_main") is None, reason="libjxl's development tools are not installed")
def test_the_program_that_is_installed() -> None:
    distances = [perceptual.butteraugli(picture(), picture(sigma)) for sigma in (0, 3, 12)]
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2]
