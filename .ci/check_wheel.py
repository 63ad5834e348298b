"""Check what a wheel holds, install it into an empty environment, and encode and decode there.

python .ci/check_wheel.py dist
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "wavelic"
MOST_BYTES = 40 << 20
MAN_PAGE = "share/man/man1/wavelic.1"
#: Run in the new environment, away from the source tree.
TRIAL = """
import numpy as np, wavelic
pixels = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)
for codec in wavelic.CODECS:
    data = wavelic.encode(pixels, codec)
    wavelic.open(data).verify()
    assert wavelic.decode(data).shape == (64, 80, 1), codec
"""


def check_contents(wheel: Path) -> None:
    """Every file of the package is in the wheel, with the manual page and the licence, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    source = {
        f"wavelic/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    extra = {name for name in held - source if not name.split("/")[0].endswith((".dist-info", ".data"))}
    assert not source - held, f"not in the wheel: {sorted(source - held)[:9]}"
    assert not extra, f"only in the wheel: {sorted(extra)[:9]}"
    for end in (MAN_PAGE, "licenses/LICENSE", "licenses/NOTICE", "entry_points.txt"):
        assert any(name.endswith(end) for name in held), f"{end} is not in the wheel"
    assert wheel.stat().st_size < MOST_BYTES, f"the wheel has {wheel.stat().st_size} bytes"


def check_installed(wheel: Path) -> None:
    """The wheel alone brings what encoding and decoding need."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "env", with_pip=True)
        python, run = str(folder / "env" / "bin" / "python"), {"cwd": folder, "check": True}
        constraints = ROOT / "requirements" / "constraints.txt"
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", str(constraints), str(wheel.resolve())]
        subprocess.run(install, **run)  # type: ignore[call-overload]
        subprocess.run([python, "-c", TRIAL], **run)  # type: ignore[call-overload]
        subprocess.run([python, "-m", "wavelic", "info", "--versions"], **run)  # type: ignore[call-overload]
        assert (folder / "env" / MAN_PAGE).is_file(), "the manual page was not installed"


def main() -> None:
    """Check the one wheel in the folder given."""
    (wheel,) = Path(sys.argv[1]).glob("*.whl")
    check_contents(wheel)
    check_installed(wheel)
    print(f"{wheel.name}: {wheel.stat().st_size:,} bytes, works in an empty environment")


if __name__ == "__main__":
    main()
