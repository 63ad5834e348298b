"""Ablations of 3DM-WeConvene at one stated budget each: the same steps, data and seed, the size of `3dm`.

    python -m benchmarks.studies.threedm_ablations --data DIR --validation DIR [--steps 9000] [--crop 256]
        [--arms base plain ...] [--reference base] [--seed 0] [--kodak DIR] [--json results/threedm/ablations.json]

Every arm is a configuration of `wavelic.threedm` that differs from the base in what its name says.  It is trained by
the recipe `3dm-cpu`; runs that were interrupted are taken up where they are, and arms that the results file has at the
same budget are left as they are.  The table has parameters, multiply-adds per pixel of a forward pass, processor time,
BD-rate against ``--reference`` on central crops of the validation images (estimated bits), bits of each subband there
(table V), and, with ``--kodak``, BD-rate of real files, beside the sign and size that the paper prints for the row.

One arm of 9,000 steps takes about three hours of one core, all of them about forty: the budget is stated in the result.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import write_results
from wavelic.threedm import config as configurations
from wavelic.threedm import export, training, weights
from wavelic.threedm.config import CODED, Config
from wavelic.threedm.network import make_network

BASE = CODED["3dm"]
#: Name -> configuration, and what the paper prints against its own system: dB at equal rate, or BD-rate.
ARMS: dict[str, tuple[Config, str]] = {
    "base": (BASE, ""),
    "one-level": (replace(BASE, levels=1), "0.02 to 0.03 dB worse (section IV-D)"),
    "3x3": (replace(BASE, high_kernel=3), "slightly better (figure 9)"),
    "weconv": (replace(BASE, levels=1, channel_levels=0, high_kernel=3), "0.1 to 0.15 dB worse (figure 9)"),
    "wecharm": (CODED["3dm-2d"], "0.1 to 0.15 dB worse (figure 11)"),
    "charm": (replace(BASE, split="channels"), "not printed"),
    "haar": (replace(BASE, latent_wavelet="haar"), "worse than 9/7"),
    "5/3": (replace(BASE, layer_wavelet="5/3", latent_wavelet="5/3"), "between Haar and 9/7"),
    "9/7": (replace(BASE, layer_wavelet="9/7"), "what the paper uses"),
    "plain": (CODED["3dm-plain"], "not printed"),
    "float": (replace(BASE, exact=False), "what integers cost: not in the paper"),
    "no-shortcut": (replace(BASE, shortcut=False), "not in the paper"),
    "swin": (replace(BASE, group="swin"), "not printed"),
    "swin-charm": (replace(BASE, group="swin", split="channels"), "3DWeChARM claimed better, no figure printed"),
    "swin-plain": (replace(CODED["3dm-plain"], group="swin"), "not printed"),
}
#: Second training stages (equation 2), from the end of the base: (w1, w2).  The paper has 0.02 to 0.03 dB from it.
STAGES = {"stage-2-none": (1.0, 1.0), "stage-2-printed": (1.05, 0.95), "stage-2-worded": (0.95, 1.05)}
#: Pixels a side of training crops, and of the picture whose multiply-adds are counted.
CROP = 256
QUALITIES = (20.0, 40.0, 60.0, 80.0)


@contextmanager
def entered(config: Config) -> Iterator[None]:
    """Let the architecture `3dm` be this configuration while an arm is trained, exported and measured."""
    places = [(configurations, "CODED"), (configurations, "CONFIGS"), (weights, "CODED"), (export, "CODED")]
    places.append((training, "CONFIGS"))
    before = [getattr(module, attribute) for module, attribute in places]
    for (module, attribute), table in zip(places, before, strict=True):
        setattr(module, attribute, MappingProxyType({**table, "3dm": config}))
    try:
        yield
    finally:
        for (module, attribute), table in zip(places, before, strict=True):
            setattr(module, attribute, table)


def multiply_adds(config: Config) -> float:
    """Multiply-adds per pixel of analysis, entropy networks and synthesis, of convolutions and matrix products."""
    network = make_network(config).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, CROP, CROP), torch.zeros(1))
    return counter.get_total_flops() / 2 / CROP**2


def train_arm(name: str, config: Config, arguments: argparse.Namespace) -> Path:
    """Train an arm, or go on with it; returns the folder of its run."""
    from wavelic.training.loop import train
    from wavelic.training.recipe import load_recipe

    settings = [f"data={arguments.data}", f"validation={arguments.validation}", f"name={name.replace('/', '-')}"]
    settings += [f"defaults.steps={arguments.steps}", f"stages.0.steps={arguments.steps}", f"seed={arguments.seed}"]
    settings += [f"defaults.crop={arguments.crop}", f"stages.0.crop={arguments.crop}"]
    settings += ["defaults.validate_every=1000", "defaults.validation_rates=[-2.5,-1.5,-0.5,0.5,1.5,2.5]"]
    recipe = load_recipe("3dm-cpu", (*settings, *arguments.set))
    if name == "base":
        first = recipe.stages[0]
        for number, (stage, (low, high)) in enumerate(STAGES.items(), 1):
            second: Any = replace(first, name=stage, init=first.name, seed=number, steps=max(1, arguments.steps // 4))
            second.low_weight, second.high_weight = low, high
            second.learning_rate = first.learning_rate / 4
            recipe.stages.append(second)
    with entered(config):
        return train(recipe, arguments.runs, arguments.device)


def last_row(folder: Path) -> dict[str, Any]:
    """Return the last line of a stage's log."""
    row: dict[str, Any] = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    return row


def processor_seconds(stage: Path) -> float:
    """Processor time of a finished stage's steps."""
    from wavelic.training.loop import CHECKPOINT

    seconds: float = torch.load(stage / CHECKPOINT, map_location="cpu", weights_only=True)["spent"]
    return seconds


def curve_of(row: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Bits per pixel and dB of a validation."""
    rates = row["validation"]["rates"]
    return np.array([r["bpp"] for r in rates]), np.array([r["quality"] for r in rates])


def kodak_curve(config: Config, stage: Path, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Bits per pixel and PSNR of real files, means over the pictures, at four qualities; kept beside the stage."""
    kept = stage / "kodak.json"
    if kept.exists():
        known: dict[str, list[float]] = json.loads(kept.read_text())
        return known
    import wavelic
    from wavelic.codec.options import psnr
    from wavelic.images import list_images, load_image
    from wavelic.training.loop import FINAL

    folder = stage / "weights"
    with entered(config):
        export.export_weights(stage / FINAL, folder, arguments.data)
        os.environ["WAVELIC_WEIGHTS"] = str(folder)
        weights._load_model.cache_clear()
        result: dict[str, list[float]] = {"bpp": [], "psnr": []}
        paths = list_images(arguments.kodak)
        for quality in QUALITIES:
            bpp, decibels = 0.0, 0.0
            for path in paths:
                pixels = load_image(path).colour()
                data = wavelic.encode(pixels, "3dm", quality)
                bpp += len(data) * 8 / (pixels.shape[0] * pixels.shape[1] * len(paths))
                decibels += psnr(pixels, wavelic.decode(data)) / len(paths)
            result["bpp"].append(bpp)
            result["psnr"].append(decibels)
    kept.write_text(json.dumps(result))
    return result


def measured(name: str, config: Config, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Rows of an arm: one for its first stage, for the base also of its second stages."""
    run = train_arm(name, config, arguments)
    rows = {}
    for stage in sorted(path.name for path in run.iterdir() if (path / "log.jsonl").is_file()):
        last = last_row(run / stage)
        bpp, quality = curve_of(last)
        row = name if stage == "main" else stage
        rows[row] = {
            "parameters": sum(p.numel() for p in make_network(config).parameters()),
            "kMAC/pixel": round(multiply_adds(config) / 1000, 1),
            "steps": last["step"],
            "processor_seconds": round(processor_seconds(run / stage), 1),
            "bpp": bpp.round(5).tolist(),
            "psnr": quality.round(4).tolist(),
            "subbands": last["validation"]["rates"],
        }
        if arguments.kodak and config.exact:  # without integers there are no files
            rows[row]["kodak"] = kodak_curve(config, run / stage, arguments)
    return rows


def add_deltas(rows: dict[str, dict[str, Any]], against: str) -> None:
    """BD-rate of every row against one of them, on validation crops and on real files."""
    from wavelic.errors import UsageError
    from wavelic.evaluation.bd import bd_rate

    for row in rows.values():
        for key, place in (("bd-rate", lambda r: r), ("bd-rate kodak", lambda r: r.get("kodak"))):
            reference, test = place(rows[against]), place(row)
            if reference and test:
                try:
                    delta = bd_rate(reference["bpp"], reference["psnr"], test["bpp"], test["psnr"]).value
                except UsageError as error:  # curves that do not overlap after a short training
                    row[key] = str(error)
                    continue
                row[key] = round(delta, 2) if math.isfinite(delta) else None


def known_rows(path: Path, budget: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows of a results file of the same budget, to which arms are added."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text())
    rows: dict[str, dict[str, Any]] = document["arms"] if document["budget"] == budget else {}
    return rows


def main() -> None:
    """Train and measure the arms that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--kodak", type=Path, help="folder of test pictures, coded to files")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--reference", default="base", choices=list(ARMS), help="arm that BD-rates are against")
    parser.add_argument("--steps", type=int, default=9000)
    parser.add_argument("--crop", type=int, default=CROP, help="pixels a side, a multiple of 64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], help="further key=value for the recipe")
    parser.add_argument("--runs", type=Path, default=Path("runs/threedm-ablations"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, default=Path("results/threedm/ablations.json"))
    arguments = parser.parse_args()
    budget = {"steps": arguments.steps, "batch": 4, "crop": arguments.crop, "seed": arguments.seed}
    budget["set"] = arguments.set
    rows = known_rows(arguments.json, budget)
    for name in dict.fromkeys((arguments.reference, *arguments.arms)):
        config, printed = ARMS[name]
        if name in rows and rows[name]["config"] == json.loads(json.dumps(asdict(config))):
            continue
        for row, values in measured(name, config, arguments).items():
            rows[row] = {"paper": printed, **values, "config": asdict(config)}
        add_deltas(rows, arguments.reference)
        write_results({"budget": budget, "arms": rows}, arguments.json)


if __name__ == "__main__":
    main()
