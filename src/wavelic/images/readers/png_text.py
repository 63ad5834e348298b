"""Text in PNG files: tEXt, zTXt and iTXt, and the blocks that ImageMagick hides in it."""

from __future__ import annotations

import zlib

from wavelic.images.metadata import MAX_METADATA

TEXT_KINDS = (b"tEXt", b"zTXt", b"iTXt")


def text_of(kind: bytes, chunk: bytes) -> tuple[bytes, bytes | None]:
    """Return keyword and text of a chunk of one of `TEXT_KINDS`; the text is None if it does not inflate."""
    key, _, rest = chunk.partition(b"\0")
    if kind == b"zTXt":
        return key, inflated(rest[1:])
    if kind == b"iTXt":
        body = rest[2:].split(b"\0", 2)[-1]
        return key, inflated(body) if rest[:1] == b"\1" else body
    return key, rest


def raw_profile(texts: dict[bytes, bytes], kind: bytes) -> bytes | None:
    """Return a block that ImageMagick writes as text: its name and length, then hexadecimal digits; or None."""
    text = texts.get(b"Raw profile type " + kind)
    if text is None:
        return None
    words = text.split()
    try:
        block = bytes.fromhex(b"".join(words[2:]).decode("ascii"))
    except ValueError:
        return None
    if kind == b"APP1" and not block.startswith(b"Exif\0\0"):
        return None
    return block or None


def inflated(data: bytes) -> bytes | None:
    """Return what a zlib stream holds, or None if it is damaged or longer than `MAX_METADATA`."""
    inflate = zlib.decompressobj()
    try:
        block = inflate.decompress(data, MAX_METADATA)
    except zlib.error:
        return None
    return block if inflate.eof else None
