"""What the tests of the judges share: a small labelled set of rendered scenes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import rendered, save, written

STEMS = ["00001D", "00002D", "00030D", "00031N", "00060N", "00061N"]  # four runs
HEIGHT, WIDTH = 48, 64


@pytest.fixture
def labelled(tmp_path) -> Path:
    """A pair folder of six rendered scenes: salient pixels are people on the left half, cars on the right half."""
    folder = tmp_path / "MSRS"
    for seed, stem in enumerate(STEMS):
        scene = rendered(seed, HEIGHT, WIDTH, "road_day" if stem.endswith("D") else "road_night")
        labels = np.where(np.arange(WIDTH) < WIDTH // 2, 2, 1) * scene.mask
        labels[8:14, 6:10], labels[8:14, 50:58] = 2, 1  # at least one of each
        for name, image in (("vi", scene.vis), ("ir", scene.ir), ("Segmentation_labels", labels.astype(np.uint8))):
            save(folder / name / f"{stem}.png", image)
        written(folder / "boxes" / f"{stem}.txt", b"0 0.125 0.23 0.0625 0.125\n2 0.84375 0.23 0.125 0.125\n")
    return folder


@pytest.fixture
def fused(labelled) -> Path:
    """A folder of fused images: the infrared ones as they are."""
    return shutil.copytree(labelled / "ir", labelled.parent / "copied")
