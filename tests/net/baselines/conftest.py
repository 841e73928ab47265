"""Reference values of the releases: they live outside the repository, and what needs them skips without them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(scope="session")
def vectors(shared: Path) -> Callable[[str], dict[str, Tensor]]:
    """`vectors("mlfuse")`: the method's reference inputs, outputs and losses."""

    def load(method: str) -> dict[str, Tensor]:
        with np.load(shared / "vectors" / f"{method}.npz") as archive:
            return {name: torch.from_numpy(archive[name]) for name in archive.files}

    return load


@pytest.fixture(scope="session")
def release_file(shared: Path) -> Callable[[str], dict]:
    """`release_file("mlfuse")`: what the release's weight file holds, in the release's own names."""

    def load(method: str) -> dict:
        return torch.load(shared / "vectors" / f"{method}_state.pth", weights_only=True, map_location="cpu")

    return load


@pytest.fixture(scope="session")
def outputs_of() -> Callable[[nn.Module, dict[str, str]], dict[str, Tensor]]:
    """`outputs_of(model, {name: submodule})`: a dictionary that gets the latest outputs of submodules by name."""

    def watch(model: nn.Module, paths: dict[str, str]) -> dict[str, Tensor]:
        seen = {}
        for name, path in paths.items():
            model.get_submodule(path).register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        return seen

    return watch


@pytest.fixture(scope="session")
def assert_recorded() -> Callable[[dict[str, Tensor], dict[str, Tensor]], None]:
    """`assert_recorded(seen, reference)`: what was seen of the pair of 64x64 is what the release recorded of it."""

    def check(seen: dict[str, Tensor], reference: dict[str, Tensor]) -> None:
        for name, found in seen.items():
            expected = reference[f"mid64_{name}"]
            assert found.shape == expected.shape, name
            limit = 1e-2 if expected.dtype == torch.float16 else 1e-4
            assert (found - expected.float()).abs().max() < limit * expected.float().abs().max(), name

    return check


@pytest.fixture(scope="session")
def gradient_norm() -> Callable[[nn.Module], float]:
    """`gradient_norm(part)`: the norm of all its gradients together."""
    return lambda part: torch.cat([p.grad.double().flatten() for p in part.parameters()]).norm().item()
