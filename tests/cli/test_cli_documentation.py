"""What docs/cli.md and the manual page say of the command line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import PIL.Image
import PIL.ImageOps
import pytest
from commands import wavelic_cli
from paths import DOCS
from pictures import smooth

from wavelic import errors
from wavelic.errors import WavelicError

DOCUMENTATION = DOCS / "cli.md"


def documented(heading: str) -> list[list[str]]:
    """The commands in one section of docs/cli.md without pipes, as arguments."""
    section = re.search(rf"## {heading}\n.*?```sh\n(.*?)```", DOCUMENTATION.read_text(), re.S)
    assert section, heading
    lines = [line.partition("#")[0].strip() for line in section[1].splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("wavelic ")]


def test_documented_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", "a.png", "b.png"):
        PIL.Image.fromarray(smooth()).save(name)
    commands = documented("Compress and decompress") + documented("Look inside")
    assert len(commands) >= 11
    for arguments in commands:
        if "-j" in arguments:  # processes are tested elsewhere
            arguments = arguments[: arguments.index("-j")]
        result = wavelic_cli(*arguments)
        assert result.exit_code == 0, (arguments, result.output)


def test_documented_options_exist() -> None:
    commands = documented("Demonstration") + documented("Measure") + documented("Train")
    assert len(commands) >= 11
    for command, *rest in commands:
        known = wavelic_cli(command, "--help").stdout
        assert [word for word in rest if word.startswith("--") and word not in known] == []


def test_documented_exit_codes_are_those_of_the_errors() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d\d?) \|", DOCUMENTATION.read_text(), re.M)}
    assert table == {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, WavelicError)}


def test_the_manual_page_is_that_of_the_commands() -> None:
    from wavelic.cli.manual import manual_page

    page = (DOCS / "wavelic.1").read_text()
    assert page == manual_page(), "run python -m wavelic.cli.manual > docs/wavelic.1"
    codes = {int(code) for code in re.findall(r"^\.B (\d\d?)$", page, re.M)} - {0}
    assert codes == {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, WavelicError)}
    assert not re.findall(r"^'", page, re.M)
