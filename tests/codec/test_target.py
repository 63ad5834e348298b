"""Rate control on its own: targets, ladders and the search over them."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    found = search(measure, 0, 999, target)
    assert len(calls) == len(set(calls)) == found.probes <= 14
    assert found.met(target)
    assert found.note(target) == f"asked for {target}, got " + (
        f"{found.value:.0f} bytes" if kind == "size" else f"{found.value:.4g} " + {"bpp": "bpp", "psnr": "dB"}[kind]
    )
    if kind == "size":
        assert found.value <= goal


@pytest.mark.parametrize(("goal", "index"), [(1e-3, 0), (1e3, 99)])
def test_out_of_reach_gives_the_end_and_says_so(goal: float, index: int) -> None:
    found = search(lambda i: 0.1 + i / 100, 0, 99, Target("bpp", goal))
    assert found.position == index
    assert "nearest this codec comes" in found.note(Target("bpp", goal))


def test_dents_do_no_harm() -> None:
    values = [math.exp(i / 100) * (0.97 if i % 7 == 3 else 1.0) for i in range(300)]
    for goal in (1.3, 4.0, 11.0):
        assert search(values.__getitem__, 0, 299, Target("bpp", goal)).met(Target("bpp", goal))


@given(
    rise=st.floats(0.5, 2.0), height=st.floats(-2, 4), bend=st.floats(-0.4, 0.4), goal=st.floats(0, 1),
    dents=st.integers(0, 9), kind=st.sampled_from(["bpp", "size", "psnr"]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_finds_the_nearest_position_from_a_guess(
    rise: float, height: float, bend: float, goal: float, dents: int, kind: str
) -> None:
    """On smooth curves of any height, slope and bend, with dents of a thousandth."""
    last = 151

    def curve(position: int) -> float:
        x = position / last
        dent = 0.0005 * ((position * 7919 + dents) % 3 - 1)
        level = height + 3 * rise * x + bend * 3 * rise * x * (1 - x) + dent
        return 30 + 2 * level if kind == "psnr" else (1000 if kind == "size" else 1) * math.exp(level)

    wanted = curve(last) ** goal * curve(0) ** (1 - goal) * 0.999
    target = Target(kind, wanted)  # type: ignore[arg-type]
    found = search(curve, 0, last, target, start=75, rise=0.12 if kind == "psnr" else 0.027)
    assert found.value == curve(found.position)
    assert found.probes <= 7
    values = [curve(position) for position in range(last + 1)]
    if kind == "psnr":
        nearest = min(abs(value - wanted) for value in values)
        assert abs(found.value - wanted) <= max(0.086, 2 * nearest)  # 2 % of the squared error, or about the nearest
    elif kind == "bpp":
        nearest = min(abs(value / wanted - 1) for value in values)
        assert abs(found.value / wanted - 1) <= max(0.02, 2 * nearest)
    else:
        allowed = [value for value in values if value <= wanted]
        assert found.value <= wanted or not allowed
        assert found.value >= 0.98 * max(allowed, default=0)


def test_copes_with_any_curve() -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).uniform(1, 1000, 152).tolist()
        found = search(values.__getitem__, 0, 151, Target("size", 300), start=100, rise=0.03)
        assert found.value == values[found.position]
        assert found.probes <= 16
    flat = search(lambda _: 50.0, 0, 151, Target("size", 50), start=9, rise=0.03)
    assert (flat.value, flat.probes) == (50.0, 1)
    assert search(lambda _: 50.0, 0, 151, Target("size", 20), start=9, rise=0.03).position == 0


def test_near_enough_ends_a_search() -> None:
    found = search(lambda p: 100 * 1.01**p, 0, 1000, Target("bpp", 1000), start=250, rise=0.01, close=0.3)
    assert (found.position, found.probes) == (250, 1)


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
