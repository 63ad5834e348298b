"""A training step recorded once as a CUDA graph and replayed.

A step of a network of many small layers is some ten thousand operations on a GPU, each of a few microseconds; launched
one by one from Python they take several times as long.  A recorded step is launched as a whole.

Everything that changes from step to step must lie in memory that the recording knows: the crops, which are copied in;
the step size, which the optimiser keeps on the device (`wavelic.training.soap`); the random numbers, whose generator is
registered with the graph and can be seeded before each replay.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: (crops) -> terms of the loss; computes them, their gradients, and the step of the optimiser.
Step = Callable[[Tensor], dict[str, Tensor]]
#: Steps taken one by one before the recording: the optimiser makes its state, and libraries choose their algorithms.
WARM_UP = 4


class CapturedStep:
    """A recorded step.

    Args:
        step: what is recorded; it must not wait for a value, nor make tensors of Python numbers.
        crops: of the shape of all later ones, on the GPU.
        noise: the generator that ``step`` draws from.
    """

    def __init__(self, step: Step, crops: Tensor, noise: torch.Generator) -> None:
        self._crops = crops.clone()
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(noise)
        with torch.cuda.graph(self._graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
            self._terms = step(self._crops)

    def __call__(self, crops: Tensor) -> dict[str, Tensor]:
        """Take a step; the terms are overwritten by the next one."""
        self._crops.copy_(crops)
        self._graph.replay()
        return self._terms


def use_stream_of_its_own(device: torch.device) -> None:
    """Let this thread's work run on a stream that can be recorded, which the default one cannot."""
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device))
