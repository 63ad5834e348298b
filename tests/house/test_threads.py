"""Threads: who runs what, and how long OpenMP's threads turn round at barriers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import pytest
import torch

from wavelic import threads
from wavelic.threads import SERIAL_ELEMENTS, WAITING, let_threads_sleep, map_on_threads


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def ran(count: int, elements: int, networks: bool) -> list[tuple[bool, int]]:
    """For each call whether it ran in this thread, and how many threads torch had there."""
    here, found = threading.current_thread(), []
    map_on_threads(
        lambda _: found.append((threading.current_thread() is here, torch.get_num_threads())),
        range(count),
        elements,
        networks=networks,
    )
    return found


@pytest.mark.parametrize(("count", "elements", "networks", "spins", "here"), [
    (3, SERIAL_ELEMENTS - 1, False, True, True),  # little work, which torch does not split
    (1, SERIAL_ELEMENTS, False, False, False),
    (3, SERIAL_ELEMENTS, False, False, False),
    (3, SERIAL_ELEMENTS, True, False, False),
    (1, SERIAL_ELEMENTS, True, False, True),  # one network may use all threads
    (1, SERIAL_ELEMENTS, True, True, False),  # unless they turn round at barriers
    (1, 1, True, True, False),
    (1, 1, True, False, True),
])  # fmt: skip
def test_where_calls_run(
    count: int, elements: int, networks: bool, spins: bool, here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_spins", spins)
    assert ran(count, elements, networks) == [(here, 2 if here else 1)] * count
    assert torch.get_num_threads() == 2


def test_calls_within_calls_and_errors() -> None:
    inner: list[tuple[bool, int]] = []
    map_on_threads(lambda _: inner.extend(ran(2, SERIAL_ELEMENTS, False)), range(2), SERIAL_ELEMENTS)
    assert inner == [(True, 1)] * 4
    with pytest.raises(ZeroDivisionError):
        map_on_threads(lambda number: print(1 // number), range(2), SERIAL_ELEMENTS)


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", *WAITING])
def test_what_the_user_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OMP_WAIT_POLICY", *WAITING)
    for other in names:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setattr(threads, "_spins", False)
    monkeypatch.setenv(name, "7")
    let_threads_sleep()
    assert {other: os.environ[other] for other in names if other in os.environ} == {name: "7"}
    assert not threads._spins


@pytest.mark.parametrize("loaded", [False, True])
def test_threads_turn_round_only_where_torch_was_loaded_before(loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", *WAITING):
        monkeypatch.setenv(name, "")  # so that it is taken away again
        monkeypatch.delenv(name)
    monkeypatch.setattr(threads, "_spins", False)
    if not loaded:
        monkeypatch.delitem(sys.modules, "torch")
    let_threads_sleep()
    assert {name: os.environ[name] for name in WAITING} == WAITING
    assert threads._spins == loaded
