"""`toy` writes `.wlic` files, `toy-own` files of its own: samples without their last bits, deflated."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wavelic.codec.architecture import Architecture
from wavelic.codec.base import Codec
from wavelic.codec.opened import Layer, Progress, Region
from wavelic.codec.options import Encoded, Options, psnr
from wavelic.codec.request import Request
from wavelic.codec.slicing import ArrayFace
from wavelic.codec.target import Target, search
from wavelic.codec.weights import NO_WEIGHTS
from wavelic.codec.wlic import WlicCodec
from wavelic.codec.wlic_parts import alpha_plane, coded_alpha, picture, sample_type, write_file
from wavelic.container import DATA, Chunk, Container, Header, Limits
from wavelic.errors import FormatError, LimitError
from wavelic.images import Image, Metadata


def shortened(pixels: np.ndarray, bits: int) -> np.ndarray:
    """Samples whose last bits are those of the middle of what they could be."""
    return (pixels >> bits << bits) | (1 << bits >> 1)


def packed(pixels: np.ndarray, bits: int) -> bytes:
    return zlib.compress((pixels >> bits).astype(">u2").tobytes())


def unpacked(data: bytes, shape: tuple[int, ...], bits: int, dtype: np.dtype[Any]) -> np.ndarray:
    try:
        samples = np.frombuffer(zlib.decompress(data), ">u2").reshape(shape).astype(dtype)
    except (zlib.error, ValueError) as error:
        raise FormatError(f"the samples cannot be unpacked ({error}); the file is damaged") from error
    return shortened(samples << bits, bits)


def encode(image: Image, pixels: np.ndarray, target: Target, options: Options, file: Any) -> Encoded:
    """``file(bits, quality)`` at the number of last bits to leave out that meets the target."""
    most = image.bit_depth - 1

    def made(position: int) -> bytes:
        data: bytes = file(most - position, 100 * position / most)
        return data

    def measure(position: int) -> float:
        if target.kind == "psnr":
            return psnr(pixels, shortened(pixels, most - position))
        size = len(made(position))
        return float(size) if target.kind == "size" else size * 8 / (image.width * image.height)

    position, note = round(target.value * most / 100), ""
    if target.kind != "quality":
        found = search(measure, 0, most, target)
        position, note = found.position, found.note(target)
    if options.progress:
        options.progress(1, 1)
    return Encoded(made(position), "none", round(100 * position / most, 2), note)


class Toy(WlicCodec):
    name = "toy"
    label = "Toy"
    summary = "samples without their last bits, deflated"
    codec_id = 200

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        colors = image.colour()

        def file(bits: int, quality: float) -> bytes:
            header = Header(
                self.codec_id,
                image.channels,
                image.width,
                image.height,
                NO_WEIGHTS,
                image.bit_depth,
                quality=round(100 * quality),
                gain=bits,
            )
            return write_file(header, [Chunk(DATA, packed(colors, bits))], image, coded_alpha(image), options.strip)

        return encode(image, colors, target, options, file)

    def decode(self, container: Container, request: Request, device: str, progress: Progress | None) -> Image:
        if progress:
            progress(1, 1)
        colors = self._colors(container)[request.area.slices()]
        return picture(container, colors, alpha_plane(container), request.area)

    def verify(self, container: Container) -> None:
        self._colors(container)
        alpha_plane(container)

    def architectures(self) -> Sequence[Architecture]:
        return (Architecture("toy-net", "toy", 12, "a network that the toy does not use", "toy.codec:build"),)

    def _colors(self, container: Container) -> np.ndarray:
        h = container.header
        shape = (h.height, h.width, h.channels - h.has_alpha)
        return unpacked(container.tiles[0], shape, h.gain, sample_type(h))


def build(name: str) -> Any:
    from torch import nn

    return nn.Conv2d(1, 1, (1, 11))


_HEAD = struct.Struct(">4sHHBBBBIII")  # magic, sides, channels, depth, bits, unused, bytes of exif, xmp, samples


@dataclass(frozen=True)
class OwnFile(ArrayFace):
    samples: np.ndarray
    metadata: Metadata
    size: int
    codec: str = "toy-own"
    levels: int = 0
    layer_count: int = 1
    complete: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        height, width, channels = self.samples.shape
        return height, width, channels

    @property
    def bit_depth(self) -> int:
        return 8 * self.samples.itemsize

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        return ((self.shape[1], self.shape[0]),)

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (Layer(self.size, None),)

    @property
    def info(self) -> dict[str, Any]:
        height, width, channels = self.shape
        about = {"format": "toy", "codec": self.codec, "model": "none", "width": width, "height": height}
        return about | {"channels": channels, "bit_depth": self.bit_depth, "bytes": self.size}

    def decode(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Image:
        request = Request.of(self, reduce, layers, region)
        if progress:
            progress(1, 1)
        return Image(np.ascontiguousarray(self.samples[request.area.slices()]), self.metadata)

    def verify(self) -> None:
        """Opening has unpacked it."""


class ToyOwn(Codec):
    name = "toy-own"
    label = "Toy, own files"
    summary = "samples without their last bits, deflated, in files of its own"
    extension = ".toy"

    def encode(self, image: Image, target: Target, options: Options) -> Encoded:
        kept = Metadata() if options.strip else image.metadata
        exif, xmp = kept.exif or b"", kept.xmp or b""

        def file(bits: int, quality: float) -> bytes:
            colors, alpha = image.colour(), image.pixels[..., image.colour().shape[2] :]
            samples = zlib.compress(packed(colors, bits) + zlib.compress(alpha.astype(">u2").tobytes()), 0)
            size = _HEAD.pack(
                b"\x93TOY", image.width, image.height, image.channels, image.bit_depth, bits, 0,
                len(exif), len(xmp), len(packed(colors, bits)),
            )  # fmt: skip
            body = size + exif + xmp + samples
            return body + struct.pack(">I", zlib.crc32(body))

        return encode(image, image.colour(), target, options, file)

    def recognizes(self, start: bytes) -> bool:
        return start.startswith(b"\x93TOY")

    def open(self, data: bytes, limits: Limits, *, allow_partial: bool = False) -> OwnFile:
        if len(data) < _HEAD.size + 4 or zlib.crc32(data[:-4]) != struct.unpack(">I", data[-4:])[0]:
            raise FormatError("the checksum does not match; the file is damaged")
        _, width, height, channels, depth, bits, _, exif, xmp, size = _HEAD.unpack_from(data)
        if width * height > limits.max_pixels:
            raise LimitError(f"{width * height} pixels, above the limit max_pixels={limits.max_pixels}; raise it")
        dtype: Any = np.dtype(np.uint8 if depth == 8 else np.uint16)
        body = zlib.decompress(data[_HEAD.size + exif + xmp : -4])
        has_alpha = channels in (2, 4)
        colors = unpacked(body[:size], (height, width, channels - has_alpha), bits, dtype)
        alpha = unpacked(body[size:], (height, width, int(has_alpha)), 0, dtype)
        rest = data[_HEAD.size : _HEAD.size + exif + xmp]
        metadata = Metadata(None, rest[:exif] or None, rest[exif:] or None)
        return OwnFile(np.concatenate([colors, alpha], 2), metadata, len(data))


TOY, TOY_OWN = Toy(), ToyOwn()
