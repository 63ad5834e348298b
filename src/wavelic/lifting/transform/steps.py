"""Which learned steps of a hybrid transform are done at which levels: of luma, chroma and grey, fine and coarse.

Level 1 has three quarters of a picture's samples and the chroma of a photograph little detail there, so most of the
networks' time is spent where least is gained.  What every choice gains is measured
(`benchmarks/studies/lifting_steps.py`, results/lifting/steps.json); encoder and decoder must agree, so the choice is a
part of the weights a file names.
"""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.errors import ModelError

#: A level no transform has: the step is done nowhere.
NEVER = 255


@dataclass(frozen=True)
class Steps:
    """The finest level, 1 at full resolution, that has each learned step; all coarser ones have it too."""

    high_to_low: int = 1
    low_to_high: int = 1

    def at(self, number: int) -> tuple[bool, bool]:
        """Whether level ``number`` has T_H2L, and whether it has T_L2H."""
        return number >= self.high_to_low, number >= self.low_to_high


@dataclass(frozen=True)
class LearnedSteps:
    """luma: of the first of several components.  chroma: of the others.  grey: of a component that is alone."""

    luma: Steps = Steps()
    chroma: Steps = Steps()
    grey: Steps = Steps()

    def of(self, components: int) -> tuple[Steps, Steps]:
        """Steps of the first component and of the others, if there are any, of an image."""
        return (self.grey, self.grey) if components == 1 else (self.luma, self.chroma)

    def pack(self) -> tuple[int, ...]:
        """As six numbers: T_H2L and T_L2H of luma, of chroma, of grey."""
        return tuple(n for steps in (self.luma, self.chroma, self.grey) for n in (steps.high_to_low, steps.low_to_high))

    @staticmethod
    def unpack(numbers: tuple[int, ...]) -> LearnedSteps:
        """Inverse of `pack`.  Raises ModelError for what it does not give."""
        if len(numbers) != 6 or not all(1 <= number <= NEVER for number in numbers):
            raise ModelError(f"learned steps {numbers}, expected six levels of 1..{NEVER}; export the weights again")
        return LearnedSteps(Steps(*numbers[:2]), Steps(*numbers[2:4]), Steps(*numbers[4:]))


EVERYWHERE = LearnedSteps()
LUMA_ONLY = LearnedSteps(chroma=Steps(NEVER, NEVER))
#: What new weights are exported with: as much as a colour image's decoder has time for, and all of it for a grey one.
PRODUCT_STEPS = LearnedSteps(luma=Steps(2, 1), chroma=Steps(NEVER, 2))
