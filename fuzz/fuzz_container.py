"""Coverage-guided fuzzing of the `.wlic` parser with atheris (the extra `wavelic[fuzz]`).

    python fuzz/fuzz_container.py -max_total_time=60

Property: any bytes give a container that writes back to the same bytes, or a FormatError.  Inputs whose checksums are
wrong are also tried with right ones, or nothing behind a checksum would ever be reached.  New inputs that reach new
code go to a folder given on the command line, else to a temporary one; the committed corpus is only read.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["wavelic"]):
    from wavelic.container import HEADER_BYTES, crc32c, read_container, read_header, tile_spans, write_container
    from wavelic.errors import FormatError

CORPUS = Path(__file__).parent / "corpus" / "container"


def with_right_checksums(data: bytes) -> bytes:
    """`data` with the checksum of its header and of every chunk that is whole made right."""
    fixed = bytearray(data)
    end = int.from_bytes(data[10:12], "big")
    start = 0
    while start + 8 <= end - 4 <= len(data) - 4:
        fixed[end - 4 : end] = crc32c(fixed[start : end - 4]).to_bytes(4, "big")
        start, end = end, end + 12 + int.from_bytes(data[end + 4 : end + 8], "big")
    return bytes(fixed)


def check(data: bytes) -> None:
    """Raise for anything the property forbids."""
    try:
        read_header(data)
        tile_spans(data)
    except FormatError:
        pass
    try:
        container = read_container(data)
    except FormatError as error:
        if not str(error) or "\n" in str(error):
            raise AssertionError(f"not one line: {error}") from error
        return
    if write_container(container) != data:
        raise AssertionError("accepted a file that would be written differently")


def test_one_input(data: bytes) -> None:
    """The function libFuzzer calls."""
    check(data)
    if len(data) >= HEADER_BYTES:
        check(with_right_checksums(data))


if __name__ == "__main__":
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    found = [] if folders else [tempfile.mkdtemp(prefix="fuzz-container-")]
    atheris.Setup([sys.argv[0], *found, *sys.argv[1:], str(CORPUS)], test_one_input)
    atheris.Fuzz()
