"""The served folder: which files there are, which may be reached, and windows of them through the cache."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wavelic.codec.opened import level_dimensions
from wavelic.errors import UsageError, WavelicError
from wavelic.rect import Rect
from wavelic.serving.cache import ByteCache
from wavelic.serving.facts import TILE, Facts, Variant, read_facts, suffixes
from wavelic.serving.refusal import Refusal
from wavelic.serving.render import blocks, finish, plan
from wavelic.serving.request import Resolved
from wavelic.serving.source import Samples, Source

#: Which picture of the file, how often halved, column and row of a tile.
Tile = tuple[Variant, int, int, int]
#: Longest identifier, in characters after decoding.
MAX_IDENTIFIER = 1024
#: Files listed, and directory entries looked at for the list.
MAX_LISTED, MAX_VISITED = 10_000, 200_000
#: Blocks of a row decoded together, at most.
_RUN = 8
_FACTS_WEIGHT = 1024
#: A list is reused for so many seconds, and for so many times as long as it took.
_LIST_SECONDS, _LIST_SHARE = 1.0, 10.0
#: Seconds in which one list looks into files that it does not know yet.
_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Entry:
    """A file of the folder: its identifier, real path, and what tells one state of it from another."""

    identifier: str
    path: Path
    modified: int  # ns
    bytes: int
    inode: int

    @property
    def key(self) -> tuple[str, int, int, int]:
        """Names this state of the file in the cache."""
        return str(self.path), self.modified, self.bytes, self.inode


@dataclass(frozen=True)
class Listing:
    """The files of the folder.

    Attributes:
        shown: names of the files that can be shown, sorted.
        refused: the other files' names, with the reason.
        complete: whether that is all of them (see `MAX_LISTED`).
    """

    shown: list[str]
    refused: dict[str, str]
    complete: bool


class Site:
    """Files under ``root``, by identifiers: their paths relative to it, with ``/`` between folders.

    Nothing outside ``root`` is reachable, through links neither, and nothing whose path has a part that begins with a
    dot.  cache_bytes bounds what is kept of decoded windows, opened files and facts together.  max_window: pixels of a
    level decoded for one answer.  partial: whether files that are cut short or still arriving are shown as far as they
    are there.
    """

    def __init__(self, root: Path, cache_bytes: int = 2**29, max_window: int = 2**26, *, partial: bool = False) -> None:
        try:
            self.root = root.resolve(strict=True)
        except OSError as error:
            raise UsageError(f"{root} cannot be served ({error.strerror}); give a folder of images") from error
        if not self.root.is_dir():
            raise UsageError(f"{root} is a file; give the folder it is in")
        self.cache = ByteCache(cache_bytes)
        self.max_window = max_window
        self.partial = partial
        self._listed: tuple[float, Listing] = (float("-inf"), Listing([], {}, True))
        # why a file cannot be shown, or None, by its name; with the state it was looked at in
        self._known: dict[str, tuple[tuple[str, int, int, int], str | None]] = {}

    def locate(self, identifier: str) -> Entry:
        """The file of that name.  Raises Refusal (404) if there is none to be served."""
        parts = identifier.split("/")
        wrong = len(identifier) > MAX_IDENTIFIER or not identifier.isprintable() or "\\" in identifier
        if wrong or any(not part or part.startswith(".") for part in parts):
            raise Refusal(404, "no such image")
        try:
            path = Path(os.path.realpath(self.root.joinpath(*parts), strict=True))
            status = path.stat()
        except (OSError, ValueError) as error:
            raise Refusal(404, "no such image") from error
        served = path.suffix.lower() in suffixes() and stat.S_ISREG(status.st_mode)
        if not served or not path.is_relative_to(self.root):
            raise Refusal(404, "no such image")
        return Entry(identifier, path, status.st_mtime_ns, status.st_size, status.st_ino)

    def listing(self) -> Listing:
        """List the files, looking into those that are new or changed.

        The folder is looked through at most once a second, however many ask.  Of very many new files, those that could
        not be looked into in two seconds are taken to be sound until the next list.
        """
        until, listed = self._listed
        if time.monotonic() > until:
            listed = self.cache.once("list", self._list)
        return listed

    def _list(self) -> Listing:
        began = time.monotonic()
        names, complete = self._names()
        shown: list[str] = []
        refused: dict[str, str] = {}
        known: dict[str, tuple[tuple[str, int, int, int], str | None]] = {}
        for name in names:
            try:
                entry = self.locate(name)
            except Refusal:  # a link out of the folder, or no file
                continue
            key, reason = self._known.get(name, (None, None))
            if key != entry.key:
                if time.monotonic() - began > _LOOK_SECONDS:
                    shown.append(name)
                    continue
                reason = self._look(entry)
            known[name] = entry.key, reason
            if reason is None:
                shown.append(name)
            else:
                refused[name] = reason
        self._known = known
        listed = Listing(shown, refused, complete)
        took = time.monotonic() - began
        self._listed = time.monotonic() + max(_LIST_SECONDS, _LIST_SHARE * took), listed
        return listed

    def _look(self, entry: Entry) -> str | None:
        try:
            self.facts(entry)
        except (WavelicError, OSError) as error:
            return public_message(error, entry)
        return None

    def _names(self) -> tuple[list[str], bool]:
        found: list[str] = []
        complete, served = True, suffixes()
        for visited, name in enumerate(self._walk()):
            if visited == MAX_VISITED or len(found) == MAX_LISTED:
                complete = False
                break
            if Path(name).suffix.lower() in served and name.isprintable() and "\\" not in name:
                found.append(name)
        return sorted(found), complete

    def _walk(self) -> Iterator[str]:
        for folder, subfolders, names in os.walk(self.root):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            above = Path(folder).relative_to(self.root).as_posix()
            for name in sorted(names):
                if not name.startswith("."):
                    yield name if above == "." else f"{above}/{name}"

    def facts(self, entry: Entry) -> Facts:
        """What the file's header says.  Raises FormatError, LimitError, OSError as `read_facts`."""
        facts: Facts = self.cache.keep(
            ("facts", entry.key), lambda: read_facts(entry.path, partial=self.partial), lambda _: _FACTS_WEIGHT
        )
        return facts

    def check(self, entry: Entry) -> None:
        """Open the file as every image request does, once in each of its states; what fails is listed so from then on.

        Args:
            entry: the file.

        Raises:
            WavelicError: it cannot be shown.
        """
        self.cache.keep(("checked", entry.key), lambda: self._opens(entry), lambda _: _FACTS_WEIGHT)

    def _opens(self, entry: Entry) -> bool:
        try:
            self._source(entry)
        except Refusal:
            raise
        except WavelicError as error:
            self._known[entry.identifier] = entry.key, public_message(error, entry)
            self._listed = float("-inf"), self._listed[1]
            raise
        return True

    def render(self, entry: Entry, variant: Variant, wanted: Resolved) -> bytes:
        """The encoded answer to an image request.

        Raises Refusal for what cannot be made of this file, other wavelic errors if the file does not decode.
        """
        self.check(entry)
        facts = self.facts(entry)
        chosen = plan(wanted.region, wanted.size, facts, self.max_window)
        samples = self.window(entry, variant.of(facts), chosen.reduce, chosen.window)
        return finish(samples, chosen.part, wanted, self._source(entry).icc)

    def window(self, entry: Entry, variant: Variant, reduce: int, window: Rect) -> Samples:
        """8-bit samples (height, width, channels) of a window of a level, from the cache as far as it has them."""
        facts = self.facts(entry)
        if facts.averaged:
            return np.ascontiguousarray(self._pyramid(entry, facts)[reduce][window.slices()])
        level = level_dimensions(facts.width, facts.height, reduce)[reduce]
        if facts.tiled and level[0] * level[1] * facts.channels <= self.cache.capacity // 2:
            whole: Samples = self.cache.keep(
                ("level", entry.key, reduce), lambda: self._source(entry).level(reduce), lambda made: made.nbytes
            )
            return np.ascontiguousarray(whole[window.slices()])
        rows_of_blocks = blocks(window, level)
        rows = [self._row(entry, variant, reduce, row) for row in rows_of_blocks]
        samples = rows[0] if len(rows) == 1 else np.concatenate(rows)
        first = rows_of_blocks[0][0]
        return np.ascontiguousarray(samples[window.moved(-first.x, -first.y).slices()])

    def layer_bytes(self, entry: Entry) -> list[int | None]:
        """Bytes of the file up to each quality layer, None where it does not say."""
        sizes: list[int | None] = self.cache.keep(
            ("layers", entry.key), lambda: self._source(entry).layer_bytes, lambda _: _FACTS_WEIGHT
        )
        return sizes

    def first_view(self, entry: Entry) -> tuple[int, int] | None:
        """How often halved and with how many layers the picture is there after a few percent of the file, or None."""
        found: tuple[tuple[int, int] | None] = self.cache.keep(
            ("first", entry.key), lambda: (self._source(entry).first_view,), lambda _: _FACTS_WEIGHT
        )
        return found[0]

    def ranges(self, entry: Entry, tiles: Sequence[Tile]) -> list[tuple[int, int]]:
        """[start, stop) of the bytes of the file that these tiles are decoded from.

        Raises Refusal (400) for tiles outside the image.
        """
        facts = self.facts(entry)
        windows = []
        for variant, reduce, column, row in tiles:
            if reduce > facts.scale_levels:
                raise Refusal(400, f"the image is halved {facts.scale_levels} times at most")
            width, height = level_dimensions(facts.width, facts.height, reduce)[reduce]
            if column * TILE >= width or row * TILE >= height:
                raise Refusal(400, "no such tile in the image")
            windows.append((variant.of(facts), reduce, Rect(column * TILE, row * TILE, TILE, TILE)))
        return self._source(entry).ranges(windows)

    def _source(self, entry: Entry) -> Source:
        def made() -> Source:
            source = Source(entry.path, self.facts(entry))
            if self.locate(entry.identifier).key != entry.key:
                raise Refusal(503, "the file is being replaced; ask again", retry_after=1)
            return source

        source: Source = self.cache.keep(("file", entry.key), made, lambda _: entry.bytes)
        return source

    def _pyramid(self, entry: Entry, facts: Facts) -> list[Samples]:
        if facts.width * facts.height * facts.channels * 4 // 3 > self.cache.capacity:
            raise Refusal(501, "this .wlic image is larger than the server's cache; raise its --cache")
        levels: list[Samples] = self.cache.keep(
            ("levels", entry.key), lambda: self._source(entry).pyramid(), lambda made: sum(x.nbytes for x in made)
        )
        return levels

    def _row(self, entry: Entry, variant: Variant, reduce: int, row: list[Rect]) -> Samples:
        """A row of blocks side by side; those not in the cache are decoded, neighbours together."""
        done: list[Any] = [self.cache.get(("block", entry.key, variant, reduce, box)) for box in row]
        first = 0
        while first < len(row):
            last = first
            while last < len(row) and last - first < _RUN and done[last] is None:
                last += 1
            if last > first:
                key = ("run", entry.key, variant, reduce, row[first], last - first)
                done[first:last] = self.cache.once(key, partial(self._decode, entry, variant, reduce, row[first:last]))
            first = max(last, first + 1)
        return done[0] if len(done) == 1 else np.concatenate(done, axis=1)

    def _decode(self, entry: Entry, variant: Variant, reduce: int, run: list[Rect]) -> list[Samples]:
        whole = Rect.around(run)
        samples = self._source(entry).window(variant, reduce, whole)
        made = []
        for box in run:
            block = np.ascontiguousarray(samples[box.moved(-whole.x, -whole.y).slices()])
            self.cache.put(("block", entry.key, variant, reduce, box), block, block.nbytes)
            made.append(block)
        return made


def public_message(error: Exception, entry: Entry | None) -> str:
    """The message of an error for a client: file names only as identifiers."""
    if isinstance(error, WavelicError):
        text = str(error)
        return text if entry is None else text.replace(str(entry.path), entry.identifier)
    return "the file cannot be read"
