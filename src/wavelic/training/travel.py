"""Training on a machine that is lent for minutes: everything packed into one folder, weights back in small pieces.

    wavelic train-pack weconvene-gpu away data=DIR validation=DIR [--init FILE] [--wheels DIR]       here
    sh away/go.sh OUT [KEY=VALUE ...]                                                                there
    wavelic train-join OUT runs/away/finish/final.pt                                                 here
    wavelic export runs/away --to DIR ...

The folder holds the package's code, pictures (as they are if they fit, else as AVIF), weights to start from,
and packages that the other machine may lack.  There, weights and logs are written to OUT once a minute while training
goes on, so that a machine that is taken back early leaves what it had.  `join` puts the pieces together and checks
them; the result is a finished stage for ``wavelic export``, or a stage's ``init`` (``.safetensors``).
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from safetensors.torch import load, save

from wavelic.errors import FormatError, UsageError
from wavelic.images import list_images, load_image
from wavelic.training.loop import CHECKPOINT, FINAL, Interrupted, save_objective, train
from wavelic.training.recipe import load_recipe, recipe_path

PLAN, CODE, INIT, MANIFEST = "plan.json", "wavelic.zip", "init.safetensors", "manifest.json"
#: Largest piece that comes back, in bytes.
PIECE = 15 << 20
#: Seconds between two deliveries.
PERIOD = 60.0
#: AVIF qualities that are tried, best first, and how many pictures each is judged by.
_QUALITIES = (94, 92, 90, 88, 86, 84, 82, 80, 76, 72, 68, 64, 60)
_SAMPLE = 12
_RESERVE = 1 << 20  # bytes for what is not pictures, wheels or weights

_GO = """\
#!/bin/sh
# sh go.sh OUT [KEY=VALUE ...]: train as plan.json says, and keep weights and logs in OUT.
set -e
here=$(cd "$(dirname "$0")" && pwd)
python3 -m zipfile -e "$here/wavelic.zip" "$here/code"
if ls "$here"/*.whl >/dev/null 2>&1; then
    python3 -m pip install --quiet --no-index --no-deps --no-compile --upgrade --target "$here/code" "$here"/*.whl
fi
PYTHONPATH="$here/code" PYTHONUNBUFFERED=1 exec python3 -m wavelic.training.travel "$here" "$@"
"""


def pack(
    recipe: str,
    folder: Path,
    overrides: tuple[str, ...] = (),
    megabytes: float = 56.0,
    init: Path | None = None,
    wheels: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write a folder that trains elsewhere.

    Args:
        recipe: name or file, as for `load_recipe`.
        folder: to write; it must not exist.
        overrides: of the recipe; ``data`` and ``validation`` are the pictures that are packed.
        megabytes: what the folder may hold, in units of 2^20 bytes.
        init: weights that the first stage starts from, if any: as a stage's ``init``.
        wheels: folder of ``.whl`` files to install there.
        progress: called with pictures packed, and in all.

    Returns:
        Bytes of all files written.

    Raises:
        UsageError: the folder exists, the recipe is wrong, or even the lowest quality does not fit.
    """
    plan = load_recipe(recipe, overrides)
    if folder.exists():
        raise UsageError(f"{folder} exists; give a folder that does not")
    sources = {"train": list_images(Path(plan.data)), "val": list_images(Path(plan.validation))}
    folder.mkdir(parents=True)
    _zip_code(folder / CODE)
    for wheel in sorted(wheels.glob("*.whl")) if wheels else ():
        shutil.copy(wheel, folder)
    if init is not None:
        save_objective(init, folder / INIT)
    (folder / "go.sh").write_text(_GO)
    (folder / PLAN).write_text(
        json.dumps({"recipe": recipe_path(recipe).read_text(encoding="utf-8"), "overrides": overrides})
    )
    room = int(megabytes * (1 << 20)) - _RESERVE - _size(folder)
    pictures = [(part, path) for part, paths in sources.items() for path in paths]
    as_they_are = sum(path.stat().st_size for _, path in pictures) <= room
    quality = 100 if as_they_are else _fitting_quality([path for _, path in pictures], room)
    used = 0
    for number, (part, path) in enumerate(pictures):
        data = path.read_bytes() if as_they_are else _avif(path, quality)
        used += len(data)
        if used > room:
            shutil.rmtree(folder)
            raise UsageError(
                f"{len(pictures)} pictures do not fit into {megabytes:g} MiB at quality {quality}; give fewer"
            )
        target = folder / part / (path.name if as_they_are else f"{path.stem}.avif")
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)
        if progress:
            progress(number + 1, len(pictures))
    return _size(folder)


def arrive(folder: Path, out: Path, overrides: tuple[str, ...] = (), device: str = "cuda") -> None:
    """Train what was packed, delivering weights and logs to ``out`` once a minute and at the end.

    Args:
        folder: as `pack` wrote it.
        out: folder for the pieces.
        overrides: further ones of the recipe.
        device: torch device.
    """
    plan = json.loads((folder / PLAN).read_text())
    (folder / "recipe.yaml").write_text(plan["recipe"], encoding="utf-8")
    init = (f"stages.0.init={folder / INIT}",) if (folder / INIT).exists() else ()
    places = (f"data={folder / 'train'}", f"validation={folder / 'val'}", "name=away")
    recipe = load_recipe(str(folder / "recipe.yaml"), (*plan["overrides"], *places, *init, *overrides))
    out.mkdir(parents=True, exist_ok=True)
    stages = [folder / "runs" / "away" / stage.name for stage in recipe.stages]
    with _delivering(stages, out), suppress(Interrupted):
        train(recipe, folder / "runs", device)


def deliver(stages: list[Path], out: Path) -> None:
    """Write the newest averaged weights of some stages, in pieces, and their logs.

    Args:
        stages: folders of stages in their order; those that have not begun are passed over.
        out: folder for the pieces.
    """
    begun = [stage for stage in stages if (stage / FINAL).exists() or (stage / CHECKPOINT).exists()]
    if not begun:
        return
    last = begun[-1]
    about = None
    if (last / FINAL).exists():
        final = torch.load(last / FINAL, map_location="cpu", weights_only=True)
        state, about = final["objective"], json.loads(final["about"])
    else:
        state = torch.load(last / CHECKPOINT, map_location="cpu", weights_only=True)["average"]
    data = save({k: v.contiguous().cpu() for k, v in state.items()})
    pieces = [data[begin : begin + PIECE] for begin in range(0, len(data), PIECE)]
    for number, piece in enumerate(pieces):
        (out / f"weights.{number}").write_bytes(piece)
    manifest = {"stage": last.name, "pieces": len(pieces), "sha256": hashlib.sha256(data).hexdigest(), "about": about}
    (out / MANIFEST).write_text(json.dumps(manifest))
    (out / "log.jsonl").write_text(
        "".join(log.read_text() for stage in begun if (log := stage / "log.jsonl").exists()), encoding="utf-8"
    )


def join(out: Path, path: Path) -> None:
    """Put delivered pieces together.

    Args:
        out: the folder that came back.
        path: of the weights: ``.safetensors``, to train on from; or ``.pt``, a finished stage, to export as that
            of a run that was made here.

    Raises:
        FormatError: pieces are missing or damaged.
        UsageError: a ``.pt`` is wanted of a stage that was not finished.
    """
    try:
        manifest = json.loads((out / MANIFEST).read_text())
        data = b"".join((out / f"weights.{number}").read_bytes() for number in range(manifest["pieces"]))
        wanted = manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{out} lacks pieces of the weights ({error}); bring the whole folder back") from error
    if hashlib.sha256(data).hexdigest() != wanted:
        raise FormatError(
            f"the pieces in {out} are not those that {MANIFEST} lists; the last delivery was cut short, get it again"
        )
    if path.suffix != ".pt":
        path.write_bytes(data)
        return
    if manifest.get("about") is None:
        raise UsageError(f"the stage in {out} was not finished; name a .safetensors file, and train on from it")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"objective": load(data), "about": json.dumps(manifest["about"])}, path)


@contextmanager
def _delivering(stages: list[Path], out: Path) -> Iterator[None]:
    done = threading.Event()

    def work() -> None:
        while not done.wait(PERIOD):
            with suppress(OSError, RuntimeError):  # a checkpoint that is being replaced: the next minute
                deliver(stages, out)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        deliver(stages, out)


def _zip_code(path: Path) -> None:
    """The package's modules and recipes, without weights."""
    import wavelic

    root = Path(wavelic.__file__).parent
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            if file.suffix in (".py", ".yaml") or (file.suffix == ".json" and file.parent != root / "weights"):
                archive.write(file, Path("wavelic") / file.relative_to(root))


def _fitting_quality(paths: list[Path], room: int) -> int:
    """The best quality at which the pictures fit, judged by some of them."""
    sample = paths[:: max(1, len(paths) // _SAMPLE)]
    share = sum(path.stat().st_size for path in sample) / max(1, sum(path.stat().st_size for path in paths))
    for quality in _QUALITIES:
        if sum(len(_avif(path, quality)) for path in sample) / max(share, 1e-9) < 0.97 * room:
            return quality
    return _QUALITIES[-1]


def _avif(path: Path, quality: int) -> bytes:
    colour = load_image(path).colour()
    if colour.dtype != np.uint8:
        colour = (colour >> 8).astype(np.uint8)
    out = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(colour.repeat(3, 2) if colour.shape[2] == 1 else colour)).save(
        out, "AVIF", quality=quality, subsampling="4:4:4", speed=8
    )
    return out.getvalue()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    device = "cuda" if torch.cuda.is_available() else "cpu"
    arrive(Path(sys.argv[1]), Path(sys.argv[2]), tuple(sys.argv[3:]), device)
