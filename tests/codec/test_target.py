"""Rate control on its own: targets, ladders and the search over them."""

import math
from pathlib import Path

import pytest

from wavelic.codec.target import Target, search
from wavelic.codec.weights import Card
from wavelic.errors import ModelError, UsageError
from wavelic.wcae import ladder as ladders
from wavelic.wcae.calibrate import build_ladder
from wavelic.wcae.ladder import Ladder, Segment


@pytest.mark.parametrize("kind", ["bpp", "psnr", "size"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.77, 0.99])
def test_finds_the_nearest_point_in_few_probes(kind: str, share: float) -> None:
    values = [20 + 15 * i / 999 if kind == "psnr" else 0.05 * 20 ** (i / 999) * 1000 for i in range(1000)]
    goal = values[0] + share * (values[-1] - values[0])
    calls = []

    def measure(index: int) -> float:
        calls.append(index)
        return values[index]

    target = Target(kind, goal)
    found = search(range(1000), measure, target)
    assert len(calls) == len(set(calls)) == found.probes <= 14
    assert found.met(target)
    assert found.note(target) == f"asked for {target}, got " + (
        f"{found.value:.0f} bytes" if kind == "size" else f"{found.value:.4g} " + {"bpp": "bpp", "psnr": "dB"}[kind]
    )
    if kind == "size":
        assert found.value <= goal


@pytest.mark.parametrize(("goal", "index"), [(1e-3, 0), (1e3, 99)])
def test_out_of_reach_gives_the_end_and_says_so(goal: float, index: int) -> None:
    found = search(range(100), lambda i: 0.1 + i / 100, Target("bpp", goal))
    assert found.index == index
    assert "nearest these weights allow" in found.note(Target("bpp", goal))


def test_dents_do_no_harm() -> None:
    values = [math.exp(i / 100) * (0.97 if i % 7 == 3 else 1.0) for i in range(300)]
    for goal in (1.3, 4.0, 11.0):
        assert search(range(300), values.__getitem__, Target("bpp", goal)).met(Target("bpp", goal))


def test_targets_are_checked() -> None:
    assert Target.of() is None
    assert Target.of(bpp=0.5) == Target("bpp", 0.5)
    with pytest.raises(UsageError, match="quality and size given together"):
        Target.of(quality=1, size=2)
    for kind, value in (("quality", 101), ("bpp", 0), ("psnr", -3), ("size", 0)):
        with pytest.raises(UsageError, match="outside"):
            Target(kind, value)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[Card]:
    made = [Card(f"x-{rank}", "wcae", "x", "", rank, {}, Path()) for rank in range(3)]
    monkeypatch.setattr(ladders, "family", lambda name: tuple(made))
    return made


def test_ladder_from_rates(cards: list[Card]) -> None:
    """Neighbouring weights meet at equal rate; quality is linear in the logarithm of the rate."""
    slope = math.log(2) / 64
    rates = [{gain: base * math.exp(slope * gain) for gain in range(-128, 129, 16)} for base in (0.05, 0.1, 0.4)]
    ladder = build_ladder("x", rates)

    def rate(point: ladders.RatePoint) -> float:
        return rates[point.card.rank][0] * math.exp(slope * point.gain)

    for quality in range(0, 101, 5):
        expected = 0.025 * (1.6 / 0.025) ** (quality / 100)
        assert rate(ladder.at(quality)) == pytest.approx(expected, rel=0.02)
    for left, right in zip(ladder.segments[:-1], ladder.segments[1:], strict=True):
        joint = rates[left.rank][0] * math.exp(slope * left.gain_stop)
        assert joint == pytest.approx(rates[right.rank][0] * math.exp(slope * right.gain_start), rel=0.02)
    points = ladder.points()
    assert [p.quality for p in points] == sorted(p.quality for p in points)
    assert points[0].quality == 0
    assert points[-1].quality == 100
    with pytest.raises(UsageError, match=r"0\.\.100"):
        ladder.at(100.5)


def test_ladders_with_gaps_are_refused() -> None:
    with pytest.raises(ModelError, match="gaps"):
        Ladder("x", (Segment(0, 0, 40, 0, 1), Segment(1, 50, 100, 0, 1)))
