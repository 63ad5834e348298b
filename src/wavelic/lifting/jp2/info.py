"""What `wavelic info` says of a JPEG 2000 file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wavelic.codec.jp2_box import BOX_MEANINGS, NO_MODEL
from wavelic.errors import ModelError
from wavelic.jpeg2000.boxes import Box
from wavelic.lifting.cards import find_lifting
from wavelic.lifting.jp2.description import BoxInfo, Jp2Description

_MEANINGS = {
    b"jP  ": "signature",
    b"ftyp": "file type",
    b"jp2h": "image header, colour",
    b"jp2c": "codestream",
    b"uuid": "unknown, kept as it is",
    b"xml ": "XML",
}
_BOX_HEADER = 8


def box_infos(data: bytes, boxes: Sequence[Box], size: int) -> tuple[BoxInfo, ...]:
    """Describe the boxes of a file.

    Args:
        data: the file, or as much of it as lies in front of its codestream.
        boxes: found in it; none for a bare codestream.
        size: bytes of the file.
    """
    if not boxes:
        return (BoxInfo("codestream", size, "no boxes"),)
    infos = []
    for box in boxes:
        meaning = _MEANINGS.get(box.kind, "unknown, kept as it is")
        if box.kind == b"uuid":
            meaning = BOX_MEANINGS.get(bytes(data[box.start : box.start + 16]), meaning)
        infos.append(BoxInfo(box.kind.decode("latin-1"), min(box.stop, size) - box.start + _BOX_HEADER, meaning))
    return tuple(infos)


def jp2_info(file: Jp2Description) -> dict[str, Any]:
    """Collect the facts behind `wavelic info`: format, codec, model, geometry, layers, precincts, boxes."""
    header, box = file.header, file.box
    style = header.styles[0]
    height, width, channels = file.shape
    return {
        "format": "jp2" if file.jp2.boxes else "j2k",
        "codec": file.codec,
        "model": _model_name(box.model),
        "model_hash": "" if box.model == NO_MODEL else box.model.hex(),
        "width": width,
        "height": height,
        "channels": channels,
        "bit_depth": file.bit_depth,
        "stored_bits": header.components[0].bits,
        "wavelet": box.base,
        "levels": file.levels,
        "level_dimensions": [list(size) for size in file.level_dimensions],
        "progression": header.progression,
        "precincts": [list(size) for size in style.precincts],
        "code_block": list(style.code_block),
        "bytes": file.size,
        "bpp": round(file.size * 8 / (width * height), 5),
        "complete": file.complete,
        "whole_layers": file.whole_layers,
        "best_reduce": file.best_reduce,
        "layers": [
            {"layers": n + 1, "bytes": layer.bytes, "bpp": None if layer.bpp is None else round(layer.bpp, 5)}
            for n, layer in enumerate(file.layers)
        ],
        "reduced": [
            {"reduce": n, "bytes": size, "share": None if size is None else round(size / file.size, 5)}
            for n, size in enumerate(file.reduced_bytes[: file.levels + 1])
        ],
        "chunks": [{"kind": b.kind, "bytes": b.bytes, "meaning": b.meaning} for b in file.boxes],
    }


def _model_name(model: bytes) -> str:
    if model == NO_MODEL:
        return "none"
    try:
        return find_lifting(model).name
    except ModelError:
        return "not installed"
