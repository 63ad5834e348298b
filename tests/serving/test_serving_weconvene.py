"""Files of the default codec on the IIIF server: levels of their own, decoded one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from serving_support import photograph, running, viewer_tiles
from weconvene_tiny import levels_asked

import wavelic
from wavelic.serving.facts import Facts, read_facts
from wavelic.serving.site import Site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weconvene")
    (root / "a.wlic").write_bytes(
        wavelic.encode(photograph(600, 900).astype(np.uint8), "weconvene", quality=40, access="windows")
    )
    return root


@pytest.mark.parametrize("cache", [1 << 29, 1 << 20])
def test_every_viewer_tile_is_a_crop_of_one_level(folder: Path, cache: int) -> None:
    """With levels kept whole, and with a cache that only the small ones fit into."""
    file = wavelic.open(folder / "a.wlic")
    with running(Site(folder, cache_bytes=cache)) as server:
        info = server.json("/iiif/3/a.wlic/info.json")
        assert info["sizes"][0] == dict(zip(("width", "height"), file.level_dimensions[-1], strict=True))
        whole: dict[int, np.ndarray] = {}
        for level, (left, top, w, h), size, request in viewer_tiles(info):
            if level not in whole:
                whole[level] = file.read(reduce=level).astype(int)
            answer = server.get(f"/iiif/3/a.wlic/{request}/0/default.png")
            assert answer.status == 200
            assert answer.pixels.shape == (size[1], size[0], 3)
            expected = whole[level][top : top + h, left : left + w]
            assert np.abs(answer.pixels.astype(int) - expected).max() <= 1
        assert whole.keys() == set(range(len(info["tiles"][0]["scaleFactors"])))
        assert len(whole) > 3


def test_the_first_view_needs_the_coarse_levels_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = levels_asked(monkeypatch)
    with running(Site(folder)) as server:
        width, height = wavelic.open(folder / "a.wlic").level_dimensions[3]
        assert server.get(f"/iiif/3/a.wlic/full/{width},{height}/0/default.png").pixels.shape == (height, width, 3)
    assert asked
    assert min(asked) == 4


def test_facts_say_that_windows_cost_tiles(folder: Path) -> None:
    facts: Facts = read_facts(folder / "a.wlic")
    assert (facts.tiled, facts.averaged, facts.levels) == (True, False, 6)
