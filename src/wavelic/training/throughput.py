"""How fast a training run goes and how busy its processor is: for the progress bar and the log."""

from __future__ import annotations

import time

import torch

_ASK_EVERY = 1.0  # seconds between two questions to the driver


class Throughput:
    """Pixels a second since `start`, and the share of that time in which the device had work.

    On a CPU the share is processor time over wall time, and may exceed 1 with several threads.  On a GPU it is the
    mean of what the driver reports once a second, or unknown without the driver's Python package.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.start()

    def start(self) -> None:
        """Forget what was counted."""
        self.pixels = 0
        self.began, self.processor = time.perf_counter(), time.process_time()
        self.reports: list[float] = []
        self.asked = -_ASK_EVERY

    def count(self, pixels: int) -> None:
        """A step has done so many more pixels."""
        self.pixels += pixels
        if self.device.type == "cuda" and time.perf_counter() - self.asked > _ASK_EVERY:
            self.asked = time.perf_counter()
            try:
                self.reports.append(torch.cuda.utilization(self.device) / 100)
            except (ModuleNotFoundError, RuntimeError):
                self.reports.clear()

    def measured(self) -> dict[str, float]:
        """``megapixels_per_second`` and, where it is known, ``utilisation``, 0..1 for each core or GPU."""
        wall = max(time.perf_counter() - self.began, 1e-9)
        found = {"megapixels_per_second": self.pixels / wall / 1e6}
        if self.device.type != "cuda":
            found["utilisation"] = (time.process_time() - self.processor) / wall
        elif self.reports:
            found["utilisation"] = sum(self.reports) / len(self.reports)
        return found

    def note(self) -> str:
        """The same in a few words."""
        found = self.measured()
        busy = f" {100 * found['utilisation']:.0f} % busy" if "utilisation" in found else ""
        return f"{found['megapixels_per_second']:.2f} Mpx/s{busy}"
