"""The files of `deploy/`: commands that work, paths that exist, a unit that systemd takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from paths import ROOT

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import photograph, plain_jp2, wait_for
from typer.testing import CliRunner

from wavelic.cli.main import app

DEPLOY = ROOT / "deploy"


def instructions(name: str) -> list[tuple[str, str]]:
    """Instruction and arguments of every line of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
    lines = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(keyword, rest) for keyword, rest in lines if keyword == name]


def command(name: str) -> list[str]:
    ((_, rest),) = instructions(name)
    return list(json.loads(rest[rest.index("[") :]))


def test_the_image_is_built_of_files_that_are_there() -> None:
    sources = [word for _, rest in instructions("COPY") if "--from" not in rest for word in rest.split()[:-1]]
    assert {"pyproject.toml", "src", "requirements/constraints.txt"} <= set(sources)
    kept = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().split() if line.startswith("!")]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(Path(source).is_relative_to(one) for one in kept), source
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, extra = document["project"], document["tool"]["setuptools"]["data-files"]
    needed = [project["readme"], *project["license-files"], *(name for names in extra.values() for name in names)]
    assert len(needed) > 3
    assert set(needed) <= set(sources)  # the build of the package reads them
    ((_, torch),) = [run for run in instructions("RUN") if "TORCH_INDEX" in run[1]]
    assert re.search(r"^torch==", (ROOT / "requirements" / "constraints.txt").read_text(), re.M)
    assert "grep '^torch=='" in torch


def healthy(check: list[str]) -> bool:
    return subprocess.run([sys.executable, *check[1:]], timeout=60, stderr=subprocess.DEVNULL).returncode == 0


def test_the_container_serves_and_is_healthy(tmp_path: Path) -> None:
    (tmp_path / "a.jp2").write_bytes(plain_jp2(photograph(20, 30)))
    arguments = [*command("ENTRYPOINT"), *command("CMD")]
    assert arguments[:3] == ["wavelic", "serve", "/images"]
    arguments[arguments.index("--port") + 1] = "0"
    arguments[arguments.index("--host") + 1] = "127.0.0.1"
    program = "from wavelic.cli.main import run; run()"
    started = [sys.executable, "-c", program, "serve", str(tmp_path), *arguments[3:]]
    process = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        health = [part.replace("http://127.0.0.1:8182/", address) for part in command("HEALTHCHECK")]
        wait_for(lambda: healthy(health))  # while it loads torch it may not answer in time
        request = urllib.request.Request(address + "iiif/3/a.jp2/info.json", headers={"X-Forwarded-Prefix": "/p"})
        with urllib.request.urlopen(request, timeout=60) as answer:  # the proxy is believed
            assert json.load(answer)["id"] == address + "p/iiif/3/a.jp2"
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not healthy(health)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that is there in the place of /opt/wavelic/bin/wavelic."""
    text = (DEPLOY / "wavelic.service").read_text()
    assert text.count("/opt/wavelic/bin/wavelic ") == 1
    made = tmp_path / "wavelic.service"
    made.write_text(text.replace("/opt/wavelic/bin/wavelic ", f"{shutil.which('true')} "))
    return made


def test_the_options_of_the_unit_are_known() -> None:
    (line,) = re.findall(r"^ExecStart=\S+ (.+)$", (DEPLOY / "wavelic.service").read_text(), re.M)
    shown = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    for option in re.findall(r"--[a-z-]+", line):
        assert option in shown


def test_systemd_takes_the_unit(unit: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze on this machine")
    verified = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    complaints = [line for line in verified.stderr.splitlines() if "wavelic.service" in line]
    assert (verified.returncode, complaints) == (0, [])
    judged = [program, "security", "--offline=true", "--threshold=20", str(unit)]  # tenths of exposure; 10 is open
    assert subprocess.run(judged, capture_output=True, timeout=60).returncode == 0
