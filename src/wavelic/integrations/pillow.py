"""The Pillow plugin: ``PIL.Image.open("x.wlic")`` and ``image.save("x.wlic", quality=60)``.

Pillow finds plugins only when they are registered; ``import wavelic`` does it, and `register_pillow` does it again
after something else took the extension.  Nothing but a few names is set up until such a file is opened or saved.
"""

from __future__ import annotations

from typing import IO, Any

import PIL.Image
import PIL.ImageFile

from wavelic.container.header import MAGIC
from wavelic.integrations.pillow_options import encoded, info_of

FORMAT, EXTENSION, MIME = "WLIC", ".wlic", "image/x-wlic"


class WlicImageFile(PIL.ImageFile.ImageFile):
    """A `.wlic` file as Pillow sees it; opening reads the file and its checksums, `load` decodes."""

    format = FORMAT
    format_description = "wavelic learned wavelet image"

    def _open(self) -> None:
        from wavelic.api.files import open_file
        from wavelic.container import metadata_block, read_container
        from wavelic.errors import WavelicError
        from wavelic.images import Metadata
        from wavelic.images.picture import pillow_mode

        try:
            assert self.fp is not None
            data = self.fp.read()
            container = read_container(data)
            self._file = open_file(data)
            metadata = Metadata.from_blocks(lambda name: metadata_block(container, name))
        except WavelicError as error:  # Pillow's contract: SyntaxError means "not a file I can open"
            raise SyntaxError(str(error)) from error
        header = container.header
        self._size = (header.width, header.height)
        self._mode = pillow_mode(header.channels, header.bit_depth)
        self.info |= info_of(metadata)
        self.info["quality"] = header.quality / 100

    def load(self) -> Any:
        """Decode on first use.  Raises OSError, as Pillow's own decoders do, for a damaged file."""
        from wavelic.errors import WavelicError
        from wavelic.images import from_array, to_pillow

        if self._im is None:
            try:
                picture = to_pillow(from_array(self._file.read()))
            except WavelicError as error:
                raise OSError(str(error)) from error
            self.im = picture.im
            self._mode = picture.mode
            if self._exclusive_fp and self._close_exclusive_fp_after_loading and self.fp:
                self.fp.close()
            self.fp = None
        return super(PIL.ImageFile.ImageFile, self).load()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(picture: PIL.Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    from wavelic.errors import UsageError

    data = encoded(picture)
    if not data.startswith(MAGIC):
        raise UsageError(
            f"codec {picture.encoderinfo.get('codec')!r} does not write .wlic files; choose a name that ends in .jp2"
        )
    stream.write(data)


def register_pillow(*, jp2: bool = True) -> None:
    """Make Pillow open and save `.wlic` files and JP2 files of codec lifting.

    Saving takes the options of `wavelic.encode` (codec, quality, bpp, psnr, size, layers, access, strip, device) and
    exif, icc_profile, xmp, dpi; others are refused.

    Args:
        jp2: also decode JP2 files of codec lifting with their learned synthesis when they are opened, instead of as
            the plain JPEG 2000 they are too (``reduce``, ``layers`` and `draft` work), and write them with
            ``save("x.jp2", codec="lifting")``.  All other JPEG 2000 files stay with Pillow; so do these with
            ``PIL.Image.open(path, formats=["JPEG2000"])``.
    """
    if jp2:
        from wavelic.integrations.pillow_jp2 import register_jp2

        register_jp2()
    PIL.Image.register_open(FORMAT, WlicImageFile, _accept)
    PIL.Image.register_save(FORMAT, _save)
    PIL.Image.register_extension(FORMAT, EXTENSION)
    PIL.Image.register_mime(FORMAT, MIME)
