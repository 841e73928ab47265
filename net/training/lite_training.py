"""How CMMDL-lite is trained, alone or at first by distillation from CMMDL, and the method as the scripts know it."""

from dataclasses import replace
from itertools import pairwise

from torch import Tensor

from net.files.lite_release import read, recognises
from net.lite import MINIMUM_SIZE, CMMDLLite
from net.method import Method, Release
from net.training.cmmdl_losses import stretched_maximum
from net.training.cmmdl_training import batch_structure_loss, share_of_peak
from net.training.objective import Batch, Phase, Terms
from net.training.recipe import Crops, Recipe, Stage

TEACHER_WEIGHT = 15.0
RESTARTS = (4 / 7, 11 / 14)  # parts of the training after which the learning rate rises once more, without a teacher
RESTART_LR = 1 / 3  # times the recipe's learning rate
EDGE_SHARE, SCD_WEIGHT = 0.9, 4.5  # more than CMMDL's, as a small network stays further below what is asked for
MORE_EDGES = 8.0  # added to CMMDL's weight of edges when there is no teacher


def lite_loss(fused: Tensor, batch: Batch) -> Terms:
    """`batch_structure_loss`, with the shares of CMMDL-lite."""
    return batch_structure_loss(fused, batch, edge_share=EDGE_SHARE, scd_weight=SCD_WEIGHT)


def lite_loss_with_teacher(fused: Tensor, batch: Batch) -> Terms:
    """`lite_loss` and `TEACHER_WEIGHT` times the distance to the teacher.

    That term, `teacher`, is the mean of |fused - teacher's| over the pixels that the teacher saw, those above 0 of its
    image.
    """
    terms = lite_loss(fused, batch)
    teacher = batch.image_map[:, 1:]
    seen = (teacher > 0).float()
    terms["teacher"] = ((fused - teacher).abs() * seen).sum() / seen.sum().clamp_min(1)
    return terms | {"total": terms["total"] + TEACHER_WEIGHT * terms["teacher"]}


def lite_loss_with_more_edges(fused: Tensor, batch: Batch) -> Terms:
    """`lite_loss`, the edges weighing `MORE_EDGES` more."""
    terms = lite_loss(fused, batch)
    return terms | {"total": terms["total"] + MORE_EDGES * terms["edges"]}


def cosine_with_restarts(recipe: Recipe, epoch: int, progress: float, part: str) -> float:  # noqa: ARG001 - a schedule
    """Warm-up and half cosine anew after each of `RESTARTS`, then up to `RESTART_LR` only.

    Source: warm restarts, Loshchilov and Hutter 2017, "SGDR".
    """
    done = (epoch + progress) / recipe.epochs
    cycles = pairwise((0, *RESTARTS, 1))
    start, end = next((start, end) for start, end in cycles if done < end or end == 1)
    peak = recipe.lr * (RESTART_LR if start else 1)
    return peak * share_of_peak((done - start) / (end - start))


DISTILLED = Recipe(
    phases=(Phase(lite_loss_with_teacher, until=RESTARTS[0]), Phase(lite_loss_with_more_edges)),
    epochs=252,
    batch_size=8,
    lr=3e-3,
    schedule=cosine_with_restarts,
    clip_norm=1.0,
    norms_until=3 / 7,
    ema_decay=0.995,
    stages=(Stage(2 / 7, 64, 2), Stage(1, 96, 1)),
    crops=Crops(black=1 / 12),
    image_map=stretched_maximum,
    teacher="cmmdl",
)
ALONE = replace(DISTILLED, phases=(Phase(lite_loss_with_more_edges),), teacher=None)
METHOD = Method(
    name="cmmdl-lite",
    label="CMMDL-lite",
    network=CMMDLLite,
    minimum_size=MINIMUM_SIZE,
    release=Release(recognises, read),
    recipes={"distilled": DISTILLED, "alone": ALONE},
    by_bands=True,
    channels_last=True,
)
