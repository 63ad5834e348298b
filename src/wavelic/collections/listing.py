"""The images below a folder, in an order that does not depend on the file system, cut into shards.

Nothing is held in memory but the folders on the way down and the shard in the making: ten million paths are walked
twice, once to be counted and once to be coded.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath

from wavelic.images.folder import is_image_name, is_unread_name


@dataclass(frozen=True)
class Source:
    """An image to code.

    name: its path below the source folder, with slashes.  key: the name of its compressed file without extension; no
    two images of a collection share one.  The last part of a key holds no dot, as WebDataset wants it.
    """

    name: str
    key: str


@dataclass
class Walk:
    """What a walk met.

    images: how many files are named like images.  skipped: pictures of formats that wavelic does not read, by their
    extension.  other: extension -> how many other files there are.  unreadable: folders that could not be listed, with
    the reason.
    """

    images: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)


def walk(folder: Path, seen: Walk) -> Iterator[Source]:
    """Every image below ``folder``: in each folder first its files, then its folders, both sorted by name.

    Links to files are followed, links to folders are not (they count as other files).
    """
    yield from _walk(folder, "", seen)


def _walk(folder: Path, prefix: str, seen: Walk) -> Iterator[Source]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        seen.unreadable.append(f"{prefix or '.'}: {error.strerror}")
        return
    names, folders = [], []
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        elif is_image_name(entry.name) and not entry.is_dir():
            names.append(entry.name)
        else:
            kind = seen.skipped if is_unread_name(entry.name) and not entry.is_dir() else seen.other
            kind[PurePosixPath(entry.name).suffix.lower()] += 1
    del found
    for name, key in zip(names, unique_keys(names), strict=True):
        seen.images += 1
        yield Source(prefix + name, prefix + key)
    for name in folders:
        yield from _walk(folder / name, f"{prefix}{name}/", seen)


def unique_keys(names: list[str]) -> list[str]:
    """For each file name its stem with dots turned into underscores, or the whole name where stems coincide.

    Examples:
        >>> unique_keys(["a.1.png", "b.jpg", "b.png", "c.png"])
        ['a_1', 'b_jpg', 'b_png', 'c']
    """
    stems = [PurePosixPath(name).stem.replace(".", "_") for name in names]
    often = Counter(stems)
    taken = {stem for stem, count in often.items() if count == 1}
    keys = []
    for name, stem in zip(names, stems, strict=True):
        if often[stem] == 1:
            keys.append(stem)
            continue
        key = name.replace(".", "_")
        while key in taken:
            key += "_"
        taken.add(key)
        keys.append(key)
    return keys


def shards(sources: Iterable[Source], size: int) -> Iterator[tuple[int, tuple[Source, ...]]]:
    """Consecutive shards of ``size`` sources, numbered from 0; the last may be smaller."""
    rest = iter(sources)
    number = 0
    while shard := tuple(islice(rest, size)):
        yield number, shard
        number += 1
