"""Places in the repository, for tests that read or run what lies there."""

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
SOURCE = ROOT / "src" / "wavelic"
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
BENCHMARKS = ROOT / "benchmarks"
RESULTS = ROOT / "results"
FUZZ = ROOT / "fuzz"
SUPPORT = TESTS / "support"
#: Files written once, with the pixels their decoder showed then (`tests/golden/make.py`).
GOLDEN = TESTS / "golden"
#: Published figures that tests compare with.
EVALUATION_DATA = TESTS / "data" / "evaluation"
#: Small JPEG 2000 files of kinds that other software writes.
JPEG2000_DATA = TESTS / "data" / "jpeg2000"
