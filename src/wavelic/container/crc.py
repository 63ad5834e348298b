"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of every header and chunk in a `.wlic` file.

The polynomial is 0x1EDC6F41, reflected, with initial value and final XOR 0xFFFFFFFF.  It detects every burst of up to
32 bits and every error of up to five bits in anything shorter than 655 bytes, and processors have an instruction for
it, which `google-crc32c` uses.
"""

from __future__ import annotations

import google_crc32c

_PIECE = 1 << 20


def crc32c(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """Compute the CRC-32C of bytes.

    Args:
        data: the bytes.
        value: CRC-32C of the bytes before them, to continue from.

    Returns:
        An integer in 0..2**32-1; ``crc32c(b"123456789") == 0xE3069283``.
    """
    view = memoryview(data).cast("B")
    for start in range(0, len(view), _PIECE):  # the C function wants bytes: copy a piece, not the file
        value = google_crc32c.extend(value, bytes(view[start : start + _PIECE]))
    return value
