"""``wavelic models``: architectures and the weights there are for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wavelic.cli.terminal import dump, show

if TYPE_CHECKING:
    from rich.table import Table

    from wavelic.codec.weights import Card


def models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """List architectures, parameter counts and installed weights."""
    from wavelic.codec.architectures import architectures
    from wavelic.codec.weights import cards

    installed = cards()
    rows = [
        {
            "name": entry.name,
            "system": entry.system,
            "parameters": entry.parameters,
            "trainable": entry.trainer is not None,
            "summary": entry.summary,
            "weights": [_weights(card) for card in installed if card.architecture == entry.name],
        }
        for entry in architectures().values()
    ]
    if as_json:
        dump({"models": rows})
    else:
        show(*_tables(rows))


def _weights(card: Card) -> dict[str, Any]:
    metrics = card.training.get("metrics", {})
    rates = card.training.get("calibration", {}).get("validation_bpp", {})
    return {
        "name": card.name,
        "family": card.family,
        "rank": card.rank,
        "hash": card.hash[:32],
        "validation_bpp": rates.get("0", metrics.get("bpp")),
        "validation_psnr": metrics.get("psnr"),
        "path": str(card.path),
    }


def _tables(rows: list[dict[str, Any]]) -> list[Table]:
    from rich.table import Table

    architectures = Table(title="Architectures", title_justify="left")
    for heading in ("name", "parameters", "weights", "what it is"):
        architectures.add_column(
            heading, justify="right" if heading == "parameters" else "left", no_wrap=heading == "name"
        )
    weights = Table(title="Weights", title_justify="left")
    for heading in ("name", "family", "rank", "bpp", "PSNR [dB]", "hash in files"):
        weights.add_column(heading, justify="right" if heading in ("rank", "bpp", "PSNR [dB]") else "left")
    for row in rows:
        count = len(row["weights"])
        shipped = f"{count} rate{'s' * (count != 1)}" if count else "none"
        architectures.add_row(row["name"], f"{row['parameters']:,}", shipped, row["summary"])
        for card in row["weights"]:
            bpp, psnr = card["validation_bpp"], card["validation_psnr"]
            weights.add_row(
                card["name"],
                card["family"],
                str(card["rank"]),
                "" if bpp is None else f"{bpp:.4f}",
                "" if psnr is None else f"{psnr:.2f}",
                card["hash"],
            )
    return [architectures, weights] if weights.row_count else [architectures]
