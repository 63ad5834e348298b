"""Figures in the README come from committed result files."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_figures_are_those_of_the_result_files() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "readme_tables.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, "run benchmarks/readme_tables.py"


def test_every_link_leads_somewhere() -> None:
    import re

    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links {target}"
