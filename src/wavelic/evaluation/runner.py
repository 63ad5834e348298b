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
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wavelic.errors import OutputError, UsageError
from wavelic.evaluation.metrics import ms_ssim_rgb, psnr_rgb, psnr_y
from wavelic.evaluation.pixels import load_rgb
from wavelic.evaluation.quality import BASIC, Metric, get_metric
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
from wavelic.workers import unordered_map

Progress = Callable[[int, int, str], None]
"""Called as progress(rows done, rows in all, "codec image setting") after every row, and once at the start."""

_LIBRARIES = ("numpy", "pillow", "torch", "pytorch-msssim", "imagecodecs", "imageio-ffmpeg", "constriction")


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


def measure(
    codec: EvaluatedCodec, image: str, pixels: np.ndarray, setting: float, metrics: Sequence[Metric] = ()
) -> Row:
    """Encode a picture, decode it from the bytes alone, and measure.

    Args:
        codec: the codec.
        image: name of the picture.
        pixels: uint8 (height, width, 3).
        setting: of the codec.
        metrics: to measure besides PSNR and MS-SSIM.

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
        more={metric.name: float(metric.measure(pixels, decoded)) for metric in metrics},
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
    metrics: Sequence[str] = (),
    processes: int = 1,
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
        metrics: to measure besides PSNR and MS-SSIM, as `quality.get_metric` takes them.
        processes: that work at once, each on one row and with one thread of torch; with 1, this process does the work.

    Returns:
        The curve that the file holds.

    Raises:
        UsageError: no pictures, no qualities, equal stems, an unknown metric, fewer than one process, or a partial file
            of different work.
        MissingDependencyError: what a metric needs is not installed.
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

    if processes < 1:
        raise UsageError(f"{processes} processes, expected at least 1; give the number of processors to use")
    measured = _metrics(metrics)
    work = fingerprint(codec, images, qualities, measured)
    partial = out_json.with_name(out_json.name + ".partial.jsonl")
    try:
        out_json.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            partial.unlink(missing_ok=True)
        rows = _open_partial(partial, work, tuple(measured))
        total = len(images) * len(qualities)
        done = {(row.image, row.setting) for row in rows}
        report = progress or (lambda done, total, text: None)
        report(len(rows), total, codec.label)
        wanted = [(path, float(q)) for path in images for q in qualities if (path.stem, float(q)) not in done]
        with partial.open("a", encoding="utf-8") as file:
            for row in _rows(codec, wanted, tuple(metrics), processes):
                file.write(row_to_line(row) + "\n")
                file.flush()
                os.fsync(file.fileno())
                rows.append(row)
                report(len(rows), total, f"{codec.label}  {row.image}  {codec.parameter} {row.setting:g}")
    except OSError as error:
        raise OutputError(f"cannot write {out_json} ({error.strerror}); choose a writable folder") from error

    curve = curve_from_rows(
        codec.name,
        codec.label,
        codec.description,
        rows,
        parameter=codec.parameter,
        dataset=dataset,
        environment=environment()
        | ({"processes": processes} if processes > 1 else {})
        | {metric.name: metric.version() for metric in measured.values() if metric.version()},
    )
    write_curve(out_json, curve)
    partial.unlink()
    return read_curve(out_json)


def _metrics(names: Sequence[str]) -> dict[str, Metric]:
    """The metrics to measure besides the basic ones, by name; MissingDependencyError if one cannot work here."""
    basic = {metric.name for metric in BASIC}
    found = {metric.name: metric for metric in map(get_metric, names) if metric.name not in basic}
    for metric in found.values():
        metric.version()
    return found


class _Task:
    """One row's work; sent to a worker process with the names of the metrics, which it looks up itself."""

    def __init__(self, codec: EvaluatedCodec, metrics: tuple[str, ...]) -> None:
        self.codec, self.metrics = codec, metrics

    def __call__(self, work: tuple[Path, float]) -> Row:
        path, setting = work
        return measure(self.codec, path.stem, load_rgb(path), setting, tuple(_metrics(self.metrics).values()))


def _rows(
    codec: EvaluatedCodec, wanted: Sequence[tuple[Path, float]], metrics: tuple[str, ...], processes: int
) -> Iterator[Row]:
    """Rows as they are finished; in order, and each picture read once, in this process."""
    if processes > 1 and len(wanted) > 1:
        yield from unordered_map(_Task(codec, metrics), wanted, min(processes, len(wanted)), _one_thread)
        return
    found = tuple(_metrics(metrics).values())
    for path, group in groupby(wanted, key=itemgetter(0)):
        pixels = load_rgb(path)
        for _, setting in group:
            yield measure(codec, path.stem, pixels, setting, found)


def _one_thread() -> None:
    """Give torch one thread, without loading it for codecs that do not need it."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def fingerprint(
    codec: EvaluatedCodec, images: Sequence[Path], qualities: Sequence[float], metrics: Mapping[str, Metric]
) -> str:
    """SHA-256 of the work, which tells whether two runs measure the same.

    It covers the codec's name and description (which states versions), qualities, names and sizes of the pictures, and
    the metrics with what computes them.

    Args:
        codec: the codec.
        images: paths of the pictures.
        qualities: settings of the codec.
        metrics: by name, those measured besides the basic ones.

    Returns:
        Hexadecimal digits.
    """
    work = {
        "schema": SCHEMA,
        "codec": codec.name,
        "description": codec.description,
        "qualities": [float(q) for q in qualities],
        "images": [[path.name, path.stat().st_size] for path in images],
        "metrics": {name: metric.version() for name, metric in metrics.items()},
    }
    return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()


def _open_partial(partial: Path, work: str, metrics: Sequence[str]) -> list[Row]:
    """Rows of an interrupted run; a line cut by the interruption is removed from the file."""
    if not partial.exists():
        partial.write_text(json.dumps({"fingerprint": work}) + "\n", encoding="utf-8")
        return []
    content = partial.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.decode("utf-8").splitlines()
    if not lines:
        partial.unlink()
        return _open_partial(partial, work, metrics)
    if json.loads(lines[0]).get("fingerprint") != work:
        raise UsageError(
            f"{partial.name} belongs to other work (codec version, settings or pictures); delete it or do not resume"
        )
    if len(whole) < len(content):
        os.truncate(partial, len(whole))
    return [row_from_json(json.loads(line), metrics) for line in lines[1:]]


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
