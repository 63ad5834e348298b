"""The Pillow plugin: ``PIL.Image.open("x.wlic")`` and ``image.save("x.wlic", quality=60)``.

Pillow finds plugins only when they are registered; ``import wavelic`` does it, and `register_pillow` does it again
after something else took the extension.  Nothing but a few names is set up until a `.wlic` file is opened.
"""

from __future__ import annotations

from typing import IO, Any

import PIL.Image
import PIL.ImageFile

from wavelic.container.header import MAGIC

FORMAT, EXTENSION, MIME = "WLIC", ".wlic", "image/x-wlic"
_SAVE_TARGETS = ("quality", "bpp", "psnr", "size")


class WlicImageFile(PIL.ImageFile.ImageFile):
    """A `.wlic` file as Pillow sees it; opening reads the file and its checksums, `load` decodes."""

    format = FORMAT
    format_description = "wavelic learned wavelet image"

    def _open(self) -> None:
        from wavelic.codec.wlic import WlicFile
        from wavelic.container import EXIF, ICCP, XMPP, read_container
        from wavelic.errors import WavelicError
        from wavelic.images.picture import pillow_mode

        try:
            assert self.fp is not None
            data = self.fp.read()
            self._file = WlicFile(read_container(data), len(data))
        except WavelicError as error:  # Pillow's contract: SyntaxError means "not a file I can open"
            raise SyntaxError(str(error)) from error
        header = self._file.header
        self._size = (header.width, header.height)
        self._mode = pillow_mode(header.channels, header.bit_depth)
        for key, kind in (("icc_profile", ICCP), ("exif", EXIF), ("xmp", XMPP)):
            value = self._file.container.find(kind)
            if value is not None:
                self.info[key] = b"Exif\0\0" + value if kind == EXIF else value
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
    from dataclasses import replace

    from wavelic.api.files import DEFAULT_CODEC, Options, encode_image
    from wavelic.codec.registry import codecs, get_codec
    from wavelic.codec.target import Target
    from wavelic.errors import UsageError
    from wavelic.images import Metadata, from_pillow

    options = picture.encoderinfo
    codec = options.get("codec", DEFAULT_CODEC)
    if get_codec(codec).extension != EXTENSION:
        writers = ", ".join(other.name for other in codecs() if other.extension == EXTENSION)
        raise UsageError(f"codec {codec!r} does not write .wlic files; choose one of {writers}")
    image = from_pillow(picture)
    stored = image.metadata
    exif = options.get("exif", stored.exif)
    if isinstance(exif, PIL.Image.Exif):
        exif = exif.tobytes()
    metadata = Metadata(
        options.get("icc_profile", stored.icc),
        exif.removeprefix(b"Exif\0\0") if exif else None,
        options.get("xmp", stored.xmp),
    )
    target = Target.of(**{name: options[name] for name in _SAVE_TARGETS if name in options})
    encoded = encode_image(
        replace(image, metadata=metadata),
        codec,
        target,
        Options(strip=options.get("strip", False)),
    )
    stream.write(encoded.data)


def register_pillow(*, jp2: bool = False) -> None:
    """Make Pillow open and save `.wlic` files.  Saving takes quality, bpp, psnr or size, codec and strip.

    jp2: also decode JP2 files of codec `lifting` with their learned synthesis when they are opened, instead of as the
    plain JPEG 2000 they are too; other JP2 files stay with Pillow.  ``reduce``, ``layers`` and `draft` work.
    """
    if jp2:
        from wavelic.integrations.pillow_jp2 import register_jp2

        register_jp2()
    PIL.Image.register_open(FORMAT, WlicImageFile, _accept)
    PIL.Image.register_save(FORMAT, _save)
    PIL.Image.register_extension(FORMAT, EXTENSION)
    PIL.Image.register_mime(FORMAT, MIME)
