"""What a training is given, as its options ask."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from torch import nn

import net
from data.options import UsageError
from net.method import Method
from net.training.cmmdl_training import BEST
from net.training.lite_training import DISTILLED
from tests.pictures import picture, save
from utils.distributed import World
from utils.training import setup
from utils.training.options import parse
from utils.training.setup import open_network, open_source, open_teacher

ALONE = World(0, 1, torch.device("cpu"))


class Forgetful(nn.Module):
    """A network that does not keep its constructor's options."""

    def __init__(self, dim: int = 8) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, dim, 1)


@pytest.mark.parametrize(
    ("options", "marked", "held_out"),
    [([], 16 + 8, 1), (["--mask-classes", "person"], 8, 1), (["--no-held-out", "--seed", "7"], 16 + 8, 0)],
)
def test_folders_give_masks_of_the_classes_and_hold_out_images_as_asked(tmp_path, options, marked, held_out):
    labels = np.zeros((24, 40), np.uint8)
    labels[:4, :4], labels[8:10, :4] = 1, 2  # a car and a person
    for stem in "0123456789":
        for part, image in (("vi", picture()), ("ir", picture(channels=1)), ("Segmentation_labels", labels)):
            save(tmp_path / part / f"{stem}.png", image)
    source = open_source(parse(["--data", str(tmp_path), *options]), BEST, ALONE)
    assert {np.count_nonzero(image[2]) for image in source.images} == {marked}
    assert (len(source.images), len(source.held_out)) == (10 - held_out, held_out)
    assert (source.seed, source.crops) == (7 if "7" in options else 42, BEST.crops)


def test_a_teacher_is_the_given_network_and_keeps_its_results_in_the_folder_of_the_runs(tmp_path, small):
    torch.save({"options": small.options, "model": small.state_dict()}, tmp_path / "small.pth")
    given = ["--teacher", str(tmp_path / "small.pth"), "--out", str(tmp_path), "--method", "cmmdl-lite"]
    teacher = open_teacher(parse(given), DISTILLED, "cpu")
    torch.testing.assert_close(teacher.fuser.model.state_dict(), small.state_dict())
    assert teacher.folder.parent == tmp_path / "teacher"


def test_a_teacher_looks_at_whole_images_on_the_trainings_device_and_at_patches_on_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "open_teacher", lambda args, recipe, device: (args.seed, recipe.teacher, device))
    monkeypatch.setattr(setup.sources, "rendered", lambda *given, **more: (given, more))
    monkeypatch.setattr(setup.sources, "PatchSource", lambda *given: given)
    gpu, file = World(0, 1, torch.device("cuda")), tmp_path / "a.h5"
    file.touch()
    rendered = open_source(parse(["--demo", "--seed", "7"]), BEST, gpu)
    assert rendered == ((7,), {"crops": BEST.crops, "image_maps": [BEST.image_map, (7, None, "cuda")]})
    assert open_source(parse(["--h5", str(file)]), BEST, gpu) == (file, [BEST.image_map, (42, None, "cpu")])


def test_given_weights_are_the_methods_or_the_teachers_and_no_others(tmp_path):
    network = net.build("sfdfuse", dim=8)
    state = {"method": "sfdfuse", "options": network.options, "model": network.state_dict()}
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="weights of SFDFuse; expected those of MLFuse$"):
        open_network(parse(["--method", "mlfuse", "--init", str(tmp_path / "other.pth")]), net.METHODS["mlfuse"])
    with pytest.raises(UsageError, match="weights of SFDFuse; expected those of CMMDL$"):
        open_teacher(parse(["--method", "cmmdl-lite", "--teacher", str(tmp_path / "other.pth")]), DISTILLED, "cpu")


def test_a_network_keeps_its_weights_as_its_convolutions_read_them_and_saves_memory_where_that_is_asked():
    asked = [], ["--checkpoint-activations"]
    network, sparing = (open_network(parse(["--dim", "16", *more]), net.METHODS["cmmdl"]) for more in asked)
    wide = [weight for weight in network.parameters() if weight.ndim == 4 and weight[0, 0].numel() > 1]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in wide)
    for of, saves in ((network, False), (sparing, True)):
        assert {module.checkpointed for module in of.modules() if hasattr(module, "checkpointed")} == {saves}


def test_a_new_methods_network_that_keeps_no_options_is_told_by_the_methods_name(monkeypatch):
    method = Method(name="new", label="New", network=Forgetful)
    monkeypatch.setitem(net.METHODS, "new", method)
    told = "the network of New: its options are a NoneType; expected a dictionary, as net/method.py says"
    with pytest.raises(ValueError, match=told):
        open_network(Namespace(init=None, dim=None, without=[]), method)
