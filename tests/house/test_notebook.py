"""The notebook in examples/ runs and prints the README's table.

Its cells are run here one after another in one namespace, as a kernel runs them: Jupyter's kernel would bring forty
packages into the tests, and a notebook without magics needs none of them.
"""

from __future__ import annotations

import json
import re
from typing import Any

import matplotlib.pyplot as plt
import pytest
from paths import EXAMPLES, ROOT


def code_cells() -> list[str]:
    notebook = json.loads((EXAMPLES / "results.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_prints_the_table_of_the_readme_and_codes_a_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")
    namespace: dict[str, Any] = {}
    for number, source in enumerate(code_cells()):
        exec(compile(source, f"cell {number}", "exec"), namespace)
    plt.close("all")
    printed = capsys.readouterr().out.splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| ([\d.]+) \|" + r" (.*?) ?\|" * 5 + "$", readme, flags=re.M)
    assert len(rows) == 1 + len(namespace["ANCHORS"])
    for label, *values in rows:
        (line,) = [line for line in printed if line.startswith(f"{label.strip('`'):22} | ")]
        assert line.split(" | ")[1:] == [value for value in values if value]
    assert namespace["decoded"].shape == namespace["pixels"].shape
    assert f"{len(namespace['data'])} bytes" in printed[-1]


def test_its_outputs_are_not_committed() -> None:
    """They would be figures that nothing checks."""
    cells = json.loads((EXAMPLES / "results.ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in cells)
