"""The training of `weconvene` on its page of results: twins, learning curve, what the shipped weights took."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from benchmarks.measuring import RESULTS
from benchmarks.studies.weconvene_twins import ARMS
from wavelic.evaluation.bd import bd_rate

#: Training logs, and where they ran: of the shipped weights, and of attempts to go on from them or their stage `main`.
LOGS = {
    "weconvene-cpu": "one CPU core",
    "weconvene-finish": "one CPU core, on to those that ship",
    "weconvene-more": "one CPU core, on from the first run's end",
    "weconvene-gpu": "one H100",
}
SHIPPED = ("weconvene-cpu", "weconvene-finish")


def rates_of(log: Path) -> list[dict[str, float]]:
    """bpp and PSNR at the validation steps, from the last line of a training log."""
    rates: list[dict[str, float]] = json.loads(log.read_text().splitlines()[-1])["validation"]["rates"]
    return rates


def change(reference: Path, test: Path) -> float:
    """BD-rate of the ends of two training runs in percent."""
    columns = ([row[key] for row in rates_of(log)] for log in (reference, test) for key in ("bpp", "psnr"))
    return bd_rate(*columns).value


def twins() -> list[str]:
    """What each lever brings: runs with and without it, on validation crops, from `studies/weconvene_twins.py`."""
    lines: list[str] = []
    for last_stage, base, folder, title in (
        (False, "weconvene", ".", "From new weights; rounded symbols."),
        (False, "weconvene", "avx512", "The same on another processor, which has AVX-512."),
        (True, "finish", ".", "The last stage, from one run's stage `main`; symbols of an encoder with RDOQ."),
    ):
        arms = {name: arm for name, arm in ARMS.items() if arm.last_stage == last_stage}
        found = {name: RESULTS / "training" / folder / f"twin-{name}.jsonl" for name in arms}
        there = {name: path for name, path in found.items() if path.exists()}
        if base not in there or len(there) < 2:
            continue
        lines += [
            "",
            title,
            "",
            "| twin | steps | BD-rate, PSNR | bpp, PSNR at steps 16, 64, 224 |",
            "|---|---:|---:|---|",
        ]
        lines += [comparison(f"`{name}`: {arms[name].text}", path, found[base]) for name, path in there.items()]
    if not lines:
        return []
    note = (
        "600 s of one core each, one after the other, the step size falling to nothing. One seed, so differences"
        " below about 1 % mean little. Two levers of the context model, the carried state and the order of colours, do"
        " not pay after so short a training; whether they do after hours is not measured."
    )
    return [*lines[1:], "", note]


def comparison(text: str, log: Path, base: Path) -> str:
    """A table's row: what a run is, its steps, its BD-rate against ``base``, where it stands at three steps."""
    rows = rates_of(log)
    steps = json.loads(log.read_text().splitlines()[-1])["step"]
    delta = "reference" if log == base else f"{change(base, log):+.1f} %"
    shown = "; ".join(f"{row['bpp']:.3f}, {row['psnr']:.2f}" for row in (rows[0], rows[2], rows[4]))
    return f"| {text} | {steps} | {delta} | {shown} |"


def stages(log: str) -> list[list[dict[str, Any]]]:
    """The rows of each stage of a log; steps and seconds begin anew in each."""
    path = RESULTS / "training" / f"{log}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [list(group) for _, group in groupby(rows, key=lambda row: row["stage"])]


def learning_curve() -> list[str]:
    """Validation within each stage that is judged on the same crops throughout, and what doublings brought."""
    lines = [
        "| where | stage | step | minutes in all | BD-rate against the stage's end, PSNR |",
        "|---|---|---:|---:|---:|",
    ]
    said: list[str] = []
    for log, where in LOGS.items():
        spent = 0.0
        for rows in stages(log):
            last = _rate_and_psnr(rows[-1])
            for row in rows:
                change = bd_rate(*last, *_rate_and_psnr(row)).value
                minutes = (spent + row["seconds"]) / 60
                against = "end" if row is rows[-1] else f"{change:+.1f} %"
                lines.append(f"| {where} | {row['stage']} | {row['step']} | {minutes:.1f} | {against} |")
            spent += rows[-1]["seconds"]
            said += [*_doublings(rows, where)]
    return [*lines, "", *said] if len(lines) > 2 else []


def _doublings(rows: Sequence[dict[str, Any]], where: str) -> list[str]:
    """What twice the steps brought within a stage, where the log has both."""
    at = {row["step"]: _rate_and_psnr(row) for row in rows}
    found = [(step, bd_rate(*at[step], *at[2 * step]).value) for step in at if 2 * step in at]
    if not found:
        return []
    text = "; ".join(f"from {step} to {2 * step} steps {change:+.1f} %" for step, change in found[-4:])
    falling = len(found) > 2 and all(b[1] >= a[1] for a, b in pairwise(found))
    last = f" Each brought less than the one before; another should bring a little less than {-found[-1][1]:.1f} %."
    return [f"Doublings on {where}, stage {rows[0]['stage']}: {text}.{last if falling else ''}", ""]


def _rate_and_psnr(row: dict[str, Any]) -> tuple[list[float], list[float]]:
    rates = row["validation"]["rates"]
    return [rate["bpp"] for rate in rates], [rate["psnr"] for rate in rates]


def training() -> str:
    """How the shipped weights were trained, in a sentence; empty without their logs."""
    last = [rows[-1] for log in SHIPPED for rows in stages(log)]
    if not last:
        return ""
    steps, minutes = " + ".join(str(row["step"]) for row in last), sum(row["seconds"] for row in last) / 60
    return f" They were trained for {steps} steps in {minutes:.0f} minutes on one CPU core that other work shared."
