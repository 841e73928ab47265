"""State dicts: found inside whatever a file wraps them in, and compared."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

NESTED_UNDER = ("average", "model", "state_dict", "net", "network", "params", "weights")  # in this order


def find_state(content: Any) -> dict[str, Tensor]:
    """The tensors by name inside a checkpoint, without `module.`; empty where there are none."""
    if not isinstance(content, Mapping):
        return {}
    state = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if state:
        return {re.sub(r"^(module\.)+", "", key): value for key, value in state.items()}
    nested = sorted(content, key=lambda key: NESTED_UNDER.index(key) if key in NESTED_UNDER else len(NESTED_UNDER))
    for key in nested:
        state = find_state(content[key])
        if state:
            return state
    return {}


def compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """What stands between two state dicts, in words."""
    problems = []
    if missing := [key for key in expected if key not in found]:
        problems.append(f"missing {listed(missing)}")
    if left_over := [key for key in found if key not in expected]:
        problems.append(f"unexpected {listed(left_over)}")
    for key in expected:
        if key in found and expected[key].shape != found[key].shape:
            problems.append(f"{key} has shape {tuple(found[key].shape)}, expected {tuple(expected[key].shape)}")
    return problems


def listed(keys: Any, most: int = 8) -> str:
    keys = list(keys)
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
