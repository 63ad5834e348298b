"""An opened file as an array to slice and as a slide to look at: the two ways programs already ask for parts.

Both decode nothing but the part they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from wavelic.codec.opened import check_reduce, level_dimensions
from wavelic.errors import UsageError
from wavelic.images import Image, to_pillow

if TYPE_CHECKING:
    import PIL.Image

    from wavelic.codec.opened import OpenedFile, Pixels, Region


class ArrayFace:
    """What `wavelic.open` returns can do besides `decode`: samples alone, numpy's indexing and OpenSlide's names.

    Examples:
        >>> import numpy as np, wavelic
        >>> file = wavelic.open(wavelic.encode(np.zeros((90, 120, 3), np.uint8), "lifting"))
        >>> file[10:30, 20:60].shape, file[::4, ::4].shape, file[..., 0].shape
        ((20, 40, 3), (23, 30, 3), (90, 120))
        >>> file.level_count, file.level_downsamples[:3], file.read_region((0, 0), 1, (60, 45)).size
        (6, (1.0, 2.0, 4.0), (60, 45))
    """

    ndim = 3
    best_reduce: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or uint16."""
        return np.dtype(np.uint8 if self._file.bit_depth == 8 else np.uint16)

    def read(
        self, reduce: int = 0, layers: int | None = None, region: Region | None = None, device: str = "cpu"
    ) -> Pixels:
        """Samples (H, W, C) of what `opened.OpenedFile.decode` gives; arguments and errors as there."""
        return self._file.decode(reduce, layers, region, device).pixels

    def layers_within(self, max_bytes: int, reduce: int = 0, region: Region | None = None) -> int:
        """Return the most layers with which `read` fetches at most so many bytes.

        Args:
            max_bytes: what may be fetched.
            reduce: as in `opened.OpenedFile.read`.
            region: as there.

        Raises:
            UsageError: not even the first layer is so small, or the file cannot be read in parts.
        """
        raise UsageError(f"the {self._file.codec} file cannot be read layer by layer; leave out max_bytes")

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Samples, indexed as a numpy array (height, width, channels) would be.

        Steps of rows and columns are one and the same power of two, with starts on multiples of it: such a slice is the
        image at a reduced size, whose samples are not those of the full size but averages around them.  Raises
        UsageError for other steps, and for indices other than integers, slices and an ellipsis.
        """
        shape = self._file.shape
        rows, columns, channels = _indices(key)
        (y, height, step_y), (x, width, step_x) = _span(rows, shape[0]), _span(columns, shape[1])
        if not height or not width:
            across = -(-width // step_x)
            whole = np.zeros((-(-height // step_y), across, shape[2]), self.dtype)
        else:
            step = step_y
            if step_x != step:
                raise UsageError(f"steps of {step_y} and {step_x}, expected the same for rows and columns; slice again")
            if step & (step - 1) or y % step or x % step:
                raise UsageError(f"step {step} from {y}, {x}; expected a power of two and starts on multiples of it")
            reduce = check_reduce(step.bit_length() - 1, self._file.levels)
            everything = (x, y, width, height) == (0, 0, shape[1], shape[0])
            whole = self._file.read(reduce=reduce, region=None if everything else (x, y, width, height))
        if isinstance(rows, int):
            return cast("NDArray[Any]", whole[0, 0, channels] if isinstance(columns, int) else whole[0][:, channels])
        return cast("NDArray[Any]", whole[:, 0, channels] if isinstance(columns, int) else whole[:, :, channels])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole image for ``np.asarray``."""
        if copy is False:
            raise ValueError("the samples must be decoded, which makes a copy; use copy=None")
        return np.asarray(self._file.read(), dtype)

    def close(self) -> None:
        """Let go of the connection or file that is held open; a file that is read in parts cannot be read any more."""
        source = getattr(self, "source", None)
        if source is not None:
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def properties(self) -> Mapping[str, str]:
        """Facts by the names that OpenSlide gives them, as text: levels, and micrometres per pixel if they are known.

        Examples:
            >>> import numpy as np, wavelic
            >>> file = wavelic.open(wavelic.encode(np.zeros((90, 120, 3), np.uint8), "lifting"))
            >>> file.properties["openslide.level-count"], file.properties["openslide.level[1].width"]
            ('6', '60')
        """
        file = self._file
        found = {"openslide.vendor": "wavelic", "openslide.level-count": str(self.level_count)}
        for level, (width, height) in enumerate(file.level_dimensions):
            sizes = {"downsample": self.level_downsamples[level], "height": height, "width": width}
            found |= {f"openslide.level[{level}].{name}": str(value) for name, value in sizes.items()}
        resolution = file.metadata.resolution
        if resolution is not None and resolution.absolute:
            for axis, per_metre in (("x", resolution.x), ("y", resolution.y)):
                found[f"openslide.mpp-{axis}"] = str(float(1_000_000 / per_metre))
        facts = {"codec": file.codec, "channels": file.shape[2], "bit-depth": file.bit_depth}
        return found | {f"wavelic.{name}": str(value) for name, value in facts.items()}

    @property
    def dimensions(self) -> tuple[int, int]:
        """(width, height) of the full image."""
        return self._file.level_dimensions[0]

    @property
    def level_count(self) -> int:
        """Resolutions, the full one included."""
        return self._file.levels + 1

    @property
    def level_downsamples(self) -> tuple[float, ...]:
        """1, 2, 4, ...: exactly how far apart the samples of each level are in the full image."""
        return tuple(float(2**level) for level in range(self.level_count))

    def get_best_level_for_downsample(self, downsample: float) -> int:
        """The coarsest level with at least the detail of ``downsample``."""
        return max([level for level in range(self.level_count) if 2**level <= downsample], default=0)

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> PIL.Image.Image:
        """A Pillow picture of ``size`` (width, height) of a level.

        location: (x, y) of its first sample in pixels of the full image.  What lies outside the image is zero:
        transparent where there is alpha, else black.  Modes as in `Image.open`; 16 bits other than gray become 8.
        Raises UsageError for a level the file does not have or a size below 1.
        """
        width, height = size
        step = 2 ** check_reduce(level, self._file.levels)
        if width < 1 or height < 1:
            raise UsageError(f"size {width} x {height}, expected at least 1 x 1; ask for some pixels")
        full = level_dimensions(*self.dimensions, level)[level]
        left, top = -(-location[0] // step), -(-location[1] // step)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, full[0]), min(top + height, full[1])
        pixels = np.zeros((height, width, self._file.shape[2]), self.dtype)
        if x0 < x1 and y0 < y1:
            right, bottom = min(x1 * step, self.dimensions[0]), min(y1 * step, self.dimensions[1])
            region = (x0 * step, y0 * step, right - x0 * step, bottom - y0 * step)
            pixels[y0 - top : y1 - top, x0 - left : x1 - left] = self._file.read(reduce=level, region=region)
        return to_pillow(Image(pixels))

    def get_thumbnail(self, size: tuple[int, int]) -> PIL.Image.Image:
        """The whole image, at most of ``size`` (width, height), from the level that is just large enough."""
        width, height = self.dimensions
        shrink = max(width / size[0], height / size[1], 1.0)
        level = self.get_best_level_for_downsample(shrink)
        picture = self.read_region((0, 0), level, self._file.level_dimensions[level])
        if level and picture.size[0] <= size[0] and picture.size[1] <= size[1]:
            return picture
        target = max(1, round(width / shrink)), max(1, round(height / shrink))
        return picture if target == picture.size else picture.resize(target)

    @property
    def _file(self) -> OpenedFile:
        return cast("OpenedFile", self)


def _indices(key: Any) -> tuple[int | slice, int | slice, Any]:
    """Row, column and channel index of ``key``."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(part is Ellipsis for part in parts):
        at = next(index for index, part in enumerate(parts) if part is Ellipsis)
        parts[at : at + 1] = [slice(None)] * (4 - len(parts))
    parts += [slice(None)] * (3 - len(parts))
    if len(parts) != 3 or not all(isinstance(part, slice) or hasattr(part, "__index__") for part in parts):
        raise UsageError(f"index {key!r}, expected up to three integers or slices; decode first, then index")
    rows, columns, channels = (part if isinstance(part, slice) else int(part) for part in parts)
    return rows, columns, channels


def _span(index: int | slice, size: int) -> tuple[int, int, int]:
    """Start, length and step in samples of one axis of ``size``."""
    if isinstance(index, int):
        if not -size <= index < size:
            raise IndexError(f"index {index} is outside an axis of {size}")
        return index % size, 1, 1
    start, stop, step = index.indices(size)
    if step < 1:
        raise UsageError(f"step {step}, expected a power of two; decode first, then index")
    return start, max(0, stop - start), step
