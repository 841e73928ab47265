"""What a training that diverged leaves behind."""

import json
import math

import cv2
import numpy as np
import pytest
import torch

from net.training.objective import Batch
from utils.distributed import World
from utils.training.checkpoints import Training
from utils.training.divergence import diverged

PATCHES = {7: "patches.h5: patch 7", 3: "patches.h5: patch 3"}


class Among(World):
    """One of two processes, of which the other says what it is told to."""

    others: object = None
    problem: str = ""

    def gather(self, value: object) -> list[object]:
        return [value, self.problem if isinstance(value, str) else self.others]


@pytest.fixture
def batch() -> Batch:
    vis, ir, mask = torch.rand(3, 2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return Batch(vis, ir, (mask > 0.5).float())


@pytest.fixture
def training() -> Training:
    model = torch.nn.Linear(1, 1)
    return Training("cmmdl", model, torch.optim.Adam(model.parameters()), None, World(0, 1, torch.device("cpu")))


def stop(training: Training, batch: Batch, folder, own: float = math.nan, found: float = math.nan) -> str:
    return str(diverged({"total": found}, {"total": torch.tensor(own)}, batch, PATCHES, training, folder))


def test_the_batch_is_kept_as_numbers_as_pictures_and_with_its_origin(training, batch, tmp_path):
    training.epoch, training.step = 4, 11
    place = tmp_path / "not_finite_epoch_005_step_00012"
    expected = f"the loss or its gradient is not finite in epoch 5, step 12 (total nan); its batch is in {place}; try a"
    assert stop(training, batch, tmp_path).startswith(expected)
    about = json.loads((place / "process_0.json").read_text())
    assert about["loss"] == {"total": "nan"} and about["side by side"] == ["vis", "ir", "mask"]
    assert about["patches"] == [{"index": index, "origin": origin} for index, origin in PATCHES.items()]
    tensors = np.load(place / "process_0.npz")
    for name in ("vis", "ir", "mask"):
        assert np.array_equal(tensors[name], getattr(batch, name))
    for number in range(2):
        picture = cv2.imread(str(place / f"process_0_patch_{number}.png"), cv2.IMREAD_UNCHANGED)
        expected = np.concatenate([tensors[name][number, 0] for name in ("vis", "ir", "mask")], axis=1)
        assert np.array_equal(picture, (expected * 255).round())


def test_a_map_is_kept_too_and_what_is_no_number_is_black(training, batch, tmp_path):
    batch.vis[0, 0, 0, 0] = math.nan
    maps = torch.cat([batch.ir, batch.vis], dim=1)  # as CMMDL-lite's recipe has two
    stop(training, batch._replace(image_map=maps), tmp_path)
    (place,) = tmp_path.iterdir()
    assert np.isnan(np.load(place / "process_0.npz")["vis"][0, 0, 0, 0])
    tensors = np.load(place / "process_0.npz")
    assert {"vis", "ir", "mask", "image_map"} == set(tensors)
    assert np.array_equal(tensors["image_map"], maps, equal_nan=True)
    picture = cv2.imread(str(place / "process_0_patch_0.png"), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (8, 40) and picture[0, 0] == 0


@pytest.mark.parametrize(
    ("own", "others", "keeps"),
    [(math.inf, False, True), (1.0, True, False), (1.0, False, True), (math.nan, True, True)],
)
def test_only_a_process_that_met_it_keeps_its_batch(training, batch, tmp_path, own, others, keeps):
    training.world = Among(0, 2, torch.device("cpu"))
    object.__setattr__(training.world, "others", others)
    assert "its batch is in" in stop(training, batch, tmp_path, own)
    assert bool(list(tmp_path.iterdir())) == keeps
    object.__setattr__(training.world, "problem", "disk full")
    assert "its batch could not be written (disk full)" in stop(training, batch, tmp_path, own)


def test_where_the_batch_cannot_be_written_the_training_still_says_why_it_stopped(training, batch, tmp_path):
    folder = tmp_path / "folder"
    folder.touch()
    said = stop(training, batch, folder)
    assert "not finite in epoch 1" in said and "its batch could not be written (" in said and "Not a directory" in said
    place = tmp_path / "not_finite_epoch_001_step_00001"
    (place / "process_0_patch_1.png").mkdir(parents=True)  # in the way of a picture
    said = stop(training, batch, tmp_path)
    assert "its batch could not be written (" in said and "process_0_patch_1.png" in said
