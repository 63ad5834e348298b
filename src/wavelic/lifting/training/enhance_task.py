"""Training enhanced decoding of codec lifting: as that of ordinary JPEG 2000, on the pseudo-images of learned lifting.

The codestream of a lifting file is ordinary JPEG 2000 of another picture, the pseudo-image, in which a standard
analysis finds the coefficients of the learned transform.  So the network of `wavelic.enhance` serves here too, with
weights of its own: what learned lifting leaves in the details is less predictable than what 9/7 leaves.  The loss is
the squared error of the pseudo-image; validation looks at the pictures that the learned synthesis makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from wavelic.codec.weights import Card
from wavelic.enhance.catalogue import PRODUCT as PRODUCT_ENHANCE
from wavelic.enhance.examples import LEVELS, Coding, components_of, joined
from wavelic.enhance.export import export_weights
from wavelic.enhance.training import EnhanceTask, example
from wavelic.errors import UsageError
from wavelic.lifting.cards import ENHANCE, LUMA, PRODUCT
from wavelic.lifting.jp2.pseudo_image import plain_range, to_codes
from wavelic.lifting.jp2.samples import colour, to_components
from wavelic.lifting.training.enhance_stage import LiftingEnhanceStage
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.lifting.weights import load_lifting
from wavelic.training.data import PackedImages
from wavelic.training.export import Export, latest
from wavelic.training.stages import Recipe, Stage
from wavelic.wavelets import dwt2, idwt2

_BASE = "9/7"
_RGB = 3


class LiftingEnhanceTask(EnhanceTask):
    """One stage of a `LiftingEnhanceStage` recipe."""

    stage: LiftingEnhanceStage
    wavelets: ClassVar[tuple[str, ...]] = (_BASE,)
    _judged: list[np.ndarray] | None = None

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        super().__init__(recipe, stage)
        if self.stage.reversible:
            raise UsageError(
                f"reversible={self.stage.reversible}; pseudo-images are coded with 9/7 alone: leave it out"
            )

    @property
    def relatives(self) -> tuple[str, ...]:
        """Its own, and those of ordinary JPEG 2000, which are the start."""
        return (self.recipe.model, PRODUCT_ENHANCE)

    def as_coded(
        self, pixels: np.ndarray, bits: int, gray: bool, random: np.random.Generator
    ) -> tuple[np.ndarray, int]:
        """The pseudo-image of a crop, (H, W, 3), and its bits; see `EnhanceTask.as_coded`."""
        if bits > 8:
            pixels = (pixels.astype(np.uint32) << (16 - bits)).astype(np.uint16)
        if gray:
            pixels = components_of(pixels, Coding((), gray=True))[0][..., None]
        transform = load_lifting(LUMA if random.random() < self.stage.luma else PRODUCT)
        return stored_picture(pixels, transform)

    @torch.no_grad()
    def validate(self, average: nn.Module, held_out: PackedImages) -> dict[str, Any]:
        """Mean and least gain in dB at the validation rates, on central crops, of the decoded RGB and of gray files."""
        if self._judged is None:
            self._judged = list(held_out.centre_crops(self.stage.crop)[: self.stage.judged])
        average.eval()
        rows: dict[str, Any] = {}
        for name, gray in (("rgb", False), ("gray", True)):
            gains = torch.stack([self._gain(average, pixels, gray) for pixels in self._judged])
            rows[name] = {"gain": gains.mean(0).tolist(), "least": gains.amin(0).tolist()}
        average.train()
        loss = -float(np.mean([np.mean(row["gain"]) for row in rows.values()]))
        return {"loss": loss, "rates": list(self.stage.validation_rates), **rows}

    def _gain(self, average: Any, pixels: np.ndarray, gray: bool) -> Tensor:
        """What the network adds, in dB, at each validation rate."""
        coding = Coding(self.stage.validation_rates, gray=gray)
        if gray:
            pixels = components_of(pixels, coding)[0][..., None]
        transform = load_lifting(PRODUCT)
        stored, bits = stored_picture(pixels, transform)
        views, _ = example(stored, Coding(coding.rates, gray=gray, bits=bits))
        examples = joined(views)
        sizes = [(signal.shape[-2], signal.shape[-1]) for signal in examples.signals]
        delta = average.corrections(examples.levels, sizes, _BASE)[0]
        original = colour(to_components(pixels), _BASE, inverse=True)
        plain, ours = (
            (decoded_picture(signal, transform, bits, 1 if gray else _RGB) - original).square().flatten(1).mean(1)
            for signal in (examples.signals[0], examples.signals[0] + delta)
        )
        return 10 * (plain / ours).log10()


def stored_picture(pixels: np.ndarray, transform: LiftingTransform) -> tuple[np.ndarray, int]:
    """The pseudo-image of pixels, as libopenjp2 is given it.

    Args:
        pixels: (H, W, 1 or 3), uint8 or uint16.
        transform: of the analysis.

    Returns:
        Samples (H, W, 3), of a gray picture three times the same, and their bits.
    """
    box, bits = plain_range(_BASE, 8 * pixels.dtype.itemsize)
    with torch.inference_mode():
        coefficients = transform.analysis(to_components(pixels), LEVELS)
        codes, _ = to_codes(idwt2(coefficients), box, bits)
    return np.broadcast_to(codes.transpose(1, 2, 0), (*pixels.shape[:2], _RGB)), bits


def decoded_picture(signal: Tensor, transform: LiftingTransform, bits: int, components: int) -> Tensor:
    """The picture that the learned synthesis makes of a decoded pseudo-image.

    Args:
        signal: (N, 3, H, W), in levels around 0.
        transform: of the synthesis.
        bits: of the pseudo-image.
        components: 1 of a gray picture, else 3.

    Returns:
        (N, components, H, W), [-0.5, 0.5].
    """
    box, _ = plain_range(_BASE, 8 if bits < 16 else 16, bits)
    x = signal[:, :components] / box.scale
    x[:, 0] += (2.0 ** (bits - 1) - box.offset) / box.scale - 0.5
    return colour(transform.synthesis(dwt2(x, _BASE, LEVELS, "jpeg2000")), _BASE, inverse=True)


def export_stages(finals: Sequence[Path], export: Export) -> list[Card]:
    """Write the stage that was finished last, as `wavelic.enhance.export.export_weights` does."""
    return [export_weights(latest(finals), export.folder, ENHANCE)]
