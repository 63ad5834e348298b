"""The blocked plane transform: strips, parts of planes, threads and memory change no bit of the result."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from wavelet_signals import FLOAT_KINDS, arrays, noise

from wavelic import threads as threads_module
from wavelic.wavelets import dwt1, dwt2, idwt2
from wavelic.wavelets import memory as memory_module
from wavelic.wavelets import parts as parts_module
from wavelic.wavelets import plane as plane_module
from wavelic.wavelets import quad as quad_module


@pytest.mark.parametrize(("wavelet", "normalization"), FLOAT_KINDS)
@pytest.mark.parametrize("size", [(8, 12), (9, 7), (1, 6), (5, 1), (2, 3), (33, 64)])
def test_the_blocked_plane_transform_is_the_1d_transform_twice(
    wavelet: str, normalization: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_module, "STRIP_ELEMENTS", 1)  # strips of two rows, one plane at a time
    monkeypatch.setattr(quad_module, "MOST_ELEMENTS", 0)
    for start in ((0, 0), (1, 0), (0, 1), (3, 5)):
        x = noise(3, *size)
        rows = dwt1(x, wavelet, 1, normalization, axis=-2, start=start[0])
        low = dwt1(rows.low, wavelet, 1, normalization, start=start[1])
        high = dwt1(rows.highs[0], wavelet, 1, normalization, start=start[1])
        bands = arrays(dwt2(x, wavelet, 1, normalization, start=start))
        for band, expected in zip(bands, (low.low, high.low, low.highs[0], high.highs[0]), strict=True):
            assert band.shape == expected.shape
            assert torch.allclose(band, expected, rtol=0, atol=1e-12)
        assert torch.allclose(idwt2(dwt2(x, wavelet, 1, normalization, start=start)), x, rtol=0, atol=1e-12)


def test_strips_and_threads_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(3, 90, 130, dtype=torch.float32)
    whole = dwt2(x, "9/7", 3)
    back = idwt2(whole)
    monkeypatch.setattr(plane_module, "STRIP_ELEMENTS", 700)
    monkeypatch.setattr(threads_module, "SERIAL_ELEMENTS", 1)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        strips = dwt2(x, "9/7", 3)
        assert all(torch.equal(a, b) for a, b in zip(arrays(whole), arrays(strips), strict=True))
        assert torch.equal(idwt2(strips), back)
        assert torch.get_num_threads() == 2
        with torch.inference_mode():
            assert torch.equal(idwt2(dwt2(x, "9/7", 3)), back)
        leaf = x.clone().requires_grad_()
        idwt2(dwt2(leaf, "9/7", 3)).square().sum().backward()
        assert torch.allclose(leaf.grad, 2 * x, atol=1e-4)
    finally:
        torch.set_num_threads(threads)


def test_every_thread_works_alone() -> None:
    """One of torch's threads for each: two for each of two would wait for each other."""
    threads = torch.get_num_threads()
    seen: list[tuple[int, str]] = []

    def task(number: int) -> None:
        x = torch.ones(1 << 20).exp()  # as much as torch would split
        seen.append((torch.get_num_threads(), threading.current_thread().name))
        assert float(x[0]) > 2

    try:
        torch.set_num_threads(2)
        threads_module.map_on_threads(task, range(8), 1 << 20)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert [count for count, _ in seen] == [1] * 8
    assert threading.current_thread().name not in {name for _, name in seen}


@pytest.mark.parametrize(("wavelet", "normalization"), FLOAT_KINDS)
@pytest.mark.parametrize("shape", [(6, 10), (2, 3, 8, 2), (1, 6, 4, 12)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels_last", [False, True])
def test_bands_in_one_tensor_do_not_change_a_bit(
    wavelet: str,
    normalization: str,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    channels_last: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Small even planes go another way than others: same bands, same layout, same signal."""
    order = torch.channels_last if channels_last and len(shape) == 4 else torch.contiguous_format
    x = noise(*shape, dtype=dtype).contiguous(memory_format=order)
    results = []
    for most in (1 << 20, 0):
        monkeypatch.setattr(quad_module, "MOST_ELEMENTS", most)
        for start in ((0, 0), (2, 4)):
            assert quad_module.suits(x, start) == bool(most)
            coefficients = dwt2(x, wavelet, 1, normalization, start=start)
            results += [*arrays(coefficients), idwt2(coefficients)]
    for a, b in zip(results[: len(results) // 2], results[len(results) // 2 :], strict=True):
        assert torch.equal(a, b)
        assert a.is_contiguous(memory_format=order)


@pytest.mark.parametrize(("wavelet", "normalization"), FLOAT_KINDS)
@pytest.mark.parametrize("size", [(61, 9), (34, 10)])
@pytest.mark.parametrize("start", [(0, 0), (3, 1)])
@pytest.mark.parametrize("threads", [2, 3])
def test_parts_of_planes_do_not_change_a_bit(
    wavelet: str,
    normalization: str,
    size: tuple[int, int],
    start: tuple[int, int],
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = noise(4, 5, *size, dtype=torch.float32)[:, :1].expand(4, 1, *size)
    for images in (x[0, 0], x.contiguous(), noise(1, 3, *size).contiguous(memory_format=torch.channels_last)):
        whole = dwt2(images, wavelet, 2, normalization, start=start)
        back = idwt2(whole)
        with monkeypatch.context() as patched:
            patched.setattr(plane_module, "STRIP_ELEMENTS", 40)
            patched.setattr(plane_module, "thread_count", lambda elements: threads)
            patched.setattr(parts_module, "LEAST_ROWS", 2)
            cut = dwt2(images, wavelet, 2, normalization, start=start)
            assert all(torch.equal(a, b) for a, b in zip(arrays(whole), arrays(cut), strict=True))
            assert torch.equal(idwt2(cut), back)


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 6, 16])
def test_parts_cover_every_row_once_and_share_the_work(threads: int) -> None:
    for planes in range(1, 14):
        for rows, group in ((1, 1), (70, 1), (1000, 1), (500, 3)):
            parts = parts_module.share(planes, rows, group, threads, margin=4)
            covered = np.zeros((planes, rows), dtype=int)
            work = []
            for part in parts:
                covered[part.planes, part.begin : part.end] += 1
                assert part.first == max(0, part.begin - 4)
                assert part.last == min(rows, part.end + 4)
                work.append(covered[part.planes].shape[0] * (part.end - part.begin))
            assert (covered == 1).all()
            if rows == 1000 and planes % group == 0 and threads <= 6:
                turns = [sum(work[thread::threads]) for thread in range(threads)]
                assert max(turns) - min(turns) <= len(parts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_large_planes_are_like_any_other_tensor(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "LARGE_BYTES", 1)
    for like in (
        noise(2, 3, 4, 5, dtype=dtype),
        noise(2, 3, 4, 5, dtype=dtype).contiguous(memory_format=torch.channels_last),
    ):
        plane = memory_module.empty_plane(like, (6, 7))
        assert (plane.shape, plane.dtype) == ((2, 3, 6, 7), dtype)
        assert plane.is_contiguous(memory_format=torch.channels_last) == memory_module.is_channels_last(like)
        assert plane.data_ptr() % 64 == 0
        assert memory_module.empty_plane(like, (0, 7)).numel() == 0
    x = noise(1, 3, 12, 14, dtype=dtype).requires_grad_()
    with torch.inference_mode():
        expected = dwt2(x, "9/7", 2)
        assert (idwt2(expected) - x).abs().max() < 0.1
    idwt2(dwt2(x, "haar", 2)).sum().backward()
    assert torch.allclose(x.grad, torch.ones_like(x), atol=0.05)
