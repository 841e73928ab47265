"""The network that a method is used with: its weights as given, or those that ship."""

import hashlib
import os
from pathlib import Path

from torch import nn

import net
from data.files import check_digest, mode_of
from data.options import UsageError
from net.methods import method_of

MODELS = Path(__file__).resolve().parents[1] / "models"


def open_model(
    name: str, file: Path | None = None, option: str = "--weights PATH", *, fixed: bool = False
) -> nn.Module:
    """The network of a method with its weights: those given, or those that ship.

    Args:
        name: of the method.
        file: the weights that were given.
        option: what gives them, as messages call it.
        fixed: messages do not propose another method.

    Raises:
        UsageError: none ship and none are given, or they are of another method.
        ValueError: a file that ships has been changed (WeightsError, OSError: it cannot be read).
    """
    method = net.METHODS[name]
    if not method.learns:
        if file:
            raise UsageError(f"--weights {file}: {name} is a rule without weights")
        return net.build(name)
    file, given = file or shipped(name), file
    if not given and mode_of(file) is None:
        raise UsageError(f"no weights of {name} ship with this repository; give {option}")
    model = load_checked(file)
    if not isinstance(model, method.network):
        found = method_of(model)
        other = "" if fixed else f", or method {found.name}"
        raise UsageError(f"{file}: weights of {found.label}; expected those of {method.label}{other}")
    return model


def load_checked(file: Path) -> nn.Module:
    """`net.load` of weights; raises ValueError, too, for a file that ships and is not what its digest says."""
    if os.path.realpath(file.parent) == str(MODELS) and file.is_file():
        check_digest(file)
    return net.load(file)


def shipped(name: str) -> Path:
    """Where the weights of a method lie that ship, if any do."""
    return MODELS / f"{net.METHODS[name].label}.pth"


def digest_of_network(model: nn.Module) -> str:
    """A digest of a network's weights and of the options that tell it from others of the same shapes."""
    digest = hashlib.sha256(repr(sorted(getattr(model, "options", {}).items())).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
