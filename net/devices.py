"""Where a network computes, and what has to be known of the device."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

_setting = threading.RLock()  # guards the precision of convolutions


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """While it lasts, float32 convolutions on a GPU are in float32, not in TF32, which torch takes by default and
    which keeps ten bits of every number: results stay those of a CPU but for rounding. (Matrix products are in float32
    by default.) One thread after the other: the setting is the process's."""
    if device.type != "cuda":
        yield
        return
    convolutions = torch.backends.cudnn.conv
    with _setting:
        before, convolutions.fp32_precision = convolutions.fp32_precision, "ieee"
        try:
            yield
        finally:
            convolutions.fp32_precision = before


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """While it lasts, operations on this device are in the precision of their inputs.

    Where they are so already nothing is done: an exporter takes long over every part that is without autocast.
    """
    on = device.type != "meta" and torch.is_autocast_enabled(device.type)  # meta has none
    return torch.autocast(device.type, enabled=False) if on else nullcontext()


def pick_device(device: str | torch.device) -> torch.device:
    """"auto" as CUDA where there is one, else the CPU; a CUDA device that is not there is refused."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device is {device!r}; expected auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but torch sees no CUDA device here; expected cpu or auto")
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError):  # cuda:9, hpu; meta, which holds no values
        raise ValueError(f"device is {device}, with which torch cannot compute here; expected cpu or auto") from None
    return device


def is_emulated_bf16(device: torch.device) -> bool:
    """Whether the device is a CPU whose widest instructions are AVX2, on which torch is many times slower in bf16."""
    return device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
