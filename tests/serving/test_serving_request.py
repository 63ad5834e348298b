"""IIIF image requests: syntax, meaning, limits, canonical form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette")
from wavelic.serving.refusal import Refusal
from wavelic.serving.request import FORMATS, ImageRequest, Resolved, SizeLimits, parse_request

LIMITS = SizeLimits(max_area=10_000_000)


def ask(
    path: str, image: tuple[int, int] = (6000, 4000), limits: SizeLimits = LIMITS, *, gray: bool = False
) -> Resolved:
    return parse_request(*path.split("/")).resolve(image, limits, gray=gray)


def outcome(call: Callable[[], Any]) -> tuple[Any, int]:
    """What a call gives and 200, or None and the status it is refused with."""
    try:
        return call(), 200
    except Refusal as refusal:
        return None, refusal.status


def status(path: str, image: tuple[int, int] = (300, 200), limits: SizeLimits = LIMITS) -> int:
    with pytest.raises(Refusal) as refusal:
        ask(path, image, limits)
    return refusal.value.status


# The examples of sections 4.1 to 4.5 of the specification, on its 300 x 200 image; sizes are (width, height).
@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("full", (0, 0, 300, 200)),
        ("square", (50, 0, 200, 200)),
        ("125,15,120,140", (125, 15, 120, 140)),
        ("pct:41.6,7.5,40,70", (125, 15, 120, 140)),
        ("125,15,200,200", (125, 15, 175, 185)),
        ("pct:41.6,7.5,66.6,100", (125, 15, 175, 185)),
        ("0,0,9999999999,9999999999", (0, 0, 300, 200)),
    ],
)
def test_regions_of_the_specification(region: str, expected: tuple[int, ...]) -> None:
    assert ask(f"{region}/max/0/default.jpg", (300, 200)).region == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("max", (300, 200)),
        ("150,", (150, 100)),
        (",150", (225, 150)),
        ("pct:50", (150, 100)),
        ("225,100", (225, 100)),
        ("!225,100", (150, 100)),
        ("!100,225", (100, 67)),
        ("!2000,100", (150, 100)),
        ("^360,", (360, 240)),
        ("^,240", (360, 240)),
        ("^pct:120", (360, 240)),
        ("^360,360", (360, 360)),
        ("^!360,360", (360, 240)),
        ("^150,", (150, 100)),
        ("1,", (1, 1)),
    ],
)
def test_sizes_of_the_specification(size: str, expected: tuple[int, int]) -> None:
    assert ask(f"full/{size}/0/default.jpg", (300, 200)).size == expected


def test_the_largest_size_keeps_within_each_limit() -> None:
    assert ask("full/max/0/default.jpg", (6000, 4000), SizeLimits(max_area=2**24)).size == (5016, 3344)
    assert ask("full/max/0/default.jpg", (6000, 4000), SizeLimits(2**24, max_width=600)).size == (600, 400)
    assert ask("full/max/0/default.jpg", (6000, 4000), SizeLimits(2**24, max_height=10)).size == (15, 10)
    assert ask("full/max/0/default.jpg", (300, 200), SizeLimits(2**24)).size == (300, 200)
    assert ask("full/^max/0/default.jpg", (300, 200), SizeLimits(600 * 400)).size == (600, 400)
    assert ask("full/^max/0/default.jpg", (300, 200), SizeLimits(2**24, max_width=450)).size == (450, 300)
    assert ask("full/!900,900/0/default.jpg", (6000, 4000), SizeLimits(60 * 40)).size == (60, 40)


@pytest.mark.parametrize(
    "path",
    [
        "full/full/0/default.jpg",  # of version 2
        "full/301,/0/default.jpg",
        "full/,201/0/default.jpg",
        "full/301,200/0/default.jpg",
        "full/pct:101/0/default.jpg",
        "full/!301,201/0/default.jpg",
        "full/0,0/0/default.jpg",
        "full/0,/0/default.jpg",
        "full/pct:0/0/default.jpg",
        "full/!0,5/0/default.jpg",
        "full/,/0/default.jpg",
        "full/!5,/0/default.jpg",
        "full/-5,/0/default.jpg",
        "full/1e3,/0/default.jpg",
        "full/^99999,99999/0/default.jpg",
        "full/^9999999999,/0/default.jpg",
        "full/99999999999,/0/default.jpg",
        "full/٣,/0/default.jpg",
        "300,0,10,10/max/0/default.jpg",
        "0,0,0,10/max/0/default.jpg",
        "-1,0,10,10/max/0/default.jpg",
        "0,0,10/max/0/default.jpg",
        "pct:100,0,10,10/max/0/default.jpg",
        "pct:0,0,0.1,10/max/0/default.jpg",
        "pct:1,2,3/max/0/default.jpg",
        "pct:nan,0,10,10/max/0/default.jpg",
        "percent:1,1,10,10/max/0/default.jpg",
        "full/max/361/default.jpg",
        "full/max/-90/default.jpg",
        "full/max/!!90/default.jpg",
        "full/max/a/default.jpg",
        "full/max/0/native.jpg",
        "full/max/0/default",
        "full/max/0/default.bmp",
        "full/max/0/.jpg",
        "full/^70000,1/0/default.jpg",  # more than the format holds
        "full/^17000,1/0/default.webp",
    ],
)
def test_wrong_requests_are_400(path: str) -> None:
    assert status(path) == 400


@pytest.mark.parametrize("path", ["full/max/45/default.jpg", "full/max/22.5/gray.png", "full/max/0/default.tif"])
def test_what_the_specification_allows_and_is_not_made_is_501(path: str) -> None:
    assert status(path) == 501


def test_turning_and_quality() -> None:
    assert (ask("full/max/!270/gray.png").rotation, ask("full/max/!270/gray.png").mirror) == (270, True)
    assert ask("full/max/360/gray.png").rotation == 0
    assert ask("full/max/90.0/gray.png").rotation == 90
    assert ask("full/max/0/default.jpg").quality == "color"
    assert ask("full/max/0/default.jpg", gray=True).quality == "gray"
    assert ask("full/max/0/color.jpg", gray=True).quality == "gray"  # a request for colour never fails


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("0,0,300,200/300,200/0/color.jpg", "full/max/0/default.jpg"),
        ("pct:0,0,50,50/pct:50/360/gray.png", "0,0,150,100/75,50/0/gray.png"),
        ("square/!100,100/!90/default.webp", "50,0,200,200/100,100/!90/default.webp"),
        ("full/^600,/0/bitonal.jpg", "full/^600,400/0/bitonal.jpg"),
        ("full/^max/0/default.jpg", "full/^max/0/default.jpg"),
        ("full/^300,200/0/default.jpg", "full/max/0/default.jpg"),
    ],
)
def test_canonical_form(path: str, canonical: str) -> None:
    assert ask(path, (300, 200)).canonical == canonical


SIDES = st.integers(1, 100_000)
NUMBERS = st.integers(0, 10**10 - 1)
PERCENT = st.decimals(0, 120, places=3).map(lambda d: f"{d:f}")
REGIONS = st.one_of(
    st.sampled_from(["full", "square"]),
    st.builds("{},{},{},{}".format, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.builds("{},{},{},{}".format, SIDES, SIDES, SIDES, SIDES),
    st.builds("pct:{},{},{},{}".format, PERCENT, PERCENT, PERCENT, PERCENT),
)
PLAIN_SIZES = st.one_of(
    st.just("max"),
    st.builds("{},".format, SIDES),
    st.builds(",{}".format, SIDES),
    st.builds("{},{}".format, NUMBERS, NUMBERS),
    st.builds("!{},{}".format, SIDES, SIDES),
    st.builds("pct:{}".format, PERCENT),
)
ANY_LIMITS = st.builds(SizeLimits, st.integers(1, 10**8), st.none() | SIDES, st.none() | SIDES)


ANY_FORMAT = st.sampled_from(sorted(FORMATS))


@given(REGIONS, st.sampled_from(["", "^"]), PLAIN_SIZES, ANY_FORMAT, st.tuples(SIDES, SIDES), ANY_LIMITS)
def test_every_answer_is_inside_the_image_and_the_limits(
    region: str, up: str, size: str, format_: str, image: tuple[int, int], limits: SizeLimits
) -> None:
    request: ImageRequest = parse_request(region, up + size, "0", f"default.{format_}")
    resolved, status_ = outcome(lambda: request.resolve(image, limits))
    if resolved is None:
        assert status_ == 400
        assert not (region in ("full", "square") and size == "max" and format_ == "png")  # always has an answer
        return
    x, y, width, height = resolved.region
    assert min(x, y) >= 0
    assert min(width, height) >= 1
    assert x + width <= image[0]
    assert y + height <= image[1]
    assert min(resolved.size) >= 1
    assert limits.admits(resolved.size)
    if not up:
        assert resolved.size[0] <= width
        assert resolved.size[1] <= height
    if size.startswith(("!", "max")):  # the shape stays, to a pixel
        assert abs(resolved.size[0] * height - resolved.size[1] * width) <= max(width, height)
    again = parse_request(*resolved.canonical.split("/")).resolve(image, limits)
    assert again == resolved  # canonical form means the same and is its own canonical form


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_parsed_or_refused(region: str, size: str, rotation: str, last: str) -> None:
    _, status_ = outcome(lambda: parse_request(region, size, rotation, last))
    assert status_ in (200, 400, 501)
