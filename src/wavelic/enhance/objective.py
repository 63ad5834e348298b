"""What training minimises: squared error of the enhanced image relative to that of the plain one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wavelic.enhance.examples import Examples
from wavelic.enhance.level import LevelInput, Span, correct, doubled, framed, merged
from wavelic.enhance.network import Network
from wavelic.enhance.signals import to_colours
from wavelic.nn.precision import has_bfloat16


class Enhancement(nn.Module):
    """The network from level to level, and the squared errors that training looks at.

    Args:
        network: new or trained.
        bfloat16: run it in bfloat16 where the device multiplies that.
    """

    def __init__(self, network: Network, bfloat16: bool = False) -> None:
        super().__init__()
        self.network, self._bfloat16 = network, bfloat16

    def corrections(self, levels: tuple[LevelInput, ...], sizes: list[tuple[int, int]], wavelet: str) -> list[Tensor]:
        """Correct whole images of one size.

        Args:
            levels: inputs, the finest first.
            sizes: (rows, columns) of every signal, the image first.
            wavelet: "9/7" or "5/3".

        Returns:
            Corrections of every signal, the image first: (N, 3, ...) each.
        """
        first = levels[-1].low
        low = first.new_zeros((*first.shape[:2], *sizes[-1]))
        device = "cpu" if low.device.type == "cpu" else "cuda"
        carried: Tensor | None = None
        found = [low]
        for number in range(len(levels), 0, -1):
            x = levels[number - 1]
            rows, columns = sizes[number - 1]
            signal = Span(0, rows), Span(0, columns)
            frame = signal[0].framed(), signal[1].framed()
            padded = framed(low, signal[0].band(False), signal[1].band(False), frame)
            if carried is not None:
                carried = doubled(carried, (0, 0), (Span(0, frame[0].stop // 2), Span(0, frame[1].stop // 2)))
            with torch.autocast(device, torch.bfloat16, self._bfloat16 and has_bfloat16(device)):
                details, carried = correct(self.network, x, padded, carried, torch.float32)
            low = merged(low, details, signal, wavelet)
            found.append(low)
        return found[::-1]

    def forward(self, examples: Examples, originals: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Squared errors of every signal that there is an original of.

        Args:
            examples: decoded crops.
            originals: (N, 3, ...) the image as it was, and low bands of it, in the components of the codestream.

        Returns:
            Mean squared errors (signals, N) of the enhanced and of the plain decodes, in red, green and blue.
        """
        sizes = [(signal.shape[-2], signal.shape[-1]) for signal in examples.signals]
        deltas = self.corrections(examples.levels, sizes, examples.wavelet)
        ours, plain = [], []
        reversible = examples.wavelet == "5/3"
        for original, signal, delta in zip(originals, examples.signals, deltas, strict=False):
            error = signal - original
            ours.append(to_colours(error + delta, reversible).square().flatten(1).mean(1))
            plain.append(to_colours(error, reversible).square().flatten(1).mean(1))
        return torch.stack(ours), torch.stack(plain)
