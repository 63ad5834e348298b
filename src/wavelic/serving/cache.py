"""Decoded windows and opened files in memory, least recently used first out, bounded in bytes; safe between threads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Any


@dataclass(frozen=True)
class CacheState:
    """Counters since the start, and what is held now."""

    hits: int
    misses: int
    entries: int
    bytes: int
    capacity: int


class ByteCache:
    """A mapping whose values weigh at most ``capacity`` bytes together.

    A value heavier than that is never kept.  `once` makes threads that want the same missing thing wait for one of them
    to make it.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, Future[Any]] = {}
        self._lock = Lock()
        self._bytes = self._hits = self._misses = 0

    def get(self, key: Hashable) -> Any | None:
        """The value of ``key``, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self._misses += 1
                return None
            self._entries.move_to_end(key)
            self._hits += 1
            return entry[0]

    def put(self, key: Hashable, value: Any, weight: int) -> None:
        """Keep ``value``, of ``weight`` bytes, as long as there is room."""
        with self._lock:
            old = self._entries.pop(key, None)
            self._bytes -= old[1] if old else 0
            if weight > self.capacity:
                return
            self._entries[key] = value, weight
            self._bytes += weight
            while self._bytes > self.capacity:
                _, (_, dropped) = self._entries.popitem(last=False)
                self._bytes -= dropped

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """``make()``, or what it gives to another thread that is in the middle of it for the same key."""
        with self._lock:
            running = self._making.get(key)
            if running is None:
                mine: Future[Any] = Future()
                self._making[key] = mine
        if running is not None:
            return running.result()
        try:
            value = make()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(value)
            return value
        finally:
            with self._lock:
                del self._making[key]

    def keep(self, key: Hashable, make: Callable[[], Any], weigh: Callable[[Any], int]) -> Any:
        """The value of ``key``, made and kept if it is missing."""

        def made() -> Any:
            value = make()
            self.put(key, value, weigh(value))
            return value

        found = self.get(key)
        return self.once(key, made) if found is None else found

    @property
    def state(self) -> CacheState:
        """A snapshot of the counters."""
        with self._lock:
            return CacheState(self._hits, self._misses, len(self._entries), self._bytes, self.capacity)
