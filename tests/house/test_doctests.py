"""Examples in docstrings give what they show."""

import doctest
import importlib

import pytest
from paths import ROOT

SOURCE = ROOT / "src"


def modules_with_examples() -> list[str]:
    files = [path for path in sorted((SOURCE / "wavelic").rglob("*.py")) if ">>> " in path.read_text()]
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
