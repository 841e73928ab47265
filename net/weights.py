"""Weights from a file: ours or the authors', in whatever wrapping they come."""

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from net.methods import METHODS
from net.states import compare, find_state, listed


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
    return METHODS[name].network(**options)


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
        else:
            releases = [method.release for method in METHODS.values() if method.release]
            release = next((r for r in releases if r.recognises(content.keys() | state.keys())), None)
            if release is None:
                raise ValueError(f"not the weights of a known method: its keys are {listed(state)}")
            model, state = release.network_for(content), release.from_release(content)
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
