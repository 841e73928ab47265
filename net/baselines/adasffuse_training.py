"""How AdaSFFuse is trained: a loss for each of four tasks, Adam, a moving average of the weights, eight orientations.

The release has the trainer but not its option files. What it fixes: the losses, Adam without weight decay, an average
after every iteration, eight flips and turns, no clipping, and the iteration counts of its test scripts. Learning rate,
batch size, crop size and decay below are those of SwinFusion, whose trainer it forked: a plausible choice, not a
published one. The first milestone of SwinFusion's step schedule, at 250,000 iterations, is never reached: the learning
rate stays as it is. The method as the scripts know it stands at the end.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor

from net.baselines.adasffuse import MINIMUM_SIZE, AdaSFFuse, read, recognises
from net.method import Method, Release, stretched
from net.training.objective import Batch, Phase, Terms
from net.training.recipe import Crops, Recipe, constant
from net.training.sobel import gradient_loss, sobel_strength
from net.training.ssim import ssim

# infrared + visible; under- + over-exposed; near + far focus; medical
Task = Literal["ivf", "mef", "mff", "medical"]
ITERATIONS: dict[Task, int] = {"ivf": 60_000, "mef": 64_000, "mff": 96_000, "medical": 50_000}
WEIGHTS = {"intensity": 20, "gradient": 20, "structure": 10}
MEDICAL_WEIGHTS = {"intensity": 20, "gradient": 100, "structure": 50}


def gradient_shares(vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
    """Each input's share of the batch's mean Sobel strength, one half each where both are black; scalars, sum 1."""
    tiny = torch.finfo(vis.dtype).tiny
    strength_vis, strength_ir = sobel_strength(vis).mean() + tiny, sobel_strength(ir).mean() + tiny
    share = strength_vis / (strength_vis + strength_ir)
    return share, 1 - share


def task_loss(fused: Tensor, batch: Batch, *, task: Task = "ivf") -> Terms:
    """20 intensity + g gradient + s structure, with g = 20, s = 10, for medical images g = 100, s = 50.

    intensity  mean |fused - max(vis, ir)| (ivf, medical) or mean |fused - (vis + ir) / 2| (mef, mff)
    gradient   mean |S(fused) - max(S(vis), S(ir))|, S being the Sobel strength
    structure  1 - w SSIM(vis, fused) - (1 - w) SSIM(ir, fused), w by `gradient_shares` (ivf, mff) or 1/2 (mef, medical)

    Args:
        fused: what `AdaSFFuse` returned for the batch, (B, 1, H, W).
        batch: `vis` and `ir` stand for the two inputs of the task.
        task: which of the four tasks.

    Returns:
        The terms without their weights, and their weighted `total`.

    Raises ValueError where there is no such task.
    """
    if task not in ITERATIONS:
        raise ValueError(f"task is '{task}'; expected one of {', '.join(ITERATIONS)}")
    vis, ir = batch.vis, batch.ir
    target = torch.maximum(vis, ir) if task in ("ivf", "medical") else (vis + ir) / 2
    of_vis, of_ir = gradient_shares(vis, ir) if task in ("ivf", "mff") else (0.5, 0.5)
    terms = {
        "intensity": (fused - target).abs().mean(),
        "gradient": gradient_loss(vis, ir, fused),
        "structure": 1 - (of_vis * ssim(vis, fused) + of_ir * ssim(ir, fused)),
    }
    weights = MEDICAL_WEIGHTS if task == "medical" else WEIGHTS
    return {"total": sum(weights[name] * term for name, term in terms.items()), **terms}


def recipe(task: Task) -> Recipe:
    """The numbers of one task's training."""
    return Recipe(
        phases=(Phase(partial(task_loss, task=task)),),
        iterations=ITERATIONS[task],
        batch_size=12,
        lr=2e-5,
        schedule=constant,
        ema_decay=0.999,
        crops=Crops(orientations=8),
    )


METHOD = Method(
    name="adasffuse",
    label="AdaSFFuse",
    network=AdaSFFuse,
    minimum_size=MINIMUM_SIZE,
    output=stretched,
    release=Release(recognises, read),
    recipes={task: recipe(task) for task in ITERATIONS},
    no_onnx="the steps of its scan grow in number with the image",
)
