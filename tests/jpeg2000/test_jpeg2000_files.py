"""Boxes, headers, packets and layers, read and written without the library's help."""

from __future__ import annotations

import dataclasses
import io
import struct

import numpy as np
import pytest
from pictures import picture
from PIL import Image

from wavelic.errors import FormatError, LimitError, UsageError
from wavelic.jpeg2000 import (
    GREY,
    EncodeOptions,
    Limits,
    Uuid,
    decode_codestream,
    encode_codestream,
    index_packets,
    is_jp2,
    layer_sizes,
    parse_main_header,
    read_jp2,
    replace_codestream,
    salvage,
    tile_parts,
    trim_codestream,
    write_jp2,
)
from wavelic.jpeg2000.boxes import box
from wavelic.jpeg2000.cost import count_code_blocks
from wavelic.jpeg2000.header import COD, PROGRESSIONS

LAYERS = (600, 1500, 4000, 9000)


def layered(progression: str = "LRCP", precincts: tuple[tuple[int, int], ...] = ()) -> bytes:
    planes = [picture(123, 201, 8, seed) for seed in range(3)]
    options = EncodeOptions(
        colour_transform=True, layer_bytes=LAYERS, progression=progression, precincts=precincts
    )  # fmt: skip
    return encode_codestream(planes, 8, options)


def same_planes(a: bytes, b: bytes, **request: int) -> bool:
    pairs = zip(decode_codestream(a, **request).planes, decode_codestream(b).planes, strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def test_the_main_header_says_what_was_encoded() -> None:
    options = EncodeOptions(
        levels=3, precincts=((128, 64), (64, 32)), code_block=(32, 16), layer_bytes=(500, None), reversible=True
    )
    header = parse_main_header(encode_codestream([picture(90, 70)] * 2, 8, options))
    assert (header.width, header.height, header.layers, header.levels) == (70, 90, 2, 3)
    assert [(c.bits, c.signed, c.dx, c.dy) for c in header.components] == [(8, False, 1, 1)] * 2
    assert header.styles[1].code_block == (32, 16)
    assert header.styles[1].precincts == (*((64, 32),) * 3, (128, 64))  # the coarsest first
    assert header.styles[1].reversible
    assert not header.colour_transform
    assert header.grid.tiles == 1


def test_code_blocks_are_counted() -> None:
    header = parse_main_header(encode_codestream([picture(256, 256)], 8, EncodeOptions(levels=2)))
    assert count_code_blocks(header) == 3 * 4 + 3 * 1 + 1 + 3  # 64x64 blocks of seven bands, then three precincts


@pytest.mark.parametrize("progression", PROGRESSIONS)
@pytest.mark.parametrize("precincts", [(), ((32, 32),), ((64, 16),), ((64, 64), (32, 32), (16, 16))])
def test_a_trimmed_file_is_the_layer_limit_of_the_whole(
    progression: str, precincts: tuple[tuple[int, int], ...]
) -> None:
    codestream = layered(progression, precincts)
    assert parse_main_header(codestream).progression == progression
    sizes = layer_sizes(codestream)
    assert sizes[-1] == len(codestream)
    for layers, size in enumerate(sizes, 1):
        trimmed = trim_codestream(codestream, max_layers=layers)
        assert len(trimmed) == size
        assert parse_main_header(trimmed).layers == layers
        assert same_planes(codestream, trimmed, max_layers=layers)
    assert trim_codestream(trim_codestream(codestream, max_layers=3), max_layers=1) == trim_codestream(
        codestream, max_layers=1
    )


def test_trimming_to_bytes_keeps_as_many_layers_as_fit() -> None:
    codestream = layered()
    sizes = layer_sizes(codestream)
    assert trim_codestream(codestream, max_bytes=sizes[2]) == trim_codestream(codestream, max_layers=3)
    assert trim_codestream(codestream, max_bytes=sizes[2] - 1) == trim_codestream(codestream, max_layers=2)
    assert trim_codestream(codestream, max_bytes=10**9) == codestream
    with pytest.raises(UsageError, match=f"the first layer needs {sizes[0]}"):
        trim_codestream(codestream, max_bytes=sizes[0] - 1)
    for wrong in ({}, {"max_layers": 0}):
        with pytest.raises(UsageError):
            trim_codestream(codestream, **wrong)


def test_pillow_opens_a_trimmed_file() -> None:
    data = write_jp2(layered())
    trimmed = replace_codestream(data, trim_codestream(read_jp2(data).codestream, max_layers=2))
    with Image.open(io.BytesIO(trimmed)) as image:
        pixels = np.asarray(image).astype(int)
    expected = np.stack(decode_codestream(read_jp2(data).codestream, max_layers=2).planes, -1)
    assert abs(pixels - expected).max() <= 1


def test_packets_are_where_the_index_says() -> None:
    """Emptying every packet but those of one component leaves the other components flat."""
    planes = [picture(100, 130, 8, seed) for seed in range(2)]
    codestream = encode_codestream(planes, 8, EncodeOptions(reversible=True, progression="PCRL", precincts=((64, 64),)))
    header = parse_main_header(codestream)
    parts = tile_parts(codestream, header)
    index = index_packets(header, parts)
    data = bytearray(codestream[parts[0].start : parts[0].stop])
    kept = b"".join(
        data[start : start + length] if component == 1 else b"\x00"
        for component, start, length in zip(index.component, index.start, index.length, strict=True)
    )
    size = struct.pack(">I", 14 + len(kept))
    sot = codestream[header.end : header.end + 6] + size + codestream[header.end + 10 : header.end + 12]
    decoded = decode_codestream(codestream[: header.end] + sot + b"\xff\x93" + kept + b"\xff\xd9").planes
    assert (decoded[0] == 128).all()
    np.testing.assert_array_equal(decoded[1], planes[1])
    assert sum(index.layer_bytes(header.layers)) == len(data)


def test_without_packet_lengths_the_packet_headers_say_what_to_trim() -> None:
    options = EncodeOptions(layer_bytes=(300, 900, None), packet_lengths=False, precincts=((64, 64),))
    codestream = encode_codestream([picture(100, 90)], 8, options)
    for layers in (1, 2, 3):
        trimmed = trim_codestream(codestream, max_layers=layers)
        assert same_planes(codestream, trimmed, max_layers=layers)
        assert layer_sizes(trimmed)[-1] == len(trimmed) == layer_sizes(codestream)[layers - 1]
    start = codestream.index(b"\xff\x93") + 2
    with pytest.raises(FormatError, match="packets are whole"):
        trim_codestream(codestream[:start] + b"\xff" * 40 + codestream[start + 40 :], max_layers=1)


def test_a_cut_file_is_refused_but_its_whole_layers_can_be_saved() -> None:
    codestream = layered()
    sizes = layer_sizes(codestream)
    seen = set()
    for cut in range(sizes[0] + 150, len(codestream), 137):
        with pytest.raises(FormatError, match="cut short"):
            decode_codestream(codestream[:cut])
        saved = salvage(codestream[:cut])
        seen.add(saved.layers)
        assert saved.of_layers == 4
        assert saved.codestream == trim_codestream(codestream, max_layers=saved.layers)
    assert seen == {1, 2, 3}
    assert salvage(codestream).codestream == codestream


def test_a_cut_file_in_resolution_order_keeps_its_coarse_resolutions() -> None:
    codestream = layered("RPCL", ((64, 64),))
    saved = salvage(codestream[: len(codestream) * 2 // 3])
    assert saved.layers == 0
    whole, part = (decode_codestream(data, reduce=2).planes[0] for data in (codestream, saved.codestream))
    np.testing.assert_array_equal(whole, part)
    assert decode_codestream(saved.codestream).planes[0].shape == (123, 201)


@pytest.mark.parametrize("components", [1, 2, 3, 4])
def test_jp2_round_trip(components: int) -> None:
    codestream = encode_codestream([picture(20, 30, 12)] * components, 12, EncodeOptions())
    uuids = (Uuid(bytes(range(16)), b"first"), Uuid(b"\xff" * 16, b""))
    alpha = components - 1 if components in (2, 4) else None
    data = write_jp2(codestream, colour=GREY if components < 3 else 16, alpha=alpha, uuids=uuids)
    parsed = read_jp2(data)
    assert is_jp2(data)
    assert (parsed.width, parsed.height, parsed.components) == (30, 20, components)
    assert (parsed.colour, parsed.icc, parsed.alpha) == (GREY if components < 3 else 16, None, alpha)
    assert parsed.uuids == uuids
    assert parsed.codestream == codestream
    assert parsed.complete
    assert replace_codestream(data, codestream) == data
    assert read_jp2(replace_codestream(data, codestream, [Uuid(b"n" * 16, b"new")])).uuids == (Uuid(b"n" * 16, b"new"),)


def test_an_icc_profile_is_kept() -> None:
    data = write_jp2(encode_codestream([picture(9, 9)] * 3, 8), icc=b"profile" * 100)
    assert read_jp2(data).icc == b"profile" * 100


def test_pillow_sees_the_opacity_channel() -> None:
    planes = [picture(20, 30, 8, seed) for seed in range(4)]
    data = write_jp2(encode_codestream(planes, 8, EncodeOptions(reversible=True)), alpha=3)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image), np.stack(planes, -1))


def test_our_reader_takes_files_of_pillow() -> None:
    pixels = np.stack([picture(70, 90, 8, seed) for seed in range(3)], -1).astype(np.uint8)
    for options in ({}, {"tile_size": (32, 32)}, {"irreversible": False, "quality_layers": [20, 5, 0]}):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG2000", **options)
        decoded = decode_codestream(read_jp2(buffer.getvalue()).codestream)
        np.testing.assert_array_equal(np.stack(decoded.planes, -1), pixels)


def test_a_codestream_cut_inside_the_file_is_marked_incomplete() -> None:
    data = write_jp2(layered())
    with pytest.raises(FormatError, match="cut short"):
        read_jp2(data[:-500])
    parsed = read_jp2(data[:-500], partial=True)
    assert not parsed.complete
    assert salvage(parsed.codestream).layers == 3


def corrupted(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


def test_wrong_boxes_are_format_errors() -> None:
    data = write_jp2(encode_codestream([picture(20, 30)], 8), colour=GREY)
    ihdr = struct.pack(">II", 20, 30)
    wrong = {
        "signature": b"x" + data[1:],
        "file type": corrupted(data, b"ftypjp2 \x00\x00\x00\x00jp2 ", b"ftypavif\x00\x00\x00\x00avif"),
        "the codestream 30x20": corrupted(data, b"ihdr" + ihdr, b"ihdr" + struct.pack(">II", 20, 31)),
        "compression 9": corrupted(data, ihdr + b"\x00\x01\x07\x07", ihdr + b"\x00\x01\x07\x09"),
        "no codestream box": data[: data.index(b"jp2c") - 4],
        "header boxes": corrupted(data, b"jp2h", b"jp2x"),
        "uuid box of 3": data[:32] + box(b"uuid", b"abc") + data[32:],
        "548 are left": data[:-3],
    }
    for message, damaged in wrong.items():
        with pytest.raises(FormatError, match=message) as caught:
            read_jp2(damaged)
        assert "\n" not in str(caught.value)


def test_wrong_main_headers_are_format_errors() -> None:
    codestream = encode_codestream([picture(20, 30)] * 3, 8, EncodeOptions(levels=2, colour_transform=True))
    header = parse_main_header(codestream)
    cod = next(s for s in header.segments if s.marker == COD).start

    def patched(position: int, value: bytes) -> bytes:
        return codestream[:position] + value + codestream[position + len(value) :]

    def inserted(marker: int) -> bytes:
        return codestream[: header.end] + struct.pack(">HHH", marker, 4, 0) + codestream[header.end :]

    wrong = {
        "no JPEG 2000 codestream": codestream[2:],
        "step": patched(40 + 2 + 1, b"\x00"),
        "Part 1": patched(cod + 9 + 1, b"\x09"),
        "order 7": patched(cod + 5, b"\x07"),
        "0 layers": patched(cod + 6, b"\x00\x00"),
        "quantiser steps": patched(cod + 9, b"\x09"),
        "empty": patched(8, b"\x00\x00\x00\x00"),
        "progression order changes": inserted(0xFF5F),
        "CAP segment": inserted(0xFF50),
        "does not belong": inserted(0xFF58),
        "expected once": inserted(COD),
        "past byte": codestream[: cod + 3],
        "no tile-part": codestream[: header.end] + b"\xff\x93",
    }
    for message, damaged in wrong.items():
        with pytest.raises(FormatError, match=message) as caught:
            parse_main_header(damaged)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_pixels": 599}, "max_pixels=599"),
        ({"max_side": 29}, "max_side=29"),
        ({"max_components": 2}, "max_components=2"),
        ({"max_layers": 1}, "max_layers=1"),
        ({"max_code_blocks": 5}, "max_code_blocks=5"),
        ({"max_boxes": 3}, "max_boxes=3"),
        ({"max_metadata_bytes": 60}, "max_metadata_bytes=60"),
    ],
)
def test_limits(limits: dict[str, int], message: str) -> None:
    data = write_jp2(encode_codestream([picture(20, 30)] * 3, 8, EncodeOptions(layer_bytes=(300, None))))
    assert read_jp2(data).width == 30
    with pytest.raises(LimitError, match=message):
        read_jp2(data, dataclasses.replace(Limits(), **limits))


def test_tiny_precincts_of_a_huge_image_are_refused_before_the_library() -> None:
    """One byte of COD could ask for a precinct per 2x2 samples; the library would allocate all of them."""
    codestream = bytearray(encode_codestream([picture(64, 64)], 8, EncodeOptions(precincts=((64, 64),))))
    struct.pack_into(">II", codestream, 8, 20000, 20000)
    struct.pack_into(">II", codestream, 24, 20000, 20000)
    parse_main_header(bytes(codestream))
    cod = next(s for s in parse_main_header(bytes(codestream)).segments if s.marker == COD)
    codestream[cod.stop - 6 : cod.stop] = b"\x11" * 6
    with pytest.raises(LimitError, match="max_code_blocks"):
        parse_main_header(bytes(codestream))
