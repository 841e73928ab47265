"""Weights as a safetensors file: tensors by name, with the method and its options as metadata.

The package `safetensors` is an extra (requirements-export.txt), imported only where it is used.
"""

import json
from pathlib import Path
from typing import Any

from torch import nn

from net.methods import method_of, unwrapped

MISSING = "a safetensors file needs the package safetensors: pip install -r requirements-export.txt"


def write_safetensors(path: str | Path, model: nn.Module) -> None:
    """Write a network's weights; `net.load` gives the same network again.

    A network without `options`, or of none of `METHODS`, is written without metadata: its tensors' names tell what it
    is.

    Raises ValueError where the package is not installed, OSError where it cannot be written.
    """
    try:
        from safetensors.torch import save
    except ImportError:
        raise ValueError(MISSING) from None
    model = unwrapped(model)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    options, method = getattr(model, "options", None), method_of(model)
    metadata = {"method": method.name, "options": json.dumps(options)} if options and method else None
    Path(path).write_bytes(save(tensors, metadata=metadata))  # `save_file` hides what the disk says


def read_safetensors(path: str | Path) -> dict[str, Any]:
    """The content of a safetensors file in the form of a checkpoint: {method, options, model}, or bare tensors.

    Raises ValueError, which does not name the file, where the package is not installed or the file is damaged.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ValueError(MISSING) from None
    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"not a readable safetensors file ({error})") from None
    if "method" not in metadata:
        return tensors
    try:
        return {"method": metadata["method"], "options": json.loads(metadata.get("options", "{}")), "model": tensors}
    except json.JSONDecodeError:
        raise ValueError(f"its metadata has options {metadata['options']!r}; expected JSON") from None
