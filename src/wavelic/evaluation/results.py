"""Measured rate-distortion curves: rows per picture, their means, and the JSON file that holds both.

The file is a superset of CompressAI's (`name`, `description`, `results: {bpp, psnr-rgb, ms-ssim-rgb}`), so CompressAI's
plot tool draws it; our own part is under `wavelic`.  Numbers are rounded and lines are stable, so that a re-run changes
few lines.  JSON has no infinity: `inf` is written as the string "inf" and an undefined value as null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from wavelic.errors import FormatError, UsageError
from wavelic.evaluation.quality import BASIC, MORE
from wavelic.images import atomic_output

SCHEMA = 1
BPP = "bpp"
METRICS = tuple(metric.name for metric in BASIC)
TIMES = ("encoding_time", "decoding_time")

_ALIASES = {"psnr": "psnr-rgb", "ms-ssim": "ms-ssim-rgb", "psnr_rgb": "psnr-rgb", "ms_ssim_rgb": "ms-ssim-rgb"}
"""Spellings found in older CompressAI files and in rd-anchors.json."""

_OTHER_DIGITS = 4
_DIGITS = {BPP: 6, **{metric.name: metric.digits for metric in (*BASIC, *MORE)}}


@dataclass(frozen=True)
class Row:
    """One picture at one setting.

    Attributes:
        image: name of the picture.
        setting: of the codec.
        bytes: size of the whole file.
        width: columns.
        height: rows.
        psnr_rgb: dB, `inf` for identical pixels.
        psnr_y: dB, `inf` for identical pixels.
        ms_ssim_rgb: in -1..1, `nan` where the picture is too small.
        encode_s: seconds of wall clock.
        decode_s: seconds of wall clock.
        more: values of the metrics that were asked for besides, by name; `nan` where undefined.
    """

    image: str
    setting: float
    bytes: int
    width: int
    height: int
    psnr_rgb: float
    psnr_y: float
    ms_ssim_rgb: float
    encode_s: float
    decode_s: float
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def bpp(self) -> float:
        """Rate in bits per pixel."""
        return 8 * self.bytes / (self.width * self.height)

    def value(self, key: str) -> float:
        """Value under a CompressAI name.

        Args:
            key: "bpp", a metric, or a time.

        Returns:
            The number.
        """
        return {
            "bpp": self.bpp,
            "psnr-rgb": self.psnr_rgb,
            "psnr-y": self.psnr_y,
            "ms-ssim-rgb": self.ms_ssim_rgb,
            "encoding_time": self.encode_s,
            "decoding_time": self.decode_s,
            **self.more,
        }[key]


COLUMNS = tuple(name for name in Row.__dataclass_fields__ if name != "more")


@dataclass(frozen=True)
class Curve:
    """Rate-distortion curve: points of increasing mean bpp, and the rows they are means of, where available.

    Attributes:
        name: of the codec, as in file names.
        label: for plots and tables.
        description: settings and versions.
        points: "bpp", each metric and each time, with one value per point.
        settings: of the codec, one per point.
        parameter: name of the setting.
        dataset: for instance "kodak".
        source: of a published curve.
        rows: per picture and setting; empty for a published curve.
        environment: versions and thread count of the run.
    """

    name: str
    label: str
    description: str
    points: Mapping[str, tuple[float, ...]]
    settings: tuple[float, ...] = ()
    parameter: str = ""
    dataset: str = ""
    source: str = ""
    rows: tuple[Row, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bpp(self) -> np.ndarray:
        """Rates in bits per pixel, one per point."""
        return np.asarray(self.points[BPP], dtype=np.float64)

    def quality(self, metric: str) -> np.ndarray:
        """Values of one metric.

        Args:
            metric: its name; MS-SSIM is 0..1, not dB.

        Returns:
            One value per point.

        Raises:
            UsageError: the curve has no such metric.
        """
        if metric not in self.points:
            raise UsageError(f"{self.label} has no {metric}; it has {', '.join(self.metrics())}")
        return np.asarray(self.points[metric], dtype=np.float64)

    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that the curve has."""
        return tuple(key for key in self.points if key != BPP and key not in TIMES)

    def images(self) -> tuple[str, ...]:
        """Names of the pictures, sorted; empty for a published curve."""
        return tuple(sorted({row.image for row in self.rows}))

    def of_image(self, image: str) -> Curve:
        """Curve of one picture alone.

        Args:
            image: name of the picture.

        Returns:
            The curve.

        Raises:
            UsageError: there are no rows of that picture.
        """
        rows = tuple(row for row in self.rows if row.image == image)
        if not rows:
            raise UsageError(f"{self.label} has no rows for {image}; it has {', '.join(self.images()) or 'no rows'}")
        return curve_from_rows(self.name, self.label, self.description, rows, dataset=self.dataset)


def curve_from_rows(
    name: str,
    label: str,
    description: str,
    rows: Iterable[Row],
    *,
    parameter: str = "",
    dataset: str = "",
    environment: Mapping[str, Any] | None = None,
) -> Curve:
    """Average rows over pictures, one point per setting, sorted by mean bpp.

    Args:
        name: of the codec, as in file names.
        label: for plots and tables.
        description: settings and versions.
        rows: one per picture and setting.
        parameter: name of the setting.
        dataset: for instance "kodak".
        environment: versions and thread count of the run.

    Returns:
        The curve.

    Raises:
        UsageError: no rows, a row twice, rows with different metrics, or settings measured on different pictures (their
            means could not be compared).
    """
    ordered = tuple(rounded_row(row) for row in rows)
    by_setting: dict[float, dict[str, Row]] = {}
    for row in ordered:
        if row.image in by_setting.setdefault(row.setting, {}):
            raise UsageError(f"{label} has {row.image} at {row.setting:g} twice; keep one row per picture and setting")
        by_setting[row.setting][row.image] = row
    if not by_setting:
        raise UsageError(f"{label} has no rows; evaluate it on at least one picture")
    pictures = {row.image for row in ordered}
    for setting, group in by_setting.items():
        if group.keys() != pictures:
            missing = ", ".join(sorted(pictures - group.keys())[:3])
            raise UsageError(f"{label} at {setting:g} lacks {missing}; finish the evaluation before taking means")

    more = tuple(ordered[0].more)
    if any(tuple(row.more) != more for row in ordered):
        raise UsageError(f"{label} has rows with and without {', '.join(more) or 'more metrics'}; measure them alike")
    keys = (BPP, *METRICS, *more, *TIMES)
    means = {
        s: {key: math.fsum(r.value(key) for r in g.values()) / len(g) for key in keys} for s, g in by_setting.items()
    }
    settings = sorted(means, key=lambda setting: means[setting][BPP])
    position = {setting: index for index, setting in enumerate(settings)}
    return Curve(
        name=name,
        label=label,
        description=description,
        points={key: tuple(_rounded(key, means[setting][key]) for setting in settings) for key in keys},
        settings=tuple(settings),
        parameter=parameter,
        dataset=dataset,
        rows=tuple(sorted(ordered, key=lambda row: (position[row.setting], row.image))),
        environment=dict(environment or {}),
    )


# --- JSON ----------------------------------------------------------------------------------------------------------


def _to_json(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    return value


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


_ROW_DIGITS = {"psnr_rgb": 4, "psnr_y": 4, "ms_ssim_rgb": 6, "encode_s": 4, "decode_s": 4}


def rounded_row(row: Row) -> Row:
    """Round a row as files hold it; means are taken of rounded rows, so that a file reproduces its own means.

    Args:
        row: any row.

    Returns:
        The rounded row.
    """
    rounded: dict[str, Any] = {key: round(getattr(row, key), digits) for key, digits in _ROW_DIGITS.items()}
    return replace(row, **rounded, more={key: _rounded(key, value) for key, value in row.more.items()})


def _rounded(key: str, value: float) -> float:
    return round(value, _DIGITS.get(key, _OTHER_DIGITS))


def row_from_json(values: Sequence[Any], more: Sequence[str] = ()) -> Row:
    """Restore a row from its list in column order.

    Args:
        values: the list that a file holds.
        more: names of the metrics in the columns after `COLUMNS`.

    Returns:
        The row.

    Raises:
        ValueError: there are more or fewer values than columns.
    """
    image, setting, size, width, height, *rest = values[: len(COLUMNS)]
    psnr, psnr_luma, ms_ssim, encode_s, decode_s = map(_number, rest)
    further = dict(zip(more, map(_number, values[len(COLUMNS) :]), strict=True))
    return Row(
        str(image), float(setting), int(size), int(width), int(height),
        psnr, psnr_luma, ms_ssim, encode_s, decode_s, further,
    )  # fmt: skip


def row_to_line(row: Row) -> str:
    """Format a row as one line of JSON, rounded as in results files.

    Args:
        row: any row.

    Returns:
        The line, without its end.
    """
    rounded = rounded_row(row)
    values = [*(getattr(rounded, column) for column in COLUMNS), *rounded.more.values()]
    return json.dumps([_to_json(value) for value in values], allow_nan=False)


def curve_to_json(curve: Curve) -> str:
    """Format a curve as the text of a results file: small, one row per line, keys in a fixed order.

    Args:
        curve: the curve.

    Returns:
        The text.
    """
    lines = ["{", f'  "name": {json.dumps(curve.label)},', f'  "description": {json.dumps(curve.description)},']
    lines.append('  "results": {')
    items = [f"    {json.dumps(key)}: {_list(values)}" for key, values in curve.points.items()]
    lines.append(",\n".join(items))
    lines.append("  },")
    lines.append('  "wavelic": {')
    own: dict[str, Any] = {"schema": SCHEMA, "codec": curve.name, "dataset": curve.dataset}
    if curve.source:
        own["source"] = curve.source
    own |= {"images": len(curve.images()), "parameter": curve.parameter, "settings": [*curve.settings]}
    own["environment"] = dict(curve.environment)
    own["columns"] = [*COLUMNS, *(curve.rows[0].more if curve.rows else ())]
    for key, value in own.items():
        text = _list(value) if key == "settings" else json.dumps(value)
        lines.append(f"    {json.dumps(key)}: {text},")
    lines.append('    "rows": [')
    lines.append(",\n".join(f"      {row_to_line(row)}" for row in curve.rows))
    lines.extend(["    ]", "  }", "}"])
    return "\n".join(line for line in lines if line) + "\n"


def _list(values: Sequence[float]) -> str:
    return json.dumps([_to_json(value) for value in values], allow_nan=False)


def write_curve(path: Path, curve: Curve) -> None:
    """Write a results file: whole or not at all, replacing an old one.

    Args:
        path: of the file.
        curve: the curve.

    Raises:
        OutputError: the folder does not exist or cannot be written.
    """
    with atomic_output(path, force=True) as stream:
        stream.write(curve_to_json(curve).encode())


def read_curve(path: Path) -> Curve:
    """Read a results file of wavelic or of CompressAI.

    Points are sorted by bpp.  CompressAI's older metric names (`psnr`, `ms-ssim`) are understood.

    Args:
        path: of the file.

    Returns:
        The curve.

    Raises:
        UsageError: the file does not exist.
        FormatError: not JSON, or without `results` and `results.bpp`, or with lists of different lengths.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist; give a results file written by wavelic eval or CompressAI") from error
    except (OSError, ValueError) as error:
        raise FormatError(f"{path.name} is not JSON ({error}); give a results file of wavelic or CompressAI") from error
    return curve_from_json(data, default_name=path.stem)


def curve_from_json(data: Any, default_name: str = "results") -> Curve:
    """Make a curve from parsed JSON.

    Args:
        data: the parsed file.
        default_name: name and label where the file has none.

    Returns:
        The curve.

    Raises:
        FormatError: not the structure of a results file.
    """
    try:
        own = data.get("wavelic", {})
        points = _sorted_points(data["results"], default_name)
        more = own.get("columns", COLUMNS)[len(COLUMNS) :]
        rows = tuple(row_from_json(values, more) for values in own.get("rows", ()))
        return Curve(
            name=str(own.get("codec", default_name)),
            label=str(data.get("name", default_name)),
            description=str(data.get("description", "")),
            points=points,
            settings=tuple(float(value) for value in own.get("settings", ())),
            parameter=str(own.get("parameter", "")),
            dataset=str(own.get("dataset", "")),
            source=str(own.get("source", "")),
            rows=rows,
            environment=own.get("environment", {}),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{default_name} is not a results file ({type(error).__name__}: {error}); expected name, description and "
            "results with bpp and psnr-rgb, as CompressAI writes them"
        ) from error


def _sorted_points(results: Mapping[str, Any], name: str) -> dict[str, tuple[float, ...]]:
    by_name = {_ALIASES.get(key, key): values for key, values in results.items()}
    more = [key for key, values in by_name.items() if key not in (BPP, *METRICS, *TIMES) and isinstance(values, list)]
    columns = {key: [_number(v) for v in by_name[key]] for key in (BPP, *METRICS, *more, *TIMES) if key in by_name}
    count = len(columns[BPP])
    for key, values in columns.items():
        if len(values) != count:
            raise FormatError(f"{name} has {len(values)} values of {key} for {count} of bpp; give one per point")
    order = sorted(range(count), key=columns[BPP].__getitem__)
    return {key: tuple(values[i] for i in order) for key, values in columns.items()}
