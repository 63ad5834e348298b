"""A recipe, and what every stage can set; each codec adds keys of its own (`Trainer.stage`).  No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Stage:
    """One optimisation run; the defaults are overridden by the recipe's ``defaults``, then by its stage.

    Attributes:
        name: names the stage's folder and checkpoints.
        init: name of an earlier stage whose weights this one starts from, or a file of such weights: a stage's
            ``best.pt`` or ``final.pt``, or ``.safetensors`` (`wavelic.training.loop.save_objective`); empty for new
            weights.
        weights: without ``init``, installed weights to start from: their name, or the beginning of their content hash,
            by which replaced weights are found too.  Not for the codec wcae, whose weights do not hold all of it.
        seed: added to the recipe's for this stage's crops and noise, which else are those of the other stages.
        steps: optimiser steps.
        budget: if not 0, the stage also ends after so many seconds of training steps (processor time; on a GPU, time by
            the clock), and its schedules run by whichever of the two is used up further; such a run does not end with
            the same weights every time.
        batch: crops per step over all processes.
        crop: side of the square crops in pixels.
        optimizer: "adam", or "soap": Adam in the eigenbasis of Shampoo's preconditioner (`wavelic.training.soap`).
        precondition_every: steps between two updates of soap's eigenbases.
        learning_rate: peak of the optimiser's step size.
        warmup: steps of linear warm-up.
        schedule: "constant"; "cosine" or "linear" down to 1 % of the peak; or "trapezoid": constant, and over the last
            fifth linear down to 1 %.  A trapezoid keeps ``level.pt``, the checkpoint before its fall, to train on from.
        ema: decay of the weights' moving average, which is what is validated and exported; 0 turns it off.
        clip: largest gradient norm; 0 turns it off.
        capture: on a GPU, record the step once and replay it (`wavelic.training.capture`), where task and optimiser
            allow it.
        compile: let torch.compile fuse the objective's operations; it begins with minutes of compiling.
        validate_every, checkpoint_every: in steps.
        keep: "best" validation model or "last".
    """

    name: str = "main"
    init: str = ""
    weights: str = ""
    seed: int = 0
    steps: int = 1000
    budget: float = 0.0
    batch: int = 8
    crop: int = 256
    optimizer: str = "adam"
    precondition_every: int = 10
    learning_rate: float = 1e-4
    warmup: int = 0
    schedule: str = "constant"
    ema: float = 0.0
    clip: float = 0.0
    capture: bool = True
    compile: bool = False
    validate_every: int = 500
    checkpoint_every: int = 500
    keep: str = "best"


@dataclass
class Recipe:
    """A named training plan.

    Attributes:
        model: name of the architecture (`wavelic.codec.architectures`), which says how it is trained.
        data, validation: folders of images.
        stages: run in order; a finished stage is skipped when the recipe is run again.
    """

    name: str
    model: str
    data: str
    validation: str
    seed: int = 0
    description: str = ""
    stages: list[Stage] = field(default_factory=list)
