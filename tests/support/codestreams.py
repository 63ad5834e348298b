"""JPEG 2000 codestreams of several layouts, and what reading them touches."""

from __future__ import annotations

from pictures import picture

from wavelic.jpeg2000 import EncodeOptions, encode_codestream
from wavelic.jpeg2000.partial import Layout, needed_packets, read_layout, rebuild


class Recorder:
    """A codestream that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.bytes, self.calls = data, 0, 0

    def __call__(self, start: int, stop: int) -> bytes:
        piece = self.data[start:stop]
        self.bytes += len(piece)
        self.calls += 1
        return piece


def layout_of(data: bytes) -> Layout:
    """The packet layout of a codestream."""
    return read_layout(Recorder(data), len(data))


def partial(data: bytes, **request: object) -> bytes:
    """The codestream reduced to the packets that a request of `needed_packets` needs."""
    layout = layout_of(data)
    chosen = needed_packets(layout, **request)
    return rebuild(layout, chosen, [data[start:stop] for start, stop in layout.spans(chosen)])


def coded(height: int, width: int, count: int = 3, **options: object) -> bytes:
    """A codestream of ``count`` test pictures with these `EncodeOptions`."""
    planes = [picture(height, width, 8, seed) for seed in range(count)]
    return encode_codestream(planes, 8, EncodeOptions(colour_transform=count == 3, **options))


#: `EncodeOptions` that differ in precincts, progression, layers and transform.
LAYOUTS = {
    "whole-image precincts, LRCP": {"progression": "LRCP", "layer_bytes": (2_000, 8_000, 30_000)},
    "64x64, RPCL": {"precincts": ((64, 64),), "progression": "RPCL", "layer_bytes": (3_000, 12_000, 40_000)},
    "32x128, PCRL": {"precincts": ((32, 128),), "progression": "PCRL", "layer_bytes": (5_000, 30_000)},
    "128x128 down to 32x32, RPCL": {
        "precincts": ((128, 128), (64, 64), (32, 32)),
        "progression": "RPCL",
        "layer_bytes": (5_000, 30_000),
    },
    "64x64, LRCP": {"precincts": ((64, 64),), "progression": "LRCP", "layer_bytes": (5_000, 30_000)},
    "128x32, CPRL, 5/3": {"precincts": ((128, 32),), "progression": "CPRL", "reversible": True},
    "64x64, RLCP, 5/3": {"precincts": ((64, 64),), "progression": "RLCP", "reversible": True, "levels": 3},
}
