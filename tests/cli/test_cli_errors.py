"""Errors of the command line: one line, the right exit code, nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import error_of, wavelic_cli
from pictures import smooth

import wavelic
from wavelic.errors import OutputError


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["encode"], "no file is named to encode"),
        (["verify"], "Missing argument"),
        (["encode", "photo.png", "x.wlic", "--nonsense"], "No such option"),
        (["nonsense"], "No such command"),
        (["encode", "photo.png", "x.wlic", "-q", "many"], "Invalid value for '--quality'"),
        (["encode", "photo.png", "x.wlic", "-q", "101"], "outside 0..100"),
        (["encode", "photo.png", "x.wlic", "--bpp", "-1"], "outside"),
        (["encode", "photo.png", "x.wlic", "--bpp", "nan"], "outside"),
        (["encode", "photo.png", "x.wlic", "--bpp", "1", "--psnr", "30"], "bpp and psnr given together"),
        (["encode", "photo.png", "x.wlic", "--codec", "mp3"], "no codec 'mp3'"),
        (["encode", "photo.png", "x.wlic", "-j", "-1"], "-j -1"),
        (["encode", "photo.png", "x.png"], "does not end in one of .wlic .jp2"),
        (["encode", "photo.png", "-", "--json"], "both write to standard output"),
        (["decode", "a.wlic", "-", "--json"], "both write to standard output"),
        (["decode", "a.wlic", "b.xyz"], "does not end in one of"),
        (["decode", "a.wlic", "b.png", "--format", "gif"], "image format 'gif'"),
        (["anchors", "webp"], "--images and --json"),
        (["anchors", "mp3", "--images", ".", "--json", "x.json"], "unknown anchor"),
        (["compare", "a.json"], "one results file"),
        (["compare", "a.json", "b.json", "--metric", "taste"], "metric 'taste'"),
        (["report", "missing", "--out", "x"], "does not exist"),
        (["eval", "wcae", "--images", "missing", "--json", "x.json"], "is not a folder"),
        (["eval", "wcae", "--images", ".", "--json", "x.json", "--qualities", "1,x"], "are not numbers"),
        (["train", "nonsense"], "no recipe"),
        (["train", "wcae-cpu", "nonsense"], "has no value"),
    ],
)
def test_wrong_arguments_are_one_line_and_leave_nothing(
    arguments: list[str], cause: str, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    result = wavelic_cli(*arguments)
    assert result.exit_code == 2, result.output
    assert cause in error_of(result)
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]
    assert result.stdout == ""


def test_an_existing_output_is_refused_before_the_work_and_replaced_with_force(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.wlic"
    out.write_bytes(b"precious")
    result = wavelic_cli("encode", photo, out, "--device", "nonsense")  # encoding would fail at the device
    assert result.exit_code == OutputError.exit_code
    assert "exists; use --force" in error_of(result)
    assert out.read_bytes() == b"precious"
    assert wavelic_cli("encode", photo, out, "--force").exit_code == 0
    assert out.read_bytes() == wavelic.encode(smooth())


def test_interruption_leaves_no_file(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wavelic.api.files.encode_image", interrupt)
    result = wavelic_cli("encode", photo, tmp_path / "a.wlic")
    assert result.exit_code == 130
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_version_help_and_no_arguments() -> None:
    assert wavelic_cli("--version").stdout == f"wavelic {wavelic.__version__}\n"
    assert "encode" in wavelic_cli().stdout
    assert "--bpp" in wavelic_cli("encode", "-h").stdout


def test_a_missing_library_names_its_extra() -> None:
    from wavelic.cli.boundary import needs
    from wavelic.errors import MissingDependencyError

    with pytest.raises(MissingDependencyError, match=r"wavelic\[train\]"), needs("train"):
        import no_such_library  # type: ignore[import-not-found] # noqa: F401
