"""From quality 0..100 to a rate point: which weights of a family, and which gain.

A family holds weights trained for different rates.  Its ladder cuts the quality scale, which is linear in the
logarithm of the rate, into one segment for each of them; within a segment the gain rises linearly.  Neighbouring
segments meet where both weights give the same mean rate on the validation images.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from wavelic.codec.weights import Card, family, weight_folders
from wavelic.errors import ModelError, UsageError

MAX_QUALITY = 100.0


@dataclass(frozen=True)
class Segment:
    """Qualities [start, stop] are coded with the weights of this rank and gains [gain_start, gain_stop]."""

    rank: int
    start: float
    stop: float
    gain_start: int
    gain_stop: int


@dataclass(frozen=True)
class RatePoint:
    """Weights and gain; ``quality`` is where that lies on the ladder."""

    card: Card
    gain: int
    quality: float


@dataclass(frozen=True)
class Ladder:
    """The segments of a family by rising quality, covering 0..100 without gaps."""

    name: str
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        edges = [0.0, *(segment.stop for segment in self.segments)]
        starts = [segment.start for segment in self.segments]
        if not self.segments or starts != edges[:-1] or edges[-1] != MAX_QUALITY or edges != sorted(edges):
            raise ModelError(f"the quality ladder of {self.name} has gaps; export the weights again")

    def at(self, quality: float) -> RatePoint:
        """The rate point of a quality 0..100.  Raises UsageError outside that range."""
        if not 0 <= quality <= MAX_QUALITY:
            raise UsageError(f"quality {quality} is outside 0..100; choose one inside")
        segment = next(segment for segment in self.segments if quality <= segment.stop)
        width = segment.stop - segment.start
        share = (quality - segment.start) / width if width else 0.0
        gain = round(segment.gain_start + share * (segment.gain_stop - segment.gain_start))
        return RatePoint(self._card(segment.rank), gain, quality)

    def points(self) -> tuple[RatePoint, ...]:
        """Every rate point there is, by rising quality: all gains of all segments."""
        found = []
        for segment in self.segments:
            card = self._card(segment.rank)
            steps = max(1, segment.gain_stop - segment.gain_start)
            for gain in range(segment.gain_start, segment.gain_stop + 1):
                share = (gain - segment.gain_start) / steps
                found.append(RatePoint(card, gain, segment.start + share * (segment.stop - segment.start)))
        return tuple(found)

    def _card(self, rank: int) -> Card:
        for card in family(self.name):
            if card.rank == rank:
                return card
        raise ModelError(f"family {self.name} lacks the weights of rank {rank}; install wavelic again")


def write_ladder(ladder: Ladder, folder: Path) -> None:
    """Save as ``<name>.ladder.json``."""
    rows = [asdict(segment) for segment in ladder.segments]
    (folder / f"{ladder.name}.ladder.json").write_text(json.dumps(rows, indent=1) + "\n")


def load_ladder(name: str) -> Ladder:
    """The ladder of a family.  Raises ModelError if the family has none."""
    return _load(name, weight_folders())


@lru_cache(maxsize=8)
def _load(name: str, folders: tuple[Path, ...]) -> Ladder:
    for folder in folders:
        path = folder / f"{name}.ladder.json"
        if path.is_file():
            try:
                return Ladder(name, tuple(Segment(**row) for row in json.loads(path.read_text())))
            except (ValueError, TypeError) as error:
                raise ModelError(f"{path.name} is damaged ({error}); install wavelic again") from error
    family(name)  # an unknown name gets the list of known ones
    raise ModelError(f"family {name} has no quality ladder; export the weights again")
