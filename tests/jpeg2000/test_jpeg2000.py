"""Encoding and decoding through libopenjp2: sizes, depths, layers, windows, the choice of library."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, psnr
from PIL import Image

from wavelic.errors import FormatError, LimitError, MissingDependencyError, UsageError
from wavelic.jpeg2000 import (
    EncodeOptions,
    Limits,
    binding,
    decode_codestream,
    encode_codestream,
    layer_sizes,
    openjpeg,
    parse_main_header,
    structs,
    write_jp2,
)
from wavelic.jpeg2000.stream import ReadStream, WriteStream


@pytest.mark.parametrize("components", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [1, 8, 12, 16])
def test_reversible_coding_is_lossless(components: int, bits: int) -> None:
    planes = [picture(37, 53, bits, seed) for seed in range(components)]
    options = EncodeOptions(reversible=True, colour_transform=components > 2)
    decoded = decode_codestream(encode_codestream(planes, bits, options))
    assert decoded.bits == (bits,) * components
    for found, given in zip(decoded.planes, planes, strict=True):
        np.testing.assert_array_equal(found, given)


def test_a_stream_is_gone_when_nobody_has_it() -> None:
    """Its bytes do not wait for the garbage collector, which counts objects and not bytes."""
    api = openjpeg().api
    gc.disable()
    try:
        for make in (lambda: ReadStream(api, b"bytes"), lambda: WriteStream(api)):
            stream = make()
            with stream:
                watched = weakref.ref(stream)
            del stream
            assert watched() is None
    finally:
        gc.enable()


def test_signed_samples() -> None:
    plane = picture(20, 30, 16) - 32768
    decoded = decode_codestream(encode_codestream([plane], 16, EncodeOptions(reversible=True), signed=True))
    assert decoded.signed == (True,)
    np.testing.assert_array_equal(decoded.planes[0], plane)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (5, 70), (33, 65)])
def test_any_size_has_any_number_of_levels(size: tuple[int, int]) -> None:
    plane = picture(*size)
    codestream = encode_codestream([plane] * 3, 8, EncodeOptions(reversible=True, colour_transform=True, levels=6))
    assert parse_main_header(codestream).levels == 6
    np.testing.assert_array_equal(decode_codestream(codestream).planes[2], plane)
    for reduce in range(7):
        shape = decode_codestream(codestream, reduce=reduce).planes[0].shape
        assert shape == tuple(-(-side // 2**reduce) for side in size)


def test_pillow_decodes_our_file_to_the_same_pixels() -> None:
    planes = [picture(61, 47, 8, seed) for seed in range(3)]
    codestream = encode_codestream(planes, 8, EncodeOptions(colour_transform=True, layer_bytes=(900, 3000)))
    with Image.open(io.BytesIO(write_jp2(codestream))) as image:
        pillow = np.asarray(image).astype(int)
    ours = np.stack(decode_codestream(codestream).planes, -1)
    assert abs(pillow - ours).max() <= 1  # two builds of the library round the float transform differently
    assert (pillow == ours).mean() > 0.99


def test_layers_by_bytes_keep_below_their_targets() -> None:
    planes = [picture(200, 300, 12, seed) for seed in range(3)]
    targets = (500, 2000, 60000)
    codestream = encode_codestream(planes, 12, EncodeOptions(colour_transform=True, layer_bytes=targets))
    sizes = layer_sizes(codestream)
    packet_lengths = 2 * 3 * 6 * len(targets)  # not part of the library's target
    for size, target in zip(sizes, targets, strict=True):
        assert 0.9 * target < size <= target + packet_lengths
    quality = [psnr(decode_codestream(codestream, max_layers=k).planes[0], planes[0], 4095) for k in (1, 2, 3)]
    assert quality[0] + 0.5 < quality[1] < quality[2] - 5


def test_layers_by_psnr_reach_their_targets() -> None:
    plane = picture(200, 300)
    codestream = encode_codestream([plane], 8, EncodeOptions(layer_psnr=(36, 42, 48)))
    found = [psnr(decode_codestream(codestream, max_layers=k).planes[0], plane, 255) for k in (1, 2, 3)]
    np.testing.assert_allclose(found, (36, 42, 48), atol=1.5)  # the library estimates


def test_the_last_layer_can_hold_everything() -> None:
    plane = picture(64, 64)
    options = EncodeOptions(reversible=True, layer_bytes=(400, None))
    np.testing.assert_array_equal(decode_codestream(encode_codestream([plane], 8, options)).planes[0], plane)


@pytest.mark.parametrize("reduce", [0, 1, 3])
@pytest.mark.parametrize("precincts", [(), ((64, 64),), ((64, 64), (32, 32))])
def test_a_window_is_the_crop_of_the_full_decode(reduce: int, precincts: tuple[tuple[int, int], ...]) -> None:
    options = EncodeOptions(reversible=True, layer_bytes=(2000, 9000), precincts=precincts, progression="RPCL")
    codestream = encode_codestream([picture(203, 301)], 8, options)
    full = decode_codestream(codestream, reduce=reduce).planes[0]
    for x, y, width, height in ((0, 0, 40, 50), (33, 47, 101, 99), (280, 190, 21, 13), (0, 100, 301, 8)):
        window = decode_codestream(codestream, reduce=reduce, area=(x, y, width, height)).planes[0]
        rows = slice(-(-y // 2**reduce), -(-(y + height) // 2**reduce))
        columns = slice(-(-x // 2**reduce), -(-(x + width) // 2**reduce))
        np.testing.assert_array_equal(window, full[rows, columns])


def test_threads_do_not_change_the_result() -> None:
    planes = [picture(300, 200, 8, seed) for seed in range(3)]
    alone = encode_codestream(planes, 8, EncodeOptions(colour_transform=True, layer_bytes=(5000,)))
    together = encode_codestream(planes, 8, EncodeOptions(colour_transform=True, layer_bytes=(5000,), threads=2))
    assert alone == together
    for a, b in zip(decode_codestream(alone).planes, decode_codestream(alone, threads=2).planes, strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_threads_run_while_one_decodes() -> None:
    codestream = encode_codestream([picture(1200, 1200)], 8, EncodeOptions(reversible=True))
    shares = []
    for _ in range(5):
        worker = threading.Thread(target=decode_codestream, args=(codestream,))
        begin = last = time.perf_counter()
        longest = 0.0
        worker.start()
        while worker.is_alive():
            time.sleep(0.001)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        shares.append(longest / (last - begin))
        if shares[-1] < 0.5:
            break
    assert min(shares) < 0.5, f"this thread stood still for {shares} of the decodes"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EncodeOptions(levels=40), "levels is 40"),
        (EncodeOptions(progression="XYZW"), "progression"),
        (EncodeOptions(colour_transform=True), "colour transform of 1"),
        (EncodeOptions(layer_bytes=(10,), layer_psnr=(30,)), "both given"),
        (EncodeOptions(layer_bytes=(500, 400)), "ascending"),
        (EncodeOptions(layer_bytes=(None, 400)), "only the last"),
        (EncodeOptions(precincts=((100, 128),)), "powers of two"),
        (EncodeOptions(precincts=(64, 64)), "one size is"),  # type: ignore[arg-type]
        (EncodeOptions(code_block=(3, 64)), "cblockw_init"),
        (EncodeOptions(threads=0), "threads is 0"),
    ],
)
def test_wrong_options_are_usage_errors(options: EncodeOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        encode_codestream([picture(16, 16)], 8, options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("planes", "bits", "message"),
    [
        ([], 8, "0 components"),
        ([np.zeros((4, 4), int)] * 5, 8, "5 components"),
        ([np.zeros((4, 4), int)], 17, "bits is 17"),
        ([np.full((4, 4), 256)], 8, "256..256"),
        ([np.zeros((4, 4))], 8, "float64"),
        ([np.zeros((4, 4), int), np.zeros((4, 5), int)], 8, r"\(4, 5\)"),
        ([np.zeros((0, 4), int)], 8, "not empty"),
    ],
)
def test_wrong_planes_are_usage_errors(planes: list[np.ndarray], bits: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        encode_codestream(planes, bits)


@pytest.mark.parametrize(
    "request_",
    [
        {"reduce": 6},
        {"reduce": -1},
        {"max_layers": 0},
        {"threads": 0},
        {"area": (10, 10, 30, 5)},
        {"area": (0, 0, 0, 4)},
    ],
)
def test_wrong_requests_are_usage_errors(request_: dict) -> None:
    codestream = encode_codestream([picture(32, 32)], 8)
    with pytest.raises(UsageError):
        decode_codestream(codestream, **request_)


def test_a_window_between_the_samples_is_refused() -> None:
    codestream = encode_codestream([picture(32, 32)], 8)
    with pytest.raises(UsageError, match="no sample at reduce=2"):
        decode_codestream(codestream, reduce=2, area=(1, 1, 3, 3))
    assert decode_codestream(codestream, reduce=2, area=(1, 1, 4, 4)).planes[0].shape == (1, 1)


def test_memory_is_bounded_before_decoding_but_windows_pass() -> None:
    codestream = encode_codestream([picture(512, 512)] * 3, 8)
    limits = Limits(max_memory_bytes=1_000_000)
    with pytest.raises(LimitError, match="max_memory_bytes"):
        decode_codestream(codestream, limits=limits)
    assert decode_codestream(codestream, limits=limits, area=(100, 100, 64, 64)).planes[0].shape == (64, 64)
    assert decode_codestream(codestream, limits=limits, reduce=2).planes[0].shape == (128, 128)


def test_an_error_message_of_the_library_is_our_error() -> None:
    codestream = bytearray(encode_codestream([picture(64, 64)], 8, EncodeOptions(packet_lengths=False)))
    start = codestream.index(b"\xff\x93") + 2
    codestream[start : start + 40] = b"\xff" * 40  # nonsense packet headers
    with pytest.raises(FormatError, match=r"^libopenjp2 failed to decode: .*; the file is damaged"):
        decode_codestream(bytes(codestream))


def libraries() -> list[str]:
    usable = []
    for path, _ in binding.candidates():
        try:
            usable.append(binding.load(path).path)
        except Exception:
            continue
    return usable


def test_every_library_found_passes_the_self_check_and_one_is_loaded() -> None:
    assert openjpeg().version >= (2, 5)
    assert openjpeg().path in libraries()
    origins = dict(binding.candidates())
    assert str(openjpeg()) == f"{'.'.join(map(str, openjpeg().version))} ({origins[openjpeg().path]})"


def test_pillows_copy_is_found_and_usable_on_linux() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("Pillow's Linux wheels only")
    copies = binding.pillow_copies()
    if not copies:
        pytest.skip("this Pillow was not installed from a wheel")
    assert binding.load(str(copies[0])).version >= (2, 5)


def test_a_different_structure_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer(structs.CompressionParameters):
        _fields_ = (("more", structs.c_int * 2),)

    monkeypatch.setattr(binding, "CompressionParameters", Longer)
    with pytest.raises(Exception, match="Longer has 18720 bytes, expected 18728"):
        binding.load(openjpeg().path)


def test_without_a_library_the_error_names_the_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nothing = tmp_path / "libopenjp2.so"
    nothing.write_bytes(b"not a library")
    monkeypatch.setenv(binding.ENVIRONMENT, str(nothing))
    binding.openjpeg.cache_clear()
    try:
        with pytest.raises(MissingDependencyError, match=r"apt-get install libopenjp2-7") as caught:
            openjpeg()
        assert "\n" not in str(caught.value)
        monkeypatch.setenv(binding.ENVIRONMENT, "libm.so.6")
        with pytest.raises(MissingDependencyError, match="function opj_version is missing"):
            openjpeg()
    finally:
        binding.openjpeg.cache_clear()


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, wavelic.jpeg2000; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
