"""Are files read the same under other torch releases, threads, libraries and layouts?  All of it, in one table.

    python -m benchmarks.studies.exactness_across PYTHON [PYTHON ...] --images FOLDER
    python -m benchmarks.studies.exactness_across PYTHON --images FOLDER --codecs 3dm \
        --json results/threedm/exactness.json

Each PYTHON is an interpreter with numpy, Pillow, safetensors, constriction, google-crc32c and some release of torch;
wavelic is taken from this checkout.  Each runs twice: as it is, and with the plainest kernels torch, oneDNN and MKL
have, which stands for another processor.  Every one of these writers encodes crops of the images with every codec
of `.wlic`, or with those of --codecs.  Then every one of them, now a reader, decodes the files of all writers with 1, 2
and 4 threads, oneDNN on and off (CONFIGURATIONS), and reports

    coefficients    a digest of the integers in each file (the file's own checksum is tested on the way)
    bytes           whether coding these integers again gives the bytes of the file
    contexts        weconvene: a digest of all means and table numbers that the context model gives for tiles alone,
                    in a batch, with coefficients in channels-last order, and in every way to compute exact
                    convolutions that passes its self-test there (`wavelic.nn.exact`); which these are is reported.
                    3dm: the same of the coefficients of two tiles, decoded alone, together, and in each of these ways
    pixels          which are float work: the largest difference from those of the first reader

Files themselves may differ between writers: the analysis is float work too, and now and then a coefficient falls on the
other side of a rounding.  How many do is reported.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import RESULTS, ROOT, write_results

RESULT = RESULTS / "weconvene" / "exactness_torch.json"
QUALITIES = {"weconvene": (40,), "wcae": (50,), "wcae-64": (50,), "nowcae": (50,), "3dm": (10, 50, 90)}
SIZES = ((90, 120), (90, 120), (61, 113), (1, 1))  # rows, columns; one image each, one tile; the first two alike
CONFIGURATIONS = ((1, True), (1, False), (2, True), (4, False))  # threads, oneDNN
BACKENDS = ("onednn", "int_mm", "float32", "float64")
PLAINEST = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}


def digest(arrays: list[np.ndarray]) -> str:
    """SHA-256 over shapes and little-endian values of integer arrays."""
    state = hashlib.sha256()
    for array in arrays:
        state.update(repr(array.shape).encode() + np.ascontiguousarray(array, "<i4").tobytes())
    return state.hexdigest()


# --- what runs under each interpreter ---------------------------------------------------------------------------------


def write_files(images: Path, folder: Path, codecs: list[str]) -> None:
    """Encode the crops with some codecs, one thread, oneDNN as torch chooses."""
    import wavelic
    from wavelic.images import list_images, load_image

    paths = list_images(images)
    for number, (height, width) in enumerate(SIZES):
        pixels = load_image(paths[number * len(paths) // len(SIZES)]).pixels[100 : 100 + height, 100 : 100 + width, :3]
        for codec in codecs:
            for quality in QUALITIES[codec]:
                data = wavelic.encode(pixels, codec, quality)
                (folder / f"{codec}-{quality}-{number}.wlic").write_bytes(data)


def read_files(files: list[Path]) -> dict[str, Any]:
    """Decode ``files`` in every configuration.  Pixels go beside the files, as .npz of the whole reader."""
    import torch

    report: dict[str, Any] = {"coefficients": {}, "bytes": {}, "contexts": {}}
    pixels: dict[str, np.ndarray] = {}
    for threads, onednn in CONFIGURATIONS:
        torch.set_num_threads(threads)
        name = f"{threads} threads, oneDNN {'on' if onednn else 'off'}"
        with torch.backends.mkldnn.flags(enabled=onednn):
            for path in files:
                key = f"{path.parent.name}/{path.stem}"
                found, same = read_integers(path)
                report["coefficients"].setdefault(key, {})[name] = found
                report["bytes"].setdefault(key, {})[name] = same
                if (threads, onednn) in (CONFIGURATIONS[0], CONFIGURATIONS[-1]):
                    pixels[f"{key}|{name}"] = read_pixels(path)
            for codec, digests in (("weconvene", context_digests(files)), ("3dm", threedm_digests(files))):
                for key, text in digests.items():
                    report["contexts"].setdefault(f"{codec}, {key}", {})[name] = text
    np.savez(os.environ["EXACTNESS_PIXELS"], **pixels)  # type: ignore[arg-type]
    return report


def read_pixels(path: Path) -> np.ndarray:
    import wavelic

    return wavelic.decode(path.read_bytes())


def read_integers(path: Path) -> tuple[str, bool]:
    """Digest of the coefficients of a file, and whether they code to its bytes."""
    import torch

    from wavelic.codec.weights import card_by_id
    from wavelic.container import CodecId, read_container
    from wavelic.wcae.files import decode_symbols_of
    from wavelic.wcae.latent import SideInformation, encode_latent
    from wavelic.wcae.weights import load_model as load_wcae
    from wavelic.weconvene.tiles import encode_tiles
    from wavelic.weconvene.units import VALUE

    container = read_container(path.read_bytes())
    header = container.header
    if header.codec == CodecId.WCAE:
        deployed = load_wcae(card_by_id(header.model))
        symbols = decode_symbols_of(container, deployed)
        again = encode_latent(symbols, header.gain, deployed.schedule, deployed.tables, SideInformation.WEIGHTS)
        return digest([symbols]), again == container.tiles[0]
    if header.codec == CodecId.THREEDM:
        return read_threedm(path)
    model, tile = decoded_tile(path)
    details = [torch.from_numpy(detail) / VALUE for detail in tile.details]
    ((again, _),) = encode_tiles(model, [torch.from_numpy(tile.low).float()], [details], header.gain, rdoq_lambda=0)
    return digest([tile.low, *tile.details]), again == container.tiles[0]


def decoded_tile(path: Path) -> tuple[Any, Any]:
    """The model and the only tile of a weconvene file."""
    from wavelic.codec.weights import card_by_id
    from wavelic.container import TileGrid, read_container
    from wavelic.weconvene.layout import levels_of, low_size, padded_tile
    from wavelic.weconvene.tiles import decode_tiles
    from wavelic.weconvene.weights import load_model

    container = read_container(path.read_bytes())
    header = container.header
    model, levels = load_model(card_by_id(header.model)), levels_of(header.width, header.height)
    size = low_size(padded_tile(TileGrid.of(header), 0), levels)
    (tile,) = decode_tiles(model, container.tiles[:1], size, levels, [header.gain])
    return model, tile


def read_threedm(path: Path) -> tuple[str, bool]:
    """The same of a 3dm file of one tile: digest of z and coefficients, and whether they code to its bytes."""
    import torch

    from wavelic.threedm.entropy import VALUE
    from wavelic.threedm.tiles import encode_tiles

    model, (payload,), rate, (tile,) = threedm_tiles([path])
    values = torch.from_numpy(tile.coefficients) / VALUE
    ((again, _),) = encode_tiles(model, [values], rate, [torch.from_numpy(tile.z)])
    return digest([tile.z, tile.coefficients]), again == payload


def threedm_tiles(paths: list[Path]) -> tuple[Any, list[bytes], int, list[Any]]:
    """The model, the payloads, the rate and the tiles of 3dm files of one size and one tile, decoded together."""
    from wavelic.codec.weights import card_by_id
    from wavelic.container import TileGrid, read_container
    from wavelic.threedm.files import padded_box
    from wavelic.threedm.planes import cells
    from wavelic.threedm.tiles import decode_tiles
    from wavelic.threedm.weights import load_model

    containers = [read_container(path.read_bytes()) for path in paths]
    header = containers[0].header
    model, place = load_model(card_by_id(header.model)), cells(padded_box(TileGrid.of(header), 0))
    payloads = [container.tiles[0] for container in containers]
    rates = [container.header.gain for container in containers]
    return model, payloads, header.gain, decode_tiles(model, payloads, (place.height, place.width), rates)


def backends(narrow: bool) -> list[str]:
    """The ways to compute exact convolutions that pass their self-test under this interpreter.

    narrow: of layers with weights as they are trained now, like those of weconvene; else of any, like those of 3dm.
    """
    from wavelic.nn.exact import _agrees

    return [kind for kind in BACKENDS if _agrees(kind, "cpu", narrow)]


def first_two(files: list[Path], codec: str) -> list[Path]:
    """Two files of one size, of the first writer; empty if it wrote none with this codec."""
    paths = [files[0].parent / f"{codec}-{QUALITIES[codec][-1]}-{number}.wlic" for number in range(2)]
    return paths if paths[0].exists() else []


def threedm_digests(files: list[Path]) -> dict[str, str]:
    """The coefficients of two 3dm tiles of one size, decoded in several ways."""
    from unittest import mock

    from wavelic.nn import exact

    def decoded(groups: list[list[Path]]) -> str:
        return digest([part for group in groups for t in threedm_tiles(group)[3] for part in (t.z, t.coefficients)])

    chosen = first_two(files, "3dm")
    if not chosen:
        return {}
    found = {"one by one": decoded([[path] for path in chosen]), "batch of two": decoded([chosen])}
    for kind in backends(narrow=False):
        with mock.patch.object(exact, "_backend", lambda *_, kind=kind: kind):
            found[kind] = decoded([chosen])
    return found


def context_digests(files: list[Path]) -> dict[str, str]:
    """What the context model of weconvene says about two tiles of one size, asked in several ways."""
    from unittest import mock

    import torch

    from wavelic.container import read_container
    from wavelic.nn import exact
    from wavelic.weconvene.context import code_levels
    from wavelic.weconvene.subbands import pack
    from wavelic.weconvene.units import STEP_UNIT

    chosen = first_two(files, "weconvene")
    if not chosen:
        return {}
    model = decoded_tile(chosen[0])[0]
    tiles = [decoded_tile(path)[1] for path in chosen]
    log2_step = torch.full((1,), read_container(chosen[0].read_bytes()).header.gain / STEP_UNIT)

    @torch.inference_mode()
    def ask(numbers: list[int], order: Any) -> list[list[np.ndarray]]:
        seen: list[list[np.ndarray]] = [[] for _ in numbers]
        low = torch.from_numpy(np.stack([tiles[n].low for n in numbers]))
        levels = zip(*(tiles[n].details for n in numbers), strict=True)
        packed = [pack(torch.from_numpy(np.stack(level))) for level in levels]

        def coder(number: int, index: int, mean: Any, table: Any) -> Any:
            for row, arrays in enumerate(seen):
                arrays += [mean[row].numpy(), table[row].numpy()]
            channels = list(model.entropy.slices[index].channels)
            return packed[number - 1][:, channels].contiguous(memory_format=order)

        code_levels(model.entropy, low, log2_step, len(packed), coder)
        return seen

    plain, last = torch.contiguous_format, torch.channels_last
    both = [0, 1]
    found = {
        "one by one": digest([a for n in both for a in ask([n], plain)[0]]),
        "batch of two": digest([a for row in ask(both, plain) for a in row]),
        "batch of two, channels-last": digest([a for row in ask(both, last) for a in row]),
    }
    for kind in backends(narrow=True):
        with mock.patch.object(exact, "_backend", lambda *_, kind=kind: kind):
            found[kind] = digest([a for row in ask(both, plain) for a in row])
    return found


def environment() -> dict[str, Any]:
    import torch

    return {
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "backends": backends(narrow=True),
    }


# --- what compares them -----------------------------------------------------------------------------------------------


def call(python: str, plainest: bool, *arguments: str, pixels: str = "") -> Any:
    variables = {**os.environ, **(PLAINEST if plainest else {}), "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    variables |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "EXACTNESS_PIXELS": pixels}
    command = [python, "-W", "ignore", "-m", "benchmarks.studies.exactness_across", *arguments]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def differences(pixels: list[Any]) -> dict[str, Any]:
    """Largest difference between any reading of a file and its first, and what part of all samples differ."""
    first: dict[str, np.ndarray] = {}
    largest, samples, unequal = 0, 0, 0
    for archive in pixels:
        for name in archive.files:
            key, now = name.split("|")[0], archive[name].astype(np.int32)
            gap = np.abs(now - first.setdefault(key, now))
            largest, samples, unequal = max(largest, int(gap.max())), samples + gap.size, unequal + int((gap > 0).sum())
    return {"largest_difference": largest, "samples": samples, "share_that_differs": unequal / samples}


def gather(images: Path, interpreters: list[str], codecs: list[str], work: Path) -> dict[str, Any]:
    """Run every writer, then every reader; what is already in ``work`` is not done again."""
    places: dict[str, tuple[str, bool]] = {}
    about = {}
    for python in interpreters:
        for plainest in (False, True):
            found = call(python, plainest, "--role", "about")
            name = f"torch {found['torch']}" + (", plainest kernels" if plainest else "")
            places[name], about[name] = (python, plainest), found
            folder = work / name.replace(" ", "_")
            if not folder.exists():
                folder.mkdir(parents=True)
                call(python, plainest, "--role", "write", "--images", str(images), str(folder), "--codecs", *codecs)
                print(f"{name}: files written", flush=True)
    paths = sorted(str(path) for path in work.glob("*/*.wlic"))
    for name, (python, plainest) in places.items():
        reading = work / f"{name.replace(' ', '_')}.json"
        if not reading.exists():
            found = call(python, plainest, "--role", "read", *paths, pixels=str(reading.with_suffix(".npz")))
            reading.write_text(json.dumps(found))
            print(f"{name}: files read", flush=True)
    return about


def summary(about: dict[str, Any], codecs: list[str], work: Path) -> dict[str, Any]:
    """What the readings of ``work`` have in common."""
    names = [name.replace(" ", "_") for name in about]
    paths = sorted(work.glob("*/*.wlic"))
    contents: dict[str, set[str]] = {}
    for path in paths:
        contents.setdefault(path.name, set()).add(hashlib.sha256(path.read_bytes()).hexdigest())
    results: dict[str, dict[str, set[Any]]] = {"coefficients": {}, "bytes": {}, "contexts": {}}
    for name in names:
        for part, keys in json.loads((work / f"{name}.json").read_text()).items():
            for key, found in keys.items():
                results[part].setdefault(key, set()).update(found.values())
    alike = Counter(name.rsplit("-", 2)[0] for name, found in contents.items() if len(found) == 1)
    return {
        "places": about,
        "plainest_kernels": PLAINEST,
        "sizes": SIZES,
        "qualities": {codec: QUALITIES[codec] for codec in codecs},
        "configurations_threads_onednn": CONFIGURATIONS,
        "files": len(paths),
        "readings_of_each_file": len(names) * len(CONFIGURATIONS),
        "files_with_one_set_of_coefficients": sum(len(found) == 1 for found in results["coefficients"].values()),
        "files_whose_bytes_come_back": sum(found == {True} for found in results["bytes"].values()),
        "different_contexts": {
            codec: len(set().union(*(found for key, found in results["contexts"].items() if key.startswith(codec))))
            for codec in ("weconvene", "3dm")
            if codec in codecs
        },
        "pixels": differences([np.load(work / f"{name}.npz") for name in names]),
        "images_all_writers_code_alike": {
            codec: f"{alike[codec]} of {len(SIZES) * len(QUALITIES[codec])}" for codec in codecs
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--role", choices=("about", "write", "read"), help="used by the script itself")
    parser.add_argument("--codecs", nargs="+", choices=list(QUALITIES), default=list(QUALITIES))
    parser.add_argument("--json", type=Path, default=RESULT, help="result file")
    parser.add_argument("--work", type=Path, help="keep files and readings there; what is there is not done again")
    parser.add_argument("arguments", nargs="*", metavar="PYTHON")
    given = parser.parse_args()
    if given.role == "about":
        print(json.dumps(environment()))
    elif given.role == "write":
        write_files(given.images, Path(given.arguments[0]), given.codecs)
        print("null")
    elif given.role == "read":
        print(json.dumps(read_files([Path(path) for path in given.arguments])))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            work = given.work or Path(temporary)
            about = gather(given.images, given.arguments, given.codecs, work)
            report = summary(about, given.codecs, work)
        write_results(report, given.json)
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
