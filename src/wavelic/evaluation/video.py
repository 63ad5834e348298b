"""Intra frames of video codecs, through ffmpeg: HEVC by x265 and VVC by vvenc.

ffmpeg is given and gives back planes of Y'CbCr, so that the colour conversion is the same on both sides and as exact
as it can be: BT.601, full range, in floats; chroma of 4:2:0 by means of 2x2 pixels and bicubic interpolation back.  A
file is the bitstream of one frame after 4 bytes with the size of the picture, whose sides are extended to multiples of
8 for it.  Rates are set by a constant quantiser.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from wavelic.errors import ImageError, MissingDependencyError, WavelicError
from wavelic.evaluation.metrics import LUMA_WEIGHTS

_SIZE = struct.Struct("<HH")
_ALIGNMENT = 8
_X265_PARAMS = "qp={qp}:keyint=1:info=0:log-level=none:pools=1"
_SECONDS = 3600
_RED, _, _BLUE = LUMA_WEIGHTS


@dataclass(frozen=True)
class IntraCodec:
    """One way of coding a frame with ffmpeg.

    Attributes:
        encoder: as ffmpeg names it.
        stream: ffmpeg's name of the bitstream's format.
        subsampled: whether chroma has half the resolution (4:2:0), else all of it (4:4:4).
        bits: of a sample in the bitstream, 8 or 10.
        options: of the encoder; "{qp}" stands for the quantiser.
    """

    encoder: str
    stream: str
    subsampled: bool
    bits: int
    options: tuple[str, ...]

    @property
    def pixel_format(self) -> str:
        """Name of the planes in ffmpeg."""
        return f"yuv{'420' if self.subsampled else '444'}p{'' if self.bits == 8 else '10le'}"


X265 = IntraCodec("libx265", "hevc", True, 8, ("-preset", "medium", "-x265-params", _X265_PARAMS))
X265_BEST = IntraCodec(
    "libx265", "hevc", False, 10, ("-preset", "placebo", "-tune", "psnr", "-x265-params", _X265_PARAMS)
)
VVENC = IntraCodec("libvvenc", "vvc", True, 10, ("-preset", "medium", "-qpa", "0", "-threads", "1", "-qp", "{qp}"))


def encode_intra(codec: IntraCodec, pixels: np.ndarray, qp: float) -> bytes:
    """Code a picture as one frame.

    Args:
        codec: how.
        pixels: uint8 (height, width, 3), sides up to 65535.
        qp: the quantiser, a whole number.

    Returns:
        The file.

    Raises:
        MissingDependencyError: there is no ffmpeg with this encoder.
        WavelicError: ffmpeg failed.
    """
    height, width = pixels.shape[:2]
    padding = [(0, -side % _ALIGNMENT) for side in (height, width)]
    padded = np.pad(pixels, (*padding, (0, 0)), mode="edge")
    shape = f"{padded.shape[1]}x{padded.shape[0]}"
    options = [option.format(qp=round(qp)) for option in codec.options]
    source = ["-f", "rawvideo", "-pix_fmt", codec.pixel_format, "-s", shape, "-i", "-"]
    command = [*source, "-frames:v", "1", "-c:v", codec.encoder, *options, "-f", codec.stream, "-"]
    ffmpeg_version(codec.encoder)
    return _SIZE.pack(width, height) + _run(command, _to_planes(padded, codec))


def decode_intra(codec: IntraCodec, data: bytes) -> np.ndarray:
    """Decode a file of `encode_intra`.

    Args:
        codec: how it was coded.
        data: the file.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ImageError: ffmpeg gave another number of samples than the picture has.
        MissingDependencyError: there is no ffmpeg.
        WavelicError: ffmpeg failed.
    """
    width, height = _SIZE.unpack_from(data)
    command = ["-f", codec.stream, "-i", "-", "-f", "rawvideo", "-pix_fmt", codec.pixel_format, "-"]
    planes = _run(command, data[_SIZE.size :])
    return _from_planes(planes, width + -width % _ALIGNMENT, height + -height % _ALIGNMENT, codec)[:height, :width]


def ffmpeg_version(encoder: str) -> str:
    """Version of the ffmpeg that has an encoder: "ffmpeg 9.0.2".

    Args:
        encoder: as ffmpeg names it.

    Raises:
        MissingDependencyError: there is no ffmpeg, or it was built without the encoder.
    """
    version, encoders = _about_ffmpeg()
    if encoder not in encoders:
        raise MissingDependencyError(
            f"{version} was built without {encoder}, which this anchor needs; run: pip install 'wavelic[anchors]'"
        )
    return version


@cache
def _about_ffmpeg() -> tuple[str, frozenset[str]]:
    version = _run(["-version"], b"", quiet=False).decode().split()[2]
    listed = _run(["-encoders"], b"").decode().splitlines()
    return f"ffmpeg {version.lstrip('n').partition('-')[0]}", frozenset(
        line.split()[1] for line in listed if len(line.split()) > 1
    )


@cache
def _program() -> str:
    """The ffmpeg of the package imageio-ffmpeg, which has both encoders, else the system's."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        found = shutil.which("ffmpeg")
        if found is None:
            raise MissingDependencyError(
                "ffmpeg was not found, which the anchors hevc and vvc need; run: pip install 'wavelic[anchors]'"
            ) from error
        return found


def _run(arguments: Sequence[str], given: bytes, quiet: bool = True) -> bytes:
    command = [_program(), "-hide_banner", *(("-loglevel", "error") if quiet else ()), *arguments]
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WavelicError(f"ffmpeg could not be run ({error}); check its installation") from error
    if done.returncode:
        cause = " ".join(done.stderr.decode(errors="replace").split())[-300:]
        raise WavelicError(f"ffmpeg failed with exit code {done.returncode} ({cause}); check picture and installation")
    return done.stdout


def _to_planes(rgb: np.ndarray, codec: IntraCodec) -> bytes:
    """Full-range BT.601 planes of ``codec.bits`` bits, one after another."""
    peak, half = (1 << codec.bits) - 1, 1 << (codec.bits - 1)
    red, green, blue = (rgb[..., channel].astype(np.float32) * (peak / 255) for channel in range(3))
    luma = _RED * red + (1 - _RED - _BLUE) * green + _BLUE * blue
    chroma = [(blue - luma) / (2 - 2 * _BLUE), (red - luma) / (2 - 2 * _RED)]
    if codec.subsampled:
        size = (rgb.shape[1] // 2, rgb.shape[0] // 2)
        chroma = [_resized(plane, size, Image.Resampling.BOX) for plane in chroma]
    kind = "<u2" if codec.bits > 8 else "u1"
    planes = [luma, *(plane + half for plane in chroma)]
    return b"".join(np.rint(plane).clip(0, peak).astype(kind).tobytes() for plane in planes)


def _from_planes(data: bytes, width: int, height: int, codec: IntraCodec) -> np.ndarray:
    peak, half = (1 << codec.bits) - 1, 1 << (codec.bits - 1)
    samples = np.frombuffer(data, "<u2" if codec.bits > 8 else "u1").astype(np.float32)
    part = (height // 2, width // 2) if codec.subsampled else (height, width)
    count = part[0] * part[1]
    if samples.size != width * height + 2 * count:
        raise ImageError(f"ffmpeg gave {samples.size} samples, expected {width * height + 2 * count}; report this")
    luma = samples[: width * height].reshape(height, width)
    chroma = [plane.reshape(part) - half for plane in np.split(samples[width * height :], 2)]
    if codec.subsampled:
        chroma = [_resized(plane, (width, height), Image.Resampling.BICUBIC) for plane in chroma]
    red = luma + (2 - 2 * _RED) * chroma[1]
    blue = luma + (2 - 2 * _BLUE) * chroma[0]
    green = (luma - _RED * red - _BLUE * blue) / (1 - _RED - _BLUE)
    return np.rint(np.stack([red, green, blue], 2) * (255 / peak)).clip(0, 255).astype(np.uint8)


def _resized(plane: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(plane).resize(size, how))
