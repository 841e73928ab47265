"""Reference values of the releases: they live outside the repository, and what needs them skips without them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor


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
def relative_error() -> Callable[[Tensor, Tensor], float]:
    """Largest deviation over the reference's largest value."""
    return lambda found, reference: ((found - reference).abs().max() / reference.abs().max()).item()
