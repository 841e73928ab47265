"""Reference values of the releases: they live outside the repository, and what needs them skips without them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

SHARED = Path(os.environ.get("CMMDL_SHARED") or Path(__file__).resolve().parents[4] / "shared")


def _reference(name: str) -> Path:
    path = SHARED / "vectors" / name
    if not path.is_file():
        pytest.skip(f"reference file {path} is absent; point CMMDL_SHARED at the folder that holds vectors/")
    return path


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Images this small gain nothing from a second thread and wait long for it on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], dict[str, Tensor]]:
    """`vectors("mlfuse")`: the method's reference inputs, outputs and losses."""

    def load(method: str) -> dict[str, Tensor]:
        with np.load(_reference(f"{method}.npz")) as archive:
            return {name: torch.from_numpy(archive[name]) for name in archive.files}

    return load


@pytest.fixture(scope="session")
def release_file() -> Callable[[str], dict]:
    """`release_file("mlfuse")`: what the release's weight file holds, in the release's own names."""

    def load(method: str) -> dict:
        return torch.load(_reference(f"{method}_state.pth"), weights_only=True, map_location="cpu")

    return load


@pytest.fixture(scope="session")
def relative_error() -> Callable[[Tensor, Tensor], float]:
    """Largest deviation over the reference's largest value."""
    return lambda found, reference: ((found - reference).abs().max() / reference.abs().max()).item()
