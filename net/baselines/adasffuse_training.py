"""How AdaSFFuse is trained: one of four task losses, Adam, a step schedule, a moving average of the weights.

The release has the trainer but not its option files. What it fixes: the losses, Adam without weight decay, a step
schedule and an average per iteration, eight flips and turns, no clipping, and the iteration counts of its test scripts.
Learning rate, milestones, batch size, crop size and decay below are those of SwinFusion, whose trainer it forked: a
plausible choice, not a published one.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import MultiStepLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from net.baselines.adasffuse import AdaSFFuse
from net.baselines.recipe import Recipe
from net.baselines.sobel import sobel_strength
from net.baselines.ssim import ssim

# infrared + visible; under- + over-exposed; near + far focus; medical
Task = Literal["ivf", "mef", "mff", "mif"]
ITERATIONS: dict[Task, int] = {"ivf": 60_000, "mef": 64_000, "mff": 96_000, "mif": 50_000}
MILESTONES = (250_000, 400_000, 450_000, 475_000)  # all after the tasks' last iteration: the rate stays as it is
GAMMA = 0.5


def recipe(task: Task) -> Recipe:
    """The numbers of one task's training."""
    return Recipe(
        duration=ITERATIONS[task],
        unit="iteration",
        batch_size=12,
        patch_size=128,
        lr=2e-5,
        flips=True,
        ema_decay=0.999,
    )


RECIPE = recipe("ivf")


def gradient_shares(vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
    """Each input's share of the batch's mean Sobel strength, one half each where both are black; scalars, sum 1."""
    tiny = torch.finfo(vis.dtype).tiny
    strength_vis, strength_ir = sobel_strength(vis).mean() + tiny, sobel_strength(ir).mean() + tiny
    share = strength_vis / (strength_vis + strength_ir)
    return share, 1 - share


class TaskLoss(nn.Module):
    """20 intensity + g gradient + s structure, with g = 20, s = 10, for medical images g = 100, s = 50.

    intensity  mean |fused - max(vis, ir)| (ivf, mif) or mean |fused - (vis + ir) / 2| (mef, mff)
    gradient   mean |S(fused) - max(S(vis), S(ir))|, S being the Sobel strength
    structure  1 - w SSIM(vis, fused) - (1 - w) SSIM(ir, fused), w by `gradient_shares` (ivf, mff) or 1/2 (mef, mif)

    Args:
        task: which of the four tasks; its two inputs stand for `vis` and `ir`.
    """

    def __init__(self, *, task: Task = "ivf") -> None:
        super().__init__()
        if task not in ITERATIONS:
            raise ValueError(f"task is '{task}'; expected one of {', '.join(ITERATIONS)}")
        self.brighter = task in ("ivf", "mif")
        self.shared_by_gradient = task in ("ivf", "mff")
        self.weights = {"intensity": 20, "gradient": 20, "structure": 10}
        if task == "mif":
            self.weights |= {"gradient": 100, "structure": 50}

    def forward(self, fused: Tensor, vis: Tensor, ir: Tensor) -> dict[str, Tensor]:
        """The terms without their weights, and their weighted `total`.

        Args:
            fused: what `AdaSFFuse` returned for the pair, (B, 1, H, W).
            vis, ir: luminance (B, 1, H, W) in [0, 1].
        """
        target = torch.maximum(vis, ir) if self.brighter else (vis + ir) / 2
        stronger = torch.maximum(sobel_strength(vis), sobel_strength(ir))
        of_vis, of_ir = gradient_shares(vis, ir) if self.shared_by_gradient else (0.5, 0.5)
        terms = {
            "intensity": (fused - target).abs().mean(),
            "gradient": (sobel_strength(fused) - stronger).abs().mean(),
            "structure": 1 - (of_vis * ssim(vis, fused) + of_ir * ssim(ir, fused)),
        }
        return {"total": sum(self.weights[name] * term for name, term in terms.items()), **terms}


def make_optimiser(model: AdaSFFuse) -> Adam:
    """Adam with the recipe's learning rate."""
    return Adam(model.parameters(), lr=RECIPE.lr)


def make_schedule(optimiser: Adam) -> MultiStepLR:
    """The rate falls by `GAMMA` at each of `MILESTONES`; step it after every iteration."""
    return MultiStepLR(optimiser, milestones=list(MILESTONES), gamma=GAMMA)


def make_average(model: AdaSFFuse) -> AveragedModel:
    """The moving average of the weights, saved beside them; call its `update_parameters` after every iteration."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(RECIPE.ema_decay))
