"""Outputs are complete or absent, and never replace what they should not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wavelic.errors import OutputError
from wavelic.images import atomic_output


def test_the_file_appears_at_the_end_and_nothing_else_stays(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with atomic_output(target, force=False) as stream:
        stream.write(b"content")
        assert not target.exists()
    assert target.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [target]


def write_part_and_fail(target: Path, error: BaseException) -> None:
    with atomic_output(target, force=True) as stream:
        stream.write(b"part")
        raise error


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt(), SystemExit(), OSError(28, "No space left")])
def test_nothing_stays_after_an_error(tmp_path: Path, error: BaseException) -> None:
    old = tmp_path / "old.bin"
    old.write_bytes(b"old")
    expected = OutputError if isinstance(error, OSError) else type(error)
    for target in (tmp_path / "new.bin", old):
        with pytest.raises(expected):
            write_part_and_fail(target, error)
    assert [path.name for path in tmp_path.iterdir()] == ["old.bin"]
    assert old.read_bytes() == b"old"


def test_an_error_about_another_file_passes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_output(tmp_path / "out", force=False):
        (tmp_path / "input").read_bytes()


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match="--force"), atomic_output(target, force=False):
        pytest.fail("the block must not start")
    with atomic_output(target, force=True) as stream:
        stream.write(b"new")
    assert target.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    with pytest.raises(OutputError, match="exists"), atomic_output(target, force=False):
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_output(tmp_path / "link", force=True) as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("name", "remedy"), [("", "folder"), ("missing/out", "create it"), ("file/out", "another place|create it")]
)
def test_places_that_cannot_be_written_name_the_remedy(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=remedy), atomic_output(tmp_path / name, force=True):
        pytest.fail("the block must not start")


def test_devices_and_pipes_are_refused_even_by_force(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in (Path(os.devnull), tmp_path / "pipe"):
        with pytest.raises(OutputError, match="device"), atomic_output(target, force=True):
            pytest.fail("the block must not start")


def test_a_new_file_has_ordinary_permissions(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "ours", force=False):
        pass
    (tmp_path / "plain").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode
