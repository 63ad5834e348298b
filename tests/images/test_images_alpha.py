"""Alpha planes: lossless, a few bytes when constant, and safe from hostile payloads."""

from __future__ import annotations

import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wavelic.errors import FormatError, LimitError, UsageError
from wavelic.images import decode_alpha, encode_alpha
from wavelic.images.writers.png import write_png


@given(st.sampled_from([8, 16]).flatmap(
    lambda depth: hnp.arrays(f"uint{depth}", hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))))  # fmt: skip
def test_any_plane_comes_back(alpha: np.ndarray) -> None:
    depth = 8 * alpha.itemsize
    result = decode_alpha(encode_alpha(alpha, depth), alpha.shape[1], alpha.shape[0], depth)
    assert result.dtype == alpha.dtype
    np.testing.assert_array_equal(result, alpha)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_constant_plane_takes_a_few_bytes(depth: int) -> None:
    alpha = np.full((300, 200), 2**depth - 1, f"uint{depth}")
    payload = encode_alpha(alpha, depth)
    assert len(payload) == 1 + depth // 8
    np.testing.assert_array_equal(decode_alpha(payload, 200, 300, depth), alpha)


def test_a_mask_is_small() -> None:
    y, x = np.mgrid[:400, :400]
    alpha = np.where((x - 200) ** 2 + (y - 200) ** 2 < 150**2, 255, 0).astype(np.uint8)
    assert len(encode_alpha(alpha, 8)) < 1500


def test_planes_that_do_not_fit_their_depth_are_refused() -> None:
    for alpha, depth in ((np.zeros((2, 2), np.uint8), 16), (np.zeros((2, 2, 1), np.uint8), 8), (np.zeros((2, 2)), 8)):
        with pytest.raises(UsageError):
            encode_alpha(alpha, depth)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes) -> bytes:
    return b"\1\x89PNG\r\n\x1a\n" + b"".join(chunks)


HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 30, 8, 0, 0, 0, 0))
ROWS = chunk(b"IDAT", zlib.compress(bytes(41 * 30)))
END = chunk(b"IEND", b"")


def test_the_hand_made_png_is_right() -> None:
    assert not decode_alpha(png(HEADER, ROWS, END), 40, 30, 8).any()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\0\1\2",
        b"\1",
        b"\2\0",
        png(HEADER, END),
        png(HEADER, ROWS),
        png(ROWS, HEADER, END),
        png(HEADER, ROWS, END) + b"x",
        png(HEADER, ROWS, END, END),
        png(HEADER, HEADER, ROWS, END),
        png(HEADER, chunk(b"tEXt", b"a\0b"), ROWS, END),
        png(HEADER, chunk(b"acTL", bytes(8)), ROWS, END),
        png(HEADER, ROWS[:-1] + b"\0", END),
        png(HEADER, chunk(b"IDAT", zlib.compress(bytes(41 * 29))), END),
        png(HEADER, chunk(b"IDAT", zlib.compress(bytes(41 * 30 + 1))), END),
        png(HEADER, chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9)), END),
        png(HEADER, chunk(b"IDAT", zlib.compress(bytes(41 * 30)) + b"x"), END),
        png(HEADER, chunk(b"IDAT", zlib.compress(b"\5" * (41 * 30))), END),  # no such filter
        png(HEADER, chunk(b"IDAT", b"not deflate"), END),
        png(chunk(b"IHDR", struct.pack(">IIBBBBB", 65535, 65535, 8, 0, 0, 0, 0)), ROWS, END),
        b"\1" + write_png(np.ones((30, 40, 3), np.uint8)),
        b"\1" + write_png(np.ones((30, 40, 1), np.uint16)),
        b"\1" + write_png(np.ones((40, 30, 1), np.uint8)),
    ],
)
def test_payloads_that_are_not_the_plane_are_refused(payload: bytes) -> None:
    with pytest.raises(FormatError):
        decode_alpha(payload, 40, 30, 8)


def test_mutations_give_a_plane_or_a_format_error() -> None:
    generator = random.Random(0)
    plane = np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8)
    payload = encode_alpha(plane, 8)
    refused = 0
    for _ in range(500):
        damaged = bytearray(payload)
        damaged[generator.randrange(len(damaged))] ^= generator.randint(1, 255)
        try:
            assert decode_alpha(bytes(damaged), 40, 30, 8).shape == (30, 40)
        except FormatError:
            refused += 1
    assert refused > 490  # PNG's checksums cover all but the method byte


def test_a_plane_above_the_limit_is_refused_before_it_is_made() -> None:
    with pytest.raises(LimitError):
        decode_alpha(b"\0\xff", 65535, 65535, 8)
    with pytest.raises(LimitError):
        decode_alpha(b"\0\xff", 10, 10, 8, max_pixels=99)
