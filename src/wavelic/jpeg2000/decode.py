"""Decoding JPEG 2000 codestreams with libopenjp2, after `codestream` and `tileparts` have checked them.

The library runs in strict mode on a canonical codestream (see `tileparts`), and any message of error level is an
error, even where the library itself goes on.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import FormatError, UsageError, WavelicError
from wavelic.jpeg2000 import structs
from wavelic.jpeg2000.binding import CODESTREAM_FORMAT, openjpeg
from wavelic.jpeg2000.codestream import MainHeader, ceil_div, parse_main_header
from wavelic.jpeg2000.cost import decoding_memory
from wavelic.jpeg2000.limits import DEFAULT_LIMITS, Limits, admit
from wavelic.jpeg2000.messages import MessageLog
from wavelic.jpeg2000.stream import ReadStream
from wavelic.jpeg2000.tileparts import canonical, tile_parts

_REMEDY = "the file is damaged; fetch it again"


@dataclass(frozen=True)
class Decoded:
    """Decoded components.

    planes: int32 arrays (height, width), one per component, in 0..2**bits - 1 or, if signed, -2**(bits-1)..2**(bits-1)
    - 1.  bits, signed: one per component.  warnings: what the library remarked without failing.
    """

    planes: tuple[NDArray[np.int32], ...]
    bits: tuple[int, ...]
    signed: tuple[bool, ...]
    warnings: tuple[str, ...]


def decode_codestream(
    codestream: bytes,
    *,
    reduce: int = 0,
    max_layers: int | None = None,
    area: tuple[int, int, int, int] | None = None,
    threads: int = 1,
    limits: Limits = DEFAULT_LIMITS,
    header: MainHeader | None = None,
) -> Decoded:
    """Decode a codestream, or the part of it that is asked for.

    Args:
        codestream: all of it.
        reduce: how many of the finest resolutions to leave out: each halves width and height, rounding up.
        max_layers: quality layers to decode at most; None for all.
        area: (x, y, width, height) in pixels of the full image; None for all.  With ``reduce`` the result holds the
            samples whose coordinates c at the reduced resolution satisfy
            ceil(x / 2**reduce) <= c < ceil((x + width) / 2**reduce).
        threads: threads the library may use.  The GIL is released meanwhile.
        limits: what is admitted.
        header: the codestream's main header, if it has been parsed; None: it is parsed here.

    Raises:
        FormatError: the codestream is damaged, cut short or not admitted.
        LimitError: it is too large.
        UsageError: ``reduce``, ``max_layers``, ``area`` or ``threads`` is out of range for this image.
    """
    header = parse_main_header(codestream, limits) if header is None else header
    _check_request(header, reduce, max_layers, area, threads)
    if header.high_throughput and area is not None:  # of which library versions up to 2.5.4 give windows wrongly
        whole = decode_codestream(
            codestream, reduce=reduce, max_layers=max_layers, threads=threads, limits=limits, header=header
        )
        return replace(whole, planes=_cropped(whole.planes, header, reduce, area))
    admit("max_memory_bytes", "the memory needed", decoding_memory(header, reduce, area), limits)
    api = openjpeg().api
    data = canonical(codestream, header, tile_parts(codestream, header), limits)
    codec = api.opj_create_decompress(CODESTREAM_FORMAT)
    image = ctypes.POINTER(structs.Image)()
    try:
        log = MessageLog(api, codec)
        memory = (ctypes.c_ubyte * (ctypes.sizeof(structs.DecompressionParameters) + structs.RESERVE))()
        api.opj_set_default_decoder_parameters(ctypes.addressof(memory))
        parameters = structs.DecompressionParameters.from_buffer(memory)
        parameters.cp_reduce, parameters.cp_layer = reduce, max_layers or 0
        ready = (
            api.opj_setup_decoder(codec, ctypes.addressof(memory))
            and api.opj_decoder_set_strict_mode(codec, 1)
            and (threads == 1 or api.opj_codec_set_threads(codec, threads))
        )
        log.check(ready, "set up the decoder", WavelicError, "use threads=1")
        with ReadStream(api, data) as stream:
            read = api.opj_read_header(stream.handle, codec, ctypes.byref(image))
            log.check(read, "read the header", FormatError, _REMEDY)
            if area is not None:
                x, y = header.grid.x0 + area[0], header.grid.y0 + area[1]
                areas = api.opj_set_decode_area(codec, image, x, y, x + area[2], y + area[3])
                log.check(areas, "set the area", FormatError, _REMEDY)
            decoded = api.opj_decode(codec, stream.handle, image)
            log.check(decoded, "decode", FormatError, _REMEDY)
            log.check(api.opj_end_decompress(codec, stream.handle), "finish decoding", FormatError, _REMEDY)
        return _copy(image.contents, header, tuple(log.warnings))
    finally:
        if image:
            api.opj_image_destroy(image)
        api.opj_destroy_codec(codec)


def _check_request(
    header: MainHeader, reduce: int, max_layers: int | None, area: tuple[int, int, int, int] | None, threads: int
) -> None:
    if not 0 <= reduce <= header.levels:
        raise UsageError(f"reduce is {reduce}, expected 0..{header.levels}, the image's wavelet levels; lower it")
    if max_layers is not None and max_layers < 1:
        raise UsageError(f"max_layers is {max_layers}, expected at least 1; the image has {header.layers}")
    if threads < 1:
        raise UsageError(f"threads is {threads}, expected at least 1; 1 means no extra thread")
    if area is not None:
        _check_area(header, reduce, area)


def _check_area(header: MainHeader, reduce: int, area: tuple[int, int, int, int]) -> None:
    x, y, width, height = area
    inside = x >= 0 and y >= 0 and x + width <= header.width and y + height <= header.height
    if width < 1 or height < 1 or not inside:
        raise UsageError(
            f"area x={x} y={y} {width}x{height} does not lie in the image of {header.width}x{header.height}; "
            "ask for a part of it"
        )
    for component in header.components:
        for start, length, step in (
            (header.grid.x0 + x, width, component.dx),
            (header.grid.y0 + y, height, component.dy),
        ):
            distance = step << reduce
            if ceil_div(start, distance) == ceil_div(start + length, distance):
                raise UsageError(f"area {area} holds no sample at reduce={reduce}; widen it to {distance} pixels")


def _cropped(
    planes: tuple[NDArray[np.int32], ...], header: MainHeader, reduce: int, area: tuple[int, int, int, int]
) -> tuple[NDArray[np.int32], ...]:
    """The samples of an area, of planes that hold all of the image."""
    grid, cropped = header.grid, []
    for plane, component in zip(planes, header.components, strict=True):
        edges = []
        for origin, start, size, step in (
            (grid.y0, area[1], area[3], component.dy),
            (grid.x0, area[0], area[2], component.dx),
        ):
            first = ceil_div(ceil_div(origin, step), 1 << reduce)
            ends = (ceil_div(ceil_div(origin + edge, step), 1 << reduce) - first for edge in (start, start + size))
            edges.append(slice(*ends))
        cropped.append(plane[edges[0], edges[1]])
    return tuple(cropped)


def _copy(image: structs.Image, header: MainHeader, warnings: tuple[str, ...]) -> Decoded:
    planes, bits, signed = [], [], []
    if image.numcomps != len(header.components):
        raise FormatError(f"{image.numcomps} components were decoded, expected {len(header.components)}; {_REMEDY}")
    for index in range(image.numcomps):
        component = image.comps[index]
        shape = (component.h, component.w)
        if not component.data:
            raise FormatError(f"component {index} was not decoded; {_REMEDY}")
        if 0 in shape:
            planes.append(np.zeros(shape, np.int32))
        else:
            planes.append(np.ctypeslib.as_array(component.data, shape).copy())
        bits.append(int(component.prec))
        signed.append(bool(component.sgnd))
    return Decoded(tuple(planes), tuple(bits), tuple(signed), warnings)
