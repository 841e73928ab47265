"""How MLFuse is trained (one loss of four terms, Adam, a cosine schedule), and the method as the scripts know it.

Source: the training script of MLFuse's release. It crops each image once an epoch and never flips.
"""

import math

import torch
from torch import Tensor

from net.baselines.mlfuse import MINIMUM_SIZE, MLFuse, MLFuseTraining, read, recognises
from net.checks import check_shapes
from net.method import Method, Release, stretched
from net.training.objective import Batch, Phase, Terms, for_training
from net.training.recipe import Crops, Recipe
from net.training.sobel import sobel_strength
from net.training.ssim import ssim


def visual_saliency(image: Tensor) -> Tensor:
    """How far each pixel's grey level lies from those of the whole image: the weights of MLFuse's saliency loss.

        V(p) = sum over q of |I_p - I_q| = sum over levels j of n_j |I_p - j|, stretched to [0, 1]

    with n_j the number of pixels of level j among 256. An image of one level has no salient pixel: zeros.

    Args:
        image: luminance (B, 1, H, W) in [0, 1]; the whole image and not a crop of it.

    Returns:
        (B, 1, H, W) in [0, 1].

    Source: Zhai and Shah, "Visual attention detection in video sequences using spatiotemporal cues", 2006, section 3;
    used for fusion by Ma et al., "Infrared and visible image fusion based on visual saliency map and weighted least
    square optimization", 2017.
    """
    levels = (image * 255).round().long().flatten(1)  # (B, H*W)
    grey = torch.arange(256, dtype=image.dtype, device=image.device)
    counts = torch.zeros(len(image), 256, dtype=image.dtype, device=image.device)
    counts = counts.scatter_add(1, levels, torch.ones_like(levels, dtype=image.dtype))  # (B, 256)
    distance = counts @ (grey[:, None] - grey).abs()  # (B, 256)
    saliency = distance.gather(1, levels)  # (B, H*W)
    low, high = saliency.aminmax(dim=1, keepdim=True)
    saliency = (saliency - low) / torch.where(high > low, high - low, 1)
    return saliency.unflatten(1, image.shape[1:])  # (B, 1, H, W)


def infrared_saliency(vis: Tensor, ir: Tensor) -> Tensor:  # noqa: ARG001 - a map of a pair
    """`visual_saliency` of the infrared image of a pair."""
    return visual_saliency(ir)


def mlfuse_loss(outputs: MLFuseTraining, batch: Batch) -> Terms:
    """0.3 edge + 3 saliency + 0.5 cross + fusion, all means over every pixel:

    edge      |S(edge view) - S(vis)|, S being the Sobel strength
    saliency  |V * saliency view - V * ir|, V being the saliency map of ir
    cross     MSE(cross view, vis) + MSE(cross view, ir)
    fusion    0.1 [(1 - SSIM(vis, fused)) / 2 + (1 - SSIM(ir, fused)) / 2]

    Args:
        outputs: what `MLFuse.forward_training` returned for the batch.
        batch: its map is `infrared_saliency` of the whole pairs.

    Returns:
        The terms without their weights, and their weighted `total`.

    Raises ValueError for images of other shapes.
    """
    vis, ir, _, saliency = batch
    check_shapes(vis=vis, ir=ir, fused=outputs.fused, saliency=saliency)
    terms = {
        "edge": (sobel_strength(outputs.edge) - sobel_strength(vis)).abs().mean(),
        "saliency": (saliency * outputs.saliency - saliency * ir).abs().mean(),
        "cross": ((outputs.cross - vis) ** 2).mean() + ((outputs.cross - ir) ** 2).mean(),
        "fusion": 0.1 * ((1 - ssim(vis, outputs.fused)) / 2 + (1 - ssim(ir, outputs.fused)) / 2),
    }
    total = 0.3 * terms["edge"] + 3 * terms["saliency"] + 0.5 * terms["cross"] + terms["fusion"]
    return {"total": total, **terms}


def cosine(recipe: Recipe, epoch: int, progress: float, part: str) -> float:  # noqa: ARG001 - a schedule
    """One half cosine down to zero over the whole training, a step after every epoch."""
    return recipe.lr * (1 + math.cos(math.pi * epoch / recipe.epochs)) / 2


RECIPE = Recipe(
    phases=(Phase(mlfuse_loss, for_training),),
    epochs=501,
    batch_size=16,
    lr=1e-4,
    schedule=cosine,
    weight_decay=5e-5,
    crops=Crops(orientations=1, most=1),
    image_map=infrared_saliency,
)
METHOD = Method(
    name="mlfuse",
    label="MLFuse",
    network=MLFuse,
    minimum_size=MINIMUM_SIZE,
    output=stretched,
    release=Release(recognises, read),
    recipes={"paper": RECIPE},
)
