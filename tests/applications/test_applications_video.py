"""The video format: frames come back in another process, damage is told, hostile files are refused."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import ROOT
from PIL import Image

from applications import run
from applications.run import record
from applications.training import Recipe, train
from applications.video import __main__ as command
from applications.video import codec, file, task
from applications.video.clips import parse_ppm
from applications.video.codec import decode_clip, encode_clip
from applications.video.made import made_clip, made_prediction
from applications.video.model import VideoModel, export, load_model
from applications.video.network import DVC
from wavelic.container.crc import crc32c
from wavelic.errors import ChecksumError, FormatError, LimitError, ModelError, SourceError, UsageError, WavelicError


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    export(DVC(4, "wavelet").eval(), path, "wavelet", task.RECIPES["smoke"])
    return path


@pytest.fixture(scope="module")
def model(model_file: Path) -> VideoModel:
    return load_model(model_file)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Four frames of a moving pattern, 70 x 50: no multiple of anything."""
    rows, columns = np.mgrid[0:50, 0:70]
    moved = [np.stack((4 * rows, 3 * (columns + 2 * n), 2 * rows + columns), -1) % 256 for n in range(4)]
    return np.stack(moved).astype(np.uint8)


@pytest.fixture(scope="module")
def data(frames: np.ndarray, model: VideoModel) -> bytes:
    return encode_clip(frames, model, group=3, intra="lifting")


def test_another_process_decodes_the_encoders_frames(
    data: bytes, model: VideoModel, model_file: Path, tmp_path: Path
) -> None:
    expected = np.stack(list(decode_clip(data, model)))
    assert expected.shape == (4, 50, 70, 3)
    (tmp_path / "clip.wlv").write_bytes(data)
    code = (
        "import sys, numpy as np, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from applications.video.codec import decode_clip\n"
        "from applications.video.model import load_model\n"
        "frames = decode_clip(Path(sys.argv[1]).read_bytes(), load_model(Path(sys.argv[2])))\n"
        "np.save(sys.argv[3], np.stack(list(frames)))"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "clip.wlv"), str(model_file), str(tmp_path / "frames.npy")]
    subprocess.run(words, check=True, cwd=ROOT)
    assert np.array_equal(np.load(tmp_path / "frames.npy"), expected)


def test_the_kinds_of_frames_follow_the_group(data: bytes) -> None:
    kinds = [record.kind for record in file.read_records(data, file.read_header(data))]
    assert kinds == [file.INTRA, file.PREDICTED, file.PREDICTED, file.INTRA]


def test_every_truncation_is_a_format_error(data: bytes, model: VideoModel) -> None:
    for size in [*range(40), *range(40, len(data), 61), len(data) - 1]:
        with pytest.raises(FormatError) as caught:
            _walk(data[:size])
        assert "\n" not in str(caught.value)
        assert not isinstance(caught.value, ChecksumError)


def _walk(data: bytes) -> None:
    for _ in file.read_records(data, file.read_header(data)):
        pass


def test_every_changed_byte_is_noticed(data: bytes) -> None:
    for position in [*range(40), *range(40, len(data), 97), len(data) - 1]:
        changed = bytearray(data)
        changed[position] ^= 0x10
        with pytest.raises(FormatError):
            _walk(bytes(changed))


def _clip(records: list[file.Record], header: file.Header) -> bytes:
    return file.write_header(header) + b"".join(map(file.write_record, records))


def test_files_that_are_whole_and_wrong(data: bytes, model: VideoModel) -> None:
    """Checksums are right, what they protect is not: a hostile file."""
    header = file.read_header(data)
    intra, predicted, *_ = file.read_records(data, header)
    one, two = dataclasses.replace(header, frames=1), dataclasses.replace(header, frames=2)
    cases: list[tuple[bytes, type[WavelicError], str]] = [
        (_clip([predicted], one), FormatError, "first frame is predicted"),
        (_clip([dataclasses.replace(intra, kind=7)], one), FormatError, "kind 7"),
        (_clip([intra], one) + b"x", FormatError, "1 bytes follow"),
        (_clip([intra], dataclasses.replace(one, width=71)), FormatError, "header says"),
        (_clip([intra], dataclasses.replace(one, width=0)), FormatError, "expected at least 1"),
        (_clip([intra], dataclasses.replace(one, width=65535, height=65535)), LimitError, "at most"),
        (_clip([intra], dataclasses.replace(one, frames=1 << 31)), LimitError, "in all"),
        (_clip([intra], dataclasses.replace(one, weights=bytes(16))), ModelError, "coded with weights"),
        (_clip([dataclasses.replace(intra, samples_crc=1)], one), ChecksumError, "not the encoder's"),
        (_clip([dataclasses.replace(intra, payload=b"GIF89a")], one), FormatError, "begin|format|file"),
        (b"RIFF", FormatError, "video encode"),
        (b"", FormatError, "video encode"),
    ]
    for given, error, words in cases:
        with pytest.raises(error, match=words) as caught:
            list(decode_clip(given, model))
        assert "\n" not in str(caught.value)
    for payload in (b"", b"\xff" * 40, np.random.default_rng(0).bytes(300)):
        with pytest.raises(FormatError):
            list(decode_clip(_clip([intra, dataclasses.replace(predicted, payload=payload)], two), model))


def test_clips_that_are_not_coded(model: VideoModel, frames: np.ndarray) -> None:
    for wrong in ([], [frames[0], frames[0, :-1]], frames.astype(np.float32), frames[..., 0]):
        with pytest.raises(UsageError, match=r"; "):
            encode_clip(wrong, model, intra="lifting")
    with pytest.raises(UsageError, match="at least 1"):
        encode_clip(frames, model, group=0)


def test_files_that_are_no_model(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "clip").write_bytes(data)
    for path in (tmp_path / "none", tmp_path / "clip"):
        with pytest.raises(ModelError, match="video export") as caught:
            load_model(path)
        assert "\n" not in str(caught.value)


def test_the_command_says_what_is_wrong(tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["decode", str(tmp_path / "none.wlv"), str(tmp_path / "out.mkv"), "--model", str(model_file)]
    assert command.main(words) == SourceError.exit_code
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1


def test_ppm_frames() -> None:
    picture = np.arange(36, dtype=np.uint8).reshape(2, 6, 3)
    one = b"P6\n6 2\n255\n" + picture.tobytes()
    assert np.array_equal(parse_ppm(one + one), np.stack((picture, picture)))
    with pytest.raises(SourceError, match="one size"):
        parse_ppm(one + one[:-3])


@pytest.fixture
def video(frames: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> task.Video:
    """The task of recipe smoke, with one clip to train and to test."""
    large = np.tile(frames, (1, 2, 1, 1))
    monkeypatch.setattr(task, "read_clip", lambda path: large)
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.mkv").touch()
    (tmp_path / "photographs").mkdir()
    photograph = np.random.default_rng(7).integers(0, 256, (96, 110, 3), np.uint8)
    Image.fromarray(photograph).save(tmp_path / "photographs" / "a.png")
    return task.Video(task.RECIPES["smoke"], tmp_path, intra="lifting")


def test_it_trains_in_three_phases_and_is_scored(video: task.Video, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = video.network("twin")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert train(video, network, 0, tmp_path / "run.pt").finished
    parts = {name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert parts == {"estimation", "compensation", "motion", "residual"}
    result = video.score(network)
    assert set(result) == {"bpp", "psnr", "clips"}
    assert result["clips"] == {"a": {"bpp": pytest.approx(result["bpp"], abs=1e-4), "psnr": result["psnr"]}}
    assert result["psnr"] > 5.0
    record(tmp_path / "video.json", "smoke", {"arm": "twin", "seed": 0, "scores": result})


def test_parts_are_trained_one_after_the_other(
    video: task.Video, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Recipe({"plain": 4, "twin": 4}, 2, 2, 1e-3, "soap", side=64)
    alone = {"flow": dataclasses.replace(few, widths={"plain": 4}), "motion": few, "residual": few}
    parts = task._recipes("tiny", alone, few, few, 2, 3)
    monkeypatch.setattr(task, "RECIPES", parts)
    states = []
    for part, arm in (("flow", "plain"), *((part, "twin") for part in ("motion", "residual", "1024", "512"))):
        words = ["video", "--data", tmp_path, "--recipe", f"tiny-{part}", "--arms", arm]
        assert run.main([str(word) for word in (*words, "--runs", tmp_path, "--results", tmp_path)]) == 0
        states.append(torch.load(tmp_path / f"video-tiny-{part}-{arm}-0.pt", weights_only=True)["network"])
    flow, motion, residual, first, further = states
    changed = [
        {name.split(".")[0] for name in after if not torch.equal(before[name], after[name])}
        for before, after in pairwise((motion, residual, first, further))
    ]
    assert changed == [
        {"residual"},
        {"compensation", "motion", "residual"},
        {"compensation", "estimation", "motion", "residual"},
    ]
    assert all(torch.equal(motion[f"estimation.{name}"], value) for name, value in flow.items())
    scores = {
        part: runs["runs"][0]["scores"] for part, runs in json.loads((tmp_path / "video.json").read_text()).items()
    }
    assert scores["tiny-flow"]["copied"] == scores["tiny-motion"]["copied"]
    assert scores["tiny-1024"].keys() == {"bpp", "psnr", "clips"}


def test_photographs_move_and_are_predicted_badly() -> None:
    noise = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (3, 110, 96), np.uint8))
    for seed in range(8):
        clip = made_clip([noise], 3, 64, torch.Generator().manual_seed(seed))
        again = made_clip([noise], 3, 64, torch.Generator().manual_seed(seed))
        assert clip.shape == (3, 3, 64, 64)
        assert torch.equal(clip, again)
        assert 0.0 <= float(clip.min()) <= float(clip.max()) <= 1.0
        assert not torch.equal(clip[0], clip[1])
        frame, prediction = made_prediction([noise], 64, torch.Generator().manual_seed(seed))
        assert (frame.shape, prediction.shape) == ((1, 3, 64, 64), (1, 3, 64, 64))
        assert 0.0 <= float(prediction.min()) <= float(prediction.max()) <= 1.0
        assert not torch.equal(frame, prediction)
    flat = torch.full((3, 96, 96), 51, dtype=torch.uint8)  # whatever moves, nothing changes but the light
    assert torch.allclose(made_clip([flat], 3, 64, torch.Generator().manual_seed(0)), torch.tensor(0.2))
    _, prediction = made_prediction([flat], 64, torch.Generator().manual_seed(0))
    assert 0.0 < float((prediction - 0.2).abs().max()) < 0.2


def test_recipes_have_the_arms_that_they_say(
    video: task.Video, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["video", "--data", str(tmp_path), "--recipe", "cpu-flow", "--arms", "twin"]) != 0
    assert "cpu-flow has no arm twin; choose of plain" in capsys.readouterr().out


def test_symbols_of_a_hostile_stream_stay_finite(model: VideoModel, frames: np.ndarray) -> None:
    def largest(part: str, index: np.ndarray, prediction: torch.Tensor | None) -> np.ndarray:
        return np.full(len(index), 1 << 15, np.int32)

    assert codec.reconstruct(frames[0], model, largest).shape == frames[0].shape
    with pytest.raises(FormatError, match="beyond"):
        codec.reconstruct(frames[0], model, lambda part, index, _: np.full(len(index), -(1 << 31), np.int32))


def test_measured_figures() -> None:
    clip = np.zeros((2, 4, 5, 3), np.uint8)
    assert task.measured(b"x" * 10, clip, clip + np.uint8(1)) == {"bpp": 2.0, "psnr": 48.1308}
    assert crc32c(b"123456789") == 0xE3069283
