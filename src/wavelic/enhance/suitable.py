"""Which files can be enhanced.  Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence

from wavelic.errors import UnsupportedError
from wavelic.jpeg2000.channels import Channels
from wavelic.jpeg2000.header import RGN, MainHeader

_MOST_BITS = 16
_REMEDY = "decode without enhancement"


def check_picture(channels: Channels) -> tuple[int, ...]:
    """Return the components that are luma or colours of a picture.

    Args:
        channels: how components become the picture.

    Raises:
        UnsupportedError: its samples are indices of a palette.
    """
    if channels.has_palette:
        raise UnsupportedError(f"samples are indices of a palette; {_REMEDY}")
    count = len(channels.channels) - channels.opacity
    return tuple(channel.component for channel in channels.channels[:count])


def check_colours(header: MainHeader, colours: Sequence[int]) -> None:
    """Raise UnsupportedError unless components are alike and of a kind that can be enhanced.

    Args:
        header: main header of the codestream.
        colours: numbers of the components.
    """
    kinds = {(one.bits, one.signed, one.dx, one.dy) for one in (header.components[index] for index in colours)}
    styles = {(one.levels, one.reversible) for one in (header.styles[index] for index in colours)}
    if len(kinds) != 1 or len(styles) != 1 or (header.colour_transform and tuple(sorted(colours)) != (0, 1, 2)):
        raise UnsupportedError(f"colours of {sorted(kinds)}, expected components alike; {_REMEDY}")
    ((bits, signed, dx, dy),) = kinds
    if signed or (dx, dy) != (1, 1) or bits > _MOST_BITS:
        raise UnsupportedError(
            f"colours of {bits} bits, signed {signed}, one for {dx} x {dy} pixels; expected at most {_MOST_BITS} bits,"
            f" unsigned, one for each pixel; {_REMEDY}"
        )
    if any(segment.marker == RGN for segment in header.segments):
        raise UnsupportedError(f"the codestream has a region of interest; {_REMEDY}")
    if header.reorders or header.high_throughput:
        raise UnsupportedError(f"the packet headers are of HTJ2K, POC or PPM, which are not read; {_REMEDY}")
