"""Progress of work in several stages, told as one count."""

from __future__ import annotations

from dataclasses import dataclass

from wavelic.codec.opened import Progress


@dataclass
class Stages:
    """One count for stages that each count their own parts.

    Attributes:
        progress: what is told of it all, if anything.
        total: parts of all stages.

    Examples:
        >>> stages = Stages(lambda done, total: print(done, "of", total), 5)
        >>> windows, tiles = stages.stage(3), stages.stage(2)
        >>> windows(3, 3), tiles(1, 2)
        3 of 5
        4 of 5
        (None, None)
    """

    progress: Progress | None
    total: int
    _before: int = 0

    def stage(self, parts: int) -> Progress:
        """Begin the next stage.

        Args:
            parts: how many it has.

        Returns:
            What it calls with parts done, and in all.
        """
        before = self._before
        self._before += parts

        def report(done: int, _: int) -> None:
            if self.progress:
                self.progress(before + done, self.total)

        return report
