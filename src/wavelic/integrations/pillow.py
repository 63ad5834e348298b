"""The Pillow plugin: ``PIL.Image.open("x.wlic")`` and ``image.save("x.wlic", quality=60)``.

Pillow finds plugins only when they are registered; ``import wavelic`` does it, and `register_pillow` does it again
after something else took the extension.  Nothing but a few names is set up until such a file is opened or saved.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import PIL.Image
import PIL.ImageFile

from wavelic.container.header import MAGIC

if TYPE_CHECKING:
    from wavelic.images import Metadata

FORMAT, EXTENSION, MIME = "WLIC", ".wlic", "image/x-wlic"
_METADATA_OPTIONS = ("exif", "icc_profile", "xmp", "dpi")
_CODEC_OPTIONS = ("codec", "quality", "bpp", "psnr", "size", "layers", "access", "lossless", "strip", "device")


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


def info_of(metadata: Metadata) -> dict[Any, Any]:
    """Return the entries of a Pillow image's ``info`` for this metadata, under the names Pillow's own readers use."""
    info: dict[Any, Any] = {"icc_profile": metadata.icc, "xmp": metadata.xmp}
    info["exif"] = b"Exif\0\0" + metadata.exif if metadata.exif else None
    if metadata.resolution and metadata.resolution.absolute:
        info["dpi"] = tuple(float(side) for side in metadata.resolution.dpi)
    return {name: value for name, value in info.items() if value}


def encoded(picture: PIL.Image.Image, default_codec: str | None = None) -> bytes:
    """Return the file of a Pillow image being saved, by the options given to ``save``.

    The colour profile is that of the image unless ``icc_profile`` is given; Exif, XMP and the resolution are written
    only if they are given (``exif``, ``xmp``, ``dpi``), as Pillow's own writers do.

    Args:
        picture: the image; its ``encoderinfo`` has the options, those of `wavelic.encode` and of metadata.
        default_codec: the codec if none is given; None for that of `wavelic.encode`.

    Raises:
        UsageError: an option is unknown.
        ImageError: the image's mode is not supported.
    """
    from dataclasses import replace

    from wavelic.api.files import encode
    from wavelic.errors import UsageError
    from wavelic.images import Resolution, from_pillow

    given = dict(picture.encoderinfo)
    known = (*_CODEC_OPTIONS, *_METADATA_OPTIONS)
    if unknown := sorted(given.keys() - set(known)):
        raise UsageError(
            f"option {', '.join(unknown)} of save() is not known to wavelic, expected some of {', '.join(known)}; "
            "leave it out"
        )
    image = from_pillow(picture)
    exif = given.get("exif")
    exif = exif.tobytes() if isinstance(exif, PIL.Image.Exif) else exif
    xmp = given.get("xmp")
    dpi = given.get("dpi")
    metadata = replace(
        image.metadata,
        icc=given.get("icc_profile", image.metadata.icc) or None,
        exif=exif.removeprefix(b"Exif\0\0") if exif else None,
        xmp=xmp.encode("utf-8") if isinstance(xmp, str) else xmp or None,
        resolution=Resolution.from_dpi(*dpi) if dpi else None,
    )
    options = {name: given[name] for name in _CODEC_OPTIONS if name in given}
    if default_codec is not None:
        options.setdefault("codec", default_codec)
    return encode(replace(image, metadata=metadata), **options)


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
