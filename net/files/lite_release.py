"""The key names of CMMDL-lite's weights, and the network that they fit."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from net.files.states import check_options, find_state, missing_named
from net.lite import CMMDLLite


def recognises(keys: Iterable[str]) -> bool:
    """Whether these names of tensors are those of CMMDL-lite's weights."""
    return "blend.mix.weight" in keys


def read(checkpoint: Mapping[str, Any]) -> tuple[CMMDLLite, dict[str, Tensor]]:
    """A fresh network that fits bare weights, and its state dict. Raises LookupError or ValueError where they do not
    tell its widths."""
    state = find_state(checkpoint)
    with missing_named("CMMDL-lite"):
        options = {
            "dim": state["embed.weight"].shape[0],
            "heads": state["encoder.0.sfca.temperature"].shape[1],
            "depth": len({key.split(".")[1] for key in state if key.startswith("encoder.")}),
            "detail": state["blend.mix.weight"].shape[0],
        }
    return CMMDLLite(**check_options(options, state)), state
