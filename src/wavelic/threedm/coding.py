"""Images to bytes and back with a WeConvene network: the walk of `slices` with a range coder in it.

One stream: the symbols of z under the tables of the factorised prior, then every slice in coding order under Gaussian
tables chosen by its scales.  A symbol is the distance from the predicted mean, rounded.

Means and scales are floats here, so a stream is only sure to decode where the same operations give the same bits: same
machine, same libraries, same number of threads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from wavelic.container import crc32c
from wavelic.entropy import RangeDecoder, RangeEncoder, TableSet, gaussian_scales, gaussian_tables, scale_index
from wavelic.errors import UsageError
from wavelic.threedm.network import WeConvene
from wavelic.threedm.plan import Slice
from wavelic.threedm.transform import STRIDE, checked_sides


class LatentCoder:
    """Encoder and decoder of a network with fixed weights.

    Args:
        model: is put into evaluation mode; its weights must not change while the coder is in use.
        scales: number of Gaussian tables, from 0.11 to 256 quantiser steps in geometric progression.
    """

    def __init__(self, model: WeConvene, scales: int = 64) -> None:
        self.model = model.eval()
        self.hyper_tables = model.prior.tables()
        self.scales = gaussian_scales(scales)
        self.tables = gaussian_tables(self.scales)

    def encode(self, images: Tensor) -> bytes:
        """The stream of ``images`` (N, 3, H, W) in 0..1, sides multiples of 64.

        Raises:
            UsageError: another shape, or weights that give infinite latents.
        """
        return self.encode_checked(images)[0]

    def decode(self, data: bytes, size: tuple[int, int], batch: int = 1) -> Tensor:
        """Images (batch, 3, H, W), unclipped, nominally 0..1, of a stream; size: (H, W).

        Raises:
            UsageError: sides that are no multiples of 64.
            FormatError: the stream cannot come from an encoder.
        """
        return self.decode_checked(data, size, batch)[0]

    @torch.inference_mode()
    def encode_checked(self, images: Tensor) -> tuple[bytes, int]:
        """As `encode`, with the CRC-32C of all symbols in coding order, int32, little-endian."""
        coefficients = self.model.coefficients(checked_sides(images))
        z = self.model.hyper_analysis(coefficients)
        encoder = RangeEncoder()
        medians = self.model.prior.medians
        symbols = (z - medians).round()
        checksum = 0

        def put(symbols: Tensor, index: npt.NDArray[np.integer], tables: TableSet) -> None:
            nonlocal checksum
            whole = _integers(symbols)
            checksum = _checksum(whole, checksum)
            encoder.encode(whole, index, tables)

        put(symbols, self._hyper_index(z.shape), self.hyper_tables)

        def write(part: Slice, mean: Tensor, scale: Tensor) -> Tensor:
            symbols = (coefficients[:, part.start : part.stop] - mean).round()
            put(symbols, self._index(scale), self.tables)
            return symbols + mean

        self.model.walk(symbols + medians, None, write)
        return encoder.finish(), checksum

    @torch.inference_mode()
    def decode_checked(self, data: bytes, size: tuple[int, int], batch: int = 1) -> tuple[Tensor, int]:
        """As `decode`, with the checksum of `encode_checked` over what was decoded."""
        if min(batch, *size) < 1 or size[0] % STRIDE or size[1] % STRIDE:
            raise UsageError(f"{batch} images of {size[0]}x{size[1]}; expected sides that are multiples of {STRIDE}")
        decoder = RangeDecoder(data)
        medians = self.model.prior.medians
        device = medians.device
        checksum = 0

        def read(index: npt.NDArray[np.integer], tables: TableSet) -> Tensor:
            nonlocal checksum
            symbols = decoder.decode(index, tables)
            checksum = _checksum(symbols, checksum)
            return torch.from_numpy(symbols).to(device, medians.dtype)

        def read_slice(part: Slice, mean: Tensor, scale: Tensor) -> Tensor:
            return read(self._index(scale), self.tables) + mean

        shape = (batch, self.model.prior.channels, size[0] // STRIDE, size[1] // STRIDE)
        decoded = self.model.walk(read(self._hyper_index(shape), self.hyper_tables) + medians, None, read_slice)
        return self.model.reconstruct(decoded), checksum

    def _index(self, scale: Tensor) -> npt.NDArray[np.int64]:
        return scale_index(scale.cpu().numpy(), self.scales)

    def _hyper_index(self, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        channels = np.arange(shape[1]).reshape(1, -1, 1, 1)
        return np.broadcast_to(channels, shape)


def _checksum(symbols: npt.NDArray[np.integer], before: int) -> int:
    return crc32c(np.ascontiguousarray(symbols, "<i4").tobytes(), before)


def _integers(symbols: Tensor) -> npt.NDArray[np.int32]:
    """Whole floats as int32; symbols beyond 2^30 do not occur unless training diverged."""
    if not bool((symbols.abs() <= float(1 << 30)).all()):
        raise UsageError("the network gives latents that are infinite or beyond 2^30; train it at a lower rate")
    return symbols.to(torch.int32).cpu().numpy()
