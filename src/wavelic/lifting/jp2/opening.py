"""Opening and trimming JPEG 2000 files: parsed, checked against wavelic's box, not decoded.  Loads no torch.

Examples:
    >>> import numpy as np, wavelic
    >>> file = open_jp2(wavelic.encode(np.zeros((40, 60, 3), np.uint8), "lifting", layers=2))
    >>> file.codec, file.levels, len(file.layers), file.read(reduce=2).shape
    ('lifting', 5, 2, (10, 15, 3))
"""

from __future__ import annotations

from wavelic.codec.jp2_box import ALPHA_ID, BOX_ID, WavelicBox, find_payload, is_disguised, plain_box, unpack_box
from wavelic.container.crc import crc32c
from wavelic.errors import ChecksumError, FormatError, LimitError
from wavelic.jpeg2000 import (
    DEFAULT_LIMITS,
    GREY,
    SRGB,
    Jp2,
    Limits,
    is_jp2,
    is_jpeg2000,
    parse_main_header,
    read_jpeg2000,
    replace_codestream,
    salvage,
    trim_codestream,
)
from wavelic.jpeg2000.boxes import Box, find_codestream
from wavelic.jpeg2000.channels import Channels, channels_of
from wavelic.jpeg2000.header import CUT_SHORT, SOT
from wavelic.jpeg2000.partial import read_layout
from wavelic.lifting.jp2.codestream import LoadedCodestream, RangedCodestream
from wavelic.lifting.jp2.file import Jp2File
from wavelic.lifting.jp2.info import box_infos
from wavelic.remote import Source

_DAMAGED = "the file is damaged; fetch it again"


def open_jp2(source: bytes | Source, limits: Limits = DEFAULT_LIMITS, *, allow_partial: bool = False) -> Jp2File:
    """Open a JPEG 2000 file or a bare codestream, ours or plain: what becomes gray or RGB, with or without opacity.

    Args:
        source: its bytes, or where they are.  Of a source as little as possible is read; a file that cannot be read
            in parts (no packet lengths, several tiles, cut short) is read as a whole.
        limits: what is admitted.
        allow_partial: if the file is cut short or still arriving, take what is there: the whole layers, or, where the
            finest resolution comes last, the coarser ones (`Jp2File.best_reduce`).

    Raises:
        FormatError: the file is damaged, cut short or of another kind.
        UnsupportedError: it uses what wavelic does not read.
        ChecksumError: wavelic's box is there and its checksum does not match.
        LimitError: the file is above a limit.
        SourceError: its bytes cannot be had.
    """
    if isinstance(source, bytes):
        return _open_whole(source, limits, allow_partial)
    file = open_in_parts(source, limits)
    return _open_whole(source.read_all(), limits, allow_partial) if file is None else file


def open_in_parts(source: Source, limits: Limits = DEFAULT_LIMITS) -> Jp2File | None:
    """Open a JPEG 2000 file whose packets are fetched as requests need them; None if it cannot be read so.

    Args:
        source: where its bytes are.
        limits: what is admitted.

    Raises:
        LimitError: the file is above a limit.
        SourceError: its bytes cannot be had.
    """
    try:
        return _open_ranged(source, limits)
    except LimitError:
        raise
    except FormatError:
        return None


def open_head(head: bytes, size: int, limits: Limits = DEFAULT_LIMITS) -> Jp2File:
    """Describe a JPEG 2000 file by its first bytes, with all checks that these allow; it cannot be read.

    Args:
        head: bytes from the start of the file up to the end of the codestream's main header, or more.
        size: bytes of the whole file.
        limits: what is admitted.

    Raises:
        UnsupportedError: it is of a kind that is not decoded.
        FormatError: the file is damaged, cut short or of another kind, or ``head`` is too short.
        LimitError: the file is above a limit.
    """
    jp2 = read_jpeg2000(head, limits, partial=True)
    box, ours, picture = _described(jp2, None)
    stop = max((found.stop for found in jp2.boxes), default=size)
    if stop > size:
        raise FormatError(f"the file has {size} bytes, its boxes {stop}; {CUT_SHORT}")
    loaded = LoadedCodestream(jp2.header, size - jp2.offset, jp2.offset, limits, jp2.codestream)
    return Jp2File(box, ours, jp2, loaded, size, (), jp2.offset, False, 0, picture)


def trim_jp2(
    data: bytes,
    *,
    max_layers: int | None = None,
    max_bytes: int | None = None,
    bpp: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Drop the last layers of a JPEG 2000 file without decoding it; wavelic's box gets the new checksum.

    Args:
        data: the file.
        max_layers: at most so many layers stay.
        max_bytes: at most so many bytes of the file stay.
        bpp: at most so many bits per pixel of the file stay; in the place of ``max_bytes``.
        limits: what is admitted.

    Raises:
        UsageError: not even one layer is admitted, or nothing is asked for.
        FormatError: the file is of another kind, damaged, or has several tiles.
    """
    if not is_jpeg2000(data):
        raise FormatError("not a JPEG 2000 file, and only these have layers to drop; give a .jp2 file")
    file = _open_whole(data, limits, False)
    if bpp is not None:
        max_bytes = int(bpp * file.header.width * file.header.height / 8)
    budget = None if max_bytes is None else max_bytes - file.bytes_beside
    trimmed = trim_codestream(file.jp2.codestream, max_layers=max_layers, max_bytes=budget, limits=limits)
    if not is_jp2(data):
        return trimmed
    uuids = [file.box.pack(trimmed) if uuid.identifier == BOX_ID else uuid for uuid in file.jp2.uuids]
    return replace_codestream(data, trimmed, uuids)


def _open_whole(data: bytes, limits: Limits, allow_partial: bool) -> Jp2File:
    jp2 = read_jpeg2000(data, limits, partial=allow_partial)
    box, ours, picture = _described(jp2, jp2.codestream if jp2.complete else None)
    if not ours and jp2.complete:
        _refuse_disguised(data, jp2)
    stream, header, whole_layers, best = jp2.codestream, jp2.header, jp2.header.layers, 0
    if not jp2.complete:
        saved = salvage(stream, limits)
        stream, whole_layers, best = saved.codestream, saved.layers, saved.best_reduce
        header = parse_main_header(stream, limits)
    loaded = LoadedCodestream(header, len(stream), jp2.offset, limits, stream)
    infos = box_infos(data, jp2.boxes, len(data))
    beside = len(data) - len(jp2.codestream)
    return Jp2File(box, ours, jp2, loaded, len(data), infos, beside, jp2.complete, whole_layers, picture, best)


def _open_ranged(source: Source, limits: Limits) -> Jp2File:
    found = Box(b"jp2c", 0, source.size)
    if is_jp2(source.read(0, 12)):
        found = find_codestream(source.read, source.size, limits)
    start, stop = found.start, found.stop
    kept = min(source.kept, stop) - start
    layout = read_layout(lambda a, b: source.read(start + a, min(start + b, stop)), stop - start, limits, kept=kept)
    head = source.read(0, start) + layout.head + SOT.to_bytes(2, "big")
    jp2 = read_jpeg2000(head, limits, partial=True)
    box, ours, picture = _described(jp2, None)
    ranged = RangedCodestream(layout.header, stop - start, start, limits, layout, source)
    infos = box_infos(head, jp2.boxes, source.size)
    beside = source.size - (stop - start)
    return Jp2File(box, ours, jp2, ranged, source.size, infos, beside, True, layout.header.layers, picture)


def _refuse_disguised(data: bytes, jp2: Jp2) -> None:
    """Refuse a file one of whose boxes is wavelic's main box with a damaged identifier or type."""
    if any(is_disguised(data[found.start : found.stop], jp2.codestream) for found in jp2.boxes):
        raise FormatError(f"the identifier of wavelic's box is damaged; {_DAMAGED}")


def _described(jp2: Jp2, codestream: bytes | None) -> tuple[WavelicBox, bool, Channels | None]:
    """The box, made up where the file has none, whether it has one, and how components become a plain picture.

    codestream: all of it, to be compared with the box's checksum; None if it is not there.
    """
    uuid = next((uuid for uuid in jp2.uuids if uuid.identifier == BOX_ID), None)
    stated = None if uuid is None else unpack_box(uuid, codestream)
    reversible = jp2.header.styles[0].reversible
    if stated is None or stated.plain:
        channels = channels_of(jp2)
        made_up = plain_box(reversible, channels.bits)
        if stated is not None and (stated.base, stated.depth) != (made_up.base, made_up.depth):
            raise FormatError(f"wavelic's box says {stated.base}, the codestream {made_up.base}; {_DAMAGED}")
        return stated or made_up, stated is not None, channels
    _check_pseudo_image(jp2, stated)
    payload = find_payload(jp2.uuids, ALPHA_ID)
    if stated.alpha is not None and (payload is None or crc32c(payload) != stated.alpha):
        raise ChecksumError(f"the alpha box is missing or its checksum is not {stated.alpha:08x}; {_DAMAGED}")
    return stated, True, None


def _check_pseudo_image(jp2: Jp2, box: WavelicBox) -> None:
    """Raise FormatError unless the codestream is one that codec lifting writes."""
    header = jp2.header
    kinds = {(component.bits, component.signed, component.dx, component.dy) for component in header.components}
    styles = {(style.levels, style.reversible) for style in header.styles}
    alike = len(kinds) == len(styles) == 1 and len(header.components) in (1, 3)
    bits, signed, *steps = kinds.pop()
    base = "5/3" if header.styles[0].reversible else "9/7"
    plain = not signed and steps == [1, 1] and bits <= 16 and not header.grid.x0 and not header.grid.y0
    if not alike or not plain or box.base != base or jp2.colour not in (SRGB, GREY, None) or jp2.alpha is not None:
        raise FormatError(
            f"wavelic's box says {box.base}, the codestream {base} of {len(header.components)}"
            f" components of {bits} bits; {_DAMAGED}"
        )
