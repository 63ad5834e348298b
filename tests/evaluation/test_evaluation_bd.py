"""BD-rate against published figures, against integrals of our own, and its refusals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from paths import EVALUATION_DATA
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator

from wavelic.errors import UsageError
from wavelic.evaluation.bd import METHODS, Method, bd_quality, bd_rate, saving_at
from wavelic.evaluation.compare import as_json, as_markdown, as_table, compare
from wavelic.evaluation.published import published_curves

PUBLISHED = EVALUATION_DATA / "published_bd.json"
DATA: dict[str, Any] = json.loads(PUBLISHED.read_text())
CASES = [(dataset, name) for dataset, entries in DATA["expected"].items() for name in entries]

RATE = np.array([0.1, 0.2, 0.4, 0.8, 1.6])
PSNR = np.array([27.0, 29.5, 32.2, 35.4, 39.0])


@pytest.mark.parametrize(("dataset", "name"), CASES)
def test_published_figures_to_two_decimals(dataset: str, name: str) -> None:
    expected = DATA["expected"][dataset][name]
    curves = published_curves(dataset, PUBLISHED)
    (result,) = compare(curves[expected["reference"]], [curves[name]])
    assert result.curve is not None
    assert round(result.curve.value, 2) == expected["bd_rate_percent"]


def mean_distance(reference: np.ndarray, test: np.ndarray, method: str) -> float:
    """Mean of test - reference of two curves (columns x and y) where both are: trapezoid rule, or a cubic fit first."""
    low, high = max(reference[0, 0], test[0, 0]), min(reference[-1, 0], test[-1, 0])
    x = np.linspace(low, high, 200001)
    if method == "cubic":
        at_reference, at_test = (np.polynomial.Polynomial.fit(*curve.T, 3)(x) for curve in (reference, test))
    else:
        through = PchipInterpolator if method == "pchip" else Akima1DInterpolator
        at_reference, at_test = through(*reference.T)(x), through(*test.T)(x)
    return float(np.trapezoid(at_test - at_reference, x) / (high - low))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(6))
def test_agrees_with_a_second_opinion(method: Method, seed: int) -> None:
    """The package bjontegaard integrates piecewise polynomials in log10; here natural logarithms are summed up."""
    generator = np.random.default_rng(seed)
    curves = []
    for _ in range(2):
        count = int(generator.integers(4, 9))
        rate = np.cumsum(generator.uniform(0.05, 0.5, count))
        curves += [rate, 26 + generator.uniform(-1, 1) + np.cumsum(generator.uniform(0.5, 3, count))]
    reference, test = (np.stack([np.log(r), q], 1) for r, q in (curves[:2], curves[2:]))
    expected_rate = 100 * np.expm1(mean_distance(reference[:, ::-1], test[:, ::-1], method))
    assert bd_rate(*curves, method=method).value == pytest.approx(expected_rate, abs=1e-6)
    assert bd_quality(*curves, method=method).value == pytest.approx(mean_distance(reference, test, method), abs=1e-6)


def test_a_constant_rate_factor_is_found_exactly() -> None:
    delta = bd_rate(RATE, PSNR, RATE * 0.9, PSNR)
    assert delta.value == pytest.approx(-10)
    assert (delta.low, delta.high, delta.coverage) == (27.0, 39.0, 1.0)
    assert str(delta) == "-10.00 on 27.00..39.00"


def test_a_constant_gain_is_found_exactly() -> None:
    delta = bd_quality(RATE, PSNR, RATE, PSNR + 0.7)
    assert delta.value == pytest.approx(0.7)
    assert delta.low == pytest.approx(0.1)
    assert delta.high == pytest.approx(1.6)


def test_order_of_points_does_not_matter() -> None:
    shuffled = [3, 0, 4, 1, 2]
    assert bd_rate(RATE[shuffled], PSNR[shuffled], RATE * 1.1, PSNR).value == pytest.approx(10)


def test_savings_at_single_qualities_show_a_crossing() -> None:
    savings = saving_at(RATE, PSNR, RATE * np.linspace(0.8, 1.2, 5), PSNR, [20, 27, 33, 39])
    assert savings[20] is None
    assert savings[27] == pytest.approx(-20)
    assert savings[39] == pytest.approx(20)


@pytest.mark.parametrize(
    ("rate", "quality", "message"),
    [
        (RATE[:3], PSNR[:3], "at least 4"),
        (RATE, PSNR[:4], "one each"),
        (RATE, PSNR + 30, "overlap"),
        (RATE, np.array([27.0, 29.5, 29.0, 35.4, 39.0]), "not increasing"),
        (np.array([0.1, 0.2, 0.2, 0.8, 1.6]), PSNR, "not increasing"),
        (RATE * 8000, PSNR, "factor"),
        (-RATE, PSNR, "above zero"),
        (RATE, np.array([27.0, 29.5, 32.2, 35.4, np.inf]), "finite"),
    ],
)
def test_silly_values_are_refused(rate: np.ndarray, quality: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bd_rate(RATE, PSNR, rate, quality)


def test_tables_state_figure_overlap_and_refusal() -> None:
    curves = published_curves()
    results = compare(curves["vtm"], [curves["av1"], curves["LALIC"]], "ms-ssim-rgb")
    assert results[0].curve is not None
    assert results[1].curve is None
    assert "no ms-ssim-rgb" in results[1].refusal
    markdown = as_markdown(results)
    assert f"{results[0].curve.value:+.2f}" in markdown
    assert f"{results[0].curve.low:.1f}..{results[0].curve.high:.1f}" in markdown
    assert results[1].refusal in markdown
    parsed = json.loads(as_json(results))
    assert parsed[0]["bd_rate_percent"] == pytest.approx(results[0].curve.value, abs=5e-4)
    assert as_table(results).row_count == 2


def test_tables_of_two_references_are_refused() -> None:
    curves = published_curves()
    mixed = [*compare(curves["vtm"], [curves["av1"]]), *compare(curves["bpg"], [curves["av1"]])]
    with pytest.raises(UsageError, match="a table for each"):
        as_markdown(mixed)


def test_published_curves_in_the_package_name_their_source() -> None:
    for curve in published_curves().values():
        assert "@" in curve.source
        assert len(curve.bpp) >= 4
    with pytest.raises(UsageError, match="kodak"):
        published_curves("nowhere")
