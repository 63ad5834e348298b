"""Learned wavelet image codec.

Importing the package is light: names are resolved on first use, and torch is loaded by the first encode or decode.
`.wlic` files also open with ``PIL.Image.open`` once wavelic is imported.

Examples:
    >>> import numpy as np, wavelic
    >>> data = wavelic.encode(np.zeros((48, 64, 3), np.uint8), quality=40)
    >>> wavelic.decode(data).shape
    (48, 64, 3)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wavelic import errors
from wavelic.integrations.pillow import register_pillow
from wavelic.threads import let_threads_sleep

if TYPE_CHECKING:
    from wavelic.api.batch import decode_batch, decode_many
    from wavelic.api.files import OpenedFile, decode, encode
    from wavelic.api.files import open_file as open
    from wavelic.images import Image, load_image, save_image

    #: Names of the codecs there are, the default first.
    CODECS: tuple[str, ...]

__version__ = "0.1.0"
__all__ = [
    "CODECS",
    "Image",
    "OpenedFile",
    "__version__",
    "decode",
    "decode_batch",
    "decode_many",
    "encode",
    "errors",
    "load_image",
    "open",
    "register_pillow",
    "save_image",
]

_HOMES = {
    "OpenedFile": ("wavelic.api.files", "OpenedFile"),
    "decode": ("wavelic.api.files", "decode"),
    "decode_batch": ("wavelic.api.batch", "decode_batch"),
    "decode_many": ("wavelic.api.batch", "decode_many"),
    "encode": ("wavelic.api.files", "encode"),
    "open": ("wavelic.api.files", "open_file"),
    "Image": ("wavelic.images", "Image"),
    "load_image": ("wavelic.images", "load_image"),
    "save_image": ("wavelic.images", "save_image"),
}


def __getattr__(name: str) -> Any:
    if name == "CODECS":  # also those of other packages
        return import_module("wavelic.codec.registry").names()
    if name not in _HOMES:
        raise AttributeError(f"module 'wavelic' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return globals().setdefault(name, getattr(import_module(module), attribute))


def __dir__() -> list[str]:
    return sorted(__all__)


let_threads_sleep()
register_pillow()
