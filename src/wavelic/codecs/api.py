"""Images to files and back, whatever the codec: what the package, the command line and the Pillow plugin call."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wavelic.codecs.search import Found, Target, search
from wavelic.container import (
    ALPH,
    DEFAULT_LIMITS,
    CodecId,
    Container,
    Header,
    Limits,
    PaddingRule,
    describe_chunks,
    read_container,
    read_header,
)
from wavelic.errors import FormatError, ImageError, UsageError
from wavelic.images import Image, decode_alpha, from_array, from_pillow

if TYPE_CHECKING:
    from wavelic.models.weights import Card

#: Codec names on the command line; each is a family of weights.
CODECS = ("wcae", "wcae-64", "nowcae")
DEFAULT_QUALITY = 50.0
Progress = Callable[[int, int], None]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class Options:
    """How to encode.

    Attributes:
        strip: leave out ICC, Exif and XMP.
        published: entropy-code and pad as the WCAE paper does (histogram in the stream, zeros at the edges).
        device: where the network runs, a torch device.
        progress: called as ``progress(done, total)`` with windows of the analysis.
    """

    strip: bool = False
    published: bool = False
    device: str = "cpu"
    progress: Progress | None = None


@dataclass(frozen=True)
class Encoded:
    """A compressed file and how it came about.

    Attributes:
        data: the file.
        model: name of the weights.
        quality: where on 0..100 it lies.
        note: one line on how well a bpp, PSNR or size target was met; empty for a quality.
    """

    data: bytes
    model: str
    quality: float
    note: str


def check_codec(name: str) -> str:
    """``name`` if it is a codec, else UsageError listing those there are."""
    if name not in CODECS:
        raise UsageError(f"no codec {name!r}; choose one of {', '.join(CODECS)}")
    return name


def encode_image(
    image: Image, codec: str = "wcae", target: Target | None = None, options: Options | None = None
) -> Encoded:
    """Compress ``image``; without a target at quality 50.

    Raises:
        UsageError: unknown codec or device, target out of range.
        ModelError: the weights are not installed.
    """
    from wavelic.models.ladder import RatePoint, load_ladder

    ladder = load_ladder(check_codec(codec))  # before torch is loaded
    from wavelic.codecs.latents import SideInformation
    from wavelic.codecs.wcae import Encoding
    from wavelic.models.deployed import load_deployed

    target = target or Target("quality", DEFAULT_QUALITY)
    settings = options or Options()
    check_device(settings.device)
    side = SideInformation.PUBLISHED if settings.published else SideInformation.WEIGHTS

    @cache
    def encoding(card: Card) -> Encoding:
        model = load_deployed(card, settings.device)
        return Encoding(image, model, not settings.published, side, settings.strip, settings.progress)

    @lru_cache(maxsize=4)
    def file(point: RatePoint) -> bytes:
        return encoding(point.card).file(point.gain, round(100 * point.quality))

    def measure(point: RatePoint) -> float:
        if target.kind == "psnr":
            return psnr(image.colour(), encoding(point.card).reconstruction(point.gain))
        size = len(file(point))
        return float(size) if target.kind == "size" else size * 8 / (image.width * image.height)

    if target.kind == "quality":
        point, note = ladder.at(target.value), ""
    else:
        points = ladder.points()
        found: Found = search(points, measure, target)
        point, note = points[found.index], found.note(target)
    return Encoded(file(point), point.card.name, round(point.quality, 2), note)


def decode_image(
    data: bytes, limits: Limits = DEFAULT_LIMITS, device: str = "cpu", progress: Progress | None = None
) -> Image:
    """Decompress a file.

    Raises:
        FormatError, ChecksumError, LimitError: not a file of ours, damaged or too large.
        ModelError: the weights it names are not installed.
    """
    return File(read_container(data, limits), len(data)).decode(device, progress)


def check_device(name: str) -> str:
    """``name`` if torch can use it, else UsageError."""
    if name == "cpu":
        return name
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device {name!r} cannot be used here; choose cpu, or cuda where there is one"
        ) from error
    return name


def encode(
    image: Any,
    codec: str = "wcae",
    quality: float | None = None,
    *,
    bpp: float | None = None,
    psnr: float | None = None,
    size: int | None = None,
    strip: bool = False,
    device: str = "cpu",
) -> bytes:
    """Compress an image to the bytes of a `.wlic` file.

    Args:
        image: `wavelic.Image`, a Pillow image, or an array (H, W) or (H, W, 1..4) of uint8 or uint16.
        codec: "wcae", "wcae-64" or "nowcae".
        quality: 0..100, linear in the logarithm of the rate; 50 if no target is given.
        bpp, psnr, size: instead of a quality, a target for the whole file: bits per pixel, dB of the colour samples,
            or bytes (not exceeded if possible).  Met within 2 %, or the nearest the weights allow.
        strip: leave out ICC, Exif and XMP.
        device: torch device of the network.

    Raises:
        UsageError, ImageError, ModelError: see each type.

    >>> data = encode(np.zeros((40, 60, 3), np.uint8), quality=30)
    >>> decode(data).shape
    (40, 60, 3)
    """
    target = Target.of(quality, bpp, psnr, size)
    return encode_image(_as_image(image), codec, target, Options(strip=strip, device=device)).data


def decode(data: bytes, *, limits: Limits = DEFAULT_LIMITS, device: str = "cpu") -> Pixels:
    """The samples (H, W, C) in a file, uint8 or uint16 as in the source: gray C=1, gray+alpha 2, RGB 3, RGBA 4.

    Raises:
        FormatError, ChecksumError, LimitError, ModelError: see each type.
    """
    return decode_image(data, limits, device).pixels


def _as_image(image: Any) -> Image:
    if isinstance(image, Image):
        return image
    if hasattr(image, "mode") and hasattr(image, "tobytes"):
        return from_pillow(image)
    if isinstance(image, str | os.PathLike | bytes):
        raise ImageError(f"{type(image).__name__} given where pixels are expected; use wavelic.images.load_image first")
    return from_array(image)


def psnr(reference: NDArray[Any], test: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in dB over all samples of two arrays of equal shape and integer type."""
    error = np.mean(np.square(reference.astype(np.float64) - test))
    return float(10 * np.log10(float(np.iinfo(reference.dtype).max) ** 2 / error)) if error else float("inf")


@dataclass(frozen=True)
class File:
    """An opened `.wlic` file: checked, not yet decoded."""

    container: Container
    size: int

    @property
    def header(self) -> Header:
        return self.container.header

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the image."""
        return self.header.height, self.header.width, self.header.channels

    @property
    def info(self) -> dict[str, Any]:
        """What the file is: format, codec, model, geometry, rate and bytes per chunk."""
        return file_info(self.container, self.size)

    def read(self, device: str = "cpu") -> Pixels:
        """Decode: (H, W, C) uint8 or uint16.  Raises like `decode`."""
        return self.decode(device).pixels

    def decode(self, device: str = "cpu", progress: Progress | None = None) -> Image:
        """Decode samples and metadata; ``progress(done, total)`` counts windows.  Raises like `decode_image`."""
        self._card()  # before torch is loaded
        check_device(device)
        from wavelic.codecs import wcae

        return wcae.decode(self.container, device, progress)

    def verify(self) -> None:
        """Everything `decode` checks, without the synthesis: the coded latent against its checksum, and alpha.

        Raises:
            FormatError, ChecksumError: the file is damaged.
            ModelError: its weights are not installed.
        """
        header = self.header
        if header.has_alpha:
            decode_alpha(self.container.find(ALPH) or b"", header.width, header.height, header.bit_depth)
        card = self._card()
        from wavelic.codecs.wcae import decode_symbols_of
        from wavelic.models.deployed import load_deployed

        decode_symbols_of(self.container, load_deployed(card))

    def _card(self) -> Card:
        """The weights the file names, its codec checked too."""
        from wavelic.models.weights import card_by_id

        if self.header.codec != CodecId.WCAE:
            raise FormatError(f"the file uses codec {self.header.codec}, which this wavelic lacks; upgrade wavelic")
        return card_by_id(self.header.model)


def open_file(source: str | os.PathLike[str] | bytes, limits: Limits = DEFAULT_LIMITS) -> File:
    """Open a `.wlic` file by path or from its bytes, and verify its checksums.

    Raises:
        ImageError: the file cannot be read.
        FormatError, ChecksumError, LimitError: it is not a sound `.wlic` file.
    """
    data = source if isinstance(source, bytes) else read_file(source, limits)
    return File(read_container(data, limits), len(data))


def read_file(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The bytes of a compressed file; the header is checked before the rest is read."""
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(1024)
            read_header(start, limits)
            return start + stream.read()
    except OSError as error:
        raise ImageError(
            f"{os.fspath(path)} cannot be read ({error.strerror}); check the name and permissions"
        ) from error


def file_info(container: Container, size: int) -> dict[str, Any]:
    """The dictionary behind `wavelic info`."""
    from wavelic.errors import ModelError
    from wavelic.models.weights import card_by_id

    header = container.header
    try:
        model = card_by_id(header.model).name
    except ModelError:
        model = "not installed"
    info = {
        "format": f"wlic {header.version_major}.{header.version_minor}",
        "codec": CodecId(header.codec).name.lower(),
        "model": model,
        "model_hash": header.model.hex(),
        "width": header.width,
        "height": header.height,
        "channels": header.channels,
        "bit_depth": header.bit_depth,
        "padding": PaddingRule(header.padding).name.lower(),
        "quality": header.quality / 100,
        "gain": header.gain,
        "bytes": size,
        "bpp": round(size * 8 / (header.width * header.height), 5),
        "header_bytes": header.header_bytes,
        "chunks": [{"kind": c.kind, "bytes": c.size, "meaning": c.meaning} for c in describe_chunks(container)],
    }
    if header.bit_depth == 16:
        info["precision"] = "16-bit source coded lossily: colour at the network's precision, alpha exactly"
    return info
