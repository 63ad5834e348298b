"""Files of the published networks: every named one writes a file that reads back; damaged ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from threedm_small import lively, picture, small

from wavelic.container import Limits
from wavelic.errors import ChecksumError, FormatError, LimitError, ModelError, UsageError
from wavelic.threedm.config import PUBLISHED
from wavelic.threedm.file import read_picture, write_picture
from wavelic.threedm.network import WeConvene


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def photograph(height: int, width: int) -> NDArray[np.uint8]:
    return picture(1, height, width)[0].permute(1, 2, 0).mul(255).byte().numpy()


@pytest.fixture(scope="module")
def model() -> WeConvene:
    torch.manual_seed(1)
    return lively(small("3dm-weconvene")).eval()


@pytest.fixture(scope="module")
def written(model: WeConvene) -> bytes:
    return write_picture(model, photograph(40, 70))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_on_disk_reads_back_as_the_network_s_own_picture(name: str, tmp_path: Path) -> None:
    """With other objects in the decoder: the configuration by name and the weights from a file of their own."""
    model, pixels = lively(small(name)).eval(), photograph(61, 97)
    (tmp_path / "picture").write_bytes(write_picture(model, pixels))
    torch.save(model.state_dict(), tmp_path / "weights")
    extended = torch.from_numpy(np.pad(pixels, ((0, 3), (0, 31), (0, 0)), mode="edge")).permute(2, 0, 1)[None]
    with torch.no_grad():
        output = model(extended.float() / 255)
    expected = output.reconstruction[0, :, :61, :97].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    decoder = small(name)
    decoder.load_state_dict(torch.load(tmp_path / "weights"))
    np.testing.assert_array_equal(read_picture(decoder, (tmp_path / "picture").read_bytes()), expected)
    estimate = float(output.bits.sum() + output.hyper_bits.sum()) / 8
    assert estimate > 500  # something was coded
    assert (tmp_path / "picture").stat().st_size == pytest.approx(estimate, rel=0.01, abs=100)


def test_every_damaged_byte_and_every_cut_is_noticed(model: WeConvene, written: bytes) -> None:
    for place in [*range(60), *range(60, len(written), 97), *range(len(written) - 40, len(written))]:
        with pytest.raises(FormatError):
            read_picture(model, written[:place] + bytes([written[place] ^ 16]) + written[place + 1 :])
        with pytest.raises(FormatError):
            read_picture(model, written[:place])
    with pytest.raises(FormatError):
        read_picture(model, written + b"\0")


def test_floats_that_differ_are_noticed(model: WeConvene, written: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on another machine: scales that select other tables give other symbols, not a wrong picture."""
    original = model.hyper_scales.forward
    monkeypatch.setattr(model.hyper_scales, "forward", lambda z: original(z) * 1.2)
    with pytest.raises((ChecksumError, FormatError)):
        read_picture(model, written)


def test_other_weights_limits_and_arrays(model: WeConvene, written: bytes) -> None:
    with pytest.raises(ModelError, match="load those"):
        read_picture(small("3dm-weconvene"), written)
    with pytest.raises(LimitError):
        read_picture(model, written, Limits(max_pixels=2799))
    with pytest.raises(UsageError, match="expected uint8"):
        write_picture(model, np.zeros((8, 8), np.uint8))
