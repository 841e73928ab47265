"""How a method is trained, as data."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from net.training.objective import Phase

MIN_LR = 1e-6  # `halving` goes no lower


class Stage(NamedTuple):
    """Crops of `size` pixels until the share `until` of the training is done, `batch_scale` times the batch size."""

    until: float
    size: int
    batch_scale: float


class Crops(NamedTuple):
    """How whole images become patches.

    Attributes:
        orientations: how many ways a crop may come: 1 as it is, 2 mirrored sideways too, 8 turned by quarters too.
        most: crops of one image in an epoch; small images give fewer.
        passes: how often an epoch goes through all images; other crops each time.
        black: the share of crops of which all parts (vis, ir, mask, maps) are black beyond a random straight line, like
            the edges of registered, rectified and medical images.
    """

    orientations: int = 2
    most: int = 8
    passes: int = 1
    black: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of one training.

    Attributes:
        phases: what is minimised, phase after phase.
        schedule: `schedule(recipe, epoch, progress, part)` is the learning rate at `progress` (0 to 1) through an
            epoch; `part` names a child of the network where `by_part` is set.
        epochs, batch_size, lr: what the command line may override; the batch is per process.
        iterations: the length of a training that is counted in optimiser steps; `epochs` is then None.
        weight_decay: L2 penalty that Adam adds to the gradients.
        clip_norm: largest L2 norm of the gradients.
        by_part: each child of the network has a learning rate and a gradient norm of its own.
        norms_until: the share of the training, 0 to 1, after which BatchNorm is frozen: it then uses its running
            statistics, as when fusing, instead of each batch's.
        ema_decay: of the exponential moving average of the weights, which is then the result; None: the weights are.
        stages: sizes of random crops over the training, where patches do not come ready from a file.
        crops: how these are drawn.
        image_map: computes a map that the loss needs from every whole pair: luminance (1, 1, H, W) in [0, 1], twice, to
            another.
        teacher: name of the method whose fused images are one more such map; its weights ship or are given.
        smallest: side of the smallest patches that the loss can take, in pixels.
    """

    phases: tuple[Phase, ...]
    schedule: Callable[["Recipe", int, float, str], float]
    epochs: int | None = None
    iterations: int | None = None
    batch_size: int
    lr: float
    weight_decay: float = 0.0
    clip_norm: float = math.inf
    by_part: bool = False
    norms_until: float = 1.0
    ema_decay: float | None = None
    stages: tuple[Stage, ...] = (Stage(1, 128, 1),)
    crops: Crops = Crops()
    image_map: Callable[[Tensor, Tensor], Tensor] | None = None
    teacher: str | None = None
    smallest: int = 1

    def __post_init__(self) -> None:
        if self.epochs is None and self.iterations is None:
            raise ValueError("a recipe without a length; expected epochs or iterations")
        for name, last in (("phase", self.phases[-1]), ("stage", self.stages[-1])):
            if last.until != 1:
                raise ValueError(f"the last {name} ends at {last.until} of the training; expected 1")

    def override(
        self,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        size: int | None = None,
        passes: int | None = None,
        norms_until: float | None = None,
    ) -> "Recipe":
        """This recipe with other numbers where they are given; a size stands for all stages."""
        given = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "norms_until": norms_until}
        given["stages"] = size and (Stage(1, size, 1),)
        given["crops"] = passes and self.crops._replace(passes=passes)
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def in_epochs(self, steps: int, *, epoch: int = 0, step: int = 0, done: int = 0) -> "Recipe":
        """This recipe with its iterations as whole epochs of `steps` steps, rounded up; itself if it has epochs.

        Args:
            epoch, step: where a training goes on: epochs that are done, and steps of the next one.
            done: all steps done so far; epochs may have had another length then.
        """
        if self.epochs:
            return self
        begun = epoch + bool(step)  # an epoch that has begun is finished
        left = self.iterations - done - (steps - step if step else 0)
        return replace(self, epochs=begun + max(0, math.ceil(left / steps)))

    def phase(self, epoch: int) -> Phase:
        """The phase that the middle of an epoch belongs to."""
        return next(phase for phase in self.phases if epoch + 0.5 < phase.until * self.epochs)

    def stage(self, epoch: int) -> Stage:
        """The stage that the middle of an epoch belongs to."""
        return next(stage for stage in self.stages if epoch + 0.5 < stage.until * self.epochs)

    def set_mode(self, network: nn.Module, epoch: int) -> None:
        """Put a network into training mode, but for the BatchNorm layers that no longer learn statistics."""
        network.train()
        if epoch + 0.5 >= self.norms_until * self.epochs:
            for layer in batch_norms(network):
                layer.eval()

    def batch_of(self, stage: Stage) -> int:
        """The batch size of a stage, at least 2 (BatchNorm)."""
        return max(2, round(self.batch_size * stage.batch_scale))

    def lr_at(self, epoch: int, progress: float, part: str = "") -> float:
        """The learning rate at `progress` (0 to 1) through an epoch."""
        return self.schedule(self, epoch, progress, part)

    def parts(self, network: nn.Module) -> dict[str, nn.Module]:
        """What has a learning rate and a gradient norm of its own, by name: the children, or the whole under ""."""
        return dict(network.named_children()) if self.by_part else {"": network}

    def groups(self, network: nn.Module) -> list[dict]:
        """The parameters by part, as optimisers take them.

        Raises ValueError where the network has parameters of its own, which are in none of its parts.
        """
        groups = [{"params": list(part.parameters()), "name": name} for name, part in self.parts(network).items()]
        if self.by_part and (alone := [name for name, _ in network.named_parameters(recurse=False)]):
            raise ValueError(f"parameters of no part: {', '.join(alone)}; with by_part they would not be trained")
        return groups

    def clip(self, network: nn.Module) -> Tensor:
        """Limit the gradients of each part to the recipe's norm, in place; the norm of all before, a scalar."""
        trained = [
            [parameter for parameter in part.parameters() if parameter.requires_grad]
            for part in self.parts(network).values()
        ]
        norms = [nn.utils.clip_grad_norm_(parameters, self.clip_norm) for parameters in trained if parameters]
        return torch.linalg.vector_norm(torch.stack(norms))


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """The layers of a network that normalise by statistics of batches."""
    return [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def constant(recipe: Recipe, epoch: int, progress: float, part: str) -> float:  # noqa: ARG001 - a schedule
    """The same learning rate from the first step to the last."""
    return recipe.lr


def halving(recipe: Recipe, epoch: int, progress: float, part: str, *, every: int) -> float:  # noqa: ARG001
    """Halved after each `every` epochs of a part's own training, which begins with the first phase that trains it, down
    to `MIN_LR`."""
    first = next(e for e in range(recipe.epochs) if part in (recipe.phase(e).parts or (part,)))
    return max(recipe.lr * 0.5 ** (max(epoch - first, 0) // every), min(recipe.lr, MIN_LR))
