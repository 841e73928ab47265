"""How a judge is trained, the same for every method: AdamW from a seed, a learning rate that rises and falls."""

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data.files import sha256
from data.options import UsageError

WARM_UP = 0.1  # of all steps, in which the learning rate rises; then it falls to 0 evenly


@dataclass(frozen=True)
class Budget:
    """What one training of a judge may take.

    Attributes:
        model: one of the judge's sizes.
        epochs: times that each training image is seen.
        batch: images in a step.
        rate: the highest learning rate.
        pretrained: a folder or hub name of weights to begin with in place of `model`; "" for none.
    """

    model: str
    epochs: int
    batch: int
    rate: float
    pretrained: str = ""

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Budget":
        """The budget that the options of `downstream.cross_validation` name."""
        return cls(args.model, args.epochs, args.batch_size, args.lr, args.pretrained)

    def steps(self, images: int) -> int:
        """Optimiser steps of a training on so many images; what does not fill a batch waits for the next epoch."""
        return self.epochs * max(1, images // self.batch)


class Standardised(nn.Module):
    """Pictures shifted and scaled by mean and deviation of each channel over the training images `pictures`, uint8
    (N, H, W, 3), so that nothing is gained by brightness alone."""

    def __init__(self, pictures: np.ndarray) -> None:
        super().__init__()
        channels = torch.from_numpy(pictures).flatten(0, 2).float()  # (N H W, 3)
        self.register_buffer("mean", channels.mean(0)[:, None, None])
        self.register_buffer("deviation", channels.std(0).clamp_min(1)[:, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        return (pictures - self.mean) / self.deviation  # (B, 3, H, W)


def fit(model: nn.Module, count: int, loss_of: Callable[[np.ndarray, np.random.Generator], Tensor], budget: Budget,
        *, seed: int, tick: Callable[[], object], clip: float = torch.inf) -> None:  # fmt: skip
    """Train a model in place on `count` images and leave it in eval mode.

    Args:
        loss_of: the loss of the images with these indices; draws what it changes about them from the generator.
        seed: decides the order of the images, and all that `loss_of` draws.
        tick: called after each step.
        clip: the largest norm of a gradient.

    Raises:
        ValueError: the loss is not finite any more.
    """
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=budget.rate, weight_decay=0.01)
    total, rng = budget.steps(count), np.random.default_rng(seed)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, total))
    per_epoch = total // budget.epochs
    for _ in range(budget.epochs):
        order = rng.permutation(count)
        for batch in np.array_split(order[: per_epoch * budget.batch], per_epoch):
            loss = loss_of(batch, rng)
            if not torch.isfinite(loss):
                raise ValueError("the judge's loss is not finite any more; try a lower --lr")
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            schedule.step()
            tick()
    model.eval()


def rate_at(step: int, total: int) -> float:
    """The learning rate of a step as a share of the highest: a rise, then an even fall."""
    warm_up = max(1, round(WARM_UP * total))
    return min((step + 1) / warm_up, (total - step) / max(1, total - warm_up), 1)


def to_tensor(pictures: np.ndarray, device: torch.device) -> Tensor:
    """Pictures uint8 (N, H, W, 3) as a network takes them, float32 (N, 3, H, W), still 0 to 255."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().to(device)


def pretrained(model: type[nn.Module], budget: Budget, classes: int) -> nn.Module:
    """A transformers model with the weights of `budget.pretrained`, but for a head of so many classes.

    Raises UsageError where these weights cannot be used.
    """
    try:
        return model.from_pretrained(budget.pretrained, num_labels=classes, ignore_mismatched_sizes=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--pretrained {budget.pretrained}: no weights of a {model.__name__} ({reason})") from None


def digest_of_pretrained(pretrained: str) -> str:
    """A digest of the weights that `--pretrained` names, "" for a name that is no file or folder of this machine."""
    path = Path(pretrained)
    if not pretrained or not path.exists():
        return ""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()


def missing(error: ImportError) -> UsageError:
    """The sentence for a package that the judges need."""
    return UsageError(f"{error.name} cannot be imported ({error}); pip install -r requirements-downstream.txt")
