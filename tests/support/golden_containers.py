"""Containers whose exact bytes are promised: what they hold, and the bytes in hexadecimal."""

from __future__ import annotations

from wavelic.container import (
    ALPH,
    DATA,
    EXIF,
    LCRC,
    Chunk,
    CodecId,
    ColourEncoding,
    Container,
    Header,
    PaddingRule,
)

SMALL = Container(
    Header(codec=CodecId.WCAE, channels=3, width=768, height=512, model=bytes(range(16)), quality=2, gain=-3,
           padding=PaddingRule.ZERO),
    (Chunk(DATA, b"latents"), Chunk(LCRC, b"\xde\xad\xbe\xef")),
)  # fmt: skip

TILED = Container(
    Header(codec=CodecId.WECONVENE, channels=4, width=100, height=40, model=b"\xff" * 16, bit_depth=16,
           colour=ColourEncoding.YCBCR_709, padding=PaddingRule.REFLECT, tile_width=64, tile_height=64, tile_overlap=8),
    (Chunk(DATA, b"left"), Chunk(DATA, b"right"), Chunk(ALPH, b"\0\xff\xff"),
     Chunk(EXIF, b"II*\0"), Chunk(b"note", b"")),
)  # fmt: skip

GOLDEN = {
    "small": (
        SMALL,
        "89574c 49430d0a 1a010000 34000001 03030002 00080001 00000000 000002ff fd000102 03040506"
        "0708090a 0b0c0d0e 0f565ca8 09444154 41000000 076c6174 656e7473 28abadb6 6c637263 00000004"
        "deadbeef 0439ddac 57454e44 00000000 8f3c9b35",
    ),
    "tiled": (
        TILED,
        "89574c49 430d0a1a 01000034 00000204 00640028 10020308 00400040 00000000 ffffffff ffffffff"
        "ffffffff ffffffff 1205694c 54494458 00000008 00000004 00000005 f1bfe990 44415441 00000004"
        "6c656674 8bbb55cf 44415441 00000005 72696768 748804c2 cb414c50 48000000 0300ffff 86f87226"
        "65786966 00000004 49492a00 e9c12d4b 6e6f7465 00000000 73f6ed0f 57454e44 00000000 8f3c9b35",
    ),
}
