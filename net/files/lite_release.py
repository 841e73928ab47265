"""The key names of CMMDL-lite's weights, and the network that they fit."""

from collections.abc import Iterable, Mapping
from typing import Any

from net.files.states import check_options, find_state
from net.lite import CMMDLLite


def recognises(keys: Iterable[str]) -> bool:
    """Whether these names of tensors are those of CMMDL-lite's weights."""
    return "blend.mix.weight" in keys


def network_for(checkpoint: Mapping[str, Any]) -> CMMDLLite:
    """A fresh network that bare weights fit. Raises LookupError or ValueError where they do not tell its widths."""
    state = find_state(checkpoint)
    try:
        options = {
            "dim": state["embed.weight"].shape[0],
            "heads": state["encoder.0.sfca.temperature"].shape[1],
            "depth": len({key.split(".")[1] for key in state if key.startswith("encoder.")}),
            "detail": state["blend.mix.weight"].shape[0],
        }
    except KeyError as missing:
        raise ValueError(f"these are not CMMDL-lite's weights; missing: {missing.args[0]}") from None
    return CMMDLLite(**check_options(options, state))
