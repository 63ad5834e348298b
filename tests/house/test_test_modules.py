"""House rules for the tests themselves."""

from __future__ import annotations

import re

from paths import TESTS


def test_tests_import_no_other_tests() -> None:
    """What two test modules need lies in tests/support."""
    for path in TESTS.rglob("*.py"):
        imported = re.findall(
            r"^\s*(?:from|import) (test_\w+|conftest)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert imported == [], path.relative_to(TESTS)
