"""What callers may give: pixels of several kinds, image files, compressed files; in memory, by name, or open."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from wavelic.api.buffers import FileLike, bytes_of
from wavelic.api.opening import open_file
from wavelic.container import peek_codec
from wavelic.errors import ImageError, UsageError
from wavelic.images import Image, from_array, from_pillow, load_image
from wavelic.remote import open_source
from wavelic.remote.opening import is_url

if TYPE_CHECKING:
    from typing import TypeAlias

    import PIL.Image
    import torch

    from wavelic.codec.opened import Pixels

if TYPE_CHECKING:
    Samples: TypeAlias = NDArray[np.integer] | NDArray[np.floating] | NDArray[np.bool_]
    #: What `wavelic.encode` takes.
    ImageLike: TypeAlias = Image | PIL.Image.Image | Samples | torch.Tensor | FileLike

_START = 64  # bytes that show whether a file is a `.wlic` file
_CHANNELS = range(1, 5)


def image_of(source: ImageLike, bit_depth: int = 8) -> Image:
    """Return the image in whatever `wavelic.encode` takes.

    Args:
        source: pixels, or a file as in `read_image`.
        bit_depth: 8 or 16: of the samples that floats are rounded to.

    Raises:
        ImageError: it is no image, or one that is not supported.
        UsageError: another depth.
    """
    if isinstance(source, Image):
        return source
    if _is_tensor(source):
        return from_array(_integers(_channels_last(cast("torch.Tensor", source)), bit_depth))
    if hasattr(source, "mode") and hasattr(source, "tobytes"):
        return from_pillow(source)
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview | mmap.mmap) or hasattr(source, "read"):
        return read_image(cast("FileLike", source))
    array = np.asarray(source)
    if array.ndim == 3 and array.shape[2] not in _CHANNELS and array.shape[0] in _CHANNELS:
        raise ImageError(
            f"an array of shape {array.shape}, expected (height, width, channels); give numpy.moveaxis(array, 0, -1),"
            " or a torch tensor, which is taken as (channels, height, width)"
        )
    return from_array(_integers(array, bit_depth))


def read_image(source: FileLike) -> Image:
    """Read an image file or decode a `.wlic` file, wherever it is.

    Args:
        source: path, URL, bytes, or a binary stream.

    Raises:
        ImageError: it cannot be read or is no image, as in `wavelic.load_image`.
        SourceError: what is behind the URL cannot be had.
        FormatError, ChecksumError, LimitError, ModelError: a `.wlic` file that does not decode.
    """
    if is_url(source):
        with open_source(cast("str", source)) as remote:
            return _image_in(remote.read_all())
    if not isinstance(source, str | os.PathLike):
        return _image_in(bytes_of(source))
    path = Path(source)
    if path.is_file():  # else a pipe, of which the beginning cannot be read twice
        try:
            with path.open("rb") as stream:
                start = stream.read(_START)
        except OSError:  # as `load_image` will say
            start = b""
        if peek_codec(start) is not None:
            return open_file(path).decode()
    return load_image(path)


def _image_in(data: bytes) -> Image:
    if peek_codec(data[:_START]) is None:
        return load_image(data)
    return open_file(data).decode()


def tensor_of(pixels: Pixels, device: str) -> torch.Tensor:
    """Return samples (H, W, C) as a tensor (C, H, W) of the same type on a device."""
    import torch

    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().to(device)


def _is_tensor(source: object) -> bool:
    torch = sys.modules.get("torch")  # where there are no tensors yet, this is none
    return torch is not None and isinstance(source, torch.Tensor)


def _channels_last(tensor: torch.Tensor) -> NDArray[np.generic]:
    """A tensor (C, H, W) or (H, W) as an array (H, W, C) or (H, W)."""
    if tensor.ndim == 3 and tensor.shape[0] not in _CHANNELS:
        raise ImageError(
            f"a tensor of shape {tuple(tensor.shape)}, expected (channels, height, width) with 1..4 channels; permute"
            " it, or give its array (height, width, channels)"
        )
    if tensor.ndim not in (2, 3):
        raise ImageError(
            f"a tensor of shape {tuple(tensor.shape)}, expected (channels, height, width) or (height, width);"
            " give the images of a batch one by one"
        )
    plain = tensor.detach().cpu()
    array: NDArray[np.generic] = (plain.double() if plain.is_floating_point() else plain).numpy()
    return np.moveaxis(array, 0, -1) if array.ndim == 3 else array


def _integers(array: NDArray[np.generic], bit_depth: int) -> NDArray[np.generic]:
    """Samples as they are if they are integers; floats 0..1 and booleans over the full range of the depth."""
    if array.dtype.kind not in "fb":
        return array
    if bit_depth not in (8, 16):
        raise UsageError(f"bit_depth is {bit_depth}, expected 8 or 16; choose one of them")
    peak = 2**bit_depth - 1
    if array.dtype.kind == "f" and array.size and not (array.min() >= 0 and array.max() <= 1):  # also for NaN
        raise ImageError(
            f"float samples from {array.min():g} to {array.max():g}, expected 0 to 1; scale or clip them first"
        )
    return np.rint(array.astype(np.float64) * peak).astype(f"uint{bit_depth}")
