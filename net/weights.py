"""Weights from a file: ours or the authors', in whatever wrapping they come."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from net.baselines import adasffuse, mlfuse, rules, sfdfuse
from net.cmmdl import CMMDL
from net.released import from_released

NESTED_UNDER = ("average", "model", "state_dict", "net", "network", "params", "weights")  # in this order


class WeightsError(ValueError):
    """A file that holds no usable weights; the message names the file, what was found and what was expected."""


def build(name: str = "cmmdl", **options: Any) -> nn.Module:
    """A network with fresh weights, `forward(vis, ir) -> (B, 1, H, W)`.

    Args:
        name: one of `METHODS`.
        options: keyword arguments of the network's class, such as `dim` for `net.CMMDL`.

    Raises:
        ValueError: for an unknown name, listing the known ones.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; expected one of {', '.join(METHODS)}")
    return METHODS[name](**options)


def load(path: str | Path, device: str | torch.device = "cpu") -> nn.Module:
    """A network with the weights of a file, in eval mode; the file's keys tell which method it is.

    Takes a checkpoint of this repository or a file that the authors of a method published: a bare state dict, one with
    the prefix `module.` that parallel training leaves, or one nested under a key. Tensors that the published forward
    pass never uses are dropped by name. Only tensors are read (`weights_only=True`): a pickle that would run code is
    refused.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: it holds no weights of a known method; missing and unexpected keys are named.
    """
    path = Path(path)
    content = read(path)
    state = find_state(content)
    if not state:
        raise WeightsError(f"{path}: holds no tensors by name; expected a state dict")
    try:
        if content.get("method") in METHODS:
            model = build(content["method"], **content.get("options", {}))
        elif sibling := next((s for s in SIBLINGS if s.recognises(content.keys() | state.keys())), None):
            model, state = sibling.network_for(content), sibling.from_release(content)
        else:
            state = from_released(state)
            model = CMMDL(**infer_options(state))
    except (ValueError, TypeError) as error:
        raise WeightsError(f"{path}: {error}") from error
    if problems := compare(model.state_dict(), state):
        raise WeightsError(f"{path}: not the weights of {type(model).__name__}: {'; '.join(problems)}")
    model.load_state_dict(state)
    return model.to(device).eval()


def read(path: str | Path) -> Any:
    """The content of a torch file on the CPU, tensors and plain containers only."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such weights file")
    if path.is_dir():
        raise WeightsError(f"{path}: is a folder; expected a weights file")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: holds more than tensors and plain containers, or is no torch file; refused unread"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, IndexError, TypeError) as error:
        raise WeightsError(f"{path}: not a readable torch file, perhaps cut short ({type(error).__name__})") from error


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


def infer_options(state: Mapping[str, Tensor]) -> dict[str, int]:
    """CMMDL's width, heads and depth as the shapes tell them. Raises ValueError for tensors of something else."""
    try:
        return {
            "dim": state["encoder.embed.weight"].shape[0],
            "heads": state["encoder.blocks.0.sfca.temperature"].shape[1],
            "depth": len({key.split(".")[2] for key in state if key.startswith("encoder.blocks.")}),
        }
    except (KeyError, IndexError):
        raise ValueError(f"not the weights of a known method: its keys are {listed(state)}") from None


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


SIBLINGS = (mlfuse, sfdfuse, adasffuse)
METHODS: dict[str, type[nn.Module]] = {
    "cmmdl": CMMDL,
    "mlfuse": mlfuse.MLFuse,
    "sfdfuse": sfdfuse.SFDFuse,
    "adasffuse": adasffuse.AdaSFFuse,
    "average": rules.Average,
    "max": rules.Maximum,
    "laplacian": rules.LaplacianPyramid,
    "dwt": rules.WaveletTransform,
}
