"""How CMMDL is trained, as data: the release's recipe and ours."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from torch import Tensor

from utils.losses import fusion_loss, structure_loss

WARM_UP = 0.03  # of the training

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], NamedTuple]  # (vis, ir, fused, mask) -> terms, the first the total


class Stage(NamedTuple):
    """Crops of `size` pixels until the share `until` of the training is done, `batch` times the batch size."""

    until: float
    size: int
    batch: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of one training.

    Attributes:
        loss: from a batch to its loss terms.
        epochs, batch_size, lr: what the command line may override; the batch is per process.
        schedule: "step" halves the learning rate every 20 epochs, not below 1e-6; "cosine" rises over the first
            `WARM_UP` of the training and falls along a half cosine to a hundredth.
        clip_norm: largest L2 norm of all gradients together.
        ema_decay: of the moving average of the weights, which is then what is kept; None keeps the weights.
        stages: sizes of random crops over the training, where patches do not come ready from a file.
    """

    loss: Loss
    epochs: int
    batch_size: int
    lr: float
    schedule: Literal["step", "cosine"]
    clip_norm: float = math.inf
    ema_decay: float | None = None
    stages: tuple[Stage, ...] = (Stage(1, 128, 1),)

    def override(self, epochs: int | None, batch_size: int | None, lr: float | None, size: int | None) -> "Recipe":
        """This recipe with other numbers where they are given; a size stands for all stages."""
        given = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "stages": size and (Stage(1, size, 1),)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def stage(self, epoch: int) -> Stage:
        """The stage that the middle of an epoch belongs to."""
        return next(stage for stage in self.stages if epoch + 0.5 < stage.until * self.epochs)

    def batch_of(self, stage: Stage) -> int:
        """The batch size of a stage."""
        return max(2, round(self.batch_size * stage.batch))

    def lr_at(self, epoch: int, progress: float) -> float:
        """The learning rate at `progress` (0 to 1) through an epoch."""
        lr = self.lr
        if self.schedule == "step":
            return max(lr * 0.5 ** (epoch // 20), min(lr, 1e-6))
        done = (epoch + progress) / self.epochs
        if done < WARM_UP:
            return lr * max(done / WARM_UP, 0.01)
        return lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))))


PAPER = Recipe(loss=fusion_loss, epochs=100, batch_size=4, lr=1e-4, schedule="step")
BEST = Recipe(
    loss=structure_loss,
    epochs=60,
    batch_size=8,
    lr=5e-4,
    schedule="cosine",
    clip_norm=1.0,
    ema_decay=0.999,
    stages=(Stage(0.7, 64, 1), Stage(1, 128, 0.5)),
)
RECIPES = {"paper": PAPER, "best": BEST}
