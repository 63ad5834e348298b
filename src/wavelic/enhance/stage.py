"""What a stage of `enhance` can set.  No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.training.stages import Stage


@dataclass
class EnhanceStage(Stage):
    """A stage of `enhance`.

    Attributes:
        lowest, highest: bits per pixel of the codestreams, drawn log-uniformly between these for each of them.
        views: quality layers of each codestream, each of which counts as a crop of the batch.
        reversible: share of batches that are coded with 5/3, the others with 9/7.
        gray: share of crops that are coded as gray images.
        drawn: share of crops that are replaced by drawings: text, screens, line art and scans.
        deep: share of batches of gray pictures of 10 to 16 bits, smooth ones or photographs, instead of 8 bits.
        small_blocks: share of crops with code-blocks of 32 x 32 samples instead of 64 x 64.
        coarse_weight: what the errors of the image halved once and twice count beside those at full size.
        harm: weight of a crop's ratio of errors beyond 1, which is added: how much more than a gain a loss counts.
        floor: squared error, in levels, that is added to both sides of a crop's ratio of errors.
        bfloat16: the network in bfloat16 under autocast, where the device multiplies it; the wavelets never are.
        validation_rates: bits per pixel at which held-out crops are judged.
        judged: held-out crops.
    """

    lowest: float = 0.05
    highest: float = 2.5
    views: int = 3
    reversible: float = 0.4
    gray: float = 0.12
    drawn: float = 0.2
    deep: float = 0.15
    small_blocks: float = 0.15
    coarse_weight: float = 0.1
    harm: float = 0.0
    floor: float = 0.1
    bfloat16: bool = True
    validation_rates: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    judged: int = 24
