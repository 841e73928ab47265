"""What all tests share: the folder of reference material, which may be absent, and a small network."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import net

torch.set_num_threads(1)  # the tests' tensors are tiny; threads would only wait for each other


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same fresh weights each time: of some, round-off crosses a branch cut, and figures jump."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with reference vectors and real images; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("CMMDL_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (folder / "vectors").is_dir():
        pytest.skip("the reference material (a folder `shared` beside the repository, or CMMDL_SHARED) is not here")
    return folder


@pytest.fixture
def small() -> torch.nn.Module:
    """A narrow network with fixed fresh weights, in eval mode."""
    torch.manual_seed(0)
    return net.build("cmmdl", dim=16, depth=1).eval()


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """A random (vis, ir) pair, each (2, 1, 32, 40)."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(2, 1, 32, 40, generator=generator) for _ in range(2))


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    """A visible RGB (48, 64, 3) and an infrared (48, 64) image, uint8, smooth with some texture."""
    rng = np.random.default_rng(2)
    rows, columns = np.mgrid[:48, :64]
    vis = np.stack([rows * 3 + 40, columns * 3, 200 - rows * 2], axis=-1) + rng.integers(0, 20, (48, 64, 3))
    ir = 60 + 120 * np.exp(-((rows - 24) ** 2 + (columns - 32) ** 2) / 80) + rng.integers(0, 10, (48, 64))
    return vis.clip(0, 255).astype(np.uint8), ir.clip(0, 255).astype(np.uint8)
