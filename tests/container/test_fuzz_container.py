"""Hostile bytes: the parser answers with a container or a FormatError, and what it accepts it would write itself."""

from __future__ import annotations

import contextlib
import random
import time

import pytest
from golden_containers import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st

from wavelic.container import (
    ALPH,
    DATA,
    EXIF,
    FIELDS,
    HEADER_BYTES,
    ICCP,
    LCRC,
    MAGIC,
    XMPP,
    Chunk,
    Container,
    Header,
    TileGrid,
    crc32c,
    read_container,
    read_header,
    tile_spans,
    write_container,
)
from wavelic.errors import FormatError


def parse(data: bytes) -> Container | None:
    """The container, or None for a FormatError with a one-line message; anything else is a failure of the test."""
    for function in (read_header, tile_spans):
        with contextlib.suppress(FormatError):
            function(data)
    try:
        container = read_container(data)
    except FormatError as caught:
        message = str(caught)
    else:
        assert write_container(container) == data
        return container
    assert len(message.splitlines()) == 1
    return None


def with_right_checksum(header: bytes) -> bytes:
    return header[: HEADER_BYTES - 4] + crc32c(header[: HEADER_BYTES - 4]).to_bytes(4, "big")


@given(st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes(data: bytes, with_magic: bool) -> None:
    parse(MAGIC + data if with_magic else data)


@given(st.data())
@settings(deadline=None)
def test_headers_with_fields_at_random_and_a_right_checksum(data: st.DataObject) -> None:
    values = []
    for field in FIELDS:
        octets = data.draw(st.binary(min_size=field.size, max_size=field.size))
        valid = GOLDEN[data.draw(st.sampled_from(sorted(GOLDEN)))][0].header
        if data.draw(st.booleans()) and field.code != "16s":
            octets = int(getattr(valid, field.name)).to_bytes(field.size, "big", signed=field.code == "h")
        values.append(octets)
    parse(with_right_checksum(MAGIC + b"".join(values)) + data.draw(st.binary(max_size=40)))


@st.composite
def containers(draw: st.DrawFn) -> Container:
    channels = draw(st.integers(1, 4))
    tile = draw(st.sampled_from([0, 16, 50, 300]))
    header = Header(
        codec=draw(st.integers(1, 2)),
        channels=channels,
        width=draw(st.integers(1, 120)),
        height=draw(st.integers(1, 120)),
        model=draw(st.binary(min_size=16, max_size=16)),
        bit_depth=draw(st.sampled_from([8, 16])),
        colour=draw(st.integers(0, 2)) if channels >= 3 else 0,
        padding=draw(st.integers(0, 3)),
        tile_width=tile,
        tile_height=tile,
        tile_overlap=draw(st.integers(0, 15)) if tile else 0,
        quality=draw(st.integers(0, 65535)),
        gain=draw(st.integers(-32768, 32767)),
        version_minor=(minor := draw(st.integers(0, 3))),
        extension=draw(st.binary(max_size=30)) if minor else b"",
    )
    tiles = TileGrid.of(header).count
    payload = st.binary(max_size=20)
    chunks = [Chunk(DATA, draw(payload)) for _ in range(tiles)]
    others = [Chunk(LCRC, bytes(4 * tiles))] if draw(st.booleans()) else []
    others += [Chunk(ALPH, draw(payload))] if header.has_alpha else []
    others += [Chunk(kind, draw(payload)) for kind in (ICCP, EXIF, XMPP) if draw(st.booleans())]
    others += [Chunk(b"odds", draw(payload)) for _ in range(draw(st.integers(0, 2)))]
    return Container(header, (*chunks, *draw(st.permutations(others))))


@given(containers())
def test_any_valid_container_comes_back(container: Container) -> None:
    data = write_container(container)
    assert parse(data) == container
    assert len(tile_spans(data)) == len(container.tiles)


def flip(random: random.Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.randint(1, 4)):
        damaged[random.randrange(len(data))] ^= random.randint(1, 255)
    return bytes(damaged)


def cut(random: random.Random, data: bytes) -> bytes:
    start, end = sorted(random.choices(range(len(data) + 1), k=2))
    return data[:start] + data[end:]


def splice(random: random.Random, data: bytes) -> bytes:
    other = bytes.fromhex(GOLDEN[random.choice(sorted(GOLDEN))][1])
    start, end = sorted(random.choices(range(len(other) + 1), k=2))
    at = random.randrange(len(data) + 1)
    return data[:at] + other[start:end] + data[at + random.choice((0, end - start)) :]


def edit_field(random: random.Random, data: bytes) -> bytes:
    field = random.choice(FIELDS)
    at = len(MAGIC) + sum(f.size for f in FIELDS[: FIELDS.index(field)])
    value = random.choice((bytes(field.size), b"\xff" * field.size, random.randbytes(field.size)))
    return with_right_checksum(data[:at] + value + data[at + field.size :]) + data[HEADER_BYTES:]


@pytest.mark.parametrize("mutate", [flip, cut, splice, edit_field])
def test_two_thousand_mutations_of_the_golden_files(mutate) -> None:  # type: ignore[no-untyped-def]
    generator = random.Random(mutate.__name__)
    accepted = 0
    for turn in range(500):
        original = bytes.fromhex(GOLDEN[sorted(GOLDEN)[turn % 2]][1])
        mutated = mutate(generator, original)
        start = time.process_time()
        container = parse(mutated)
        assert time.process_time() - start < 5
        if container is not None and mutate is not edit_field:
            assert mutated == original  # no damage passes: only copies that came out the same are read
        accepted += container is not None
    if mutate is edit_field:
        assert accepted > 50  # quality, gain and model are free: the editing itself is right


@settings(max_examples=30)
@given(st.integers(1, 65535), st.integers(1, 65535), st.integers(0, 65535))
def test_huge_headers_answer_at_once(width: int, height: int, tile: int) -> None:
    header = Header(codec=1, channels=3, width=width, height=height, model=bytes(16), tile_width=tile, tile_height=tile)
    start = write_container(Container(replace_size(header), (Chunk(DATA, b""),)))
    data = bytearray(start[:HEADER_BYTES])
    data[16:20] = width.to_bytes(2, "big") + height.to_bytes(2, "big")
    data[24:28] = tile.to_bytes(2, "big") * 2
    before = time.process_time()
    parse(with_right_checksum(bytes(data)) + start[HEADER_BYTES:])
    assert time.process_time() - before < 5


def replace_size(header: Header) -> Header:
    """The same header for one pixel, which one DATA chunk suffices for."""
    return Header(codec=header.codec, channels=header.channels, width=1, height=1, model=header.model)
