"""Training `enhance`: crops are coded by libopenjp2 in every step, and the network learns what was lost."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from wavelic.codec.weights import Card
from wavelic.enhance.config import CONFIGS
from wavelic.enhance.drawings import drawing
from wavelic.enhance.examples import Coding, Examples, coded, decoded, joined
from wavelic.enhance.network import Network
from wavelic.enhance.objective import Enhancement
from wavelic.enhance.signals import colour_components
from wavelic.enhance.stage import EnhanceStage
from wavelic.enhance.surfaces import surface
from wavelic.enhance.weights import float_state
from wavelic.training.data import PackedImages
from wavelic.training.stages import Recipe, Stage
from wavelic.training.task import Task, named
from wavelic.wavelets import dwt2

#: Signals whose errors training looks at: the image, and the image halved once and twice.
SIGNALS = 3
#: Bits of pictures of more than 8, and how many of these are made of photographs.
DEPTHS, PHOTOGRAPHS = (10, 12, 16, 16), 0.4


class EnhanceTask(Task):
    """One stage of an `EnhanceStage` recipe."""

    objective: Enhancement
    stage: EnhanceStage
    #: Wavelets that validation looks at.
    wavelets: ClassVar[tuple[str, ...]] = ("9/7", "5/3")

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        super().__init__(recipe, stage)
        network: Any = Network(named(recipe.model, CONFIGS))
        self.objective = Enhancement(network.to(memory_format=torch.channels_last), self.stage.bfloat16)
        self._held_out: list[list[tuple[Examples, tuple[Tensor, ...]]]] = []

    def installed(self, card: Card) -> dict[str, Tensor]:
        """All of the state."""
        return {f"network.{key}": value for key, value in float_state(card).items()}

    def losses(self, wrapped: nn.Module, crops: Tensor, fraction: float, noise: torch.Generator) -> dict[str, Tensor]:
        """Loss, and the gain in dB at full size."""
        seed = int(torch.randint(0, 2**31, (1,), generator=noise, device=crops.device))
        random = np.random.default_rng(seed)
        examples, originals = self._examples(crops.permute(0, 2, 3, 1).cpu().numpy(), random)
        ours, plain = wrapped(examples, originals)
        floor = self.stage.floor
        ratios = (ours + floor) / (plain + floor)
        ratio = (ratios + self.stage.harm * (ratios - 1).relu()).mean(1)
        weights = torch.tensor([1.0, self.stage.coarse_weight, self.stage.coarse_weight])
        gain = 10 * ((plain[0] + 0.01) / (ours[0] + 0.01)).log10().mean()
        return {"loss": (ratio * weights).sum(), "gain": gain.detach()}

    def _examples(self, crops: np.ndarray, random: np.random.Generator) -> tuple[Examples, tuple[Tensor, ...]]:
        stage = self.stage
        reversible = bool(random.random() < stage.reversible)
        bits = int(random.choice(DEPTHS)) if random.random() < stage.deep else 8
        examples, originals = [], []
        for crop in crops:
            side, pixels = crop.shape[0], crop
            if bits > 8:
                pixels = surface(bits, random, side, crop if random.random() < PHOTOGRAPHS else None)
            elif random.random() < stage.drawn:
                pixels = drawing(side, random)
            low, high = math.log(stage.lowest), math.log(stage.highest)
            rates = tuple(sorted(math.exp(random.uniform(low, high)) for _ in range(stage.views)))
            gray = bits > 8 or bool(random.random() < stage.gray)
            block = 32 if random.random() < stage.small_blocks else 64
            stored, stored_bits = self.as_coded(pixels, bits, gray, random)
            one, signals = example(stored, Coding(rates, reversible, gray, block, stored_bits))
            examples += one
            originals += [signals] * len(one)
        return joined(examples), stacked(originals)

    def as_coded(
        self, pixels: np.ndarray, bits: int, gray: bool, random: np.random.Generator
    ) -> tuple[np.ndarray, int]:
        """The picture that libopenjp2 is given, and its bits: the pixels themselves.

        Args:
            pixels: (H, W, 3).
            bits: per sample.
            gray: whether only their luma counts.
            random: of the step.
        """
        return pixels, bits

    @torch.no_grad()
    def validate(self, average: nn.Module, held_out: PackedImages) -> dict[str, Any]:
        """Mean gain in dB at the validation rates, of either wavelet, on central crops; the loss is minus their mean.

        Of 5/3 a third of the crops is looked at.
        """
        stage = self.stage
        if not self._held_out:
            crops = held_out.centre_crops(stage.crop)[: stage.judged]
            for reversible in (wavelet == "5/3" for wavelet in self.wavelets):
                chosen = crops[::3] if reversible else crops
                pairs = []
                for pixels in chosen:
                    stored, bits = self.as_coded(pixels, 8, False, np.random.default_rng(0))
                    one, signals = example(stored, Coding(stage.validation_rates, reversible, bits=bits))
                    pairs.append((joined(one), stacked([signals] * len(one))))
                self._held_out.append(pairs)
        average.eval()
        rows: dict[str, Any] = {}
        for wavelet, pairs in zip(self.wavelets, self._held_out, strict=True):
            gains = []
            for examples, originals in pairs:
                ours, plain = average(examples, originals)
                gains.append(10 * (plain[0] / ours[0]).log10())
            table = torch.stack(gains)
            rows[wavelet] = {"gain": table.mean(0).tolist(), "least": table.amin(0).tolist()}
        average.train()
        loss = -float(np.mean([np.mean(row["gain"]) for row in rows.values()]))
        return {"loss": loss, "rates": list(stage.validation_rates), **rows}


def example(pixels: np.ndarray, coding: Coding) -> tuple[list[Examples], tuple[Tensor, ...]]:
    """Code a crop and decode each of its layers.

    Args:
        pixels: (H, W, 3).
        coding: how.

    Returns:
        One example for each layer, and the first `SIGNALS` signals of the original.
    """
    codestream = coded(pixels, coding)
    layers = len(coding.rates)
    original = colour_components(pixels, coding.reversible, coding.gray, coding.bits)
    signals = [original]
    for _ in range(SIGNALS - 1):
        signals.append(dwt2(signals[-1], "5/3" if coding.reversible else "9/7", 1, "jpeg2000").low)
    return [decoded(codestream, layer) for layer in range(1, layers + 1)], tuple(signals)


def stacked(originals: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Batch the signals of several originals of one size."""
    return tuple(torch.cat([one[index] for one in originals]) for index in range(len(originals[0])))
