"""Reading the siblings' published weight files: unwrap, rename, drop what is never used, refuse everything else."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from torch import Tensor

from net.files.states import NESTED_UNDER, NESTING, bare_name, listed, renamed


def flatten(checkpoint: Mapping[str, Any], depth: int = 0) -> dict[str, Tensor]:
    """All tensors of a weight file under flat names.

    A state dict nested under one of `NESTED_UNDER` is taken out; what stands beside it (an epoch number, say) is left.
    Several state dicts side by side become one, each name preceded by its dict's name: `Encoder.conv.weight`.

    Args:
        depth: dictionaries around this one; within one of several side by side no more are taken.

    Raises:
        ValueError: there are more than `NESTING`; or names the entry that is neither a tensor nor a state dict, or that
            has no text for a name.
    """
    if depth > NESTING:  # a damaged file may contain itself, a hostile one the same dictionaries again and again
        raise ValueError("dictionaries within dictionaries; expected one state dict, or several side by side")
    for wrapper in NESTED_UNDER:
        if isinstance(checkpoint.get(wrapper), Mapping):
            return flatten(checkpoint[wrapper], depth + 1)
    tensors: dict[str, Tensor] = {}
    for name, value in checkpoint.items():
        if not isinstance(name, str):
            raise ValueError(f"entry {name!r:.40} has a {type(name).__name__} for a name; expected text")
        name = bare_name(name)
        if isinstance(value, Mapping):
            inside = flatten(value, max(depth + 1, NESTING))
            tensors.update({f"{name}.{inner}": tensor for inner, tensor in inside.items()})
        elif isinstance(value, Tensor):
            tensors[name] = value
        else:
            raise ValueError(f"entry '{name}' is a {type(value).__name__}; expected tensors only")
    return tensors


def translate(
    method: str,
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    release_names: Sequence[tuple[str, str]],
    unused: Set[str],
) -> dict[str, Tensor]:
    """The tensors under our names, after checking that they are exactly the expected ones.

    Args:
        method: the method's name, for the messages.
        tensors: flat names to tensors, in the release's names or already in ours.
        expected: our names with tensors of the right shapes (a model's `state_dict()`).
        release_names: pairs (ours, the release's), each replaced in turn, which turn our names into the release's.
        unused: exact release names of tensors that the network never reads; they may be there or not.

    Raises:
        ValueError: names the missing and the left-over tensors (some of each), or the first one of a wrong shape.
    """
    if expected.keys() <= tensors.keys():
        names = {ours: ours for ours in expected}  # saved by this repository
    else:
        names = {renamed(ours, release_names): ours for ours in expected}  # theirs: ours
    missing = [theirs for theirs in names if theirs not in tensors]
    left_over = [theirs for theirs in tensors if theirs not in names and theirs not in unused]
    if missing or left_over:
        missing, left_over = (listed(names) or "none" for names in (missing, left_over))
        raise ValueError(f"these are not {method}'s weights; missing: {missing}; not expected: {left_over}")
    for theirs, ours in names.items():
        if tensors[theirs].shape != expected[ours].shape:
            found, wanted = tuple(tensors[theirs].shape), tuple(expected[ours].shape)
            raise ValueError(f"{method}: '{theirs}' has shape {found}; expected {wanted}")
    return {ours: tensors[theirs] for theirs, ours in names.items()}
