"""Bounds of remote reads: time, attempts and bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """Bounds of remote reads.

    Attributes:
        timeout: seconds without a byte after which an attempt has failed.
        deadline: seconds after which one read, with all its attempts, has failed.
        attempts: how often a request is sent before its failure is an error.
        pause: seconds before the second attempt, doubled before each later one.
        connections: requests under way at once.
        max_gap: ranges this many bytes apart are fetched as one.
        max_requests: ranges further apart are joined as well until no more than this remain.
        max_bytes: largest file to read in one piece, from a server that does not serve ranges.
    """

    timeout: float = 20.0
    deadline: float = 300.0
    attempts: int = 4
    pause: float = 0.25
    connections: int = 8
    max_gap: int = 512
    max_requests: int = 64
    max_bytes: int = 1 << 31


DEFAULT_POLICY = Policy()


class RangeWarning(UserWarning):
    """A server does not serve ranges, so that the whole file was read."""
