"""Published rate-distortion curves, kept as data with the repository and commit they were read from.

The file `assets/published.json` holds Kodak curves to draw beside measured ones.  They are as their authors published
them: learned curves marked "8 bit" are metrics after rounding to 8 bits; their bpp counts entropy-coded strings without
file headers; the published JPEG 2000 is a weak one.  The same structure is read from other files, such as the
project's rd-anchors.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from wavelic.errors import FormatError, UsageError
from wavelic.evaluation.results import BPP, METRICS, Curve

_KEYS = {"bpp": BPP, "psnr_rgb": METRICS[0], "ms_ssim_rgb": METRICS[2]}


def published_curves(dataset: str = "kodak", path: Path | None = None) -> dict[str, Curve]:
    """Read published curves of one data set.

    Args:
        dataset: for instance "kodak".
        path: a JSON file `{"anchors": {dataset: {name: {bpp, psnr_rgb, ms_ssim_rgb, source, note}}}}`, optionally with
            more of the same under "supplement"; None reads the file in the package.

    Returns:
        The curves by name.

    Raises:
        UsageError: no such data set in the file.
        FormatError: not a file of that structure.
    """
    try:
        if path is None:
            text = resources.files("wavelic.evaluation").joinpath("assets/published.json").read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        data = json.loads(text)
        groups = [data.get(group, {}) for group in ("anchors", "supplement")]
        if not any(dataset in group for group in groups):
            known = sorted({name for group in groups for name in group})
            raise UsageError(f"no published curves for {dataset!r}; the file has {', '.join(known)}")
        return {
            name: _curve(name, dataset, entry) for group in groups for name, entry in group.get(dataset, {}).items()
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        raise FormatError(
            f"published curves cannot be read ({error}); expected anchors, dataset, name, bpp lists"
        ) from error


def _curve(name: str, dataset: str, entry: Mapping[str, Any]) -> Curve:
    order = sorted(range(len(entry["bpp"])), key=entry["bpp"].__getitem__)
    return Curve(
        name=name,
        label=str(entry.get("label", name)),
        description=str(entry.get("note", "")),
        points={ours: tuple(float(entry[key][i]) for i in order) for key, ours in _KEYS.items() if key in entry},
        dataset=dataset,
        source=str(entry.get("source", "")),
    )
