"""The wcae codec with the shipped weights: any image, any size, any rate; exact symbols; no seams."""

import io

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import psnr

import wavelic
from wavelic.api.files import Options, encode_image
from wavelic.codec.target import Target
from wavelic.codec.weights import card_by_id, cards, content_hash, family, load_weights
from wavelic.codec.wlic_file import wlic_info
from wavelic.container import LCRC, Chunk, Container, PaddingRule, read_container, write_container
from wavelic.errors import ChecksumError, ImageError, ModelError, UsageError
from wavelic.images import Metadata, from_array
from wavelic.wcae import windows
from wavelic.wcae.codec import FAMILIES
from wavelic.wcae.files import decode_symbols_of, latent_checksum
from wavelic.wcae.ladder import load_ladder
from wavelic.wcae.network import build_autoencoder
from wavelic.wcae.weights import load_model

LADDERS = [codec.name for codec in FAMILIES]


@pytest.mark.parametrize("codec", LADDERS)
def test_shipped_weights(codec: str) -> None:
    """At least five rates of each twin; hashes right; the ladder covers 0..100."""
    found = family(codec)
    assert len(found) >= (5 if codec in ("wcae", "nowcae") else 3)
    assert [card.rank for card in found] == list(range(len(found)))
    for card in found:
        assert content_hash(card.architecture, load_weights(card)).hex() == card.hash
        assert card_by_id(card.file_id) is card
    rates = [card.training["calibration"]["validation_bpp"]["0"] for card in found]
    assert rates == sorted(rates)
    assert load_ladder(codec).at(0).card is found[0]
    assert load_ladder(codec).at(100).card is found[-1]


def test_twins_had_the_same_training() -> None:
    plans = [sorted(tuple(sorted(c.training["stage"].items())) for c in family(codec)) for codec in ("wcae", "nowcae")]
    assert plans[0] == plans[1]
    assert len({card.training["seed"] for card in cards() if card.family in LADDERS}) == 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_kind_of_image(picture, channels: int, dtype: type) -> None:
    pixels = picture(70, 90, channels, dtype)
    decoded = wavelic.decode(wavelic.encode(pixels, quality=70, codec="wcae"))
    assert decoded.shape == pixels.shape
    assert decoded.dtype == pixels.dtype
    if channels in (2, 4):
        np.testing.assert_array_equal(decoded[..., -1], pixels[..., -1])
        decoded, pixels = decoded[..., :-1], pixels[..., :-1]
    assert psnr(pixels, decoded) > 18


@given(height=st.integers(1, 70), width=st.integers(1, 70), channels=st.integers(1, 4), quality=st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_every_size(picture, height: int, width: int, channels: int, quality: int) -> None:
    pixels = picture(height, width, channels)
    for codec in LADDERS:
        assert wavelic.decode(wavelic.encode(pixels, codec, quality)).shape == pixels.shape


def test_extreme_shapes(picture) -> None:
    for shape in ((1, 65535), (65535, 1), (1, 1), (3, 3000)):
        pixels = picture(*shape, 1)
        assert wavelic.decode(wavelic.encode(pixels, quality=20, codec="wcae")).shape == pixels.shape


def test_rate_rises_with_quality_and_so_does_psnr(picture) -> None:
    pixels = picture(192, 256)
    for codec in LADDERS:
        files = [wavelic.encode(pixels, codec, quality) for quality in (0, 25, 50, 75, 100)]
        sizes = [len(data) for data in files]
        assert sizes == sorted(sizes)
        assert sizes[-1] > 2 * sizes[0]
        quality = [psnr(pixels, wavelic.decode(data)) for data in files]
        assert quality[-1] > quality[0] + 1


@pytest.mark.parametrize("kind", ["bpp", "psnr", "size"])
@pytest.mark.parametrize("codec", LADDERS)
def test_targets(picture, kind: str, codec: str) -> None:
    image = from_array(picture(256, 384))
    middle = encode_image(image, codec, Target("quality", 42))
    reached = {
        "size": len(middle.data),
        "bpp": len(middle.data) * 8 / 256 / 384,
        "psnr": psnr(image.pixels, wavelic.decode(middle.data)),
    }
    encoded = encode_image(image, codec, Target(kind, reached[kind]))  # type: ignore[arg-type]
    size = len(encoded.data)
    if kind == "psnr":
        assert abs(psnr(image.pixels, wavelic.decode(encoded.data)) - reached["psnr"]) < 0.1
    else:
        assert abs(size / reached["size"] - 1) <= 0.02
    if kind == "size":
        assert size <= reached["size"]
    assert encoded.note.startswith("asked for")
    assert "nearest" not in encoded.note
    assert "nearest" in encode_image(image, codec, Target("size", 100)).note


def test_windows_equal_the_whole(picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Analysis and synthesis in small windows give what one piece gives: no seams, by construction."""
    pixels = picture(333, 287)
    for name in ("wcae", "nowcae"):
        torch.manual_seed(0)
        network = build_autoencoder(name).double().eval()
        monkeypatch.setattr(windows, "WINDOW", 1 << 20)
        monkeypatch.setattr(windows, "_normalize", _double_normalise)
        whole = windows.analyze(network, pixels)
        shown = windows.synthesize(network, whole.astype(np.float64), pixels.shape, pixels.dtype)  # type: ignore[arg-type]
        monkeypatch.setattr(windows, "WINDOW", 64)
        np.testing.assert_allclose(windows.analyze(network, pixels), whole, rtol=1e-5, atol=1e-6)
        again = windows.synthesize(network, whole.astype(np.float64), pixels.shape, pixels.dtype)  # type: ignore[arg-type]
        np.testing.assert_array_equal(again, shown)


_normalize = windows._normalize


def _double_normalise(*arguments) -> torch.Tensor:
    return _normalize(*arguments).double()


def test_symbols_do_not_depend_on_the_machine(picture) -> None:
    """One, two and four threads decode the same symbols and pixels within one grey level."""
    data = wavelic.encode(picture(200, 300), quality=60, codec="wcae")
    container = read_container(data)
    model = load_model(card_by_id(container.header.model))
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append((decode_symbols_of(container, model), wavelic.decode(data).astype(int)))
    finally:
        torch.set_num_threads(before)
    for symbols, pixels in found[1:]:
        np.testing.assert_array_equal(symbols, found[0][0])
        assert np.abs(pixels - found[0][1]).max() <= 1
    with torch.backends.mkldnn.flags(enabled=False):
        np.testing.assert_array_equal(decode_symbols_of(container, model), found[0][0])
        assert np.abs(wavelic.decode(data).astype(int) - found[0][1]).max() <= 1


def test_wrong_latents_are_noticed(picture) -> None:
    container = read_container(wavelic.encode(picture(64, 64), quality=50, codec="wcae"))
    chunks = tuple(Chunk(LCRC, b"\0\0\0\0") if chunk.kind == LCRC else chunk for chunk in container.chunks)
    with pytest.raises(ChecksumError, match="latent"):
        wavelic.decode(write_container(Container(container.header, chunks)))
    model = load_model(card_by_id(container.header.model))
    symbols = decode_symbols_of(container, model)
    assert latent_checksum(symbols).to_bytes(4, "big") == container.find(LCRC)


def test_unknown_weights(picture) -> None:
    container = read_container(wavelic.encode(picture(40, 40), codec="wcae"))
    header = type(container.header)(**{**vars(container.header), "model": bytes(15) + b"\1"})
    data = write_container(Container(header, container.chunks))
    with pytest.raises(ModelError, match=r"00000000.*not installed"):
        wavelic.decode(data)
    assert wavelic.open(data).info["model"] == "not installed"


def test_the_published_way(picture) -> None:
    """Zero padding and a histogram in the stream: it decodes, and its file is longer."""
    image = from_array(picture(100, 130))
    ours = encode_image(image, "wcae", Target("quality", 60))
    published = encode_image(image, "wcae", Target("quality", 60), Options(published=True))
    assert read_container(published.data).header.padding == PaddingRule.ZERO
    assert len(published.data) > len(ours.data)
    assert psnr(image.pixels, wavelic.decode(published.data)) > 18


def test_metadata_is_kept_or_stripped(picture) -> None:
    metadata = Metadata(icc=b"profile", exif=b"II*\0exif", xmp=b"<xmp/>")
    image = from_array(picture(30, 40), metadata)
    kept = wavelic.api.files.decode_image(wavelic.encode(image, codec="wcae"))
    assert kept.metadata == metadata
    assert wavelic.api.files.decode_image(wavelic.encode(image, strip=True, codec="wcae")).metadata == Metadata()


def test_open_and_info(picture, tmp_path) -> None:
    pixels = picture(50, 60, 1, np.uint16)
    path = tmp_path / "x.wlic"
    path.write_bytes(wavelic.encode(pixels, quality=33, codec="wcae"))
    file = wavelic.open(path)
    assert file.shape == (50, 60, 1)
    assert file.read().dtype == np.uint16
    info = file.info
    assert (info["codec"], info["quality"], info["bytes"]) == ("wcae", 33.0, path.stat().st_size)
    assert info["header_bytes"] + sum(chunk["bytes"] for chunk in info["chunks"]) == info["bytes"]
    assert "lossily" in info["precision"]
    assert wlic_info(file.container, file.size) == info
    with pytest.raises(ImageError, match="cannot be read"):
        wavelic.open(tmp_path / "missing.wlic")


def test_usage_errors(picture) -> None:
    pixels = picture(20, 20)
    with pytest.raises(UsageError, match="no codec"):
        wavelic.encode(pixels, "jpeg")
    with pytest.raises(UsageError, match="given together"):
        wavelic.encode(pixels, quality=3, bpp=1)
    with pytest.raises(UsageError, match="device"):
        wavelic.encode(pixels, device="cuda:99")
    with pytest.raises(ImageError, match=r"picture\.png does not exist"):
        wavelic.encode("picture.png")


def test_pillow_plugin(picture, tmp_path) -> None:
    for channels, mode in ((1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")):
        pixels = picture(60, 80, channels)
        source = PIL.Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        path = tmp_path / f"{mode}.wlic"
        source.save(path, quality=60, icc_profile=b"profile")
        opened = PIL.Image.open(path)
        assert (opened.format, opened.mode, opened.size) == ("WLIC", mode, (80, 60))
        assert opened.info["icc_profile"] == b"profile"
        expected = wavelic.decode(path.read_bytes())
        np.testing.assert_array_equal(np.asarray(opened).reshape(expected.shape), expected)
        assert opened.resize((40, 30)).size == (40, 30)
    stream = io.BytesIO()
    PIL.Image.fromarray(picture(64, 64)).save(stream, "WLIC", size=500, codec="nowcae")
    assert len(stream.getvalue()) < 700
    deep = io.BytesIO(wavelic.encode(picture(30, 30, 1, np.uint16)))
    assert PIL.Image.open(deep).mode == "I;16"


def test_imageio_through_pillow(picture, tmp_path) -> None:
    import imageio.v3

    pixels = picture(50, 70)
    imageio.v3.imwrite(tmp_path / "x.wlic", pixels)
    expected = wavelic.decode((tmp_path / "x.wlic").read_bytes())
    np.testing.assert_array_equal(imageio.v3.imread(tmp_path / "x.wlic"), expected)


def test_pillow_errors(picture) -> None:
    data = wavelic.encode(picture(64, 64))
    with pytest.raises(PIL.UnidentifiedImageError):
        PIL.Image.open(io.BytesIO(data[:40]))
    flipped = bytearray(data)
    flipped[-30] ^= 1
    with pytest.raises(PIL.UnidentifiedImageError):
        PIL.Image.open(io.BytesIO(bytes(flipped)))
