"""How a sibling method is trained, as plain data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of one training run, as the method's authors published them.

    Attributes:
        duration: length of the training, in `unit`s.
        unit: what `duration` counts, and after which the learning rate schedule takes one step.
        batch_size: pairs per optimiser step.
        patch_size: side of the square training crops, in pixels.
        lr: learning rate at the start.
        weight_decay: L2 penalty that Adam adds to the gradients.
        flips: whether each crop is turned and mirrored at random (one of eight ways, the same for the whole pair).
        clip_norm: largest L2 norm of the gradients of each part that the method clips; None: not clipped.
        ema_decay: decay of the moving average of the weights that is saved beside them; None: no average.
    """

    duration: int
    unit: Literal["epoch", "iteration"]
    batch_size: int
    patch_size: int
    lr: float
    weight_decay: float = 0.0
    flips: bool = False
    clip_norm: float | None = None
    ema_decay: float | None = None
