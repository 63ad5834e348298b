"""Plain pictures decoded with a network (`wavelic.enhance`), or as they are where that is not possible."""

from __future__ import annotations

import torch

from wavelic.codec.opened import Pixels, Progress
from wavelic.codec.options import check_device
from wavelic.codec.request import Request
from wavelic.codec.weights import Card
from wavelic.enhance.picture import Enhanced
from wavelic.enhance.weights import load_network
from wavelic.errors import UnsupportedError
from wavelic.jpeg2000.picture import read_picture
from wavelic.lifting.jp2.contents import Jp2Contents


def read_enhanced(
    file: Jp2Contents,
    card: Card,
    request: Request,
    remarks: list[str],
    device: str = "cpu",
    progress: Progress | None = None,
) -> Pixels:
    """Decode samples of a plain picture with what the network adds.

    Args:
        file: with a ``picture``.
        card: of the network's weights.
        request: from `Jp2Contents.request`.
        remarks: gets a sentence if the file cannot be enhanced and is decoded as it is.
        device: torch device of the network.
        progress: called as ``progress(done, total)`` with windows.

    Returns:
        (height, width, channels), uint8 or uint16.

    Raises:
        ModelError: the file of the weights is damaged.
        UsageError: the device cannot be used.
        FormatError: the file is damaged.
        LimitError: the decode would need too much memory.
        SourceError: its bytes cannot be had.
    """
    assert file.picture is not None
    check_device(device)
    stored = file.stored(request, torch.get_num_threads())
    try:
        stored = Enhanced.of(stored, file.picture, load_network(card, device))
    except UnsupportedError as error:
        remarks.append(f"not enhanced: {error}")
    return read_picture(stored, file.picture, request.area, progress)
