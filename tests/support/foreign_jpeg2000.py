"""JPEG 2000 files of kinds that wavelic does not write, made of codestreams that libopenjp2 writes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from unittest import mock

import numpy as np
from pictures import picture

from wavelic.jpeg2000 import EncodeOptions, encode, encode_codestream, index_packets, parse_main_header, tile_parts
from wavelic.jpeg2000.boxes import SIGNATURE, box
from wavelic.jpeg2000.header import POC, PPM, PPT
from wavelic.jpeg2000.packets import PacketIndex

LOSSLESS = EncodeOptions(reversible=True)


def boxed(codestream: bytes, *header: bytes, colour: int | bytes = 16, brand: bytes = b"jp2 ") -> bytes:
    """A file around a codestream; ``colour``: enumerated, or the payload of a `colr` box; then boxes of the header."""
    main = parse_main_header(codestream)
    depths = {component.bits - 1 | component.signed << 7 for component in main.components}
    depth = depths.pop() if len(depths) == 1 else 255
    ihdr = box(b"ihdr", struct.pack(">IIHBBBB", main.height, main.width, len(main.components), depth, 7, 0, 0))
    colr = box(b"colr", colour if isinstance(colour, bytes) else struct.pack(">BBBI", 1, 0, 0, colour))
    ftyp = box(b"ftyp", brand + bytes(4) + brand)
    return SIGNATURE + ftyp + box(b"jp2h", ihdr + colr + b"".join(header)) + box(b"jp2c", codestream)


def cdef(*entries: tuple[int, int, int]) -> bytes:
    """A channel definition box of (channel, kind, association)."""
    return box(b"cdef", struct.pack(">H", len(entries)) + b"".join(struct.pack(">HHH", *entry) for entry in entries))


def off_origin(
    planes: Sequence[np.ndarray], origin: tuple[int, int], options: EncodeOptions = LOSSLESS, *, signed: bool = False
) -> bytes:
    """A codestream whose image area begins at ``origin`` (x, y) of the canvas."""
    x, y = origin
    create, tile = encode._create_image, encode._tile

    def create_moved(*arguments: object) -> object:
        image = create(*arguments)
        contents = image.contents
        contents.x0, contents.y0, contents.x1, contents.y1 = x, y, contents.x1 + x, contents.y1 + y
        for index in range(contents.numcomps):
            contents.comps[index].x0, contents.comps[index].y0 = x, y
        return image

    def larger(options: EncodeOptions, size: tuple[int, int]) -> tuple[int, int]:
        return options.tile or tile(options, (size[0] + y, size[1] + x))

    with mock.patch.object(encode, "_create_image", create_moved), mock.patch.object(encode, "_tile", larger):
        return encode_codestream(planes, 8, options, signed=signed)


def packets_of(codestream: bytes) -> tuple[PacketIndex, list[bytes]]:
    """Index and bytes of the packets."""
    header = parse_main_header(codestream)
    parts = tile_parts(codestream, header)
    index = index_packets(header, parts)
    data = b"".join(codestream[part.start : part.stop] for part in parts)
    spans = zip(index.start.tolist(), index.length.tolist(), strict=True)
    return index, [data[start : start + length] for start, length in spans]


def with_packets(codestream: bytes, packets: bytes, main: bytes = b"", tile: bytes = b"") -> bytes:
    """The codestream with other packets, and more segments in the main header and in that of its tile."""
    end = parse_main_header(codestream).end
    size = 12 + len(tile) + 2 + len(packets)
    sot = struct.pack(">HHHIBB", 0xFF90, 10, 0, size, 0, 1)
    return codestream[:end] + main + sot + tile + b"\xff\x93" + packets + b"\xff\xd9"


def reordered(codestream: bytes, where: str = "main") -> bytes:
    """Coarse resolutions layer by layer, then the others resolution by resolution, as a POC segment says."""
    header = parse_main_header(codestream)
    index, packets = packets_of(codestream)
    count, top = len(header.components), header.levels + 1
    coarse = [n for n in range(len(packets)) if index.resolution[n] < 2]
    fine = [n for n in range(len(packets)) if index.resolution[n] >= 2]
    coarse.sort(key=lambda n: (index.layer[n], index.resolution[n], index.component[n], index.precinct[n]))
    fine.sort(key=lambda n: (index.resolution[n], index.layer[n], index.component[n], index.precinct[n]))
    entries = struct.pack(">BBHBBB", 0, 0, header.layers, 2, count, 0)
    entries += struct.pack(">BBHBBB", 2, 0, header.layers, top, count, 1)
    segment = struct.pack(">HH", POC, 2 + len(entries)) + entries
    data = b"".join(packets[n] for n in coarse + fine)
    return with_packets(codestream, data, **{where: segment})


def packed(codestream: bytes, marker: int) -> bytes:
    """The headers of the packets apart from them, in PPT or PPM segments; of a codestream with EPH markers."""
    _, packets = packets_of(codestream)
    ends = [packet.index(b"\xff\x92") + 2 for packet in packets]
    heads = b"".join(packet[:end] for packet, end in zip(packets, ends, strict=True))
    bodies = b"".join(packet[end:] for packet, end in zip(packets, ends, strict=True))
    if marker == PPM:
        heads = struct.pack(">I", len(heads)) + heads
    middle = len(heads) // 2
    pieces = [
        struct.pack(">HHB", marker, 3 + len(part), number) + part
        for number, part in enumerate((heads[:middle], heads[middle:]))
    ]
    segments = b"".join(reversed(pieces))  # their index says the order, not their place
    return with_packets(codestream, bodies, **{"main" if marker == PPM else "tile": segments})


_OPTIONS = EncodeOptions(reversible=True, colour_transform=True, layer_bytes=(3000, None), eph=True, levels=3)


def _planes(seed: int = 0) -> list[np.ndarray]:
    return [picture(93, 71, 8, seed + number) for number in range(3)]


#: Codestreams of one picture, `reordered_picture`, that only order their packets or headers differently.
ARRANGED: dict[str, Callable[[], bytes]] = {
    "progression changes": lambda: reordered(encode_codestream(_planes(), 8, _OPTIONS)),
    "progression changes of a tile": lambda: reordered(encode_codestream(_planes(), 8, _OPTIONS), "tile"),
    "headers packed in the tile": lambda: packed(encode_codestream(_planes(), 8, _OPTIONS), PPT),
    "headers packed in front": lambda: packed(encode_codestream(_planes(), 8, _OPTIONS), PPM),
}


def arranged_picture() -> np.ndarray:
    """The picture (93, 71, 3) in all of `ARRANGED`."""
    return np.stack(_planes(), -1).astype(np.uint8)
