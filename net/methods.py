"""All methods of this package, collected from the modules that define them."""

import importlib
import itertools
import pkgutil
from collections.abc import Callable

from torch import Tensor, nn

import net.baselines
from net.method import Method, as_it_is
from net.training import cmmdl_training, lite_training


def discover() -> dict[str, Method]:
    """The methods by name: CMMDL, CMMDL-lite, those of the modules of `net.baselines`, and last the rules.

    Raises ValueError where two have the same name, label or network, by which methods are told apart.
    """
    found = [cmmdl_training.METHOD, lite_training.METHOD]
    for module in pkgutil.iter_modules(net.baselines.__path__, "net.baselines."):
        content = vars(importlib.import_module(module.name))
        found += [*content.get("METHODS", ()), *([content["METHOD"]] if "METHOD" in content else [])]
    for one, other in itertools.combinations(found, 2):
        if same := [what for what in ("name", "label", "network") if getattr(one, what) == getattr(other, what)]:
            raise ValueError(f"the methods {one.name} and {other.name} have one {same[0]}; expected each its own")
    return {method.name: method for method in sorted(found, key=lambda method: not method.learns)}


def method_of(model: nn.Module) -> Method | None:
    """The method a network belongs to, wrapped or not; None for a foreign network."""
    model = unwrapped(model)
    return next((method for method in METHODS.values() if isinstance(model, method.network)), None)


def output_of(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """What turns a network's output into luminance in [0, 1]: its method's `output`; nothing for a foreign network."""
    method = method_of(model)
    return method.output if method else as_it_is


def unwrapped(model: nn.Module) -> nn.Module:
    """The network within `torch.compile`, `DataParallel`, `DistributedDataParallel` or a moving average of torch's."""
    while isinstance(inner := getattr(model, "_orig_mod", getattr(model, "module", None)), nn.Module):
        model = inner
    return model


METHODS = discover()
