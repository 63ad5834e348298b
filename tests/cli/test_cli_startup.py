"""What a command of the console leaves out of torch: until it is used, and without a change to what is decoded."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from wavelic.cli.startup import POSTPONED, postpone_compiler

def executed():
    return [len(vars(sys.modules[name])) > 10 for name in POSTPONED]

{first}
postpone_compiler()
import torch
torch.Generator().manual_seed(0)
print(executed())
with torch.device("meta"):
    layer = torch.nn.Linear(2, 2)
print(executed())
program = torch.export.export(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()), (torch.ones(1, 2),))
print(executed(), program.module()(torch.ones(3, 2)[:1]).shape == (1, 2))
"""


def run(first: str) -> list[str]:
    finished = subprocess.run([sys.executable, "-c", CODE.format(first=first)], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_parts_of_torch_are_loaded_when_they_are_used() -> None:
    assert run("postpone_compiler()") == ["[False, False]", "[False, False]", "[True, True] True"]


def test_torch_that_is_loaded_stays_as_it_is() -> None:
    assert run("import torch") == ["[True, True]", "[True, True]", "[True, True] True"]
