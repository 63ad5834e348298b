"""numcodecs chunks of any layout in memory come back as they were, or are refused when they are written."""

from __future__ import annotations

import numpy as np
import pytest

from wavelic.errors import FormatError, ImageError

numcodecs = pytest.importorskip("numcodecs")


def codec() -> object:
    return numcodecs.get_codec({"id": "wavelic", "codec": "lifting", "quality": 100})


def ramp(*shape: int, depth: int) -> np.ndarray:
    """A smooth chunk of so many bits; depth 8 or 16."""
    plane = np.add.outer(np.arange(48), 2 * np.arange(64)) * (1 if depth == 8 else 300)
    plane = plane.astype(f"u{depth // 8}")
    return np.resize(plane, shape) if len(shape) < 3 else np.stack([plane] * shape[-1], -1).reshape(shape)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(48, 64), (1, 48, 64), (48, 64, 3), (1, 1, 48, 64), (48, 64, 1), (1, 48, 64, 4)])
@pytest.mark.parametrize("into", [False, True])
def test_every_byte_order_and_order_of_axes(dtype: str, order: str, shape: tuple[int, ...], into: bool) -> None:
    plane = ramp(48, 64, depth=8 * np.dtype(dtype).itemsize)
    chunk = np.ascontiguousarray(np.broadcast_to(plane[..., None], (48, 64, shape[-1] if shape[-1] <= 4 else 1)))
    chunk = np.asarray(chunk.reshape(shape), dtype, order=order)
    data = codec().encode(chunk)
    if into:
        result = np.empty(shape, dtype, order=order)
        codec().decode(data, out=result)
    else:  # as zarr and kerchunk take it: bytes in memory, seen as the array's type and order
        memory = codec().decode(data).tobytes(order="A")
        result = np.frombuffer(memory, dtype).reshape(shape, order=order)
    limit = 3 if dtype == "u1" else 700
    assert np.abs(result.astype(int) - chunk.astype(int)).max() <= limit


def test_a_usual_chunk_is_a_plain_file() -> None:
    import wavelic

    assert wavelic.decode(codec().encode(ramp(48, 64, depth=8))).shape == (48, 64, 1)


def test_a_chunk_with_gaps_is_refused_when_it_is_written() -> None:
    with pytest.raises(ImageError, match="ascontiguousarray"):
        codec().encode(ramp(48, 64, depth=8)[::2, ::2])


@pytest.mark.parametrize("layout", [b"", b"<", b"=C", b"<K", b">f"])
def test_a_damaged_layout_is_said(layout: bytes) -> None:
    data = codec().encode(ramp(48, 64, depth=16).astype(">u2"))
    with pytest.raises(FormatError):
        codec().decode(data[:8] + layout)
    with pytest.raises(FormatError):
        codec().decode(data[:8] + layout.ljust(2, b"?") + data[10:])


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_zarr_2_arrays(dtype: str, order: str) -> None:
    zarr = pytest.importorskip("zarr")
    chunk = ramp(48, 64, depth=8 * np.dtype(dtype).itemsize).astype(dtype)
    store: dict[str, object] = {}
    options = {"shape": chunk.shape, "chunks": chunk.shape, "dtype": dtype, "compressors": codec(), "order": order}
    array = zarr.create_array(store, zarr_format=2, **options)
    array[:] = chunk
    limit = 3 if dtype == "u1" else 700
    assert np.abs(zarr.open_array(store)[:].astype(int) - chunk.astype(int)).max() <= limit
