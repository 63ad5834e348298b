"""Evaluation of a codec on a folder of pictures: encode, decode from the bytes, measure, keep every row.

Rows are appended to `<out>.partial.jsonl` and flushed to disk one by one; a run that was killed continues after the
last whole row.  The first line of that file is a fingerprint of the work, so that rows of another codec version,
another setting list or other pictures are never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wavelic.errors import OutputError, UsageError
from wavelic.evaluation.metrics import ms_ssim_rgb, psnr_rgb, psnr_y
from wavelic.evaluation.pixels import load_rgb
from wavelic.evaluation.results import (
    SCHEMA,
    Curve,
    Row,
    curve_from_rows,
    read_curve,
    row_from_json,
    row_to_line,
    write_curve,
)

Progress = Callable[[int, int, str], None]
"""Called as progress(rows done, rows in all, "codec image setting") after every row, and once at the start."""

_LIBRARIES = ("numpy", "pillow", "torch", "pytorch-msssim", "imagecodecs", "constriction")


class EvaluatedCodec(Protocol):
    """Interface of a codec that `evaluate` measures.

    `anchors.Anchor` has it; wavelic's codecs are wrapped to have it.
    """

    @property
    def name(self) -> str:
        """Name, as in file names."""
        ...

    @property
    def label(self) -> str:
        """Label for plots and tables."""
        ...

    @property
    def description(self) -> str:
        """Settings and versions."""
        ...

    @property
    def parameter(self) -> str:
        """Name of the setting that changes the rate."""
        ...

    @property
    def encode(self) -> Callable[[np.ndarray, float], bytes]:
        """Function from uint8 pixels (height, width, 3) and a setting to the bytes of a complete file."""
        ...

    @property
    def decode(self) -> Callable[[bytes], np.ndarray]:
        """Function from these bytes to pixels."""
        ...


def measure(codec: EvaluatedCodec, image: str, pixels: np.ndarray, setting: float) -> Row:
    """Encode a picture, decode it from the bytes alone, and measure.

    Args:
        codec: the codec.
        image: name of the picture.
        pixels: uint8 (height, width, 3).
        setting: of the codec.

    Returns:
        The row.

    Raises:
        UsageError: the decoder returned a picture of another size.
    """
    start = time.perf_counter()
    data = codec.encode(pixels, setting)
    encoded = time.perf_counter()
    decoded = codec.decode(data)
    finished = time.perf_counter()
    return Row(
        image=image,
        setting=float(setting),
        bytes=len(data),
        width=pixels.shape[1],
        height=pixels.shape[0],
        psnr_rgb=psnr_rgb(pixels, decoded),
        psnr_y=psnr_y(pixels, decoded),
        ms_ssim_rgb=ms_ssim_rgb(pixels, decoded),
        encode_s=encoded - start,
        decode_s=finished - encoded,
    )


def evaluate(
    codec: EvaluatedCodec,
    images: Sequence[Path],
    qualities: Sequence[float],
    out_json: Path,
    *,
    dataset: str = "",
    resume: bool = True,
    progress: Progress | None = None,
) -> Curve:
    """Measure a codec on every picture at every quality and write a results file.

    Args:
        codec: an anchor or a wrapped wavelic codec.
        images: paths of 8-bit RGB or gray pictures; their stems name the rows and must be distinct.
        qualities: settings of the codec, each used on every picture.
        out_json: results file; its folder is created.  Rows wait in `<out_json>.partial.jsonl` until all are there.
        dataset: name written into the file, for instance "kodak".
        resume: continue an interrupted run of the same work; otherwise start again.
        progress: called as progress(rows done, rows in all, text) after every row, and once at the start.

    Returns:
        The curve that the file holds.

    Raises:
        UsageError: no pictures, no qualities, equal stems, or a partial file of different work.
        ImageError: a picture cannot be read.
        OutputError: the output cannot be written.
    """
    if not images or not qualities:
        raise UsageError(f"{len(images)} pictures and {len(qualities)} qualities given; give at least one of each")
    stems = [path.stem for path in images]
    if len(set(stems)) != len(stems) or len(set(qualities)) != len(qualities):
        raise UsageError(
            "two pictures share a name or a quality is given twice; rows would be ambiguous, rename or drop one"
        )

    work = fingerprint(codec, images, qualities)
    partial = out_json.with_name(out_json.name + ".partial.jsonl")
    try:
        out_json.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            partial.unlink(missing_ok=True)
        rows = _open_partial(partial, work)
        total = len(images) * len(qualities)
        done = {(row.image, row.setting) for row in rows}
        report = progress or (lambda done, total, text: None)
        report(len(rows), total, codec.label)
        with partial.open("a", encoding="utf-8") as file:
            for path in images:
                wanted = [float(q) for q in qualities if (path.stem, float(q)) not in done]
                pixels = load_rgb(path) if wanted else None
                for quality in wanted:
                    assert pixels is not None
                    row = measure(codec, path.stem, pixels, quality)
                    file.write(row_to_line(row) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                    rows.append(row)
                    report(len(rows), total, f"{codec.label}  {path.stem}  {codec.parameter} {quality:g}")
    except OSError as error:
        raise OutputError(f"cannot write {out_json} ({error.strerror}); choose a writable folder") from error

    curve = curve_from_rows(
        codec.name,
        codec.label,
        codec.description,
        rows,
        parameter=codec.parameter,
        dataset=dataset,
        environment=environment(),
    )
    write_curve(out_json, curve)
    partial.unlink()
    return read_curve(out_json)


def fingerprint(codec: EvaluatedCodec, images: Sequence[Path], qualities: Sequence[float]) -> str:
    """SHA-256 of the work, which tells whether two runs measure the same.

    It covers the codec's name and description (which states versions), qualities, names and sizes of the pictures.

    Args:
        codec: the codec.
        images: paths of the pictures.
        qualities: settings of the codec.

    Returns:
        Hexadecimal digits.
    """
    work = {
        "schema": SCHEMA,
        "codec": codec.name,
        "description": codec.description,
        "qualities": [float(q) for q in qualities],
        "images": [[path.name, path.stat().st_size] for path in images],
    }
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()


def _open_partial(partial: Path, work: str) -> list[Row]:
    """Rows of an interrupted run; a line cut by the interruption is removed from the file."""
    if not partial.exists():
        partial.write_text(json.dumps({"fingerprint": work}) + "\n", encoding="utf-8")
        return []
    content = partial.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.decode("utf-8").splitlines()
    if not lines:
        partial.unlink()
        return _open_partial(partial, work)
    if json.loads(lines[0]).get("fingerprint") != work:
        raise UsageError(
            f"{partial.name} belongs to other work (codec version, settings or pictures); delete it or do not resume"
        )
    if len(whole) < len(content):
        os.truncate(partial, len(whole))
    return [row_from_json(json.loads(line)) for line in lines[1:]]


def environment() -> dict[str, Any]:
    """Versions, processor count and thread limit of this run; nothing that names a machine, a user or a path."""
    found: dict[str, Any] = {"python": platform.python_version(), "system": sys.platform, "machine": platform.machine()}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    found["cpus"] = os.cpu_count() or 0
    found["threads"] = os.environ.get("OMP_NUM_THREADS", "default")
    return found
