"""``wavelic info``, ``verify`` and ``models`` in this process."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from commands import error_of, wavelic_cli
from pictures import smooth

import wavelic
from wavelic.codec.architectures import architectures
from wavelic.errors import ChecksumError


def test_info_accounts_for_every_byte_and_states_the_loss_of_16_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.wlic"
    path.write_bytes(wavelic.encode(smooth(1, np.uint16)))
    row = json.loads(wavelic_cli("info", path, "--json").stdout)["files"][0]
    assert row["header_bytes"] + sum(chunk["bytes"] for chunk in row["chunks"]) == path.stat().st_size == row["bytes"]
    text = wavelic_cli("info", path).stdout
    assert "100 x 70 gray, 16 bits" in text
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


def test_versions_of_all_that_decodes() -> None:
    import platform

    found = json.loads(wavelic_cli("info", "--versions", "--json").stdout)["versions"]
    assert found["wavelic"] == wavelic.__version__
    assert found["Python"].startswith(platform.python_version())
    assert re.match(r"2\.\d+\.\d+ \(", found["libopenjp2"])
    shown = wavelic_cli("info", "--versions").stdout
    assert all(text in shown for text in found.values())
    assert all(f"codec {name}" in found for name in wavelic.CODECS)
