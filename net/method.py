"""What the two scripts know of a method: one object, so that they need no method's name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from net.training.recipe import Recipe


class Release(NamedTuple):
    """How weight files of a method are read, its authors' and bare ones of ours.

    Attributes:
        recognises: whether a file with these names, of its entries and of its tensors, is of this method.
        read: from the content of a file to a fresh network that fits it, and its state dict. Raises LookupError
            where tensors have fewer axes than it reads, ValueError, naming what does not fit, for all else.
    """

    recognises: Callable[[Iterable[str]], bool]
    read: Callable[[Mapping[str, Any]], tuple[nn.Module, dict[str, Tensor]]]


def as_it_is(output: Tensor) -> Tensor:
    """What the network gives is luminance in [0, 1] already."""
    return output


def stretched(output: Tensor) -> Tensor:
    """Each image of a batch (B, 1, H, W) over [0, 1] by its own minimum and maximum; a constant one is clipped."""
    low, high = (extreme[:, None, None, None] for extreme in output.flatten(1).aminmax(dim=1))
    return torch.where(high > low, (output - low) / (high - low), output.clamp(0, 1))


@dataclass(frozen=True, kw_only=True)
class Method:
    """A network or rule that fuses pairs, and how it is read, shown and trained.

    A module of `net.baselines` adds one by defining `METHOD`, or several by `METHODS`; nothing else has to know it.

    Attributes:
        name: on the command line and in checkpoints.
        label: in tables, and before `.pth` in file names.
        network: the class of the network, `forward(vis, ir)` on (B, 1, H, W) luminance in [0, 1], of this method alone.
            If it is trained, its constructor takes keyword options, among them `dim`, its feature channels, and keeps
            them as `options`: a dictionary of texts and numbers that a weight file can be checked by, so whole numbers
            are at most 1024 and their product is no more than the network has weights (`check_options`).
        minimum_size: smallest height and width that it fuses, in pixels.
        output: from what the network gives, (B, 1, H, W), to luminance in [0, 1].
        release: how weight files are read; None for rules.
        recipes: how it is trained, by name, the default first; none for rules.
        by_bands: it fuses on a CPU with few tensors of the image's size at a time, see `net.fast.bands`.
        channels_last: convolutions wider than 1x1 work on activations whose channels lie side by side.
        compiled: blocks that make up most of the network, which `compile_network` takes one by one; none: the whole.
        no_onnx: why it has no ONNX form; empty where it has one.
    """

    name: str
    label: str
    network: type[nn.Module]
    minimum_size: int = 1
    output: Callable[[Tensor], Tensor] = as_it_is
    release: Release | None = None
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    by_bands: bool = False
    channels_last: bool = False
    compiled: tuple[type[nn.Module], ...] = ()
    no_onnx: str = ""

    @property
    def learns(self) -> bool:
        """Whether it has weights, which a training finds; every table shows the rules that have none."""
        return bool(self.recipes)

    def compile_network(self, network: nn.Module, *, dynamic: bool) -> None:
        """Compile the network in place, block by block: compiling the whole of it takes minutes, but its blocks, of
        which equal ones are compiled once, take seconds.

        Args:
            network: of this method.
            dynamic: one graph for images of any size, or a graph for each size.
        """
        for part in [module for module in network.modules() if isinstance(module, self.compiled)] or [network]:
            part.compile(dynamic=dynamic)
