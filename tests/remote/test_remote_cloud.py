"""s3:// and gs:// against servers on this machine: moto for S3, gcp-storage-emulator for Google Cloud Storage.

s3fs pins older versions of packages than the rest of the tests run with, so these two are not in the extra `dev`; in an
environment of their own: pip install -e . pytest s3fs 'moto[server]' gcsfs gcp-storage-emulator
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from remote_support import DATA, FAST, Server, coded

import wavelic
from wavelic.errors import SourceError
from wavelic.remote import open_source

torch.set_num_threads(1)
FILE = coded(512, ((64, 64),), (0.3, 1.0))


@dataclass(frozen=True)
class Bucket:
    """put: store bytes under a name of the bucket at ``url``."""

    url: str
    put: Callable[[str, bytes], None]


def s3(patch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    s3fs = pytest.importorskip("s3fs")
    servers = pytest.importorskip("moto.server")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none",
    }.items():  # fmt: skip
        patch.setenv(name, value)
    server = servers.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem(skip_instance_cache=True)
    system.makedirs("scans", exist_ok=True)
    yield Bucket("s3://scans", lambda name, data: system.pipe(f"scans/{name}", data))
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def gs(patch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # which asks Google what kind of bucket this is
    gcsfs = pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="scans")
    server.start()
    patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server._api._httpd.server_port}")
    gcsfs.GCSFileSystem.clear_instance_cache()
    system = gcsfs.GCSFileSystem(skip_instance_cache=True)
    yield Bucket("gs://scans", lambda name, data: system.pipe(f"scans/{name}", data))
    gcsfs.GCSFileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(scope="module", params=[s3, gs])
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch:
        yield from request.param(patch)


def test_ranges(bucket: Bucket) -> None:
    bucket.put("in/a b.bin", DATA)
    spans = [(0, 10), (10, 20), (5_000, 5_000), (9_000, 30_000), (39_990, 40_000)]
    with open_source(f"{bucket.url}/in/a b.bin") as source:
        assert source.size == len(DATA)
        assert source.read_spans(spans) == [DATA[start:stop] for start, stop in spans]
        assert source.bytes_read == 20 + 21_000 + 10
        assert source.requests == 3
        assert source.read_all() == DATA


def test_a_window_costs_its_packets(bucket: Bucket) -> None:
    bucket.put("map.jp2", FILE)
    file, whole = wavelic.open(f"{bucket.url}/map.jp2"), wavelic.open(FILE).read()
    np.testing.assert_array_equal(file.read(region=(100, 200, 64, 64)), whole[200:264, 100:164])
    np.testing.assert_array_equal(file.read(reduce=3), wavelic.open(FILE).read(reduce=3))
    assert 0 < file.source.bytes_read < 0.6 * len(FILE)


def test_a_changed_object_is_told(bucket: Bucket) -> None:
    bucket.put("a.bin", DATA)
    source = open_source(f"{bucket.url}/a.bin")
    assert source.read(0, 10) == DATA[:10]
    bucket.put("a.bin", DATA[::-1])
    with pytest.raises(SourceError, match="changed while it was read; open it again"):
        source.read(0, 10)


@pytest.mark.parametrize("name", ["scans/none.jp2", "no-such-bucket/a.jp2", "scans", "scans/folder"])
def test_what_is_not_there(bucket: Bucket, name: str) -> None:
    bucket.put("folder/a.bin", b"a")
    url = f"{bucket.url[:5]}{name}"
    with pytest.raises(SourceError) as caught:
        wavelic.open(url)
    assert str(caught.value).startswith(url)
    assert any(word in str(caught.value) for word in ("does not exist", "no file of known size"))
    assert "\n" not in str(caught.value)


def test_no_credentials_for_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for bucket in s3(patch):
            bucket.put("a.bin", DATA)
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.delenv(name)
            with pytest.raises(SourceError, match=r"a\.bin cannot be opened \(.*credentials.*\)"):
                open_source(f"{bucket.url}/a.bin")


def test_no_permission_for_gs(monkeypatch: pytest.MonkeyPatch) -> None:
    gcsfs = pytest.importorskip("gcsfs")
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    with Server(DATA) as server:
        server.fail, server.status = 99, 403
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url.rpartition("/")[0])
        gcsfs.GCSFileSystem.clear_instance_cache()
        with pytest.raises(SourceError, match=r"a\.bin cannot be opened") as caught:
            open_source("gs://scans/a.bin", FAST)
        gcsfs.GCSFileSystem.clear_instance_cache()
    assert "\n" not in str(caught.value)
