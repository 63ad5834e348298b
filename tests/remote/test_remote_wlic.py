"""`.wlic` files read in parts: a window fetches its tiles and has the pixels that a local file gives for it."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import wavelic_cli
from remote_support import FAST, Server
from weconvene_tiny import CONFIG, STEP, tiny_model

import wavelic
from wavelic.api.files import open_url
from wavelic.codec.weights import family, save_weights
from wavelic.codec.wlic_remote import RangedWlicFile, open_ranged_wlic
from wavelic.container import (
    CHUNK_OVERHEAD,
    TIDX,
    Chunk,
    Container,
    Limits,
    crc32c,
    describe_chunks,
    read_container,
    read_outline,
    write_container,
)
from wavelic.errors import ChecksumError, FormatError, LimitError, SourceError, UsageError, WavelicError
from wavelic.images import Metadata, from_array
from wavelic.remote import RangeWarning, open_source
from wavelic.weconvene import weights as weconvene_weights
from wavelic.weconvene.config import CONFIGS
from wavelic.weconvene.files import Encoding
from wavelic.weconvene.weights import load_model

HEIGHT, WIDTH, TILE = 250, 1000, 128  # 2 x 8 tiles
METADATA = Metadata(icc=b"i" * 3_000, exif=b"II*\0" + bytes(20), xmp=b"<x/>")
REGIONS = ((0, 0, 20, 30), (950, 230, 50, 20), (300, 10, 64, 60))


@pytest.fixture(scope="module", autouse=True)
def tiled(tmp_path_factory: pytest.TempPathFactory, picture) -> Iterator[bytes]:
    """A file of many tiles with alpha and metadata, of a small random net that is installed meanwhile."""
    folder = tmp_path_factory.mktemp("weights")
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weconvene_weights, "CONFIGS", {**CONFIGS, "tiny": CONFIG})
        patch.setenv("WAVELIC_WEIGHTS", str(folder))
        save_weights(folder, "tiny", "tiny", "weconvene", 99, tiny_model().tensors(), {})
        model = load_model(next(card for card in family("weconvene") if card.name == "tiny"))
        pixels = picture(HEIGHT, WIDTH, 4)
        pixels[..., 3] = np.arange(HEIGHT)[:, None]
        yield Encoding(from_array(pixels, METADATA), model, tile=TILE).file(STEP - 48)


@pytest.fixture
def server(tiled: bytes) -> Iterator[Server]:
    with Server(tiled) as server:
        yield server


def remade(data: bytes, change) -> bytes:  # type: ignore[no-untyped-def]
    """The file after ``change`` of its bytes from the payload of TIDX on, with a right checksum of TIDX."""
    outline = read_outline(lambda a, b: data[a:b], len(data))
    first, edited = outline.header.header_bytes, bytearray(data)
    stop = first + CHUNK_OVERHEAD + 4 * len(outline.tiles)
    change(edited, first + 8)
    edited[stop - 4 : stop] = crc32c(bytes(edited[first : stop - 4])).to_bytes(4, "big")
    return bytes(edited)


def test_a_window_costs_its_tiles(server: Server, tiled: bytes) -> None:
    local, file = wavelic.open(tiled), wavelic.open(server.url)
    assert isinstance(file, RangedWlicFile)
    opened = file.source.bytes_read
    assert opened < 0.2 * len(tiled)
    for region in REGIONS:
        before = file.source.bytes_read
        np.testing.assert_array_equal(file.read(region=region), local.read(region=region))
        assert 0 < file.source.bytes_read - before < 0.7 * len(tiled)
    assert file.source.bytes_read == sum(stop - start for start, stop in server.served)
    np.testing.assert_array_equal(file[5:9, 7:20, 3], local[5:9, 7:20, 3])


def test_the_whole_picture_is_read_once(server: Server, tiled: bytes) -> None:
    file = wavelic.open(server.url)
    np.testing.assert_array_equal(file.read(), wavelic.decode(tiled))
    assert len(tiled) <= file.source.bytes_read < 1.1 * len(tiled)


def test_the_opened_file_says_what_the_local_one_says(server: Server, tiled: bytes) -> None:
    local, file = wavelic.open(tiled), wavelic.open(server.url)
    assert file.info == local.info
    assert (file.codec, file.shape, file.bit_depth) == ("weconvene", (HEIGHT, WIDTH, 4), 8)
    assert (file.layers, file.levels, file.complete) == (local.layers, local.levels, True)
    assert file.decode(region=(0, 0, 9, 9)).metadata == METADATA
    file.verify()


def test_alpha_and_metadata_are_fetched_once(tiled: bytes) -> None:
    source = open_source(tiled)
    file = open_ranged_wlic(source)
    costs = []
    for _ in range(3):
        before = source.bytes_read
        file.read(region=REGIONS[0])
        costs.append(source.bytes_read - before)
    assert costs[0] - costs[1] >= 3_000
    assert costs[1] == costs[2]


def test_files_of_one_payload_are_read_whole(server: Server, picture) -> None:
    server.data = wavelic.encode(picture(64, 80), quality=30)
    file = wavelic.open(server.url)
    np.testing.assert_array_equal(file.read(), wavelic.decode(server.data))
    assert file.source.bytes_read == len(server.data)
    image = from_array(picture(60, 70), Metadata(xmp=bytes(9_000)))
    server.data = wavelic.encode(image, quality=30)
    file = wavelic.open(server.url)
    assert file.source.bytes_read == len(server.data) > 8192
    with pytest.raises(LimitError):  # judged by the first 8 KiB
        open_url(server.url, Limits(max_pixels=100))
    server.data = b"neither" * 100
    with pytest.raises(FormatError):
        wavelic.open(server.url)


# what can go wrong


def test_damage_is_told_by_whoever_fetches_it(tiled: bytes) -> None:
    last = read_outline(lambda a, b: tiled[a:b], len(tiled)).tiles[-1]
    for at in (last.offset, last.offset + 5, last.offset + 20, last.stop - 1):  # kind, length, payload, checksum
        damaged = bytearray(tiled)
        damaged[at] ^= 1
        file = open_ranged_wlic(open_source(bytes(damaged)))
        np.testing.assert_array_equal(file.read(region=REGIONS[0]), wavelic.open(tiled).read(region=REGIONS[0]))
        for act in (lambda file=file: file.read(region=REGIONS[1]), lambda file=file: file.verify()):
            with pytest.raises(FormatError):
                act()
    damaged = bytearray(tiled)
    damaged[last.stop + 30] ^= 1  # in the alpha
    with pytest.raises(ChecksumError):
        open_ranged_wlic(open_source(bytes(damaged))).read(region=REGIONS[0])


def test_indices_that_lie(tiled: bytes) -> None:
    damaged = bytearray(tiled)
    damaged[70] ^= 1
    with pytest.raises(ChecksumError, match="TIDX"):
        open_ranged_wlic(open_source(bytes(damaged)))

    def shifted(edited: bytearray, at: int) -> None:  # the first tile takes a byte from the second
        one, two = struct.unpack_from(">2I", edited, at)
        struct.pack_into(">2I", edited, at, one + 1, two - 1)

    file = open_ranged_wlic(open_source(remade(tiled, shifted)))
    with pytest.raises(FormatError, match="expected DATA"):
        file.read(region=REGIONS[0])

    def beyond(edited: bytearray, at: int) -> None:
        struct.pack_into(">I", edited, at, len(tiled))

    with pytest.raises(FormatError, match="ends at byte"):
        open_ranged_wlic(open_source(remade(tiled, beyond)))
    with pytest.raises(LimitError, match="max_chunk_bytes"):
        open_ranged_wlic(open_source(tiled), Limits(max_chunk_bytes=100))


def test_an_outline_is_made_of_sound_files_and_no_others(tiled: bytes) -> None:
    """Whatever `read_container` admits has an outline that lists its chunks; whatever has none, it refuses."""
    dice = random.Random(7)
    container = read_container(tiled)
    small = Container(container.header, tuple(Chunk(c.kind, c.payload[: dice.randrange(9)]) for c in container.chunks))
    original = write_container(replace(small, chunks=(*small.chunks, Chunk(b"note", b"kept"))))
    data = original
    outcomes = [0, 0, 0]
    for _ in range(600):
        try:
            outline = read_outline(lambda a, b, data=data: data[a:b], len(data))
        except WavelicError:
            outcomes[0] += 1
            with pytest.raises(WavelicError):
                read_container(data)
        else:
            try:
                assert outline.describe() == describe_chunks(read_container(data))
                outcomes[1] += 1
            except WavelicError:
                outcomes[2] += 1
        mutated = bytearray(original)
        for _ in range(dice.randint(0, 2)):
            mutated[dice.randrange(len(mutated))] ^= 1 << dice.randrange(8)
        data = bytes(mutated[: len(mutated) - dice.choice((0, 0, 0, 1, 12, 500))]) + bytes(dice.choice((0, 0, 0, 1)))
    assert min(outcomes) > 20, outcomes


def test_broken_connections_short_reads_and_servers_without_ranges(server: Server, tiled: bytes) -> None:
    file = open_url(server.url, policy=FAST)
    expected = wavelic.open(tiled).read(region=REGIONS[2])
    server.cut = 2
    np.testing.assert_array_equal(file.read(region=REGIONS[2]), expected)
    server.cut = 99
    with pytest.raises(SourceError, match="early"):
        file.read(region=REGIONS[2])
    server.cut, server.ranges = 0, False
    with pytest.warns(RangeWarning):
        np.testing.assert_array_equal(open_url(server.url).read(region=REGIONS[2]), expected)


def test_a_file_replaced_between_reads_is_told(server: Server, tiled: bytes) -> None:
    file = wavelic.open(server.url)
    server.data = tiled[:-1] + bytes(1)
    with pytest.raises(SourceError, match="changed"):
        file.read(region=REGIONS[0])


def test_wrong_requests_fetch_nothing(server: Server) -> None:
    file = wavelic.open(server.url)
    before = len(server.served)
    for request in ({"reduce": 7}, {"layers": 2}, {"region": (1149, 0, 2, 2)}):
        with pytest.raises(UsageError):
            file.read(**request)
    assert len(server.served) == before


def test_the_command_reads_a_window_of_a_url(server: Server, tiled: bytes, tmp_path: Path) -> None:
    out = tmp_path / "window.png"
    result = wavelic_cli("decode", server.url, out, "--region", "3,5,20,30", "--report-bytes", "--json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["files"]
    assert row["bytes_read"] == sum(stop - start for start, stop in server.served) < 0.8 * row["bytes"]
    assert f"{row['bytes_read']} of {len(tiled)} bytes read" in row["note"]
    np.testing.assert_array_equal(wavelic.load_image(out).pixels, wavelic.open(tiled).read(region=(3, 5, 20, 30)))


def test_kinds_of_chunks_are_judged_before_anything_is_fetched(tiled: bytes) -> None:
    """Of a file that a decoder must refuse no tile is read."""
    container = read_container(tiled)
    without = container.chunks[: -len(read_outline(lambda a, b: tiled[a:b], len(tiled)).others)]
    body = write_container(replace(container, header=replace(container.header, channels=3), chunks=without))
    odd = body[:-CHUNK_OVERHEAD] + b"ODDS" + bytes(4) + crc32c(b"ODDS" + bytes(4)).to_bytes(4, "big") + body[-12:]
    with pytest.raises(FormatError, match="upgrade"):
        open_ranged_wlic(open_source(odd))
    assert TIDX not in {place.kind for place in read_outline(lambda a, b: body[a:b], len(body)).others}


def test_access_to_windows_means_small_tiles(picture) -> None:
    pixels = picture(300, 400)
    sides = {}
    for access in ("whole", "windows"):
        data = wavelic.encode(pixels, "weconvene", 10, access=access)
        sides[access] = read_container(data).header.tile_width
    assert sides == {"whole": 0, "windows": 256}
