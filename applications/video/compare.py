"""Rate and distortion of x264 and x265 on the test clips, for the curves beside ours.

    python -m applications.video.compare --data DIR

`-preset medium -tune psnr`, the same group of 12 frames, constant quality; bits are those of the elementary stream,
PSNR is that of RGB frames, converted as ours are.  Writes results/applications/video-anchors.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from applications.run import ROOT
from applications.video.clips import ffmpeg, read_clip
from applications.video.task import GROUP, measured
from wavelic.errors import SourceError

#: Encoder, ending of its elementary stream, constant rate factors, options that silence it or fix the group.
ENCODERS = {
    "x264": ("libx264", "h264", (20, 26, 32, 38), ("-g", str(GROUP), "-keyint_min", str(GROUP), "-sc_threshold", "0")),
    "x265": (
        "libx265", "hevc", (20, 26, 32, 38),
        ("-x265-params", f"keyint={GROUP}:min-keyint={GROUP}:scenecut=0:log-level=error"),
    ),
}  # fmt: skip


def code(clip: Path, encoder: str, crf: int) -> dict[str, float]:
    """Code a clip with one encoder at one quality, and measure it.

    Args:
        clip: of the test set.
        encoder: a key of ENCODERS.
        crf: constant rate factor.

    Returns:
        "bpp" and "psnr".

    Raises:
        SourceError: ffmpeg failed.
    """
    library, ending, _, options = ENCODERS[encoder]
    with tempfile.TemporaryDirectory() as folder:
        stream = Path(folder) / f"stream.{ending}"
        command = [
            ffmpeg(),
            "-v",
            "error",
            "-i",
            str(clip),
            "-an",
            "-c:v",
            library,
            "-preset",
            "medium",
            "-tune",
            "psnr",
        ]
        command += ["-crf", str(crf), *options, "-pix_fmt", "yuv420p", "-threads", "1", str(stream)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SourceError(f"{library} failed on {clip}: {done.stderr.strip()[-200:]}; check the build of ffmpeg")
        return measured(stream.read_bytes(), read_clip(clip), read_clip(stream))


def main() -> None:
    """Code all clips with all encoders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the clips in test/")
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "applications" / "video-anchors.json")
    arguments = parser.parse_args()
    version = subprocess.run([ffmpeg(), "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    document: dict[str, Any] = {"ffmpeg": version, "group": GROUP, "preset": "medium", "tune": "psnr", "encoders": {}}
    for encoder, (_, _, factors, _) in ENCODERS.items():
        points = []
        for crf in factors:
            clips = {clip.stem: code(clip, encoder, crf) for clip in sorted((arguments.data / "test").glob("*.mkv"))}
            means = {
                name: round(float(np.mean([clip[name] for clip in clips.values()])), 4) for name in ("bpp", "psnr")
            }
            points.append({"crf": crf, **means, "clips": clips})
            print(f"{encoder} {crf}: {means}", flush=True)
        document["encoders"][encoder] = points
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
