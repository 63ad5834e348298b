"""Sizes of the network, and how far it sees.  Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

#: Luma and two colour differences; detail bands of each: HL, LH, HH.
COMPONENTS, BANDS = 3, 3
#: Values of a square of 2 x 2 coefficients.
SQUARE = 4
#: Channels for each position: squares of the details and of the low band; of each detail band the log2 of its step,
#: whether its code-block is there and how far the next bit-plane is; then the step within the range, and the wavelet.
INPUTS = SQUARE * COMPONENTS * (BANDS + 1) + 3 * COMPONENTS * BANDS + 2
OUTPUTS = SQUARE * COMPONENTS * BANDS


#: Samples of the low band that are averaged, to either side, to see how a sample differs from them.
LOW_RADIUS = 2
#: Samples of a signal that a sample of it depends on, to either side, through its coefficients and back (T.800 F.3).
SYNTHESIS_RADIUS = 4


@dataclass(frozen=True)
class Config:
    """Sizes of a network.

    Attributes:
        width: channels of the hidden maps.
        blocks: residual blocks.
        carried: channels handed from a level to the next finer one.
    """

    width: int
    blocks: int
    carried: int

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        w, c = self.width, self.carried
        block = (w * w + w) + (9 * w + w) + (w * w + w) + (2 * w * w + 2 * w) + (2 * w * w + w)
        return (INPUTS + c) * w + w + self.blocks * block + (w + 1) * (OUTPUTS + c)

    @property
    def multiplications(self) -> float:
        """Multiplications for each pixel of an image, all levels together."""
        w, c = self.width, self.carried
        position = (INPUTS + c) * w + self.blocks * (6 * w * w + 9 * w) + w * (OUTPUTS + c)
        return position / 12

    @property
    def radius(self) -> int:
        """Coefficients to every side that a correction depends on, even."""
        return 2 * self.blocks + LOW_RADIUS + LOW_RADIUS % 2

    @property
    def margin(self) -> int:
        """Samples of a level's signal, to every side, whose code-blocks an enhanced sample depends on."""
        return 2 * self.radius + 4 * SYNTHESIS_RADIUS


#: By architecture: of ordinary JPEG 2000, and of the pseudo-images of codec lifting.
CONFIGS = {"enhance": Config(64, 4, 16), "enhance-lifting": Config(64, 4, 16)}
