"""What tests of the benchmarks share: pairs of which a training holds out two."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from data.crops import HELD_OUT
from tests.pictures import save


@pytest.fixture
def few_pairs(tmp_path) -> Path:
    """A pair folder of three pairs of 64x72 pixels; two of them are held out."""
    kept = [zlib.crc32(str(i).encode()) % HELD_OUT > 0 for i in range(100)]
    names, random = [kept.index(True), *[i for i in range(100) if not kept[i]][:2]], np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :72]
    for i in names:
        for side, shape in (("vi", 3 * rows + i), ("ir", 200 - 2 * columns)):
            noise = random.integers(0, 40, shape.shape)
            save(tmp_path / "pairs" / side / f"{i}.png", (shape + noise).clip(0, 255).astype(np.uint8))
    return tmp_path / "pairs"
