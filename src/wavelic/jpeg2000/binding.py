"""Find, load and check libopenjp2; declare the functions wavelic calls.

Search order: the path in the environment variable ``WAVELIC_OPENJPEG``, the system's library by its name, the copy that
the installed Pillow lists among its files (a declared dependency, whose wheels bring one).  Nothing else is tried.  A
library that is older than 2.5 or whose structures differ from `structs` is passed over.

Functions of a `ctypes.CDLL` release the GIL while they run, so decodes in several Python threads run side by side.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from wavelic.errors import MissingDependencyError
from wavelic.jpeg2000 import structs
from wavelic.jpeg2000.structs import ComponentParameters, CompressionParameters, DecompressionParameters, Image

ENVIRONMENT = "WAVELIC_OPENJPEG"
MINIMUM = (2, 5)

CODESTREAM_FORMAT = 0  # OPJ_CODEC_J2K: a bare codestream; boxes are wavelic's own business
_GRAY = 2

_SONAMES = {"linux": "libopenjp2.so.7", "darwin": "libopenjp2.7.dylib", "win32": "openjp2.dll"}
_REMEDY = (
    "install it (Debian and Ubuntu: apt-get install libopenjp2-7; macOS: brew install openjpeg; Linux with pip only: "
    "pip install 'pillow>=11.3') or set " + ENVIRONMENT + " to its path"
)

_PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "opj_version": (c_char_p, ()),
    "opj_set_default_encoder_parameters": (None, (c_void_p,)),
    "opj_set_default_decoder_parameters": (None, (c_void_p,)),
    "opj_image_create": (POINTER(Image), (c_uint32, POINTER(ComponentParameters), c_int)),
    "opj_image_destroy": (None, (POINTER(Image),)),
    "opj_create_compress": (c_void_p, (c_int,)),
    "opj_create_decompress": (c_void_p, (c_int,)),
    "opj_destroy_codec": (None, (c_void_p,)),
    "opj_codec_set_threads": (c_int, (c_void_p, c_int)),
    "opj_set_error_handler": (c_int, (c_void_p, structs.MESSAGE_CALLBACK, c_void_p)),
    "opj_set_warning_handler": (c_int, (c_void_p, structs.MESSAGE_CALLBACK, c_void_p)),
    "opj_setup_encoder": (c_int, (c_void_p, c_void_p, POINTER(Image))),
    "opj_encoder_set_extra_options": (c_int, (c_void_p, POINTER(c_char_p))),
    "opj_start_compress": (c_int, (c_void_p, POINTER(Image), c_void_p)),
    "opj_encode": (c_int, (c_void_p, c_void_p)),
    "opj_end_compress": (c_int, (c_void_p, c_void_p)),
    "opj_setup_decoder": (c_int, (c_void_p, c_void_p)),
    "opj_decoder_set_strict_mode": (c_int, (c_void_p, c_int)),
    "opj_read_header": (c_int, (c_void_p, c_void_p, POINTER(POINTER(Image)))),
    "opj_set_decode_area": (c_int, (c_void_p, POINTER(Image), c_int32, c_int32, c_int32, c_int32)),
    "opj_decode": (c_int, (c_void_p, c_void_p, POINTER(Image))),
    "opj_end_decompress": (c_int, (c_void_p, c_void_p)),
    "opj_stream_create": (c_void_p, (c_size_t, c_int)),
    "opj_stream_destroy": (None, (c_void_p,)),
    "opj_stream_set_read_function": (None, (c_void_p, structs.READ_CALLBACK)),
    "opj_stream_set_write_function": (None, (c_void_p, structs.WRITE_CALLBACK)),
    "opj_stream_set_skip_function": (None, (c_void_p, structs.SKIP_CALLBACK)),
    "opj_stream_set_seek_function": (None, (c_void_p, structs.SEEK_CALLBACK)),
    "opj_stream_set_user_data": (None, (c_void_p, c_void_p, c_void_p)),
    "opj_stream_set_user_data_length": (None, (c_void_p, c_uint64)),
}


@dataclass(frozen=True)
class OpenJpeg:
    """A loaded and checked library.

    path: what was loaded, a file or a bare library name.  version: as (2, 5, 4).  api: its functions, with argument
    types declared.  origin: where it is from, in words.
    """

    path: str
    version: tuple[int, ...]
    api: ctypes.CDLL
    origin: str = ""

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.version))} ({self.origin or self.path})"


@functools.cache
def openjpeg() -> OpenJpeg:
    """The library, loaded on the first call.

    Raises MissingDependencyError, naming the fix, if no candidate is present, recent enough and of the known layout.
    """
    reasons = []
    for path, origin in candidates():
        try:
            return replace(load(path), origin=origin)
        except (OSError, _Unsuitable) as error:
            reasons.append(f"{path}: {str(error).partition(chr(10))[0]}")
    tried = "; ".join(reasons) if reasons else "no candidate found"
    raise MissingDependencyError(f"no usable libopenjp2 >= 2.5 ({tried}); {_REMEDY}")


def default_threads() -> int:
    """How many threads libopenjp2 is given where nobody says: torch's number if that is loaded, else the processors."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def candidates() -> Iterator[tuple[str, str]]:
    """Paths or names to try, best first, and where each is from; the environment variable excludes all others."""
    if os.environ.get(ENVIRONMENT):
        yield os.environ[ENVIRONMENT], f"the environment variable {ENVIRONMENT}"
        return
    name = _SONAMES.get(sys.platform, _SONAMES["linux"])
    yield name, f"the system's {name}"
    if sys.platform == "darwin":  # where package managers have folders that the loader does not look into
        for folder in ("/opt/homebrew/lib", "/usr/local/lib"):
            yield f"{folder}/{name}", f"{name} in {folder}"
    for path in pillow_copies():
        yield str(path), f"the copy of Pillow {metadata.version('pillow')}"


def pillow_copies() -> list[Path]:
    """The copies of libopenjp2 among the files of the installed Pillow (its Linux and macOS wheels have one)."""
    try:
        files = metadata.files("pillow") or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.name.startswith("libopenjp2")]


class _Unsuitable(Exception):
    """Why a library that could be loaded is not used."""


def load(path: str) -> OpenJpeg:
    """Load and check one library.  Raises OSError if it cannot be loaded, or an exception saying what is wrong."""
    api = ctypes.CDLL(path)
    try:
        for name, (result, arguments) in _PROTOTYPES.items():
            function = getattr(api, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise _Unsuitable(f"function {name} is missing, expected version 2.5 or later") from error
    text = api.opj_version().decode("ascii", "replace")
    version = tuple(int(part) for part in text.split(".") if part.isdigit())
    if version < MINIMUM:
        raise _Unsuitable(f"version {text}, expected 2.5 or later")
    _check_parameters(api.opj_set_default_encoder_parameters, CompressionParameters, _ENCODER_DEFAULTS)
    _check_parameters(api.opj_set_default_decoder_parameters, DecompressionParameters, _DECODER_DEFAULTS)
    _check_image(api)
    return OpenJpeg(path, version, api)


_ENCODER_DEFAULTS = {
    "numresolution": 6,
    "cblockw_init": 64,
    "cblockh_init": 64,
    "roi_compno": -1,
    "subsampling_dx": 1,
    "decod_format": -1,
    "rsiz": 0,
}
_DECODER_DEFAULTS = {"decod_format": -1, "cod_format": -1, "flags": 0}


def _check_parameters(set_defaults: Any, structure: type[ctypes.Structure], defaults: dict[str, int]) -> None:
    """Compare size and defaults: the library clears exactly its own structure, so the clearing must end at our end."""
    size, mark = ctypes.sizeof(structure), 0xA5
    memory = (ctypes.c_ubyte * (size + structs.RESERVE))(*[mark] * (size + structs.RESERVE))
    set_defaults(ctypes.addressof(memory))
    cleared = len(bytes(memory).rstrip(bytes([mark])))
    if cleared != size:
        raise _Unsuitable(f"its {structure.__name__} has {cleared} bytes, expected {size}")
    parameters = structure.from_buffer(memory)
    for name, expected in defaults.items():
        if getattr(parameters, name) != expected:
            raise _Unsuitable(f"default of {name} is {getattr(parameters, name)}, expected {expected}")


def _check_image(api: ctypes.CDLL) -> None:
    """Create an image with telling numbers and look for them where `structs.Image` says they are."""
    parameters = (ComponentParameters * 2)(
        ComponentParameters(dx=1, dy=2, w=3, h=5, x0=7, y0=11, prec=13, bpp=13, sgnd=1),
        ComponentParameters(dx=2, dy=1, w=5, h=3, x0=11, y0=7, prec=12, bpp=12, sgnd=0),
    )
    image = api.opj_image_create(2, parameters, _GRAY)
    if not image:
        raise _Unsuitable("opj_image_create failed, expected an image")
    try:
        found = image.contents
        right = found.numcomps == 2 and found.color_space == _GRAY and bool(found.comps)
        for index, given in enumerate(parameters):
            if right:
                component = found.comps[index]
                names = ("dx", "dy", "w", "h", "x0", "y0", "prec", "sgnd")
                right = all(getattr(component, name) == getattr(given, name) for name in names)
                right = right and bool(component.data) and component.factor == 0
        if not right:
            raise _Unsuitable("its image structure differs, expected the layout of openjpeg.h 2.5")
    finally:
        api.opj_image_destroy(image)
