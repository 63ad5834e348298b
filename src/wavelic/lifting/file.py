"""JPEG 2000 files as wavelic opens them: its own, with the learned synthesis their box names, and plain ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wavelic.codec.opened import Layer, Progress, Region, check_layers, check_reduce, reduced_region
from wavelic.codec.options import check_device
from wavelic.codec.slicing import ArrayFace
from wavelic.errors import FormatError, ModelError
from wavelic.images import Image
from wavelic.jpeg2000 import DEFAULT_LIMITS, Limits, decode_codestream, is_jp2
from wavelic.jpeg2000.boxes import Box, list_boxes
from wavelic.lifting.jp2.box import BOX_MEANINGS, NO_MODEL
from wavelic.lifting.jp2.file import CODESTREAM_MAGIC, CarrierFile, open_carrier, trim_carrier

if TYPE_CHECKING:
    from wavelic.lifting.transform.transform import LiftingTransform

_MEANINGS = {
    b"jP  ": "signature",
    b"ftyp": "file type",
    b"jp2h": "image header, colour",
    b"jp2c": "codestream",
    b"uuid": "unknown, kept as it is",
    b"xml ": "XML",
}


def is_jpeg2000(start: bytes) -> bool:
    """Whether a file that begins so is a JP2 file or a JPEG 2000 codestream; 12 bytes suffice."""
    return is_jp2(start) or start.startswith(CODESTREAM_MAGIC)


@dataclass(frozen=True)
class BoxInfo:
    """One box of the file, as `info` lists it."""

    kind: str
    bytes: int
    meaning: str


@dataclass(frozen=True)
class LiftingFile(ArrayFace):
    """An opened JPEG 2000 file (`opened.OpenedFile`): checked, not yet decoded.

    carrier: what was opened.  size: bytes of the file.  boxes: its boxes in order.
    """

    carrier: CarrierFile
    size: int
    boxes: tuple[BoxInfo, ...]

    @property
    def codec(self) -> str:
        return "lifting" if self.carrier.ours else "jpeg2000"

    @property
    def shape(self) -> tuple[int, int, int]:
        header = self.carrier.header
        return header.height, header.width, self.carrier.channels

    @property
    def bit_depth(self) -> int:
        return self.carrier.box.depth

    @property
    def levels(self) -> int:
        return self.carrier.levels

    @property
    def level_dimensions(self) -> tuple[tuple[int, int], ...]:
        return self.carrier.level_dimensions

    @property
    def layer_count(self) -> int:
        return self.carrier.layers

    @property
    def layers(self) -> tuple[Layer, ...]:
        pixels = self.carrier.header.width * self.carrier.header.height
        return tuple(Layer(n, None if n is None else n * 8 / pixels) for n in self.carrier.layer_bytes)

    @property
    def complete(self) -> bool:
        return self.carrier.complete

    @property
    def info(self) -> dict[str, Any]:
        """What the file is: format, codec, model, geometry, layers, precincts and boxes."""
        return _info(self)

    def decode(
        self,
        reduce: int = 0,
        layers: int | None = None,
        region: Region | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Image:
        check_reduce(reduce, self.levels)
        check_layers(layers, self.carrier.layers)
        reduced_region(region, self.level_dimensions[0], reduce)
        transform = self.transform(device)
        import torch

        from wavelic.lifting.jp2.large import read_large

        carrier = self.fetched(transform, reduce, layers, region)
        pixels = read_large(carrier, transform, reduce, layers, region, torch.get_num_threads(), progress)
        return Image(pixels, self.carrier.metadata)

    def fetched(
        self, transform: LiftingTransform | None, reduce: int, layers: int | None, region: Region | None
    ) -> CarrierFile:
        """The carrier with the bytes that this request needs."""
        return self.carrier

    def verify(self) -> None:
        """The stock decode of everything, and alpha; `wavelic.open` has compared the checksum already."""
        self.carrier.alpha()
        if self.carrier.box.model != NO_MODEL:
            self._card()
        decode_codestream(self.carrier.codestream, limits=self.carrier.limits)

    def transform(self, device: str = "cpu") -> LiftingTransform | None:
        """The trained transform the file names, None if it names none.  Raises ModelError if it is not installed."""
        if self.carrier.box.model == NO_MODEL:
            return None
        card = self._card()  # before torch is loaded
        check_device(device)
        from wavelic.lifting.weights import load_lifting_card

        return load_lifting_card(card, device)

    def _card(self) -> Any:
        from wavelic.lifting.cards import find_lifting

        return find_lifting(self.carrier.box.model)


def open_jpeg2000(data: bytes, limits: Limits = DEFAULT_LIMITS, *, allow_partial: bool = False) -> LiftingFile:
    """Open a JP2 file or codestream from its bytes.  Raises as `carrier.file.open_carrier`."""
    carrier = open_carrier(data, limits=limits, allow_partial=allow_partial)
    if not is_jp2(data):
        return LiftingFile(carrier, len(data), (BoxInfo("codestream", len(data), "no boxes"),))
    boxes = list_boxes(data, limits, partial=allow_partial)
    return LiftingFile(carrier, len(data), box_infos(data, boxes, len(data)))


def box_infos(data: bytes, boxes: Sequence[Box], size: int) -> tuple[BoxInfo, ...]:
    """What `info` says of the boxes of a file of ``size`` bytes; ``data`` has all of them but the last."""
    infos = []
    for box in boxes:
        meaning = _MEANINGS.get(box.kind, "unknown, kept as it is")
        if box.kind == b"uuid":
            meaning = BOX_MEANINGS.get(bytes(data[box.start : box.start + 16]), meaning)
        infos.append(BoxInfo(box.kind.decode("latin-1"), min(box.stop, size) - box.start + 8, meaning))
    return tuple(infos)


def _model_name(model: bytes) -> str:
    from wavelic.lifting.cards import find_lifting

    if model == NO_MODEL:
        return "none"
    try:
        return find_lifting(model).name
    except ModelError:
        return "not installed"


def _info(file: LiftingFile) -> dict[str, Any]:
    """The dictionary behind `wavelic info`."""
    carrier = file.carrier
    header, box = carrier.header, carrier.box
    style = header.styles[0]
    height, width, channels = file.shape
    return {
        "format": "j2k" if len(file.boxes) == 1 else "jp2",
        "codec": file.codec,
        "model": _model_name(box.model),
        "model_hash": "" if box.model == NO_MODEL else box.model.hex(),
        "width": width,
        "height": height,
        "channels": channels,
        "bit_depth": file.bit_depth,
        "stored_bits": header.components[0].bits,
        "wavelet": box.base,
        "levels": file.levels,
        "level_dimensions": [list(size) for size in file.level_dimensions],
        "progression": header.progression,
        "precincts": [list(size) for size in style.precincts],
        "code_block": list(style.code_block),
        "bytes": file.size,
        "bpp": round(file.size * 8 / (width * height), 5),
        "complete": carrier.complete,
        "whole_layers": carrier.whole_layers,
        "layers": [
            {"layers": n + 1, "bytes": layer.bytes, "bpp": None if layer.bpp is None else round(layer.bpp, 5)}
            for n, layer in enumerate(file.layers)
        ],
        "reduced": [
            {"reduce": n, "bytes": size, "share": None if size is None else round(size / file.size, 5)}
            for n, size in enumerate(carrier.reduced_bytes)
        ],
        "chunks": [{"kind": b.kind, "bytes": b.bytes, "meaning": b.meaning} for b in file.boxes],
    }


def trim_file(
    data: bytes, *, max_layers: int | None = None, bpp: float | None = None, limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """A JPEG 2000 file without its last layers: at most ``max_layers``, at most ``bpp`` bits per pixel of the file.

    Nothing is decoded.  Raises UsageError if not even one layer is admitted, FormatError for any other kind of file,
    one that is damaged, or one without packet lengths (PLT).
    """
    if not is_jpeg2000(data):
        raise FormatError("not a JPEG 2000 file, and only these have layers to drop; give a .jp2 file")
    if bpp is None:
        return trim_carrier(data, max_layers=max_layers, limits=limits)
    header = open_carrier(data, limits=limits).header
    max_bytes = int(bpp * header.width * header.height / 8)
    return trim_carrier(data, max_layers=max_layers, max_bytes=max_bytes, limits=limits)
