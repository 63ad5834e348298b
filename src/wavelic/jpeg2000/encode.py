"""Encoding integer components to a JPEG 2000 codestream with libopenjp2."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import c_char_p
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import UsageError, WavelicError
from wavelic.jpeg2000 import structs
from wavelic.jpeg2000.binding import CODESTREAM_FORMAT, openjpeg
from wavelic.jpeg2000.codestream import parse_main_header
from wavelic.jpeg2000.header import PROGRESSIONS, USES_EPH, USES_SOP
from wavelic.jpeg2000.interruptible import run_interruptibly
from wavelic.jpeg2000.messages import MessageLog
from wavelic.jpeg2000.stream import WriteStream
from wavelic.jpeg2000.tileparts import assemble, packet_lengths, tile_parts

MAX_COMPONENTS = 4
MAX_BITS = 16
_MAX_LEVELS = 12
_RGB, _GRAY, _UNSPECIFIED = 1, 2, 0
_TILE_BITS = int(2**32 * 8 / 1.4)  # the library counts the bytes of a tile, taken as 1.4 times its samples', in 32 bits
_IN_BACKGROUND = 1 << 22  # samples that take seconds
_REMEDY = "check the parameters"


@dataclass(frozen=True)
class EncodeOptions:
    """How to code an image.

    reversible: 5/3 integer wavelet and reversible colour transform, else 9/7 and ICT.
    colour_transform: apply RCT or ICT to the first three components.
    levels: wavelet levels, 0..12, whatever the size of the image: a band may be empty.
    layer_bytes: size of the codestream up to and including each quality layer, ascending; the last may be None for
        everything.  The rate control stays below each and does not count the packet lengths.
    layer_psnr: PSNR in dB of each layer instead, relative to the full range of the components, ascending; the last may
        be None for everything.
    code_block: (width, height), powers of two of 4..1024 with a product of at most 4096.
    precincts: (width, height), powers of two, of the resolutions, the finest first; those there are none for have the
        last one's.  Empty: one precinct per resolution.
    progression: "LRCP", "RLCP", "RPCL", "PCRL" or "CPRL".
    packet_lengths: write PLT segments, which trimming and packet selection need.
    tile: (width, height) of the tiles, at least 2^levels; None: one tile for all of the image.
    sop, eph: write markers in front of packets, or behind their headers, by which some decoders get past damage.
    threads: threads the library may use, at least 1.
    """

    reversible: bool = False
    colour_transform: bool = False
    levels: int = 5
    layer_bytes: Sequence[int | None] = ()
    layer_psnr: Sequence[float | None] = ()
    code_block: tuple[int, int] = (64, 64)
    precincts: Sequence[tuple[int, int]] = ()
    progression: str = "LRCP"
    packet_lengths: bool = True
    tile: tuple[int, int] | None = None
    sop: bool = False
    eph: bool = False
    threads: int = 1


def encode_codestream(
    components: Sequence[NDArray[np.integer]],
    bits: int,
    options: EncodeOptions | None = None,
    *,
    signed: bool = False,
) -> bytes:
    """Encode components.

    Args:
        components: 1 to 4 integer arrays (height, width) of one size, values in 0..2**bits - 1, or in
            -2**(bits-1)..2**(bits-1) - 1 if ``signed``.
        bits: per sample, 1 to 16.
        options: how; None: the defaults.
        signed: whether samples are signed.

    Returns:
        The codestream, without comment segments.

    Raises:
        UsageError: an argument is out of range, or a sample is.
        WavelicError: the library failed.
    """
    planes = _check_planes(components, bits, signed)

    def fill(targets: Sequence[NDArray[np.int32]]) -> None:
        for target, plane in zip(targets, planes, strict=True):
            target[...] = plane

    height, width = planes[0].shape
    return encode_filled((height, width), len(planes), bits, fill, options, signed=signed)


def encode_filled(
    size: tuple[int, int],
    count: int,
    bits: int,
    fill: Callable[[Sequence[NDArray[np.int32]]], None],
    options: EncodeOptions | None = None,
    *,
    signed: bool = False,
    tick: Callable[[], None] | None = None,
) -> bytes:
    """Encode components that a function writes, so that nothing is held twice.

    A large image is coded on a thread of its own, so that signals are answered meanwhile.

    Args:
        size: (height, width) of every component.
        count: of components, 1 to 4.
        bits: per sample, 1 to 16.
        fill: gets the library's own planes, which are its working memory as well and gone afterwards; it must set
            every sample, within the range of ``bits``, or of 9/7 half that range to either side, as decoders clip it.
        options: how; None: the defaults.
        signed: whether samples are signed.
        tick: called about every second while a large image is coded.

    Returns:
        The codestream, without comment segments.

    Raises:
        UsageError: an argument is out of range, or the image is too large for one tile.
        WavelicError: the library failed.
    """
    options = EncodeOptions() if options is None else options
    _check_options(options, count)
    height, width = size
    tile_width, tile_height = _tile(options, size)
    bits_in_all = count * bits * tile_width * tile_height
    if bits_in_all >= _TILE_BITS:
        raise UsageError(
            f"{width} x {height} with {count} components of {bits} bits are {bits_in_all:.3g} bits, expected fewer than"
            f" {_TILE_BITS:.3g}, which is what libopenjp2 codes in one tile; encode parts of the image"
        )

    def encode(check: Callable[[], None]) -> bytes:
        return _encode(size, count, bits, fill, options, signed, check)

    if count * height * width < _IN_BACKGROUND:
        return _without_comments(encode(lambda: None))
    return _without_comments(run_interruptibly(encode, tick))


def _encode(
    size: tuple[int, int],
    count: int,
    bits: int,
    fill: Callable[[Sequence[NDArray[np.int32]]], None],
    options: EncodeOptions,
    signed: bool,
    check: Callable[[], None],
) -> bytes:
    """The codestream as the library writes it.  check: called between steps, may raise."""
    api = openjpeg().api
    image = _create_image(api, size, count, bits, signed)
    try:
        fill([np.ctypeslib.as_array(image.contents.comps[index].data, size) for index in range(count)])
        check()
        codec = api.opj_create_compress(CODESTREAM_FORMAT)
        try:
            log = MessageLog(api, codec)
            parameters = _parameters(api, options, size, count, bits)
            log.check(
                api.opj_setup_encoder(codec, ctypes.addressof(parameters), image),
                "accept the parameters", UsageError, _REMEDY,
            )  # fmt: skip
            if options.packet_lengths:
                extra = (c_char_p * 2)(b"PLT=YES", None)
                log.check(api.opj_encoder_set_extra_options(codec, extra), "set PLT", WavelicError, _REMEDY)
            if options.threads > 1:
                log.check(api.opj_codec_set_threads(codec, options.threads), "use threads", WavelicError, _REMEDY)
            with WriteStream(api) as stream:
                for step, name in (
                    (lambda: api.opj_start_compress(codec, image, stream.handle), "start encoding"),
                    (lambda: api.opj_encode(codec, stream.handle), "encode"),
                    (lambda: api.opj_end_compress(codec, stream.handle), "finish encoding"),
                ):
                    log.check(step(), name, WavelicError, _REMEDY)
                return stream.getvalue()
        finally:
            api.opj_destroy_codec(codec)
    finally:
        api.opj_image_destroy(image)


def _without_comments(codestream: bytes) -> bytes:
    """The same codestream without the optional segments the library adds, but with its packet lengths."""
    header = parse_main_header(codestream)
    packets: dict[int, list[bytes]] = {}
    lengths: dict[int, list[int]] = {}
    for part in tile_parts(codestream, header):
        packets.setdefault(part.tile, []).append(codestream[part.start : part.stop])
        if part.plt:
            lengths.setdefault(part.tile, []).extend(packet_lengths((part,)))
    return assemble(codestream, header, {tile: b"".join(packets[tile]) for tile in packets}, lengths=lengths)


def _check_planes(components: Sequence[NDArray[np.integer]], bits: int, signed: bool) -> list[NDArray[np.integer]]:
    if not 1 <= len(components) <= MAX_COMPONENTS:
        raise UsageError(f"{len(components)} components, expected 1 to {MAX_COMPONENTS}; split the image")
    if not 1 <= bits <= MAX_BITS:
        raise UsageError(f"bits is {bits}, expected 1 to {MAX_BITS}; scale the samples")
    planes = [np.asarray(component) for component in components]
    shape = planes[0].shape
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    for index, plane in enumerate(planes):
        if plane.ndim != 2 or plane.shape != shape or 0 in shape:
            raise UsageError(f"component {index} has shape {plane.shape}, expected {shape[:2]}, not empty; pass planes")
        if plane.dtype.kind not in "iu":
            raise UsageError(f"component {index} has dtype {plane.dtype}, expected integers; round and convert it")
        if plane.min() < low or plane.max() > high:
            raise UsageError(
                f"component {index} spans {plane.min()}..{plane.max()}, {bits} bits hold {low}..{high}; clip it"
            )
    return planes


def _check_options(options: EncodeOptions, count: int) -> None:
    if options.progression not in PROGRESSIONS:
        raise UsageError(f"progression is {options.progression!r}; choose one of {', '.join(PROGRESSIONS)}")
    if not 0 <= options.levels <= _MAX_LEVELS:
        raise UsageError(f"levels is {options.levels}, expected 0 to {_MAX_LEVELS}; 5 is usual")
    if options.threads < 1:
        raise UsageError(f"threads is {options.threads}, expected at least 1; 1 means no extra thread")
    if options.colour_transform and count < 3:
        raise UsageError(f"a colour transform of {count} components, expected 3 or 4; set colour_transform=False")
    if options.layer_bytes and options.layer_psnr:
        raise UsageError("layer_bytes and layer_psnr are both given, expected one; drop the other")
    targets = list(options.layer_bytes or options.layer_psnr)
    if len(targets) > structs.MAX_LAYERS:
        raise UsageError(f"{len(targets)} layers, expected at most {structs.MAX_LAYERS}; use fewer")
    numbers = [target for target in targets if target is not None]
    if numbers != targets[: len(numbers)] or len(targets) - len(numbers) > 1:
        raise UsageError("a layer before the last has no target; only the last may be None")
    if any(b <= a for a, b in zip([0.0, *numbers], numbers, strict=False)):
        raise UsageError(f"layer targets {numbers} are not positive and ascending; sort them")
    if options.tile is not None and min(options.tile) < 1 << options.levels:
        raise UsageError(
            f"tiles of {options.tile} with {options.levels} wavelet levels, expected sides of at least"
            f" {1 << options.levels}; choose larger tiles or fewer levels"
        )
    for precinct in options.precincts:
        if not isinstance(precinct, Sequence) or len(precinct) != 2:
            raise UsageError(f"a precinct is {precinct!r}, expected (width, height); one size is ((256, 256),)")
        if not all(_is_power_of_two(side) and 4 <= side <= 1 << 15 for side in precinct):
            raise UsageError(f"precincts are {options.precincts}, expected powers of two from 4 to 32768; 256 is usual")


def _tile(options: EncodeOptions, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the tiles: 2**levels at least, which the library wants and the image need not be."""
    height, width = size
    return options.tile or (max(width, 1 << options.levels), max(height, 1 << options.levels))


def _is_power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def _create_image(api: ctypes.CDLL, size: tuple[int, int], count: int, bits: int, signed: bool) -> ctypes._Pointer:
    height, width = size
    parameters = (structs.ComponentParameters * count)()
    for parameter in parameters:
        parameter.dx = parameter.dy = 1
        parameter.w, parameter.h = width, height
        parameter.prec = parameter.bpp = bits
        parameter.sgnd = int(signed)
    image = api.opj_image_create(count, parameters, {1: _GRAY, 3: _RGB}.get(count, _UNSPECIFIED))
    if not image:
        raise WavelicError(f"no memory for {count} components of {width}x{height}; encode a smaller image")
    contents = image.contents
    contents.x1, contents.y1 = width, height
    return image


def _parameters(
    api: ctypes.CDLL, options: EncodeOptions, size: tuple[int, int], count: int, bits: int
) -> structs.CompressionParameters:
    memory = (ctypes.c_ubyte * (ctypes.sizeof(structs.CompressionParameters) + structs.RESERVE))()
    api.opj_set_default_encoder_parameters(ctypes.addressof(memory))
    parameters = structs.CompressionParameters.from_buffer(memory)
    parameters.cp_comment = b""
    parameters.irreversible = int(not options.reversible)
    parameters.tcp_mct = bytes([options.colour_transform])
    parameters.numresolution = options.levels + 1
    height, width = size
    parameters.tile_size_on = 1
    parameters.cp_tdx, parameters.cp_tdy = _tile(options, size)
    parameters.csty |= USES_SOP * options.sop | USES_EPH * options.eph
    parameters.cblockw_init, parameters.cblockh_init = options.code_block
    parameters.prog_order = PROGRESSIONS.index(options.progression)
    if options.precincts:
        parameters.csty |= 1
        parameters.res_spec = options.levels + 1
        last = len(options.precincts) - 1
        for level in range(options.levels + 1):  # the library's order as well
            parameters.prcw_init[level], parameters.prch_init[level] = options.precincts[min(level, last)]
    raw_bytes = count * height * width * bits / 8
    targets = list(options.layer_bytes or options.layer_psnr) or [None]
    parameters.tcp_numlayers = len(targets)
    for index, target in enumerate(targets):
        if options.layer_psnr:
            parameters.tcp_distoratio[index] = target or 0.0
        else:  # the library takes compression ratios, and 1 or less as "everything"
            parameters.tcp_rates[index] = 0.0 if target is None else max(1.0, raw_bytes / target)
    parameters.cp_fixed_quality = int(bool(options.layer_psnr))
    parameters.cp_disto_alloc = int(not options.layer_psnr)
    return parameters
