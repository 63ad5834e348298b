"""Table of the transformer codec for docs/applications.md: rates by entropy model, over seeds."""

from __future__ import annotations

import json
import statistics
from typing import Any

from benchmarks.measuring import RESULTS
from benchmarks.pages.tables import spread, table
from wavelic.evaluation.bd import bd_rate

#: Rows of the ablations of `3dm` that are this application's arms.
ARMS = {"plain": "swin-charm", "wavelet": "swin", "twin": "swin-plain"}


def seeds() -> list[dict[str, Any]]:
    """The documents of `benchmarks.studies.threedm_ablations` that hold the three arms, by seed.

    Seed 0 is part of the ablations; each further seed has a file of its own.
    """
    folder = RESULTS / "threedm"
    paths = [folder / "ablations.json", *sorted(folder.glob("transformer-seed-*.json"))]
    documents: list[dict[str, Any]] = [json.loads(path.read_text()) for path in paths]
    return [document for document in documents if set(ARMS.values()) <= set(document["arms"])]


def bd_rates(document: dict[str, Any], arm: str) -> tuple[float, float]:
    """BD-rate of an arm against the twin of the same seed: on validation crops, and of files of the Kodak images."""
    twin, row = (document["arms"][ARMS[name]] for name in ("twin", arm))
    pairs = ((twin, row), (twin["kodak"], row["kodak"]))
    crops, files = (bd_rate(a["bpp"], a["psnr"], b["bpp"], b["psnr"]).value for a, b in pairs)
    return crops, files


def transformer() -> list[str]:
    """Rate of the codec with Swin blocks by its entropy model, against the twin."""
    documents = seeds()
    if not documents:
        return ["", "Transformer codec: the arms have not been trained; there are no figures."]
    rows = []
    for arm, name in ARMS.items():
        runs = [document["arms"][name] for document in documents]
        cells = ["", ""]
        if arm != "twin":
            crops, files = zip(*(bd_rates(document, arm) for document in documents), strict=True)
            cells = [f"{spread(values, '+')} %" for values in (crops, files)]
        about = [arm, f"{runs[0]['parameters']:,}", f"{runs[0]['kMAC/pixel']:.1f}", str(len(runs))]
        rows.append([*about, *cells, f"{statistics.mean(run['processor_seconds'] for run in runs):.0f} s"])
    budget = documents[0]["budget"]
    title = (
        f"Transformer codec, the small `3dm` with Swin blocks in g_a and g_s, {budget['steps']:,} steps of"
        f" {budget['batch']} crops of {budget['crop']} pixels; BD-rate against the twin of the same seed:"
    )
    heads = ["arm", "parameters", "kMAC/pixel", "seeds", "validation, estimated bits", "Kodak, files"]
    return ["", title, "", *table([*heads, "processor time of a run"], rows)]


def processor_hours() -> float:
    """Of all runs of the table."""
    rows = (document["arms"][name] for document in seeds() for name in ARMS.values())
    return float(sum(row["processor_seconds"] for row in rows)) / 3600
