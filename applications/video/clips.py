"""Clips read and written by ffmpeg, as RGB frames of 8 bits.

ffmpeg is looked for on the path, then in the package imageio-ffmpeg, whose wheels bring one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wavelic.errors import MissingDependencyError, SourceError

#: Conversion of 4:2:0 BT.601 to RGB and back, the same for every codec that is compared.
_SCALE = ("-sws_flags", "bicubic+accurate_rnd+full_chroma_int")


def ffmpeg() -> str:
    """Find the program.

    Raises:
        MissingDependencyError: neither installed nor in imageio-ffmpeg.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError:
        raise MissingDependencyError("no ffmpeg found; install it, or pip install imageio-ffmpeg") from None
    return get_ffmpeg_exe()


def read_clip(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a clip.

    Args:
        path: of any file that ffmpeg reads.

    Returns:
        (frames, H, W, 3).

    Raises:
        SourceError: ffmpeg cannot read it.
        MissingDependencyError: no ffmpeg.
    """
    command = [
        ffmpeg(),
        "-v",
        "error",
        "-i",
        str(path),
        *_SCALE,
        "-f",
        "image2pipe",
        "-c:v",
        "ppm",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        cause = (done.stderr.decode(errors="replace").strip().splitlines() or ["no frames"])[-1]
        raise SourceError(f"{path} cannot be read as a clip: {cause}; give a file that ffmpeg reads")
    return parse_ppm(done.stdout)


def parse_ppm(data: bytes) -> npt.NDArray[np.uint8]:
    """Read frames that follow one another as PPM pictures of one size and 255 levels: (frames, H, W, 3)."""
    magic, width, height, levels = data[:40].split(maxsplit=4)[:4]
    if (magic, levels) != (b"P6", b"255"):
        raise SourceError(f"a frame is {magic!r} with {levels!r} levels; expected P6 with 255")
    columns, rows = int(width), int(height)
    start = len(data) and data.index(b"255\n") + 4
    size = rows * columns * 3
    frames = np.frombuffer(data, np.uint8)
    if len(frames) % (start + size):
        raise SourceError("the frames are not of one size; give a clip whose picture does not change its size")
    return frames.reshape(-1, start + size)[:, start:].reshape(-1, rows, columns, 3)


def write_clip(frames: Iterable[npt.NDArray[np.uint8]], path: Path, rate: int = 25) -> None:
    """Write frames without loss, as FFV1 in Matroska; one frame at a time is in memory.

    Args:
        frames: (H, W, 3) uint8 each.
        path: of the file, which appears when all frames are written.
        rate: frames a second.

    Raises:
        SourceError: ffmpeg cannot write it.
        MissingDependencyError: no ffmpeg.
    """
    command = [ffmpeg(), "-v", "error", "-y", "-f", "image2pipe", "-c:v", "ppm", "-framerate", str(rate), "-i", "-"]
    partial = path.with_name(f"{path.name}.partial")
    command += ["-c:v", "ffv1", "-pix_fmt", "bgr0", "-f", "matroska", str(partial)]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            try:
                for frame in frames:
                    process.stdin.write(b"P6\n%d %d\n255\n" % (frame.shape[1], frame.shape[0]) + frame.tobytes())
            except BrokenPipeError:  # it has ended, and its standard error says why
                pass
            except BaseException:
                process.kill()
                raise
            message = process.communicate()[1].decode(errors="replace").strip()
        if process.returncode:
            raise SourceError(f"{path} cannot be written: {message[-200:]}; check the folder")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
