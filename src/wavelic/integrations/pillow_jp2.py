"""Pillow and JP2 files of codec `lifting`: opened with the learned synthesis, not as the softer plain JPEG 2000.

Opening reads the boxes in front of the codestream and nothing else; a file without wavelic's box is left to Pillow's
own plugin, and so is saving without ``codec="lifting"`` or ``codec="jp2"``.
"""

from __future__ import annotations

import os
from typing import IO, Any

import PIL.Image
import PIL.ImageFile
import PIL.Jpeg2KImagePlugin

from wavelic.integrations.pillow_options import encoded, info_of

FORMAT = "JPEG2000"  # what the files are; the entry in Pillow's list has a name of its own
REGISTERED = "WAVELIC-JP2"
_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_CODESTREAMS = (".j2k", ".j2c", ".jpc")
EXTENSION = ".jp2"
_OURS_ALONE = (
    "bpp",
    "psnr",
    "size",
    "access",
    "lossless",
    "strip",
    "device",
)  # options that Pillow's plugin does not have
_MOST_BOXES = 1024
_CODESTREAM_BOX = b"\0\0\0\0jp2c"  # up to the end of what there is
_MAIN_HEADER = 1 << 13  # bytes of the codestream in which its main header ends


class LiftingImageFile(PIL.ImageFile.ImageFile):
    """A JP2 file with wavelic's box as Pillow sees it.

    As in Pillow's own plugin, ``reduce`` (halve the size that often) and ``layers`` (use only the first so many, 0 for
    all) may be set before the image is loaded; `draft`, and so `thumbnail`, sets ``reduce`` by itself.
    """

    format = FORMAT
    format_description = "JPEG 2000 with learned lifting (wavelic)"

    def _open(self) -> None:
        from wavelic.codec.jp2_box import ALPHA_ID
        from wavelic.errors import WavelicError
        from wavelic.images.picture import pillow_mode
        from wavelic.images.readers.jp2 import LIFTING_BOX, metadata_of
        from wavelic.jpeg2000 import read_jp2
        from wavelic.jpeg2000.header_box import Colour

        assert self.fp is not None
        head = _boxes_before_codestream(self.fp)
        try:
            jp2 = read_jp2(head + _CODESTREAM_BOX + self.fp.read(_MAIN_HEADER), partial=True)
            uuids = {uuid.identifier: uuid.data for uuid in jp2.uuids}
            main, box = jp2.header, uuids.get(LIFTING_BOX, b"")
            if len(box) < 3:
                raise SyntaxError("not a JP2 file of wavelic")  # Pillow then asks its own plugin
            channels = len(main.components) + (ALPHA_ID in uuids)
            self.info |= info_of(metadata_of(jp2, Colour(jp2.colour, jp2.icc), channels, []))
        except WavelicError as error:  # Pillow's contract: SyntaxError means "not a file I can open"
            raise SyntaxError(str(error)) from error
        self._size, self._mode = (main.width, main.height), pillow_mode(channels, 16 if box[2] == 16 else 8)
        self._levels = main.levels
        self._reduce = 0
        self.layers = 0

    @property
    def reduce(self) -> Any:
        """The number set, or Pillow's method while it is 0, as in Pillow's plugin."""
        return self._reduce or super().reduce

    @reduce.setter
    def reduce(self, value: int) -> None:
        self._reduce = value

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode no larger than needed for ``size``: the smallest resolution with both sides at least as long."""
        if self._im is not None or size is None:
            return None
        wanted = 0
        while wanted < self._levels and all(
            -(-side // 2 ** (wanted + 1)) >= goal for side, goal in zip(self._size, size, strict=True)
        ):
            wanted += 1
        if not wanted:
            return None
        width, height = self._size
        self._reduce = wanted
        self._size = -(-width // 2**wanted), -(-height // 2**wanted)
        return self.mode, (0, 0, width / 2**wanted, height / 2**wanted)

    def load(self) -> Any:
        """Decode on first use.  Raises OSError, as Pillow's own decoders do, for a damaged file."""
        from wavelic.api.files import open_file
        from wavelic.errors import WavelicError
        from wavelic.images import from_array, to_pillow

        if self._im is None:
            assert self.fp is not None
            try:
                self.fp.seek(0)
                file = open_file(self.fp.read())
                picture = to_pillow(from_array(file.read(self._reduce, self.layers or None)))
            except WavelicError as error:
                raise OSError(str(error)) from error
            self.im = picture.im
            self._mode = picture.mode
            self._size = picture.size
            if self._exclusive_fp and self._close_exclusive_fp_after_loading:
                self.fp.close()
            self.fp = None
        return super(PIL.ImageFile.ImageFile, self).load()


def _boxes_before_codestream(stream: IO[bytes]) -> bytes:
    """All boxes in front of the codestream; the stream is left there.  Raises SyntaxError if the file is no JP2."""
    stream.seek(0)
    pieces: list[bytes] = []
    while len(pieces) < _MOST_BOXES:
        start = stream.read(8)
        if len(start) < 8 or start[4:] == b"jp2c":
            break
        size = int.from_bytes(start[:4], "big")
        if not 8 <= size <= 1 << 26:  # 0 and 1: to the end of the file, 64 bits
            break
        payload = stream.read(size - 8)
        pieces.append(start + payload)
    head = b"".join(pieces)
    if not head.startswith(_SIGNATURE):
        raise SyntaxError("not a JP2 file")
    return head


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(_SIGNATURE)


def _save(picture: PIL.Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    """Write a file of codec lifting if that is asked for; else let Pillow's plugin write plain JPEG 2000."""
    from wavelic.codec.registry import get_codec
    from wavelic.errors import UsageError

    given = picture.encoderinfo
    name = os.fsdecode(filename).lower() if filename else ""
    if "codec" not in given:
        if ours := sorted(set(_OURS_ALONE) & given.keys()):
            raise UsageError(
                f"option {', '.join(ours)} without codec, expected codec='jp2' or 'lifting' with it; add that"
            )
        PIL.Jpeg2KImagePlugin._save(picture, stream, filename)
        return
    if get_codec(given["codec"]).extension != EXTENSION or name.endswith(_CODESTREAMS):
        raise UsageError(
            f"codec {given['codec']!r} for {name or 'a JPEG 2000 file'}, expected 'jp2' or 'lifting' and a name that"
            " ends in .jp2; choose the extension .wlic for other codecs"
        )
    stream.write(encoded(picture))


def register_jp2() -> None:
    """Let Pillow open and save JP2 files of wavelic; other JPEG 2000 files stay with Pillow's plugin."""
    PIL.Image.register_open(REGISTERED, LiftingImageFile, _accept)
    while REGISTERED in PIL.Image.ID:
        PIL.Image.ID.remove(REGISTERED)
    PIL.Image.ID.insert(0, REGISTERED)  # in front of Pillow's plugin, which opens every JP2 file
    PIL.Image.register_save(FORMAT, _save)  # Pillow's plugin is imported above, and does not register again
