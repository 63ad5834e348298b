"""What a JPEG 2000 reader is willing to spend on one file, and the estimate of what a decode will cost."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.errors import LimitError

#: libopenjp2 holds every decoded sample twice as int32: in the tile's wavelet buffer and in the output image.
BYTES_PER_SAMPLE = 8
#: Rough size of libopenjp2's bookkeeping for one code-block with its tag-tree nodes.
BYTES_PER_CODE_BLOCK = 256


@dataclass(frozen=True)
class Limits:
    """Upper bounds, all inclusive, compared with the headers before anything of that size is allocated.

    Sizes in bytes, sides in pixels.  max_memory_bytes bounds what one decode may need (`cost.decoding_memory`);
    a window or a reduced decode of a large image needs little.
    """

    max_pixels: int = 2**30
    max_side: int = 2**20 - 1
    max_components: int = 16
    max_tiles: int = 2**16
    max_layers: int = 1024
    max_code_blocks: int = 2**21
    max_boxes: int = 1024
    max_metadata_bytes: int = 2**26
    max_memory_bytes: int = 2**31


DEFAULT_LIMITS = Limits()


def admit(limit: str, what: str, amount: int, limits: Limits) -> None:
    """Raise LimitError unless ``amount`` is at most the field of ``limits`` named ``limit``."""
    allowed: int = getattr(limits, limit)
    if amount > allowed:
        raise LimitError(
            f"{what} is {amount}, above the limit {limit}={allowed}; raise that limit only if you trust the file"
        )
