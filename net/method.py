"""What the scripts know of a method, in one object, so that they need not know any method by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from net.training.recipe import Recipe


class Release(NamedTuple):
    """How weight files of a method are read, its authors' and bare ones of ours.

    Attributes:
        recognises: tells by the names of a file's entries and tensors whether it is of this method.
        read: gives, for the content of a file, a fresh network that fits it and its state dict. Raises LookupError
            for tensors with too few axes, and ValueError, which names what does not fit, for everything else.
    """

    recognises: Callable[[Iterable[str]], bool]
    read: Callable[[Mapping[str, Any]], tuple[nn.Module, dict[str, Tensor]]]


def as_it_is(output: Tensor) -> Tensor:
    """The output itself, of a network that gives luminance in [0, 1]."""
    return output


def stretched(output: Tensor) -> Tensor:
    """Each image of a batch (B, 1, H, W), its minimum and maximum mapped to 0 and 1; a constant one is clipped."""
    low, high = (extreme[:, None, None, None] for extreme in output.flatten(1).aminmax(dim=1))
    return torch.where(high > low, (output - low) / (high - low), output.clamp(0, 1))


@dataclass(frozen=True, kw_only=True)
class Method:
    """A network or rule that fuses pairs, and how it is read, shown and trained.

    A module of `net.baselines` adds one by defining `METHOD`, or several by `METHODS`; nothing else has to know it. Of
    the tests, `tests/net/test_golden.py` asks for the numbers that it gives.

    Attributes:
        name: what it is called on the command line and in checkpoints.
        label: what it is called in tables and in the file names of weights.
        network: the class of the network, `forward(vis, ir)` on (B, 1, H, W) luminance in [0, 1], of this method alone.
            If it is trained, its constructor takes keyword options, among them `dim`, its feature channels, and keeps
            them as `options`, a dictionary of text and numbers. Weight files are checked by these (`check_options`), so
            whole numbers are at most 1024, and their product is at most the number of the network's weights.
        minimum_size: smallest height and width that it fuses, in pixels.
        output: turns what the network gives, (B, 1, H, W), into luminance in [0, 1].
        release: how weight files are read; None for rules.
        recipes: how it is trained, by name, the default first; none for rules.
        by_bands: on a CPU it fuses band by band, with few tensors of the image's size at a time (`net.fast.bands`).
        channels_last: its convolutions wider than 1x1 read activations whose channels lie side by side.
        compiled: classes of the blocks that `compile_network` compiles one by one; none: it compiles the whole.
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
