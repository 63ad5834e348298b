"""The example of one zarr array read at several resolutions."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from paths import EXAMPLES

pytest.importorskip("zarr")


def test_the_example_reads_less_for_less(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("zarr_resolutions", EXAMPLES / "zarr_resolutions.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, example)
    spec.loader.exec_module(example)
    monkeypatch.setattr(sys, "argv", ["zarr_resolutions.py", "--side", "512"])
    example.main()
    assert "1/8 of both sides, the first layer" in capsys.readouterr().out
    rows = {row.what: row for row in example.compare(example.section(512), example.MemoryStore(), 512)}
    exact, window = rows["everything, exact"], rows["a window of 128 x 128, exact"]
    assert (exact.error, window.error, window.shape) == (0, 0, (128, 128))
    halves = [rows[f"1/{2**reduce} of both sides"].bytes_read for reduce in (1, 2)]
    assert exact.bytes_read > 2.5 * halves[0] > 5 * halves[1]
    layers = [rows[f"the first {number} of 4 layers"] for number in (1, 2, 3)]
    assert [row.bytes_read for row in layers] == sorted(row.bytes_read for row in layers)
    assert [row.error for row in layers] == sorted((row.error for row in layers), reverse=True)
    assert layers[0].bytes_read < 0.2 * exact.bytes_read
