"""Tiles of one size, put together: a call of networks for several of them costs little more than for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from wavelic.codec.opened import Progress
from wavelic.rect import Rect
from wavelic.threads import map_on_threads


def groups_of(tiles: Mapping[int, Rect], pixels: int) -> list[list[int]]:
    """Put tiles of one size together.

    Args:
        tiles: what each tile codes, by its number.
        pixels: how many pixels a group has at most; a larger tile is a group of its own.

    Returns:
        Numbers of the tiles of each group, in the order of ``tiles`` within a size.

    Examples:
        >>> tiles = {0: Rect(0, 0, 64, 64), 1: Rect(64, 0, 32, 64), 2: Rect(0, 64, 64, 64), 3: Rect(0, 128, 64, 64)}
        >>> groups_of(tiles, 2 * 64 * 64)
        [[0, 2], [3], [1]]
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    for number, tile in tiles.items():
        by_size.setdefault((tile.width, tile.height), []).append(number)
    groups = []
    for (width, height), members in by_size.items():
        count = max(1, pixels // (width * height))
        groups += [members[first : first + count] for first in range(0, len(members), count)]
    return groups


def code_groups(
    groups: Sequence[Sequence[int]],
    code: Callable[[Sequence[int]], None],
    pixels: int,
    progress: Progress | None = None,
) -> None:
    """Code or decode groups of tiles on all threads; exceptions pass through.

    Args:
        groups: as `groups_of` gives them.
        code: works on the tiles of one group, whichever others are done at the same time.
        pixels: of the picture.
        progress: called with tiles done, and in all.
    """
    total, done, lock = sum(len(group) for group in groups), 0, threading.Lock()

    def work(number: int) -> None:
        nonlocal done
        code(groups[number])
        with lock:
            done += len(groups[number])
            if progress:
                progress(done, total)

    map_on_threads(work, range(len(groups)), pixels, networks=True)
