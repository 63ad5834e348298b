"""The command line in this process: files in, files out, messages, exit codes; no process is started here."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from commands import error_of, wavelic_cli
from paths import DOCS

import wavelic
from wavelic import errors
from wavelic.cli.files import Job, open_output, plan
from wavelic.codec.architectures import architectures
from wavelic.codec.registry import CODECS
from wavelic.errors import ChecksumError, OutputError, UsageError, WavelicError
from wavelic.evaluation.anchors import ANCHORS
from wavelic.wcae.codec import FAMILIES

WIDTH, HEIGHT = 100, 70


def smooth(channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [np.sin(x / (9 + 4 * k)) + np.cos(y / (14 - 3 * k)) for k in range(channels)]
    return ((np.stack(planes, 2) + 2) / 4 * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    PIL.Image.fromarray(smooth()).save(path)
    return path


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return wavelic.encode(smooth(4), quality=40)


# --- Names ---------------------------------------------------------------------------------------------------------


def test_one_input_goes_to_the_named_file() -> None:
    assert plan(["a.png"], "b.wlic", ".wlic") == [Job("a.png", "b.wlic")]


@pytest.mark.parametrize("folder", ["out/", "."])
def test_a_folder_takes_the_stems(folder: str) -> None:
    jobs = plan(["x/a.png", "b.b.jpg"], folder, ".wlic")
    assert [Path(job.target).name for job in jobs] == ["a.wlic", "b.b.wlic"]


@pytest.mark.parametrize(
    ("inputs", "output", "cause"),
    [
        (["a.png", "b.png"], "c.wlic", "2 inputs and one output"),
        (["a.png", "b.png"], "-", "2 inputs and one output"),
        (["a.png", "-"], "out/", "beside other inputs"),
        (["x/a.png", "y/a.jpg"], "out/", "both become"),
    ],
)
def test_ambiguous_names_are_refused(inputs: Sequence[str], output: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        plan(inputs, output, ".wlic")


def test_a_new_folder_appears_only_when_the_output_is_opened(tmp_path: Path) -> None:
    job = plan(["a.png"], f"{tmp_path}/new/deep/", ".wlic")[0]
    assert not (tmp_path / "new").exists()
    with open_output(job, False) as stream:
        stream.write(b"x")
    assert (tmp_path / "new" / "deep" / "a.wlic").read_bytes() == b"x"


def test_a_folder_below_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"), open_output(Job("a", "b", f"{tmp_path}/file/x"), False):
        pass


# --- Encode and decode ---------------------------------------------------------------------------------------------


def test_a_file_round_trips(photo: Path, tmp_path: Path) -> None:
    assert wavelic_cli("encode", photo, tmp_path / "a.wlic", "-q", "60").exit_code == 0
    assert wavelic_cli("decode", tmp_path / "a.wlic", tmp_path / "b.png").exit_code == 0
    stored = (tmp_path / "a.wlic").read_bytes()
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "b.png")), wavelic.decode(stored))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wlic", "b.png", "photo.png"]


def test_standard_streams_round_trip(photo: Path) -> None:
    encoded = wavelic_cli("encode", "-", "-", stdin=photo.read_bytes())
    assert encoded.exit_code == 0
    assert encoded.stdout_bytes == wavelic.encode(smooth())
    assert "standard input -> standard output" in encoded.stderr
    decoded = wavelic_cli("decode", "-", "-", stdin=encoded.stdout_bytes)
    picture = np.asarray(PIL.Image.open(io.BytesIO(decoded.stdout_bytes)))
    np.testing.assert_array_equal(picture, wavelic.decode(encoded.stdout_bytes))


@pytest.mark.parametrize("codec", [codec.name for codec in FAMILIES])
def test_every_codec_and_the_published_way(codec: str, photo: Path, tmp_path: Path) -> None:
    for options in ([], ["--published"]):
        out = tmp_path / f"a{len(options)}.wlic"
        assert wavelic_cli("encode", photo, out, "--codec", codec, *options).exit_code == 0
        assert wavelic_cli("verify", out).exit_code == 0
    assert (tmp_path / "a0.wlic").stat().st_size < (tmp_path / "a1.wlic").stat().st_size


@pytest.mark.parametrize("name", ["x.tif", "x.ppm", "x.webp", "x.bmp", "x.jpg"])
def test_the_extension_chooses_the_format(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.wlic").write_bytes(wavelic.encode(smooth()))
    assert wavelic_cli("decode", tmp_path / "a.wlic", tmp_path / name).exit_code == 0
    assert PIL.Image.open(tmp_path / name).size == (WIDTH, HEIGHT)


def test_format_applies_to_folders_and_streams(tmp_path: Path, coded: bytes) -> None:
    (tmp_path / "a.wlic").write_bytes(coded)
    assert wavelic_cli("decode", tmp_path / "a.wlic", f"{tmp_path}/out/", "--format", "tiff").exit_code == 0
    assert PIL.Image.open(tmp_path / "out" / "a.tif").mode == "RGBA"
    assert wavelic_cli("decode", "-", "-", "--format", "webp", stdin=coded).stdout_bytes[8:12] == b"WEBP"


def test_several_files_go_on_after_a_bad_one(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    (tmp_path / "second.png").write_bytes(photo.read_bytes())
    inputs = [photo, tmp_path / "bad.png", tmp_path / "second.png"]
    result = wavelic_cli("encode", *inputs, f"{tmp_path}/out/", "--json")
    assert result.exit_code == 3
    assert "bad.png is not an image" in error_of(result)
    assert "1 of 3 files failed" in result.stderr
    files = json.loads(result.stdout)["files"]
    assert [Path(row["input"]).name for row in files] == ["photo.png", "bad.png", "second.png"]
    assert [row.get("exit_code", 0) for row in files] == [0, 3, 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["photo.wlic", "second.wlic"]


def test_json_describes_the_file(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.wlic"
    result = wavelic_cli("encode", photo, out, "--json")
    (row,) = json.loads(result.stdout)["files"]
    assert (row["width"], row["height"], row["bytes"]) == (WIDTH, HEIGHT, out.stat().st_size)
    assert row["bpp"] == pytest.approx(8 * row["bytes"] / (WIDTH * HEIGHT), abs=1e-5)
    result = wavelic_cli("decode", out, tmp_path / "b.png", "--json")
    assert json.loads(result.stdout)["files"][0]["format"] == "png"


@pytest.mark.parametrize(("option", "value"), [("--bpp", 0.3), ("--size", 200), ("--psnr", 24.0), ("--bpp", 50.0)])
def test_targets_are_met_or_the_nearest_is_named(option: str, value: float, photo: Path, tmp_path: Path) -> None:
    result = wavelic_cli("encode", photo, tmp_path / "a.wlic", option, f"{value:g}", "--json")
    (row,) = json.loads(result.stdout)["files"]
    if option == "--psnr":
        reached = wavelic.api.files.psnr(smooth(), wavelic.decode((tmp_path / "a.wlic").read_bytes()))
        met = abs(reached - value) <= 0.0861
    else:
        reached = row["bytes"] if option == "--size" else row["bpp"]
        met = abs(reached - value) <= 0.02 * value + 1e-4
    assert f"asked for {value:g}" in row["note"]
    assert met == ("nearest" not in row["note"])
    assert row["note"] in result.stderr


def test_strip_leaves_metadata_out(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[271] = "maker"
    PIL.Image.fromarray(smooth()).save(tmp_path / "a.jpg", exif=exif)
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "kept.wlic")
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "stripped.wlic", "--strip")
    result = wavelic_cli("info", tmp_path / "kept.wlic", tmp_path / "stripped.wlic", "--json")
    kinds = [[chunk["kind"] for chunk in row["chunks"]] for row in json.loads(result.stdout)["files"]]
    assert ["exif" in row for row in kinds] == [True, False]


@pytest.mark.parametrize(("option", "kept"), [((), 3), (("--strip",), 0), (("--strip-gps",), 2)])
def test_strip_at_encode_decode_and_trim(option: tuple[str, ...], kept: int, tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[271], exif[274] = "maker", 6
    exif.get_ifd(0x8825)[1] = "N"
    PIL.Image.fromarray(smooth()).save(tmp_path / "a.jpg", exif=exif)
    sizes = set()
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "a.jp2", "--layers", "2")
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "first.wlic", "--codec", "wcae", *option)
    wavelic_cli("decode", tmp_path / "first.wlic", tmp_path / "first.png")
    wavelic_cli("encode", tmp_path / "a.jpg", tmp_path / "kept.wlic", "--codec", "wcae")
    wavelic_cli("decode", tmp_path / "kept.wlic", tmp_path / "second.png", *option)
    wavelic_cli("trim", tmp_path / "a.jp2", tmp_path / "b.jp2", "--max-layers", "2", *option)
    wavelic_cli("decode", tmp_path / "b.jp2", tmp_path / "third.png")
    for name in ("first", "second", "third"):
        with PIL.Image.open(tmp_path / f"{name}.png") as picture:
            sizes.add(PIL.ImageOps.exif_transpose(picture).size)
            found = picture.getexif()
        assert (271 in found) + (274 in found) + bool(found.get_ifd(0x8825)) == kept
    assert len(sizes) == 1


# --- Info, verify, models ------------------------------------------------------------------------------------------


def test_info_accounts_for_every_byte_and_states_the_loss_of_16_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.wlic"
    path.write_bytes(wavelic.encode(smooth(1, np.uint16)))
    row = json.loads(wavelic_cli("info", path, "--json").stdout)["files"][0]
    assert row["header_bytes"] + sum(chunk["bytes"] for chunk in row["chunks"]) == path.stat().st_size == row["bytes"]
    text = wavelic_cli("info", path).stdout
    assert f"{WIDTH} x {HEIGHT} gray, 16 bits" in text
    assert "16-bit source coded lossily" in text


def test_info_goes_on_after_a_bad_file(tmp_path: Path, coded: bytes) -> None:
    (tmp_path / "a.wlic").write_bytes(coded)
    result = wavelic_cli("info", tmp_path / "missing.wlic", tmp_path / "a.wlic", "--json")
    assert result.exit_code == 3
    assert "missing.wlic cannot be read" in error_of(result)
    assert [row.get("exit_code", 0) for row in json.loads(result.stdout)["files"]] == [3, 0]


def test_verify_tells_good_from_damaged(tmp_path: Path, coded: bytes) -> None:
    damaged = bytearray(coded)
    damaged[-20] ^= 1
    (tmp_path / "good.wlic").write_bytes(coded)
    (tmp_path / "bad.wlic").write_bytes(damaged)
    result = wavelic_cli("verify", tmp_path / "good.wlic", tmp_path / "bad.wlic")
    assert result.exit_code == ChecksumError.exit_code
    good, bad = result.stdout.splitlines()
    assert good.startswith("OK ")
    assert bad.startswith("damaged ")
    assert "bad.wlic" in bad


def test_verify_decodes_the_latent_and_alpha(tmp_path: Path, coded: bytes) -> None:
    """A payload that was exchanged together with its chunk checksum is noticed by the checksum of the latent."""
    from dataclasses import replace

    from wavelic.container import ALPH, DATA, Chunk, read_container, write_container

    container = read_container(coded)
    latent = bytearray(container.tiles[0])
    latent[len(latent) // 2] ^= 0xFF
    for kind, payload, cause in [(DATA, bytes(latent), ""), (ALPH, b"\x01junk", "alpha")]:
        chunks = tuple(Chunk(kind, payload) if chunk.kind == kind else chunk for chunk in container.chunks)
        path = tmp_path / "forged.wlic"
        path.write_bytes(write_container(replace(container, chunks=chunks)))
        assert wavelic_cli("info", path).exit_code == 0
        result = wavelic_cli("verify", path)
        assert result.stdout.startswith("damaged"), result.output
        assert cause in result.stdout


def test_models_lists_every_architecture() -> None:
    rows = json.loads(wavelic_cli("models", "--json").stdout)["models"]
    assert {row["name"]: row["parameters"] for row in rows} == {e.name: e.parameters for e in architectures().values()}
    text = wavelic_cli("models").stdout
    for row in rows:
        assert f"{row['parameters']:,}" in text
        for weights in row["weights"]:
            assert re.fullmatch("[0-9a-f]{32}", weights["hash"])
            assert weights["hash"] in text


# --- Errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["encode"], "Missing argument"),
        (["encode", "photo.png", "x.wlic", "--nonsense"], "No such option"),
        (["nonsense"], "No such command"),
        (["encode", "photo.png", "x.wlic", "-q", "many"], "Invalid value for '--quality'"),
        (["encode", "photo.png", "x.wlic", "-q", "101"], "outside 0..100"),
        (["encode", "photo.png", "x.wlic", "--bpp", "-1"], "outside"),
        (["encode", "photo.png", "x.wlic", "--bpp", "nan"], "outside"),
        (["encode", "photo.png", "x.wlic", "--bpp", "1", "--psnr", "30"], "bpp and psnr given together"),
        (["encode", "photo.png", "x.wlic", "--codec", "mp3"], "no codec 'mp3'"),
        (["encode", "photo.png", "x.wlic", "-j", "-1"], "-j -1"),
        (["encode", "photo.png", "x.png"], "does not end in .wlic"),
        (["encode", "photo.png", "-", "--json"], "both write to standard output"),
        (["decode", "a.wlic", "-", "--json"], "both write to standard output"),
        (["decode", "a.wlic", "b.xyz"], "does not end in one of"),
        (["decode", "a.wlic", "b.png", "--format", "gif"], "image format 'gif'"),
        (["anchors", "webp"], "--images and --json"),
        (["anchors", "mp3", "--images", ".", "--json", "x.json"], "unknown anchor"),
        (["compare", "a.json"], "one results file"),
        (["compare", "a.json", "b.json", "--metric", "taste"], "metric 'taste'"),
        (["report", "missing", "--out", "x"], "does not exist"),
        (["eval", "wcae", "--images", "missing", "--json", "x.json"], "is not a folder"),
        (["eval", "wcae", "--images", ".", "--json", "x.json", "--qualities", "1,x"], "are not numbers"),
        (["train", "nonsense"], "no recipe"),
        (["train", "wcae-cpu", "nonsense"], "has no value"),
    ],
)
def test_wrong_arguments_are_one_line_and_leave_nothing(
    arguments: list[str], cause: str, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    result = wavelic_cli(*arguments)
    assert result.exit_code == 2, result.output
    assert cause in error_of(result)
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]
    assert result.stdout == ""


def test_an_existing_output_is_refused_before_the_work_and_replaced_with_force(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.wlic"
    out.write_bytes(b"precious")
    result = wavelic_cli("encode", photo, out, "--device", "nonsense")  # encoding would fail at the device
    assert result.exit_code == OutputError.exit_code
    assert "exists; use --force" in error_of(result)
    assert out.read_bytes() == b"precious"
    assert wavelic_cli("encode", photo, out, "--force").exit_code == 0
    assert out.read_bytes() == wavelic.encode(smooth())


def test_interruption_leaves_no_file(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wavelic.api.files.encode_image", interrupt)
    result = wavelic_cli("encode", photo, tmp_path / "a.wlic")
    assert result.exit_code == 130
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_version_help_and_no_arguments() -> None:
    assert wavelic_cli("--version").stdout == f"wavelic {wavelic.__version__}\n"
    assert "encode" in wavelic_cli().stdout
    assert "--bpp" in wavelic_cli("encode", "-h").stdout


def test_a_missing_library_names_its_extra() -> None:
    from wavelic.cli.boundary import needs
    from wavelic.errors import MissingDependencyError

    with pytest.raises(MissingDependencyError, match=r"wavelic\[train\]"), needs("train"):
        import no_such_library  # type: ignore[import-not-found] # noqa: F401


# --- Evaluation ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    (folder / "images").mkdir()
    noise = np.random.default_rng(1).normal(0, 12, (192, 176, 3))
    y, x = np.mgrid[0:192, 0:176]
    scene = 128 + 60 * np.sin(x / 11)[..., None] + 50 * np.cos(y / 17)[..., None] + noise
    PIL.Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(folder / "images" / "one.png")
    images = ["--images", folder / "images"]
    for codec in CODECS:
        qualities = "--qualities=0,30,60,80,100"
        assert wavelic_cli("eval", codec, *images, "--json", folder / f"{codec}.json", qualities).exit_code == 0
    assert wavelic_cli("anchors", "jpeg-420", *images, "--json", folder / "jpeg.json").exit_code == 0
    return folder


def test_eval_writes_rows_with_real_sizes(measured: Path) -> None:
    from wavelic.evaluation.results import read_curve

    curve = read_curve(measured / "wcae.json")
    pixels = np.asarray(PIL.Image.open(measured / "images" / "one.png"))
    assert curve.rows[0].bytes == len(wavelic.encode(pixels, "wcae", curve.rows[0].setting, strip=True))
    assert curve.settings == (0, 30, 60, 80, 100)
    assert not list(measured.glob("*.partial.jsonl"))


def test_compare_speaks_table_json_and_markdown(measured: Path) -> None:
    files = [measured / f"{codec}.json" for codec in sorted(CODECS, key=lambda codec: codec != "wcae")]
    assert "BD-rate against WCAE" in wavelic_cli("compare", *files).stdout
    row, *_ = json.loads(wavelic_cli("compare", *files, "--json").stdout)
    assert row["reference"] == "WCAE"
    markdown = wavelic_cli("compare", *files, "--markdown", "--metric", "ms-ssim-rgb").stdout
    assert markdown.startswith("BD-rate against WCAE, MS-SSIM RGB")
    assert "|---|---:|" in markdown


def test_report_reads_a_folder(measured: Path, tmp_path: Path) -> None:
    result = wavelic_cli("report", measured, "--out", tmp_path / "page")
    assert result.exit_code == 0, result.output
    page = Path(result.stdout.strip())
    assert page == tmp_path / "page" / "index.html"
    assert "NoWCAE" in page.read_text()


def test_anchors_list_names_all() -> None:
    text = wavelic_cli("anchors", "list").stdout
    assert all(name in text for name in ANCHORS)


def test_demo_writes_files_that_are_no_larger_than_ours(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wavelic.evaluation.sidebyside.QUICK", ("jpeg-420", "webp"))
    image = measured / "images" / "one.png"
    result = wavelic_cli("demo", image, "--out", tmp_path / "d", "--no-open", "--bpp", "0.6")
    assert result.exit_code == 0, result.output
    files = {path.name: path.stat().st_size for path in (tmp_path / "d" / "files").iterdir()}
    assert "one-wcae.wlic" in files
    assert {"one-webp.webp", "one-jpeg-420.jpg"} & set(files)
    assert all(size <= files["one-weconvene.wlic"] for size in files.values()), files
    assert (tmp_path / "d" / "index.html").is_file()
    assert "WCAE" in result.stdout


def test_recipes_lists_what_train_takes() -> None:
    assert "wcae-cpu" in wavelic_cli("recipes").stdout


# --- Documentation -------------------------------------------------------------------------------------------------

DOCUMENTATION = DOCS / "cli.md"


def documented(heading: str) -> list[list[str]]:
    """The commands in one section of docs/cli.md without pipes, as arguments."""
    section = re.search(rf"## {heading}\n.*?```sh\n(.*?)```", DOCUMENTATION.read_text(), re.S)
    assert section, heading
    lines = [line.partition("#")[0].strip() for line in section[1].splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("wavelic ")]


def test_documented_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photo.png", "a.png", "b.png"):
        PIL.Image.fromarray(smooth()).save(name)
    commands = documented("Compress and decompress") + documented("Look inside")
    assert len(commands) >= 11
    for arguments in commands:
        if "-j" in arguments:  # processes are tested elsewhere
            arguments = arguments[: arguments.index("-j")]
        result = wavelic_cli(*arguments)
        assert result.exit_code == 0, (arguments, result.output)


def test_documented_options_exist() -> None:
    commands = documented("Demonstration") + documented("Measure") + documented("Train")
    assert len(commands) >= 11
    for command, *rest in commands:
        known = wavelic_cli(command, "--help").stdout
        assert [word for word in rest if word.startswith("--") and word not in known] == []


def test_documented_exit_codes_are_those_of_the_errors() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d) \|", DOCUMENTATION.read_text(), re.M)}
    assert table == {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, WavelicError)}
