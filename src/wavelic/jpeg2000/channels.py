"""From the components of a JPEG 2000 file to the channels of a picture: gray or RGB, with or without opacity.

The boxes say how (ITU-T T.800 I.5.3): a palette turns one component into several channels, channel definitions say
which is red and which is opacity, a colour specification what the numbers mean.  `channels_of` reads them once;
`wavelic.jpeg2000.picture` applies the result to any window of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wavelic.errors import FormatError, UnsupportedError
from wavelic.jpeg2000.boxes import GREY, SRGB, SYCC
from wavelic.jpeg2000.files import Jp2
from wavelic.jpeg2000.header import DAMAGED, MainHeader
from wavelic.jpeg2000.header_box import Colour

_COLOUR, _OPACITY, _PREMULTIPLIED = 0, 1, 2
_WHOLE_IMAGE, _NONE = 0, 65535


class Space(Enum):
    """What is done with the colours."""

    AS_THEY_ARE = "as they are"
    INVERTED = "inverted"
    BT601_FULL = "YCbCr of BT.601, full range"
    BT601_VIDEO = "YCbCr of BT.601, video range"
    BT709_VIDEO = "YCbCr of BT.709, video range"


#: Enumerated colour spaces (T.800 table I.10, T.801 table M.25): how many colours, and how they become gray or RGB.
_SPACES = {
    0: (1, Space.INVERTED),  # bi-level, 0 is white
    1: (3, Space.BT709_VIDEO),
    3: (3, Space.BT601_FULL),
    4: (3, Space.BT601_VIDEO),
    15: (1, Space.AS_THEY_ARE),  # bi-level, 0 is black
    SRGB: (3, Space.AS_THEY_ARE),
    GREY: (1, Space.AS_THEY_ARE),
    SYCC: (3, Space.BT601_FULL),
}
_OTHER_SPACES = {
    9: "PhotoYCC",
    11: "CMY",
    12: "CMYK",
    13: "YCCK",
    14: "CIELab",
    19: "CIEJab",
    20: "e-sRGB",
    21: "ROMM-RGB",
    22: "YPbPr (1125/60)",
    23: "YPbPr (1250/50)",
    24: "e-sYCC",
}
_ICC_COLOURS = {b"GRAY": 1, b"RGB ": 3}


@dataclass(frozen=True)
class Channel:
    """Where the samples of one channel come from.

    Attributes:
        component: of the codestream.
        table: column of the palette that the component is an index of; None if it has the samples itself.
        bits: of the samples.
        signed: whether they are around 0; then 2^(bits - 1) is added.
    """

    component: int
    table: NDArray[np.int32] | None
    bits: int
    signed: bool


@dataclass(frozen=True)
class Channels:
    """How a picture is made of the components.

    Attributes:
        channels: gray or red, green, blue, then opacity if there is any.
        opacity: whether the last is opacity.
        premultiplied: whether the colours are multiplied with it.
        space: what is done with the colours.
        colour: the colour specification that counts.
        remarks: what a user should know of how the file was read, one sentence each.
    """

    channels: tuple[Channel, ...]
    opacity: bool
    premultiplied: bool
    space: Space
    colour: Colour
    remarks: tuple[str, ...]

    @property
    def bits(self) -> int:
        """Bits of the channel that has the most."""
        return max(channel.bits for channel in self.channels)

    @property
    def depth(self) -> int:
        """8 or 16: bits of the picture's samples."""
        return 8 if self.bits <= 8 else 16

    @property
    def has_palette(self) -> bool:
        """Whether a component is an index, of which no average means anything."""
        return any(channel.table is not None for channel in self.channels)

    def is_plain(self, header: MainHeader) -> bool:
        """Whether channels are the components in their order, and all that is done is to scale them."""
        inner = [channel.component for channel in self.channels] == list(range(len(header.components)))
        alike = len({(c.bits, c.dx, c.dy) for c in header.components}) == 1
        plain = not self.has_palette and not self.premultiplied and self.space is Space.AS_THEY_ARE
        unsigned = not any(channel.signed for channel in self.channels)
        return inner and alike and plain and unsigned and header.components[0].dx == header.components[0].dy == 1


def channels_of(jp2: Jp2) -> Channels:
    """Work out how a file's components become a picture.

    Args:
        jp2: the parsed file.

    Raises:
        FormatError: the boxes contradict each other.
        UnsupportedError: the colours are none that wavelic turns into gray or RGB.
    """
    remarks: list[str] = []
    channels = _channels(jp2)
    colour, stated, space = _colours(jp2, len(channels))
    order, opacity, premultiplied = _order(jp2, len(channels), stated, remarks)
    chosen = tuple(channels[number] for number in (*order, *(() if opacity is None else (opacity,))))
    left_out = len(channels) - len(chosen)
    if left_out:
        names = ", ".join(str(n) for n in range(len(channels)) if n not in (*order, opacity))
        remarks.append(f"{left_out} of {len(channels)} channels ({names}) are neither colour nor opacity and left out")
    if any(channel.signed for channel in chosen):
        remarks.append("signed samples are shown with half their range added")
    result = Channels(chosen, opacity is not None, premultiplied, space, colour, ())
    if result.bits not in (1, 8, 16):
        to = "down" if result.bits > 16 else "up"
        remarks.append(f"samples of {result.bits} bits are scaled {to} to {result.depth} bits")
    if premultiplied:
        remarks.append("colours multiplied with the opacity are divided by it")
    return Channels(chosen, opacity is not None, premultiplied, space, colour, tuple(remarks))


def _channels(jp2: Jp2) -> list[Channel]:
    """All channels, in the order of the file."""
    components, palette = jp2.header.components, jp2.box.palette
    if palette is None:
        return [Channel(index, None, each.bits, each.signed) for index, each in enumerate(components)]
    found = []
    for component, column in jp2.box.mapping:
        stored = components[component]
        if column is None:
            found.append(Channel(component, None, stored.bits, stored.signed))
        else:
            found.append(Channel(component, palette.columns[column], palette.bits[column], False))
    return found


def _colours(jp2: Jp2, count: int) -> tuple[Colour, int, Space]:
    """The first colour specification that is understood, how many colours it has, and what is done with them."""
    unknown: list[str] = []
    for colour in jp2.box.colours:
        if colour.space is not None:
            if colour.space in _SPACES:
                return colour, *_SPACES[colour.space]
            unknown.append(_OTHER_SPACES.get(colour.space, f"number {colour.space}"))
        elif colour.icc is not None:
            space = colour.icc[16:20] if colour.icc[36:40] == b"acsp" else b""
            if not space or space in _ICC_COLOURS:
                return colour, _ICC_COLOURS.get(space, 1 if count < 3 else 3), Space.AS_THEY_ARE
            unknown.append(f"ICC profile for {space.decode('ascii', 'replace').strip()}")
        else:
            return colour, 1 if count < 3 else 3, Space.AS_THEY_ARE
    if unknown:
        spaces = " and ".join(unknown)
        raise UnsupportedError(f"JPEG 2000 colour space {spaces} is not supported; convert the image to sRGB")
    return Colour(), 1 if count < 3 else 3, Space.AS_THEY_ARE


def _order(jp2: Jp2, count: int, stated: int, remarks: list[str]) -> tuple[list[int], int | None, bool]:
    """The channels of the colours in their order, that of opacity, and whether colours are multiplied with it."""
    if not jp2.box.definitions:
        if count < stated:
            raise UnsupportedError(f"{count} channels for {stated} colours are not supported; convert the image")
        opacity = stated if count == stated + 1 else None
        if opacity is not None and jp2.boxes:
            remarks.append("the last channel has no stated meaning and is taken for alpha")
        return list(range(stated)), opacity, False
    colours: dict[int, int] = {}
    found: tuple[int, bool] | None = None
    for entry in jp2.box.definitions:
        if entry.kind == _COLOUR and entry.association not in (_WHOLE_IMAGE, _NONE):
            if entry.association in colours:
                raise FormatError(f"two channels are defined as colour {entry.association}; {DAMAGED}")
            colours[entry.association] = entry.channel
        elif entry.kind in (_OPACITY, _PREMULTIPLIED) and entry.association == _WHOLE_IMAGE and found is None:
            found = entry.channel, entry.kind == _PREMULTIPLIED
    if sorted(colours) != list(range(1, stated + 1)):
        raise UnsupportedError(
            f"colours {sorted(colours)} of {stated} are defined, expected all of them: not supported; convert the image"
        )
    order = [colours[number] for number in sorted(colours)]
    if len({*order, *([] if found is None else [found[0]])}) != len(order) + (found is not None):
        raise FormatError(f"a channel is defined as two things; {DAMAGED}")
    return order, None if found is None else found[0], found is not None and found[1]
