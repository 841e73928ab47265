"""What a training minimises: the loss of one phase, as a module around the network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Terms = dict[str, Tensor]  # scalars by name; `total`, the first, is what is minimised


class Batch(NamedTuple):
    """Training patches, (B, 1, S, S) but for the maps.

    Attributes:
        vis, ir: luminance in [0, 1].
        mask: 1 on salient (thermal target) pixels, else 0.
        image_map: (B, C, S, S), crops of what `Recipe.image_map` gives for the whole pair and then of what the recipe's
            teacher gives; None without either.
    """

    vis: Tensor
    ir: Tensor
    mask: Tensor
    image_map: Tensor | None = None


def fused(network: nn.Module, batch: Batch) -> Tensor:
    """The fused luminance of a batch: all that most losses look at."""
    return network(batch.vis, batch.ir)


def for_training(network: nn.Module, batch: Batch) -> Any:
    """What `forward_training` of a network gives for a batch: the fused luminance and what else its loss looks at."""
    return network.forward_training(batch.vis, batch.ir)


class Phase(NamedTuple):
    """A part of a training with a loss of its own.

    Attributes:
        loss: the loss terms, given what `outputs` returned, in float32, and the batch.
        outputs: what the loss needs, given network and batch: a tensor, or several in NamedTuples.
        parts: names of the network's children that are trained; the others stay as they are. None: all.
        until: the share of the training, 0 to 1, at which the phase ends.
    """

    loss: Callable[[Any, Batch], Terms]
    outputs: Callable[[nn.Module, Batch], Any] = fused
    parts: tuple[str, ...] | None = None
    until: float = 1.0


class Objective(nn.Module):
    """A network and the loss of one phase as a module: `DistributedDataParallel` then sees every form of forward pass.

    What the phase does not train is frozen, so that every parameter that is not frozen gets a gradient.

    Args:
        network: the network, whose parameters are frozen and thawed.
        phase: of the method's recipe.

    Raises ValueError where the phase names a part that the network does not have.
    """

    def __init__(self, network: nn.Module, phase: Phase) -> None:
        super().__init__()
        there = [name for name, _ in network.named_children()]
        if unknown := set(phase.parts or ()) - set(there):
            raise ValueError(f"a phase trains {', '.join(sorted(unknown))}; expected parts among {', '.join(there)}")
        self.network, self.phase = network, phase
        for name, part in network.named_children():
            part.requires_grad_(phase.parts is None or name in phase.parts)

    def forward(self, batch: Batch, precision: str = "fp32") -> Terms:
        """The loss terms of a batch; the network works in `precision`, the loss always in float32."""
        with torch.autocast(batch.vis.device.type, torch.bfloat16, enabled=precision == "bf16"):
            outputs = self.phase.outputs(self.network, batch)
        return self.phase.loss(in_float32(outputs), batch)


def in_float32(outputs: Any) -> Any:
    """Tensors, alone or in nested NamedTuples, as float32."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(*map(in_float32, outputs))
