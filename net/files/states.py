"""State dicts: found inside whatever a file wraps them in, checked, and compared."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

NESTED_UNDER = ("average", "model", "state_dict", "net", "network", "params", "weights")  # in this order
NESTING = 4  # most levels of containers around the tensors; a damaged file may contain itself
MAX_OPTION = 1024  # most channels, heads or blocks that a file may ask for
NAMED = 8  # tensors that a message names
OPTION = (str, int, float, type(None))  # types of an option, or of the items of one


def find_state(content: Any) -> dict[str, Tensor]:
    """The tensors by name inside a checkpoint, without `module.`; empty where there are none."""
    return _find_state(content, 0, set())


def _find_state(content: Any, depth: int, seen: set[tuple[int, int]]) -> dict[str, Tensor]:
    """`seen` has the containers that were searched, with their depths: a file may hold one any number of times."""
    if not isinstance(content, Mapping) or depth > NESTING or (depth, id(content)) in seen:
        return {}
    seen.add((depth, id(content)))
    for key in NESTED_UNDER:  # they come before tensors beside them, such as a count of epochs
        if state := _find_state(content.get(key), depth + 1, seen):
            return state
    state = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if state:
        return {bare_name(key): value for key, value in state.items()}
    for nested in content.values():
        if state := _find_state(nested, depth + 1, seen):
            return state
    return {}


def bare_name(key: str) -> str:
    """A tensor's name without the `module.` and `_orig_mod.` that parallel and compiled networks put before it."""
    return re.sub(r"^(module\.|_orig_mod\.)+", "", key)


def renamed(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    """A name in which the first text of each pair is replaced by the second, pair after pair."""
    for old, new in pairs:
        name = name.replace(old, new)
    return name


def check_values(state: Mapping[str, Tensor], size: int) -> None:
    """Raise ValueError for tensors that are not plain ones, claim more values than a file of `size` bytes holds, or are
    not finite as float32."""
    if odd := [key for key, tensor in state.items() if not is_plain(tensor)]:
        raise ValueError(f"{listed(odd)}: complex, sparse, quantised or without values; expected plain numbers")
    if sum(tensor.numel() for tensor in state.values()) > size:
        raise ValueError("its tensors claim more values than it has bytes; expected each value to be there")
    if bad := [key for key, tensor in state.items() if not tensor.float().isfinite().all()]:
        raise ValueError(f"NaN or infinite values in {listed(bad)}; expected finite ones")


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor holds all its values, each a real number by itself."""
    whole = tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_nested
    return whole and not (tensor.is_complex() or tensor.is_quantized)


def check_options(options: Any, state: Mapping[str, Tensor]) -> Mapping[str, Any]:
    """The options. Raises ValueError for anything else, and for numbers too large for these tensors: a network of such
    options would only fill the memory."""
    if not isinstance(options, Mapping):
        raise ValueError(f"its options are a {type(options).__name__}; expected a dictionary")
    for name, value in options.items():
        if not all(isinstance(x, OPTION) for x in (name, *(value if isinstance(value, (list, tuple)) else [value]))):
            raise ValueError(f"its option {name!r:.40} is a {type(value).__name__}; expected a number or text")
    numbers = [value for value in options.values() if isinstance(value, int) and value > 0]
    if max(numbers, default=0) > MAX_OPTION or math.prod(numbers) > sum(tensor.numel() for tensor in state.values()):
        raise ValueError(f"options {dict(options)} do not fit its tensors; expected smaller numbers")
    return options


def compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """How two state dicts differ, in words; empty where they fit."""
    problems = []
    if missing := [key for key in expected if key not in found]:
        problems.append(f"missing {listed(missing)}")
    if left_over := [key for key in found if key not in expected]:
        problems.append(f"unexpected {listed(left_over)}")
    both = [(key, tensor, found[key]) for key, tensor in expected.items() if key in found]
    shapes = [
        f"{key} has shape {tuple(there.shape)}, expected {tuple(wanted.shape)}"
        for key, wanted, there in both
        if wanted.shape != there.shape
    ]
    kinds = [
        f"{key} is of {there.dtype}, expected {wanted.dtype}"
        for key, wanted, there in both
        if wanted.is_floating_point() != there.is_floating_point()
    ]
    for first, *others in filter(None, (shapes, kinds)):
        problems.append(first + (f", and {len(others)} more differ" if others else ""))
    return problems


@contextmanager
def missing_named(network: str) -> Iterator[None]:
    """A KeyError within becomes the ValueError that a state dict without this tensor is not of `network`."""
    try:
        yield
    except KeyError as missing:
        raise ValueError(f"these are not {network}'s weights; missing: {missing.args[0]}") from None


def listed(keys: Iterable[str]) -> str:
    """Names one after the other, each on one line; of more than `NAMED`, how many more there are."""
    keys = [" ".join(key.split()) for key in keys]
    return ", ".join(keys[:NAMED]) + (f" and {len(keys) - NAMED} more" if len(keys) > NAMED else "")
