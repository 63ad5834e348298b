"""Shared pictures: small, deterministic, with the structure photographs have."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

# Test processes share the cores: threads of one that spin at a barrier would keep those of another from running.  So
# each process, and what it starts, has its share of them, and spins for a short time only.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // workers)))
# A shell starts background jobs with SIGINT ignored, which the commands under test would inherit.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest

import wavelic.papers.catalogue  # noqa: F401 (registers the published lifting structures)


def pytest_collection_finish() -> None:
    """Take modules and tests out of the garbage collector's sight: it would look at them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """``picture(height, width, channels=3, dtype=np.uint8, seed=0)``: smooth areas, edges and some texture."""

    def make(height: int, width: int, channels: int = 3, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[0:height, 0:width] / 64.0
        planes = []
        for _ in range(channels):
            a, b, c, d = random.uniform(-3, 3, 4)
            plane = np.sin(a * x + b * y + c) + 0.7 * np.sign(np.sin(b * x - 2 * a * y + d))
            planes.append(plane + 0.05 * random.normal(size=(height, width)))
        unit = np.clip(np.stack(planes, -1) / 4 + 0.5, 0, 1)
        return np.rint(unit * np.iinfo(dtype).max).astype(dtype)

    return make


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with random weights of codec lifting, which are the installed ones in the tests of a module."""
    from lifting_support import installed_weights

    yield from installed_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def layered(weights: Path) -> bytes:
    """A JP2 file of 187x140 pixels with three layers, made with ``weights``."""
    from lifting_support import layered_file

    return layered_file()
