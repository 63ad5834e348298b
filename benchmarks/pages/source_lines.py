"""Write the table of source lines by room in docs/architecture.md, from the history of the repository.

    python -m benchmarks.pages.source_lines             # rewrite, counting HEAD
    python -m benchmarks.pages.source_lines --check     # exit 1 if the table differs from that
    python -m benchmarks.pages.source_lines --at main   # count another commit

Counted are the Python files of the package: all their lines, and those that have code, which leaves out blank lines,
comments and docstrings.  Before the rooms were built, most files lay in folders by kind; such a file counts for the
room that it was moved to, as git finds renames.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import sys
import tokenize
from collections import defaultdict

from benchmarks.measuring import DOCS, ROOT
from benchmarks.pages.marked import with_figures, write_page
from benchmarks.pages.tables import table

PAGE = DOCS / "architecture.md"
PACKAGE = "src/wavelic/"
#: The last commit before the rooms, and the one that moved the files into them.
BEFORE, MOVED = "a071b7e", "7a54b5a"
#: Where files were that the move deleted or that had no room of their own.
ELSEWHERE = "the package itself"
_LAYOUT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING,
    tokenize.ENDMARKER,
}  # fmt: skip


def code_lines(source: str) -> int:
    """Count the lines of a Python file that have code: neither blank nor only comments or docstrings.

    Examples:
        >>> code_lines('"What it is."\\n\\n# why\\nx = [\\n    1,  # one\\n]\\n')
        3
    """
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                docstrings |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _LAYOUT:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def git(*arguments: str) -> str:
    """Output of a git command in the repository.  Raises SystemExit where there is no such history."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"git {' '.join(arguments)}: {done.stderr.strip()}; run this in a clone with all of its history"
        )
    return done.stdout


def files_at(commit: str) -> dict[str, tuple[int, int]]:
    """Lines, and lines of code, of every Python file of the package, by its path in it."""
    paths = [path for path in git("ls-tree", "-r", "--name-only", commit, PACKAGE).splitlines() if path.endswith(".py")]
    found = {}
    for path in paths:
        source = git("show", f"{commit}:{path}")
        found[path.removeprefix(PACKAGE)] = source.count("\n"), code_lines(source)
    return found


def moved() -> dict[str, str]:
    """Where the move put each file that it renamed, by its path before."""
    changes = (line.split("\t") for line in git("diff", "-M30", "--name-status", BEFORE, MOVED, PACKAGE).splitlines())
    renamed = (change for change in changes if change[0].startswith("R"))
    return {before.removeprefix(PACKAGE): after.removeprefix(PACKAGE) for _, before, after in renamed}


def by_room(files: dict[str, tuple[int, int]], places: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Sums over the files of each room.

    Args:
        files: lines, and lines of code, by path.
        places: paths that count instead, of some.
    """
    sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for path, counts in files.items():
        room, _, inside = places.get(path, path).partition("/")
        for number, count in enumerate(counts):
            sums[room if inside else ELSEWHERE][number] += count
    return {room: (lines, code) for room, (lines, code) in sums.items() if lines}


def figures(commit: str) -> str:
    """Everything between the markers."""
    before, after = by_room(files_at(BEFORE), moved()), by_room(files_at(commit), {})
    rooms = [*sorted((before.keys() | after.keys()) - {ELSEWHERE}), ELSEWHERE]
    cells = []
    for room in rooms:
        old, new = before.get(room), after.get(room)
        cells.append([f"`{room}`" if room != ELSEWHERE else room, *(_counts(old)), *(_counts(new))])
    sums = [sum(counts[number] for counts in part.values()) for part in (before, after) for number in (0, 1)]
    cells.append(["all", *(f"{count:,}" for count in sums)])
    name = git("rev-parse", "--short=7", commit).strip()
    head = ["room", f"lines at {BEFORE}", "of code", f"lines at {name}", "of code"]
    return "\n".join(table(head, cells))


def _counts(counts: tuple[int, int] | None) -> list[str]:
    return ["", ""] if counts is None else [f"{count:,}" for count in counts]


def main() -> int:
    """Rewrite or check the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if the table is out of date")
    parser.add_argument("--at", default="HEAD", metavar="COMMIT", help="what is counted; default: HEAD")
    options = parser.parse_args()
    text = with_figures(PAGE.read_text(encoding="utf-8"), figures(options.at))
    return write_page(PAGE, text, options.check)


if __name__ == "__main__":
    sys.exit(main())
