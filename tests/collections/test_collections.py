"""Collections: what is coded, what is refused, what a crash leaves behind, and that nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collections_work import encode
from paths import SUPPORT

from wavelic.collections import Job, start_engine, verify_collection
from wavelic.collections.check import CheckShard
from wavelic.collections.cluster import connect
from wavelic.collections.job import read_job
from wavelic.collections.listing import Walk, shards, unique_keys, walk
from wavelic.collections.shard import read_note
from wavelic.collections.store import read_rows
from wavelic.errors import FormatError, ModelError, OutputError, UsageError, WavelicError

SECONDS = 240  # a worker's start on a busy machine


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for number in range(10):
        path = folder / ("deep/er" if number % 3 == 0 else "flat") / f"picture {number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (500 + number))
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wait_for(condition: Any) -> Any:
    for _ in range(SECONDS * 20):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def running(source: Path, output: Path, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "collections_work", str(source), str(output), str(seconds)]
    return subprocess.Popen(command, cwd=SUPPORT, stderr=subprocess.PIPE)


def test_every_image_is_in_its_shard_and_the_report_adds_up(source: Path, tmp_path: Path) -> None:
    (source / "broken.png").write_bytes(b"bad")
    (source / "bug.png").write_bytes(b"bug")
    (source / "notes.txt").write_bytes(b"text")
    (source / "phone.HEIC").write_bytes(b"not read")
    (source / "._photo.png").write_bytes(b"of macOS")
    report = encode(source, tmp_path / "out")
    rows = [row for number in range(4) for row in read_rows(tmp_path / "out", number) or []]
    assert [row["source"] for row in rows] == [s.name for s in walk(source, Walk())]
    assert len({row["key"] for row in rows}) == 12
    for number in range(4):
        with tarfile.open(tmp_path / "out" / f"shard-{number:06d}.tar") as archive:
            coded = [row for row in read_rows(tmp_path / "out", number) or [] if row["status"] == "ok"]
            assert archive.getnames() == [row["file"] for row in coded]
            for row, member in zip(coded, archive.getmembers(), strict=True):
                assert archive.extractfile(member).read() == (source / row["source"]).read_bytes()[::-1]
                assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
    size = sum(500 + number for number in range(10))
    assert (report["images"], report["coded"], report["failed"], report["shards"]) == (12, 10, 2, 4)
    assert (report["source_bytes"], report["bytes"], report["bytes_saved"]) == (2 * size, size, size)
    assert report["mean_psnr"] == pytest.approx(sum(30 + (500 + n) % 7 for n in range(10)) / 10, abs=1e-4)
    assert report["skipped_pictures"] == {".heic": 1}
    assert report["other_files"] == {".png": 1, ".txt": 1}
    assert report["failures"]["reasons"] == {
        "IMAGE is not an image; convert it": 1,
        "unexpected ZeroDivisionError: division by zero": 1,
    }
    assert {row["source"] for row in report["failures"]["examples"]} == {"broken.png", "bug.png"}
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report


def test_a_tree_keeps_the_folders(source: Path, tmp_path: Path) -> None:
    encode(source, tmp_path / "out", layout="tree")
    files = tree(tmp_path / "out")
    pictures = {name.removesuffix(".wlic"): data for name, data in files.items() if name.endswith(".wlic")}
    assert pictures == {name.removesuffix(".png"): data[::-1] for name, data in tree(source).items()}


@pytest.mark.parametrize("layout", ["tar", "tree"])
def test_a_killed_run_resumes_to_the_same_bytes(source: Path, tmp_path: Path, layout: str) -> None:
    encode(source, tmp_path / "whole", layout=layout)
    output = tmp_path / "killed"
    encode_job = Job(shard_size=3, layout=layout)  # type: ignore[arg-type]
    output.mkdir()
    (output / "collection.json").write_text(encode_job.to_json())
    if layout == "tree":  # as a run that died in its first shard leaves it
        (output / "flat").mkdir()
        (output / "flat" / "picture 1.wlic").write_bytes(b"half")
        (output / "flat" / "picture 1.wlic.0123abcd.tmp").write_bytes(b"half")
        encode(source, output, layout=layout, resume=True)
        assert tree(output) == tree(tmp_path / "whole")
        return
    command = [sys.executable, "-m", "collections_work", str(source), str(output), "0.4", "--resume"]
    with subprocess.Popen(command, cwd=SUPPORT) as process:
        wait_for(lambda: (output / "shard-000000.jsonl").exists())
        workers = wait_for(lambda: [note[1] for n in range(4) if (note := read_note(output, n))])
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))  # none is left behind
    finished = {name: data for name, data in tree(output).items() if name.endswith((".tar", ".jsonl"))}
    assert finished.items() <= tree(tmp_path / "whole").items()
    assert not (output / "report.json").exists()
    times = {name: (output / name).stat().st_mtime_ns for name in finished}
    encode(source, output, resume=True)
    assert tree(output) == tree(tmp_path / "whole")
    kept = {name for name in finished if f"{name.split('.')[0]}.jsonl" in finished}
    assert len(kept) >= 2
    assert all((output / name).stat().st_mtime_ns == times[name] for name in kept)


def test_killed_workers_lose_nothing(source: Path, tmp_path: Path) -> None:
    encode(source, tmp_path / "whole")
    (tmp_path / "again").mkdir()
    process = running(source, tmp_path / "again", 0.4)
    for number in (0, 2):
        _, worker = wait_for(lambda number=number: read_note(tmp_path / "again", number))
        os.kill(worker, signal.SIGKILL)
    assert process.wait(SECONDS) == 0
    assert process.communicate()[1] == b""
    assert tree(tmp_path / "again") == tree(tmp_path / "whole")


def test_an_image_that_kills_its_workers_is_left_out_with_a_reason(source: Path, tmp_path: Path) -> None:
    (source / "flat" / "picture 2.png").write_bytes(b"deadly")
    (source / "flat" / "picture 4.png").write_bytes(b"deadly once")
    report = encode(source, tmp_path / "out")
    assert (report["coded"], report["failed"]) == (9, 1)
    (failure,) = report["failures"]["examples"]
    assert failure["source"] == "flat/picture 2.png"
    assert "died 2 times" in failure["reason"]
    assert not [name for name in tree(tmp_path / "out") if ".tmp" in name or ".now" in name]


def test_what_is_not_the_images_fault_ends_the_run(source: Path, tmp_path: Path) -> None:
    (source / "flat" / "picture 2.png").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="install them"):
        encode(source, tmp_path / "out")
    assert not (tmp_path / "out" / "report.json").exists()


def test_outputs_are_never_mixed(source: Path, tmp_path: Path) -> None:
    encode(source, tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(OutputError, match="--resume"):
        encode(source, tmp_path / "out")
    with pytest.raises(UsageError, match="shard_size 3 -> 4"):
        encode(source, tmp_path / "out", resume=True, shard_size=4)
    assert encode(source, tmp_path / "out", resume=True) == json.loads(before["report.json"])
    assert tree(tmp_path / "out") == before
    (source / "flat" / "a.png").write_bytes(b"new")
    with pytest.raises(UsageError, match="changed"):
        encode(source, tmp_path / "out", resume=True)
    for path in list(source.rglob("*.png"))[:6]:
        path.unlink()
    with pytest.raises(UsageError, match="changed"):
        encode(source, tmp_path / "out", resume=True)
    assert tree(tmp_path / "out") == before


def test_workers_are_told_the_access_and_it_stays(source: Path, tmp_path: Path) -> None:
    encode(source, tmp_path / "out", access="windows")
    told = {row["note"] for number in range(4) for row in read_rows(tmp_path / "out", number) or []}
    assert told == {"windows"}
    with pytest.raises(UsageError, match="access windows -> whole"):
        encode(source, tmp_path / "out", resume=True, access="whole")
    (tmp_path / "out" / "shard-000001.jsonl").unlink()
    encode(source, tmp_path / "out", resume=True, access="windows")
    assert {row["note"] for row in read_rows(tmp_path / "out", 1) or []} == {"windows"}


def test_two_runs_do_not_share_an_output(source: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    encode(source, tmp_path / "out")
    with (tmp_path / "out" / "collection.json").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another run"):
            encode(source, tmp_path / "out", resume=True)


def test_folders_that_cannot_be_used(source: Path, tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    (empty / "sub").mkdir(parents=True)
    (empty / "sub" / "text.txt").write_text("no image")
    full.mkdir()
    (full / "mine.txt").write_text("keep")
    for where, output, kind, text in (
        (empty, tmp_path / "out", UsageError, "holds no images"),
        (tmp_path / "none", tmp_path / "out", UsageError, "not a folder"),
        (source, source / "out", UsageError, "inside"),
        (source, source, UsageError, "inside"),
        (source, full, OutputError, "not empty"),
        (source, full / "mine.txt", OutputError, "cannot be used"),
    ):
        with pytest.raises(kind, match=text) as caught:
            encode(where, output)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert tree(full) == {"mine.txt": b"keep"}


@pytest.mark.parametrize("wrong", [{"shard_size": 0}, {"layout": "zip"}, {"threads": 0}])
def test_jobs_without_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Job(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"codec": "jpeg"},
        {"target": ("bpp", -1.0)},
        {"access": "fast"},
        {"access": "windows", "codec": "wcae"},
        {"layers": 3},
        {"layers": 99, "codec": "lifting"},
    ],
)
def test_jobs_that_could_code_no_image(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Job(**wrong).check()


def test_a_job_survives_its_file() -> None:
    for job in (
        Job(),
        Job("lifting", ("bpp", 0.5), True, (0.1, 0.5), "windows", shard_size=7, layout="tree", threads=3),
    ):
        assert Job.from_json(job.to_json(), "x") == job
        assert job.differences(Job.from_json(job.to_json(), "x")) == ""
    for text in ("", "[]", "{}", Job().to_json().replace("codec", "coded"), Job().to_json().replace("1000", "-1")):
        with pytest.raises(FormatError, match="collection"):
            Job.from_json(text, "x")


def test_unknown_engines_and_workers() -> None:
    for name, workers in (("slurm", 1), ("local", -1)):
        with pytest.raises(UsageError), start_engine(name, CheckShard(Job(), False), workers):
            pass


def test_the_order_of_a_walk_and_its_keys(tmp_path: Path) -> None:
    names = ["b/2.png", "b/10.JPG", "a.png", "a.jpg", "b.c.tif", "b/a/z.webp", "b/a_png.bmp", "b/a.png", "b/a.png.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b" / "none").touch()
    seen = Walk()
    found = list(walk(tmp_path, seen))
    assert [s.name for s in found] == sorted(
        names, key=lambda n: (n.count("/") and "b/" not in n, n.split("/")[:-1], n)
    )
    assert seen.images == len(names)
    assert dict(seen.other) == {"": 2}
    assert len({s.key for s in found}) == len(names)
    assert all("." not in s.key.split("/")[-1] for s in found)
    assert [len(shard) for _, shard in shards(found, 4)] == [4, 4, 1]
    assert [source for _, shard in shards(found, 4) for source in shard] == found


def test_keys_are_unique_whatever_the_names() -> None:
    names = sorted(
        {f"{a}{b}{c}" for a in ("a", "a.b", "a_b", "a_b_png") for b in (".", "_", ".png.") for c in ("png", "jpg")}
    )
    keys = unique_keys(names)
    assert len(set(keys)) == len(names)
    assert not any("." in key for key in keys)


def verify(folder: Path) -> dict[str, Any]:
    with start_engine("local", CheckShard(read_job(folder), compare=False), 1) as engine:
        return verify_collection(folder, engine, step=lambda *_: None)


def test_damage_is_found(source: Path, tmp_path: Path) -> None:
    encode(source, tmp_path / "out", layout="tree")
    victim = tmp_path / "out" / "flat" / "picture 4.wlic"
    victim.write_bytes(b"x" + victim.read_bytes()[1:])
    (tmp_path / "out" / "flat" / "picture 5.wlic").unlink()
    (tmp_path / "out" / "shard-000003.jsonl").unlink()
    found = verify(tmp_path / "out")
    assert not found["complete"]
    assert found["missing_shards"] == [3]
    reasons = {problem["source"]: problem["reason"] for problem in found["problems"]}
    assert "is not what was written" in reasons["flat/picture 4.png"]
    assert "is missing" in reasons["flat/picture 5.png"]
    assert found["damaged"] == found["images"] == 9  # the others are no .wlic files, which is found as well
    with pytest.raises(FormatError, match="no collection"):
        verify(source)


@pytest.mark.parametrize("data", [b"{", b"[]\n", b'{"key": "a", "source": "a", "status": "ok"}\n', b"\xff\n"])
def test_damaged_lines(source: Path, tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "shard-000000.jsonl").write_bytes(data)
    with pytest.raises(FormatError, match=r"damaged|cannot be read"):
        read_rows(folder, 0)


class DyingEngine:
    """An engine whose workers never get to their first image."""

    name, workers = "dying", 1

    def start(self, task: Any) -> None:
        self.number = task.number

    def wait(self, seconds: float) -> list[Any]:
        from wavelic.collections.engine import Finished

        return [Finished(self.number)]

    def close(self) -> None:
        pass


def test_workers_that_cannot_start_end_the_run(source: Path, tmp_path: Path) -> None:
    from wavelic.collections import encode_collection

    with pytest.raises(WavelicError, match="before the first image"):
        encode_collection(source, tmp_path / "out", Job(), DyingEngine(), step=lambda *_: None)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray cluster of two processors; its start has a time limit of Ray's own, which a busy machine may exceed."""
    pytest.importorskip("ray")
    # actors import collections_work from here
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    for attempt in range(3):
        try:
            ray, _ = connect(2)
            break
        except WavelicError:
            if attempt == 2:
                raise
    yield
    ray.shutdown()


def test_ray_loses_nothing_when_a_worker_is_killed(cluster: None, source: Path, tmp_path: Path) -> None:
    encode(source, tmp_path / "whole", access="windows")
    killed: list[int] = []

    def kill() -> None:
        _, worker = wait_for(lambda: read_note(tmp_path / "out", 1))
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    report = encode(source, tmp_path / "out", engine="ray", seconds=0.4, access="windows")
    thread.join()
    assert killed
    assert report["failed"] == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
