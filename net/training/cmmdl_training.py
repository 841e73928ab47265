"""How CMMDL is trained, by the release's recipe and by ours, and the method as the scripts know it."""

import math
from functools import partial

from torch import Tensor

from net.cmmdl import CMMDL, MINIMUM_SIZE
from net.files.cmmdl_release import read, recognises
from net.hdfab import HDFAB
from net.method import Method, Release
from net.restormer import TransformerBlock
from net.sdlb import Coupling
from net.training.cmmdl_losses import fusion_loss, stretched_maximum, structure_loss
from net.training.objective import Batch, Phase, Terms
from net.training.recipe import Crops, Recipe, Stage, halving

WARM_UP = 0.03  # part of the training
MIN_SHARE = 0.01  # the learning rate at the beginning and at the end, over the highest


def cosine(recipe: Recipe, epoch: int, progress: float, part: str) -> float:  # noqa: ARG001 - a schedule
    """Rises over the first `WARM_UP` of the training and falls along a half cosine to `MIN_SHARE`."""
    return recipe.lr * share_of_peak((epoch + progress) / recipe.epochs)


def share_of_peak(done: float) -> float:
    """The learning rate over its highest value, when `done` (0 to 1) of a warm-up and half cosine are over."""
    if done < WARM_UP:
        return max(done / WARM_UP, MIN_SHARE)
    return MIN_SHARE + (1 - MIN_SHARE) * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def batch_fusion_loss(fused: Tensor, batch: Batch) -> Terms:
    """`fusion_loss` of a batch."""
    return fusion_loss(batch.vis, batch.ir, fused, batch.mask)


def batch_structure_loss(fused: Tensor, batch: Batch, **shares: float) -> Terms:
    """`structure_loss` of a batch, whose first map is `stretched_maximum`."""
    return structure_loss(batch.vis, batch.ir, fused, batch.mask, batch.image_map[:, :1], **shares)


PAPER = Recipe(
    phases=(Phase(batch_fusion_loss),),
    epochs=100,
    batch_size=4,
    lr=1e-4,
    schedule=partial(halving, every=20),
    crops=Crops(orientations=1),
)
BEST = Recipe(
    phases=(Phase(batch_structure_loss),),
    epochs=60,
    batch_size=8,
    lr=5e-4,
    schedule=cosine,
    clip_norm=1.0,
    norms_until=0.7,
    ema_decay=0.999,
    stages=(Stage(0.7, 64, 1), Stage(1, 128, 0.5)),
    crops=Crops(black=1 / 12),
    image_map=stretched_maximum,
)
METHOD = Method(
    name="cmmdl",
    label="CMMDL",
    network=CMMDL,
    minimum_size=MINIMUM_SIZE,
    release=Release(recognises, read),
    recipes={"paper": PAPER, "best": BEST},
    by_bands=True,
    channels_last=True,
    compiled=(TransformerBlock, Coupling, HDFAB),
)
