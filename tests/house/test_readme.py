"""Figures in the README and on results pages come from committed result files."""

import subprocess
import sys

import pytest
from paths import ROOT


@pytest.mark.parametrize("script", ["readme_tables", "weconvene_page", "lifting_page", "remote_page"])
def test_figures_are_those_of_the_result_files(script: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.pages.{script}", "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0, f"run python -m benchmarks.pages.{script}"


def test_every_link_leads_somewhere() -> None:
    import re

    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links {target}"
