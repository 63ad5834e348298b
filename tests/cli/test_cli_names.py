"""Names on the command line: inputs, outputs, and sentences that say what to type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from wavelic.cli.files import Job, Naming, beside, open_output, plan, split_names
from wavelic.errors import OutputError, UsageError


def test_one_input_goes_to_the_named_file() -> None:
    assert plan(["a.png"], "b.wlic", ".wlic") == [Job("a.png", "b.wlic")]


@pytest.mark.parametrize("folder", ["out/", "."])
def test_a_folder_takes_the_stems(folder: str) -> None:
    jobs = plan(["x/a.png", "b.b.jpg"], folder, ".wlic")
    assert [Path(job.target).name for job in jobs] == ["a.wlic", "b.b.wlic"]


@pytest.mark.parametrize(
    ("inputs", "output", "cause"),
    [
        (["a.png", "b.png"], "c.wlic", "2 inputs and one output"),
        (["a.png", "b.png"], "-", "2 inputs and one output"),
        (["a.png", "-"], "out/", "beside other inputs"),
        (["x/a.png", "y/a.jpg"], "out/", "both become"),
    ],
)
def test_ambiguous_names_are_refused(inputs: Sequence[str], output: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        plan(inputs, output, ".wlic")


def test_a_new_folder_appears_only_when_the_output_is_opened(tmp_path: Path) -> None:
    job = plan(["a.png"], f"{tmp_path}/new/deep/", ".wlic")[0]
    assert not (tmp_path / "new").exists()
    with open_output(job, False) as stream:
        stream.write(b"x")
    assert (tmp_path / "new" / "deep" / "a.wlic").read_bytes() == b"x"


def test_a_folder_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"), open_output(Job("a", "b", f"{tmp_path}/file/x"), False):
        pass


NAMING = Naming("encode", ("photo.png", "photo.wlic"), (".wlic", ".jp2"))


@pytest.mark.parametrize(
    ("names", "output", "expected"),
    [
        (["a.png"], None, (["a.png"], None)),
        (["-"], None, (["-"], "-")),
        (["a.png", "b.wlic"], None, (["a.png"], "b.wlic")),
        (["a.png", "B.JP2"], None, (["a.png"], "B.JP2")),
        (["a.png", "b.png", "new/"], None, (["a.png", "b.png"], "new/")),
        (["a.png", "b.png", "."], None, (["a.png", "b.png"], ".")),
        (["a.png", "-"], None, (["a.png"], "-")),
        (["a.png", "b.png"], "x", (["a.png", "b.png"], "x")),
    ],
)
def test_the_last_name_is_the_output(names: list[str], output: str | None, expected: tuple[list[str], str]) -> None:
    assert split_names(names, output, NAMING) == expected


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "no file is named to encode; type: wavelic encode photo.png photo.wlic"),
        (["photos"], "photos is a folder, expected files; type: wavelic encode photos/* OUT/"),
        (["x.wlic", "a.png"], "a.png is an input and comes first; type: wavelic encode a.png x.wlic"),
        (["a.png", "a b.png"], "2 inputs and no output; type: wavelic encode a.png 'a b.png' OUT/"),
        (["a.png", "coded"], "type: wavelic encode a.png coded/ for a new folder"),
        (["a.png", "x.jpg"], "output x.jpg does not end in one of .wlic .jp2; type: wavelic encode a.png x.wlic"),
    ],
)
def test_mistakes_are_told_what_to_type(
    names: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "a b.png"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError) as failure:
        split_names(names, None, NAMING)
    assert str(failure.value).endswith(sentence)


def test_the_file_beside_an_input() -> None:
    assert beside("x/a.b.png", ".wlic", NAMING) == "x/a.b.wlic"
    assert beside("https://example.org/x/a%20b.png?size=1", ".wlic", NAMING) == "a b.wlic"
    assert beside("https://example.org/", ".wlic", NAMING) == "image.wlic"
    with pytest.raises(UsageError, match=r"type: wavelic encode x/a\.wlic x/a-2\.wlic"):
        beside("x/a.wlic", ".wlic", NAMING)
    assert plan(["https://example.org/x/a.png?b=c"], "out/", ".wlic")[0].target == "out/a.wlic"
