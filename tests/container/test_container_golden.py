"""Containers whose exact bytes are promised: version 1.0 files written once are read, and written, for ever."""

from __future__ import annotations

import pytest
from golden_containers import GOLDEN
from paths import FUZZ

from wavelic.container import read_container, write_container

CORPUS = FUZZ / "corpus" / "container"


@pytest.mark.parametrize("name", GOLDEN)
def test_bytes_are_exactly_as_promised(name: str) -> None:
    container, expected = GOLDEN[name]
    assert write_container(container) == bytes.fromhex(expected)
    assert read_container(bytes.fromhex(expected)) == container


@pytest.mark.parametrize("name", GOLDEN)
def test_the_fuzz_corpus_starts_from_the_golden_files(name: str) -> None:
    assert (CORPUS / f"{name}.wlic").read_bytes() == bytes.fromhex(GOLDEN[name][1])
