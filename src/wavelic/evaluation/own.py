"""Codecs as the evaluation sees them: wavelic's by name, and anybody's by the path of a Python file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from wavelic import __version__
from wavelic.api.files import decode_image, encode_image
from wavelic.codec.base import Codec
from wavelic.codec.options import Options, check_device, check_tune
from wavelic.codec.registry import check_options, get_codec, register
from wavelic.codec.target import Target
from wavelic.errors import UsageError
from wavelic.evaluation.outside import is_outside, load_outside, source_hash
from wavelic.images import from_array

_DEVICE, _TUNE = "cpu", "psnr"
_TUNED_FOR = {"psnr": "PSNR", "msssim": "MS-SSIM"}


@dataclass(frozen=True)
class OwnCodec:
    """Codec as `evaluation.runner.evaluate` takes it, made of two functions.

    Attributes:
        name: as in file names.
        label: for plots and tables.
        description: settings and versions; other descriptions are other work, whose rows are not mixed in.
        encode: uint8 pixels (height, width, 3) and a setting to the bytes of a complete file.
        decode: these bytes to pixels.
        parameter: name of the setting that changes the rate.
        settings: settings to measure where none are asked for; empty: 0, 10, .. 100.
    """

    name: str
    label: str
    description: str
    encode: Callable[[np.ndarray, float], bytes]
    decode: Callable[[bytes], np.ndarray]
    parameter: str = "quality"
    settings: tuple[float, ...] = ()


def own_codec(
    codec: str, published: bool = False, device: str = _DEVICE, effort: int | None = None, tune: str = _TUNE
) -> OwnCodec:
    """Return the codec called ``codec`` with the weights installed, which are loaded.

    Args:
        codec: a name of `wavelic.codec.registry.names`.
        published: entropy-code and pad as the WCAE paper does.
        device: torch device of the networks.
        effort: as in `Options`.
        tune: as in `Options`.

    Raises:
        UsageError: unknown codec or device, or it does not take an option.
        ModelError: the weights are not installed.
    """
    own = get_codec(codec)
    options = Options(
        strip=True, published=published, device=check_device(device), effort=effort, tune=check_tune(tune)
    )
    check_options(own, options)
    own.load(device)  # so that no image's time includes it
    way = "entropy coding and padding as published" if published else own.summary
    hashes = " ".join(card.hash[:12] for card in own.weights()) or "none"
    name, label = codec, own.label
    if published:
        name, label = f"{name}-published", f"{label}, published coding"
    if tune != _TUNE:
        name, label = f"{name}-{tune}", f"{label}, tuned for {_TUNED_FOR[tune]}"
    if effort is not None:
        name, label, way = f"{name}-effort{effort}", f"{label}, effort {effort}", f"{way}, effort {effort}"
    return OwnCodec(
        name=name,
        label=label,
        description=f"wavelic {__version__}, codec {codec}, {way}, device {device}; weights {hashes}",
        encode=partial(_encode, codec, options),
        decode=partial(_decode, device),
    )


def _encode(codec: str, options: Options, pixels: np.ndarray, quality: float) -> bytes:
    return encode_image(from_array(pixels), codec, Target("quality", quality), options).data


def _decode(device: str, data: bytes) -> np.ndarray:
    return decode_image(data, device=device).pixels


class OutsideCodec:
    """Codec of the user's own, named by the path of its file; worker processes import the file again.

    Args:
        reference: "path/to/file.py:Name" or "package.module:Name" of an object with two methods,
            ``encode(pixels, setting) -> bytes`` and ``decode(data) -> pixels``, or of a class of such objects that
            needs no arguments.  It may have ``name``, ``label``, ``description``, ``parameter`` and ``settings`` as in
            `OwnCodec`.

    Attributes:
        name, label, description, parameter, settings: as in `OwnCodec`.

    Raises:
        UsageError: there is no such object, or it has not these methods.
    """

    def __init__(self, reference: str) -> None:
        found = load_outside(reference)
        self._codec = _instance(found, reference) if isinstance(found, type) else found
        for method in ("encode", "decode"):
            if not callable(getattr(self._codec, method, None)):
                raise UsageError(
                    f"{reference} has no method {method}; a codec has encode(pixels, setting) -> bytes and "
                    "decode(data) -> pixels, or is an instance of wavelic.codec.base.Codec"
                )
        self._reference = reference
        called = reference.rpartition(":")[2]
        self.name = str(getattr(self._codec, "name", called.lower()))
        self.label = str(getattr(self._codec, "label", self.name))
        text = str(getattr(self._codec, "description", "") or reference.rpartition("/")[2])
        self.description = f"{text}; source {source_hash(self._codec) or 'unknown'}"
        self.parameter = str(getattr(self._codec, "parameter", "quality"))
        self.settings = tuple(float(value) for value in getattr(self._codec, "settings", ()))

    def encode(self, pixels: np.ndarray, setting: float) -> bytes:
        """Encode uint8 pixels (height, width, 3); UsageError if the codec gives no bytes."""
        data = self._codec.encode(pixels, setting)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise UsageError(f"{self.name} encoded to {type(data).__name__}, expected bytes; return the whole file")
        return bytes(data)

    def decode(self, data: bytes) -> np.ndarray:
        """Decode such bytes; UsageError if the codec gives no array of uint8."""
        pixels = self._codec.decode(data)
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
            kind = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise UsageError(f"{self.name} decoded to {kind}, expected a numpy array of uint8; round and clip first")
        return pixels

    def __reduce__(self) -> tuple[type[OutsideCodec], tuple[str]]:
        return OutsideCodec, (self._reference,)


def _instance(found: type, reference: str) -> Any:
    try:
        return found()
    except TypeError as error:
        raise UsageError(
            f"{reference} cannot be made without arguments ({error}); name an instance, or give its arguments defaults"
        ) from error


def codec_to_measure(
    name: str, published: bool = False, device: str = _DEVICE, effort: int | None = None, tune: str = _TUNE
) -> OwnCodec | OutsideCodec:
    """Return what ``wavelic eval`` is asked to measure.

    Args:
        name: a codec's name, or "path/to/file.py:Name" or "package.module:Name" of one that is not installed: an
            instance of `Codec`, which is entered in the registry of this process, or what `OutsideCodec` takes.
        published: entropy-code and pad as the WCAE paper does; for codecs by name.
        device: torch device of the networks; other codecs choose for themselves.
        effort: as in `Options`, for codecs by name.
        tune: likewise.

    Raises:
        UsageError: no such codec or device, or an option that it does not take.
        ModelError: the weights are not installed.
    """
    if not is_outside(name):
        return own_codec(name, published, device, effort, tune)
    if not isinstance(load_outside(name), Codec):
        if published or device != _DEVICE or effort is not None or tune != _TUNE:
            raise UsageError(
                f"--published, --device, --effort or --tune given for {name}; they are options of wavelic's codecs"
            )
        return OutsideCodec(name)
    codec = _registered(name)
    measured = own_codec(codec, published, device, effort, tune)
    description = f"{measured.description}; source {source_hash(get_codec(codec))}"
    # each call enters it in the registry of its process, which may be a worker
    encode = partial(_encode_outside, name, measured.encode)
    decode = partial(_decode_outside, name, measured.decode)
    return OwnCodec(measured.name, measured.label, description, encode, decode)


def _registered(reference: str) -> str:
    codec: Codec = load_outside(reference)
    register(codec)
    return codec.name


def _encode_outside(
    reference: str, encode: Callable[[np.ndarray, float], bytes], pixels: np.ndarray, quality: float
) -> bytes:
    _registered(reference)
    return encode(pixels, quality)


def _decode_outside(reference: str, decode: Callable[[bytes], np.ndarray], data: bytes) -> np.ndarray:
    _registered(reference)
    return decode(data)
