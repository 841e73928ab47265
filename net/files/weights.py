"""Weights from a file: ours or the authors', in whatever wrapping they come."""

import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from net.devices import pick_device
from net.files.safetensors_file import read_safetensors
from net.files.states import check_options, check_values, compare, find_state, listed
from net.methods import METHODS


class WeightsError(ValueError):
    """A file that holds no usable weights; the message names the file, what was found and what was expected."""


def build(name: str = "cmmdl", **options: Any) -> nn.Module:
    """A network with fresh weights, `forward(vis, ir) -> (B, 1, H, W)`, in training mode.

    In that mode BatchNorm, which CMMDL and CMMDL-lite have, needs batches of two or more; `eval()` lets it fuse one.

    Args:
        name: one of `METHODS`.
        options: keyword arguments of the network's class, such as `dim` for `net.CMMDL`.

    Raises:
        ValueError: for an unknown name, listing the known ones, or a value that an option cannot have.
        TypeError: for an option that the class does not take.
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

    A bare state dict tells no more than names and shapes: all else (coupling, padding, of the siblings also the width)
    is its method's default. Our checkpoints and safetensors files keep their options.

    Args:
        path: a file of torch or safetensors.
        device: where the network is put, as `Fuser` takes it: "auto", "cpu", "cuda", ...

    Raises:
        ValueError: there is no such device.
        FileNotFoundError: there is no such file.
        WeightsError: it holds no weights of a known method; missing and unexpected keys are named.
    """
    path, device = Path(path), pick_device(device)
    content = read(path)
    try:
        model = network_of(content, path.stat().st_size)
    except LookupError as error:  # a tensor has fewer axes than its name's
        raise WeightsError(f"{path}: its first tensors have other shapes than a network's") from error
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise WeightsError(f"{path}: {error}") from error
    return model.to(device).eval()


def network_of(content: Any, size: int) -> nn.Module:
    """A network with the weights that the content of a file of `size` bytes holds.

    Raises:
        ValueError: there are none of a known method in it; says so without the file's name.
        LookupError: a tensor has fewer axes than its network's.
        TypeError, AttributeError, RuntimeError: an option is of another kind than its network takes.
    """
    state = find_state(content)
    if not state:
        raise ValueError("holds no tensors by name; expected a state dict")
    check_values(state, size)
    name = content.get("method") or ""
    if not isinstance(name, str):
        raise ValueError(f"its method is a {type(name).__name__}; expected a name")
    if name in METHODS:
        model = build(name, **check_options(content.get("options", {}), state))
    else:
        keys = {key for key in content.keys() | state.keys() if isinstance(key, str)}
        releases = [method.release for method in METHODS.values() if method.release]
        release = next((release for release in releases if release.recognises(keys)), None)
        if release is None:
            raise ValueError(f"not the weights of a known method: its keys are {listed(state)}")
        model, state = release.read(content)
        check_values(state, size)  # `find_state` gave one of several state dicts
    if problems := compare(model.state_dict(), state):
        raise ValueError(f"not the weights of {type(model).__name__}: {'; '.join(problems)}")
    model.load_state_dict(state)
    return model


def read(path: str | Path) -> Any:
    """The content of a torch or safetensors file on the CPU, tensors and plain containers only."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null byte
        raise FileNotFoundError(f"{path}: no such weights file") from None
    except OSError as error:  # from Python 3.14 on `Path.exists` says False instead
        raise WeightsError(f"{path}: not readable ({error.strerror}); expected a weights file") from None
    if stat.S_ISDIR(mode):
        raise WeightsError(f"{path}: is a folder; expected a weights file")
    if not stat.S_ISREG(mode):  # reading a FIFO or a device may never end
        raise WeightsError(f"{path}: is not a regular file; expected a weights file")
    try:
        if path.suffix.lower() == ".safetensors":
            return read_safetensors(path)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from None
    try:
        check_zip(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: holds more than tensors and plain containers, or is no torch file; refused unread"
        ) from error
    except WeightsError:
        raise
    except PermissionError as error:  # says nothing about the file's content
        raise WeightsError(f"{path}: not readable ({error.strerror}); expected a weights file") from None
    except Exception as error:  # damaged bytes make torch and pickle raise almost anything
        raise WeightsError(f"{path}: not a readable torch file, perhaps cut short ({type(error).__name__})") from error


def check_zip(path: Path) -> None:
    """Check what torch does not: the checksums of its zip files, so that a changed bit does not go unnoticed, and that
    nothing is compressed (torch never does it), so that a small file cannot fill the memory."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in file.infolist()):
            raise WeightsError(f"{path}: a compressed zip file; expected one that torch.save wrote")
        if damaged := file.testzip():
            raise WeightsError(f"{path}: damaged, its part {damaged} does not have its checksum; expected a whole file")
