"""Learned steps of a hybrid transform by level: of luma, chroma and gray, fine and coarse.

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
    """Finest level, 1 at full resolution, that has each learned step; all coarser ones have it too.

    Attributes:
        high_to_low: the finest level with T_H2L.
        low_to_high: the finest level with T_L2H.
    """

    high_to_low: int = 1
    low_to_high: int = 1

    def at(self, number: int) -> tuple[bool, bool]:
        """Whether level ``number`` has T_H2L, and whether it has T_L2H."""
        return number >= self.high_to_low, number >= self.low_to_high


@dataclass(frozen=True)
class LearnedSteps:
    """Learned steps of every kind of component.

    Attributes:
        luma: of the first of three components.
        chroma: of the other two.
        gray: of a component that is alone.
    """

    luma: Steps = Steps()
    chroma: Steps = Steps()
    gray: Steps = Steps()

    def of(self, components: int) -> tuple[Steps, Steps]:
        """Return the steps of the first component and of the others, if there are any, of an image."""
        return (self.gray, self.gray) if components == 1 else (self.luma, self.chroma)

    def pack(self) -> tuple[int, ...]:
        """Return six numbers: T_H2L and T_L2H of luma, of chroma, of gray."""
        return tuple(n for steps in (self.luma, self.chroma, self.gray) for n in (steps.high_to_low, steps.low_to_high))

    @staticmethod
    def unpack(numbers: tuple[int, ...]) -> LearnedSteps:
        """Undo `pack`.  Raises ModelError for numbers it does not give."""
        if len(numbers) != 6 or not all(1 <= number <= NEVER for number in numbers):
            raise ModelError(f"learned steps {numbers}, expected six levels of 1..{NEVER}; export the weights again")
        return LearnedSteps(Steps(*numbers[:2]), Steps(*numbers[2:4]), Steps(*numbers[4:]))


EVERYWHERE = LearnedSteps()
#: Steps that new weights are exported with: as many as a colour image's decoder has time for, and
#: all of them for a gray one.
PRODUCT_STEPS = LearnedSteps(luma=Steps(2, 1), chroma=Steps(NEVER, 2))
#: The same without steps of chroma, for files whose colours other software shows as they are.
LUMA_STEPS = LearnedSteps(luma=PRODUCT_STEPS.luma, chroma=Steps(NEVER, NEVER))
