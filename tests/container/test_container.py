"""The `.wlic` container: round trips, the order of chunks, limits, damage, and the tables of docs/format.md."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import pytest
from golden_containers import GOLDEN, SMALL, TILED
from hypothesis import given
from hypothesis import strategies as st
from paths import DOCS

from wavelic.container import (
    ALPH,
    CHUNK_OVERHEAD,
    DATA,
    EXIF,
    FIELDS,
    HEADER_BYTES,
    ICCP,
    KINDS,
    LCRC,
    MAGIC,
    TIDX,
    WEND,
    Chunk,
    CodecId,
    Container,
    Header,
    Limits,
    TileGrid,
    crc32c,
    describe_chunks,
    memory_estimate,
    read_container,
    read_header,
    read_tile,
    strip_metadata,
    tile_spans,
    with_metadata,
    write_container,
)
from wavelic.errors import ChecksumError, FormatError, LimitError, UsageError
from wavelic.rect import Rect

FORMAT = (DOCS / "format.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, appendix B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (
            bytes.fromhex("01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 00000000"
                          "02000000 00000000"),
            0xD9963A56,
        ),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)  # fmt: skip
def test_crc32c_of_the_published_vectors(data: bytes, expected: int) -> None:
    assert crc32c(data) == crc32c(memoryview(data)) == crc32c(bytearray(data)) == expected


@given(st.binary(), st.binary())
def test_crc32c_continues(first: bytes, second: bytes) -> None:
    assert crc32c(second, crc32c(first)) == crc32c(first + second)


def test_crc32c_of_more_than_one_piece() -> None:
    data = bytes(range(256)) * 8200
    assert len(data) > 2 << 20
    assert crc32c(data) == crc32c(data[1000:], crc32c(data[:1000]))


def test_the_declaration_and_the_header_class_name_the_same_fields() -> None:
    declared = {field.name for field in FIELDS}
    assert declared - {"header_bytes"} == {field.name for field in fields(Header)} - {"extension"}
    assert len(MAGIC) + sum(field.size for field in FIELDS) + 4 == HEADER_BYTES == 52


def test_format_md_lists_every_field_as_declared() -> None:
    offset = len(MAGIC)
    for field in FIELDS:
        row = f"| {offset} | {field.type_text} | `{field.name}` | {field.allowed_text} | {field.meaning} |"
        assert row in FORMAT
        offset += field.size


def test_format_md_lists_every_chunk_as_declared() -> None:
    for kind, meaning in KINDS.items():
        assert re.search(rf"^\| `{kind.decode()}` \|.*\| {re.escape(meaning)} \|", FORMAT, re.MULTILINE), kind


def test_format_md_lists_every_default_limit() -> None:
    for field in fields(Limits):
        assert f"| `{field.name}` | {field.default} |" in FORMAT


def test_the_hex_dump_in_format_md_is_the_golden_file() -> None:
    dump = re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)(?:  |$)", FORMAT, re.MULTILINE)
    data = b""
    for offset, octets in dump:
        assert int(offset, 16) == len(data)
        data += bytes.fromhex(octets)
    assert data == bytes.fromhex(GOLDEN["small"][1])


@pytest.mark.parametrize("field", [f for f in FIELDS if isinstance(f.allowed, range) and f.name != "header_bytes"])
def test_a_field_out_of_range_is_refused_on_write(field) -> None:  # type: ignore[no-untyped-def]
    for value in (field.allowed[0] - 1, field.allowed[-1] + 1, "7"):
        with pytest.raises(UsageError, match=field.name):
            write_container(replace(SMALL, header=replace(SMALL.header, **{field.name: value})))


@pytest.mark.parametrize("name", ["codec", "channels", "bit_depth", "colour", "padding", "version_major"])
def test_an_unknown_id_is_refused_alike_on_write_and_on_read(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        write_container(replace(SMALL, header=replace(SMALL.header, **{name: 99})))
    with pytest.raises(FormatError, match="version" if name == "version_major" else name):
        read_container(edit_header(write_container(SMALL), name, 99))


def edit_header(data: bytes, name: str, value: int) -> bytes:
    """`data` with one 8-bit header field changed and the header's checksum made right again."""
    offset = len(MAGIC)
    for field in FIELDS:
        if field.name == name:
            break
        offset += field.size
    body = data[:offset] + value.to_bytes(field.size, "big") + data[offset + field.size : HEADER_BYTES - 4]
    return body + crc32c(body).to_bytes(4, "big") + data[HEADER_BYTES:]


def test_unknown_features_ask_for_an_upgrade() -> None:
    with pytest.raises(FormatError, match="upgrade"):
        read_header(edit_header(write_container(SMALL), "required_features", 1))


def test_a_newer_minor_version_may_extend_the_header() -> None:
    newer = replace(SMALL, header=replace(SMALL.header, version_minor=7, extension=b"later"))
    assert read_container(write_container(newer)) == newer
    with pytest.raises(UsageError, match="extension"):
        write_container(replace(SMALL, header=replace(SMALL.header, extension=b"later")))


@pytest.mark.parametrize(
    "change",
    [
        {"tile_width": 64},
        {"tile_height": 64},
        {"tile_overlap": 1},
        {"tile_width": 8, "tile_height": 64, "tile_overlap": 8},
        {"colour": 1, "channels": 1},
        {"model": b"short"},
    ],
)
def test_fields_that_contradict_each_other_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        write_container(replace(SMALL, header=replace(SMALL.header, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chunks", "cause"),
    [
        ((), "DATA"),
        ((Chunk(DATA, b""), Chunk(DATA, b"")), "DATA"),
        ((Chunk(EXIF, b"x"), Chunk(DATA, b"")), "DATA"),
        ((Chunk(DATA, b""), Chunk(ALPH, b"x")), "ALPH"),
        ((Chunk(DATA, b""), Chunk(ICCP, b"x"), Chunk(ICCP, b"x")), "iccp"),
        ((Chunk(DATA, b""), Chunk(LCRC, b"123")), "lcrc"),
        ((Chunk(DATA, b""), Chunk(TIDX, b"")), "TIDX"),
        ((Chunk(DATA, b""), Chunk(WEND, b"")), "WEND"),
        ((Chunk(DATA, b""), Chunk(b"NEWX", b"")), "NEWX"),
        ((Chunk(DATA, b""), Chunk(b"Mixd", b"")), "Mixd"),
        ((Chunk(DATA, b""), Chunk(b"a\nbc", b"")), "kind|critical"),
    ],
)
def test_chunks_against_the_rules_are_refused_on_write(chunks: tuple[Chunk, ...], cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        write_container(Container(SMALL.header, chunks))


def chunk_bytes(kind: bytes, payload: bytes) -> bytes:
    body = kind + len(payload).to_bytes(4, "big") + payload
    return body + crc32c(body).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("tail", "cause"),
    [
        (b"", "cut short"),
        (chunk_bytes(DATA, b"a"), "cut short"),
        (chunk_bytes(DATA, b"a") + chunk_bytes(WEND, b"x"), "WEND"),
        (chunk_bytes(DATA, b"a") + chunk_bytes(WEND, b"") + b"\0", "after the end"),
        (chunk_bytes(DATA, b"a") * 2 + chunk_bytes(WEND, b""), "DATA"),
        (chunk_bytes(EXIF, b"a") + chunk_bytes(DATA, b"a") + chunk_bytes(WEND, b""), "DATA"),
        (chunk_bytes(DATA, b"a") + chunk_bytes(b"NEWX", b"") + chunk_bytes(WEND, b""), "upgrade"),
        (chunk_bytes(DATA, b"a") + chunk_bytes(TIDX, b"") + chunk_bytes(WEND, b""), "TIDX"),
        (chunk_bytes(DATA, b"a") + chunk_bytes(b"x y!", b"") + chunk_bytes(WEND, b""), "letters"),
        (DATA + b"\xff\xff\xff\xff" + b"a", "max_chunk_bytes"),
    ],
)
def test_chunks_against_the_rules_are_refused_on_read(tail: bytes, cause: str) -> None:
    with pytest.raises(FormatError, match=cause):
        read_container(write_container(SMALL)[:HEADER_BYTES] + tail)


@pytest.mark.parametrize("lengths", [(5, 4), (5, 5), (4, 6), (3, 5), (4, 2**32 - 1)])
def test_a_tile_index_that_contradicts_the_tiles_is_refused(lengths: tuple[int, int]) -> None:
    data = write_container(TILED)
    index = chunk_bytes(TIDX, b"".join(length.to_bytes(4, "big") for length in lengths))
    with pytest.raises(FormatError, match="tile index"):
        read_container(data[:HEADER_BYTES] + index + data[HEADER_BYTES + len(index) :])
    with pytest.raises(FormatError, match="TIDX"):
        read_container(data[:HEADER_BYTES] + data[HEADER_BYTES + len(index) :])


@pytest.mark.parametrize("name", GOLDEN)
def test_every_truncation_is_noticed(name: str) -> None:
    data = bytes.fromhex(GOLDEN[name][1])
    for size in range(len(data)):
        with pytest.raises(FormatError) as caught:
            read_container(data[:size])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", GOLDEN)
def test_every_flipped_bit_is_noticed(name: str) -> None:
    data = bytes.fromhex(GOLDEN[name][1])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            read_container(damaged)


def test_damage_in_a_payload_is_a_checksum_error() -> None:
    with pytest.raises(ChecksumError, match="DATA"):
        read_container(write_container(SMALL).replace(b"latents", b"Latents"))


def test_text_mode_damage_is_named() -> None:
    data = write_container(SMALL)
    damaged_copies = (
        data.replace(b"\r\n", b"\n"),
        data.replace(b"\n", b"\r\n"),
        bytes(byte & 0x7F for byte in data),
        data[1:],
    )
    for damaged in damaged_copies:
        with pytest.raises(FormatError, match="text-mode"):
            read_container(damaged)


@pytest.mark.parametrize("data", [b"", b"\x89WL", b"\x89PNG\r\n\x1a\n", b"hello world" * 10])
def test_what_is_not_a_wlic_file_is_said_so(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_header(data)


def test_the_header_reads_from_the_first_bytes_alone() -> None:
    assert read_header(write_container(SMALL)[:HEADER_BYTES]) == SMALL.header


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_pixels=100 * 40 - 1),
        Limits(max_side=99),
        Limits(max_tiles=1),
        Limits(max_ancillary_chunks=2),
        Limits(max_chunk_bytes=4),
        Limits(max_metadata_bytes=3),
        Limits(max_memory_bytes=memory_estimate(TILED.header) - 1),
    ],
)
def test_each_limit_is_applied_and_named(limits: Limits) -> None:
    name = next(f.name for f in fields(Limits) if getattr(limits, f.name) != f.default)
    with pytest.raises(LimitError, match=name):
        read_container(write_container(TILED), limits)


def test_limits_are_inclusive() -> None:
    exact = Limits(4000, 100, 2, 3, 8, 4, memory_estimate(TILED.header))
    assert read_container(write_container(TILED), exact) == TILED


def test_spans_need_only_the_start_and_give_every_tile() -> None:
    data = write_container(TILED)
    start = data[: HEADER_BYTES + CHUNK_OVERHEAD + 8]
    assert [read_tile(data[at : at + size]) for at, size in tile_spans(start)] == [b"left", b"right"]
    data = write_container(SMALL)
    ((at, size),) = tile_spans(data[: HEADER_BYTES + 8])
    assert read_tile(data[at : at + size]) == b"latents"
    with pytest.raises(FormatError):
        read_tile(data[at : at + size - 1])
    with pytest.raises(FormatError):
        read_tile(data[at + size :])


@given(st.tuples(*[st.integers(1, 40)] * 4), st.integers(0, 9))
def test_tiles_partition_the_image_and_areas_get_theirs(sizes: tuple[int, int, int, int], overlap: int) -> None:
    grid = TileGrid(*sizes, overlap)
    owner = {}
    for index in range(grid.count):
        tile, wide = grid.tile(index), grid.coded(index)
        owner |= {(x, y): index for x in range(tile.x, tile.right) for y in range(tile.y, tile.bottom)}
        assert (wide.x, wide.y) == (max(tile.x - overlap, 0), max(tile.y - overlap, 0))
        assert wide.right == min(tile.x + grid.tile_width + overlap, grid.width)
        assert wide.bottom == min(tile.y + grid.tile_height + overlap, grid.height)
    assert len(owner) == grid.width * grid.height
    assert sum(grid.tile(index).area for index in range(grid.count)) == len(owner)
    area = Rect.between(grid.width // 3, grid.height // 2, grid.width, grid.height)
    inside = {owner[x, y] for x in range(area.x, area.right) for y in range(area.y, area.bottom)}
    assert grid.meeting(area) == tuple(sorted(inside))
    with pytest.raises(UsageError, match="not inside the image"):
        grid.meeting(Rect(0, 0, grid.width + 1, 1))


def test_metadata_is_replaced_and_stripped_and_the_rest_stays() -> None:
    rich = with_metadata(TILED, icc=b"profile", exif=b"", xmp=b"packet")
    assert rich.find(ICCP) == b"profile"
    assert rich.find(EXIF) is None
    assert read_container(write_container(rich)) == rich
    bare = strip_metadata(rich)
    assert [chunk.kind for chunk in bare.chunks] == [DATA, DATA, ALPH]
    assert bare.tiles == TILED.tiles == (b"left", b"right")


@pytest.mark.parametrize("container", [SMALL, TILED])
def test_the_described_chunks_are_where_they_are_said_to_be(container: Container) -> None:
    data = write_container(container)
    infos = describe_chunks(container)
    for info in infos:
        assert data[info.offset : info.offset + 4].decode() == info.kind
    assert container.header.header_bytes + sum(info.size for info in infos) == len(data)


def test_default_limits_admit_what_the_encoder_may_write() -> None:
    """The largest image admitted by number of pixels is not refused for its memory, whatever its samples."""
    header = Header(codec=CodecId.WCAE, channels=4, width=16384, height=16384, model=bytes(16), bit_depth=16)
    data = write_container(Container(header, (Chunk(DATA, b""), Chunk(ALPH, b""))))
    assert read_header(data) == header
