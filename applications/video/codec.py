"""Clips to bytes and back: an intra frame every so often, the frames between predicted from the one before.

    python -m applications.video encode CLIP.mkv OUT.wlv --model MODEL.safetensors
    python -m applications.video decode OUT.wlv OUT.y4m --model MODEL.safetensors

Encoder and decoder make a predicted frame by the same function from the same symbols, and both keep it as 8-bit
samples: the frame a decoder shows is the one that the encoder predicted the next from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

import wavelic
from applications.video.file import (
    INTRA,
    MAX_PIXELS,
    PREDICTED,
    Header,
    Record,
    read_header,
    read_records,
    write_header,
    write_record,
)
from applications.video.model import VideoModel
from applications.video.network import FACTOR
from wavelic.container import Limits
from wavelic.container.crc import crc32c
from wavelic.entropy import RangeDecoder, RangeEncoder, gaussian_scales, scale_index
from wavelic.errors import ChecksumError, FormatError, ModelError, UsageError

Frame = npt.NDArray[np.uint8]  # (H, W, 3)
#: Gives the symbols of a part: its name, the table of each symbol, and the prediction if there is one yet.
Symbols = Callable[[str, npt.NDArray[np.intp], Tensor | None], npt.NDArray[np.int32]]
#: Largest symbol that a decoder computes with; an encoder never comes near.
_LARGEST = 1 << 15


def encode_clip(
    frames: Iterable[Frame],
    model: VideoModel,
    group: int = 12,
    intra: str = "weconvene",
    seen: Callable[[Frame], None] | None = None,
) -> bytes:
    """Code a clip.

    Args:
        frames: (H, W, 3) uint8 each, all of one size.
        model: the frame coder.
        group: frames from one intra frame to the next.
        intra: codec of the intra frames.
        seen: called with every frame as a decoder will show it.

    Returns:
        The bytes of the file.

    Raises:
        UsageError: no frames, frames of several sizes, or of a shape or size that is not coded.
    """
    if group < 1:
        raise UsageError(f"group={group}; give at least 1")
    records: list[bytes] = []
    decoded: Frame | None = None
    shape: tuple[int, ...] | None = None
    for number, frame in enumerate(frames):
        shape = shape or frame.shape
        if frame.shape != shape or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise UsageError(f"frame {number} is {frame.dtype} {frame.shape}; give uint8 (H, W, 3), all of one size")
        if decoded is None or number % group == 0:
            payload, kind = wavelic.encode(frame, intra, quality=model.intra_quality), INTRA
            decoded = wavelic.decode(payload)
        else:
            payload, decoded, kind = *encode_frame(frame, decoded, model), PREDICTED
        if seen:
            seen(decoded)
        records.append(write_record(Record(kind, payload, crc32c(decoded.tobytes()))))
    if shape is None:
        raise UsageError("the clip has no frames; give one at least")
    height, width = shape[:2]
    if width * height > MAX_PIXELS or max(width, height) > 0xFFFF:
        raise UsageError(f"frames have {width} x {height} pixels; at most {MAX_PIXELS} and 65535 a side are coded")
    return write_header(Header(width, height, len(records), model.digest)) + b"".join(records)


def decode_clip(data: bytes, model: VideoModel) -> Iterator[Frame]:
    """Decode a clip frame by frame.

    Args:
        data: the bytes of the file.
        model: the frame coder that it was coded with.

    Yields:
        (H, W, 3) uint8.

    Raises:
        FormatError, ChecksumError, LimitError: not such a file, damaged or too large; what comes before is yielded.
        ModelError: coded with other weights.
    """
    header = read_header(data)
    if header.weights != model.digest:
        raise ModelError(
            f"the clip was coded with weights {header.weights.hex()}, given are {model.digest.hex()}; give those"
        )
    shape = (header.height, header.width, 3)
    decoded = np.zeros(shape, np.uint8)
    for number, record in enumerate(read_records(data, header)):
        if record.kind == INTRA:
            limits = Limits(max_pixels=header.width * header.height, max_side=max(header.width, header.height))
            samples = wavelic.decode(record.payload, limits=limits)
            if samples.shape != shape or samples.dtype != np.uint8:
                raise FormatError(f"frame {number} is {samples.dtype} {samples.shape}; the header says uint8 {shape}")
            decoded = np.asarray(samples, np.uint8)
        else:
            decoded = decode_frame(record.payload, decoded, model)
        if crc32c(decoded.tobytes()) != record.samples_crc:
            raise ChecksumError(
                f"frame {number} is not the encoder's; decode with its machine, torch and number of threads"
            )
        yield decoded


@torch.inference_mode()
def encode_frame(frame: Frame, reference: Frame, model: VideoModel) -> tuple[bytes, Frame]:
    """Code a frame predicted from the one before.

    Args:
        frame: (H, W, 3).
        reference: the frame before, decoded.
        model: the frame coder.

    Returns:
        The payload and the decoded frame.
    """
    network, encoder = model.network, RangeEncoder()
    x = _tensor(frame)
    motion = network.motion.latents(network.estimation(x, _tensor(reference))) - network.motion.prior.medians
    values = {"motion": _symbols(motion)}

    def given(part: str, index: npt.NDArray[np.intp], prediction: Tensor | None) -> npt.NDArray[np.int32]:
        if part == "hyper":  # what is left of the frame is known as soon as the prediction is
            assert prediction is not None
            latents = network.latents(x, prediction)
            hyper = network.residual.hyper_encoder(latents.abs()) - network.residual.prior.medians
            values.update({"hyper": _symbols(hyper), "residual": _symbols(latents)})
        encoder.encode(values[part], index, model.tables[part])
        return values[part]

    decoded = reconstruct(reference, model, given)
    return encoder.finish(), decoded


@torch.inference_mode()
def decode_frame(payload: bytes, reference: Frame, model: VideoModel) -> Frame:
    """Decode a predicted frame.

    Args:
        payload: its bytes.
        reference: the frame before, decoded.
        model: the frame coder.

    Raises:
        FormatError: the payload is none that the encoder writes.
    """
    decoder = RangeDecoder(payload)
    return reconstruct(reference, model, lambda part, index, _: decoder.decode(index, model.tables[part]))


@torch.inference_mode()
def reconstruct(reference: Frame, model: VideoModel, symbols: Symbols) -> Frame:
    """Make a predicted frame from symbols: the one function that encoder and decoder share.

    Args:
        reference: the frame before, decoded.
        model: the frame coder.
        symbols: called for "motion", and once the prediction is there for "hyper" and "residual".

    Returns:
        (H, W, 3).

    Raises:
        FormatError: symbols that no encoder writes.
    """
    network, before = model.network, _tensor(reference)
    rows, columns = before.shape[-2] // 16, before.shape[-1] // 16
    motion = _channel_symbols("motion", network.motion.prior.channels, rows, columns, symbols, None)
    _, prediction = network.predict(network.motion.flow(motion + network.motion.prior.medians), before)
    hyper = _channel_symbols("hyper", network.residual.prior.channels, rows // 4, columns // 4, symbols, prediction)
    scales = network.residual.scales(hyper + network.residual.prior.medians)
    index = scale_index(scales.numpy(), gaussian_scales()).astype(np.intp)
    latents = _floats(_sane(symbols("residual", index.ravel(), prediction)), scales.shape)
    result = network.reconstructed(prediction, latents)[0, :, : reference.shape[0], : reference.shape[1]]
    levels = torch.nan_to_num(255.0 * result).clamp(0.0, 255.0).round().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().numpy()


def _channel_symbols(
    part: str, channels: int, rows: int, columns: int, symbols: Symbols, prediction: Tensor | None
) -> Tensor:
    """Symbols whose tables are those of their channels: (1, channels, rows, columns)."""
    index = np.repeat(np.arange(channels), rows * columns)
    return _floats(_sane(symbols(part, index, prediction)), (1, channels, rows, columns))


def _sane(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    if values.size and np.abs(values.astype(np.int64)).max() > _LARGEST:
        raise FormatError(f"a predicted frame has symbols beyond {_LARGEST}; the file is not what an encoder writes")
    return values


def _symbols(values: Tensor) -> npt.NDArray[np.int32]:
    return values.round().clamp(-_LARGEST, _LARGEST).to(torch.int32).flatten().numpy()


def _floats(values: npt.NDArray[np.int32], shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).view(shape)


def _tensor(frame: Frame) -> Tensor:
    """(H, W, 3) as (1, 3, H', W') in 0..1, the sides extended to multiples of FACTOR by repeating the border."""
    x = torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255
    return pad(x, (0, -frame.shape[1] % FACTOR, 0, -frame.shape[0] % FACTOR), mode="replicate")
