"""Pictures of a folder as tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wavelic.errors import UsageError


def read_picture(path: Path) -> Tensor:
    """Read a picture: (3, H, W) uint8.

    Raises:
        UsageError: it is none.
    """
    try:
        with Image.open(path) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    except OSError as error:
        raise UsageError(f"{path} is no picture ({error}); take it out of the folder") from None


def read_pictures(folder: Path, side: int = 1) -> list[Tensor]:
    """Read all pictures of a folder that have a crop of ``side`` pixels: (3, H, W) uint8 each, by name.

    Raises:
        UsageError: there are none, or there is something else.
    """
    paths = sorted(path for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []
    pictures = [picture for picture in map(read_picture, paths) if min(picture.shape[1:]) >= side]
    if not pictures:
        raise UsageError(f"no pictures of {side} pixels a side in {folder}; put them or a link to their folder there")
    return pictures
