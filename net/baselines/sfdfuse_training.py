"""How SFDFuse is trained: two phases with a loss each, Adam, halving learning rates, gradients clipped per part.

Phase 1 trains encoder and decoder to rebuild each image from its own maps, phase 2 all four parts to fuse. The recipe
`release` keeps a slip of the release in phase 1. The method as the scripts know it stands at the end. Source: the
training script of SFDFuse's release (zxp771/SFDFuse).
"""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from net.baselines.sfdfuse import (
    MINIMUM_SIZE,
    SFDFuse,
    SFDFuseFeatures,
    SFDFuseReconstruction,
    SFDFuseTraining,
    crop_to_even,
    read,
    recognises,
)
from net.method import Method, Release, stretched
from net.training.objective import Batch, Phase, Terms, for_training
from net.training.recipe import Crops, Recipe, halving
from net.training.sobel import gradient_loss, sobel
from net.training.ssim import dssim


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation over the pixels of each channel of each sample, averaged; (B, C, H, W) twice to a scalar."""
    a = a.flatten(2) - a.mean(dim=(2, 3)).unsqueeze(-1)  # (B, C, N)
    b = b.flatten(2) - b.mean(dim=(2, 3)).unsqueeze(-1)  # (B, C, N)
    norms = torch.linalg.vector_norm(a, dim=-1) * torch.linalg.vector_norm(b, dim=-1)  # (B, C)
    eps = torch.finfo(torch.float32).eps
    return ((a * b).sum(dim=-1) / (eps + norms)).clamp(-1, 1).mean()


def decomposition_loss(maps: SFDFuseFeatures) -> Tensor:
    """Small where the two images' base maps correlate and their detail maps do not: cc(detail)^2 / (1.01 + cc(base)).

    Source: Zhao et al., "CDDFuse", CVPR 2023, section 3.5.
    """
    detail = correlation(maps.vis_detail, maps.ir_detail)
    return detail**2 / (1.01 + correlation(maps.vis_base, maps.ir_base))


def reconstruction_loss(outputs: SFDFuseReconstruction, batch: Batch) -> Terms:
    """Phase 1: vis + ir + 5 gradient + 2 decomposition.

    vis, ir   5 D(image, rebuilt) + MSE(image, rebuilt), D being the structural dissimilarity with mirrored borders
    gradient  mean of |grad vis - grad rebuilt vis| over both directions, Sobel over 8 with repeated edge pixels

    Args:
        outputs: what `SFDFuse.reconstruct` returned for the batch.

    Returns:
        The terms without their outer weights, and their weighted `total`.
    """
    vis, ir = even_pair(batch)
    gradient = (sobel(vis, border="replicate") - sobel(outputs.vis, border="replicate")) / 8  # (B, 2, H, W)
    terms = {
        "vis": 5 * dssim(vis, outputs.vis) + ((vis - outputs.vis) ** 2).mean(),
        "ir": 5 * dssim(ir, outputs.ir) + ((ir - outputs.ir) ** 2).mean(),
        "gradient": gradient.abs().mean(),
        "decomposition": decomposition_loss(outputs.features),
    }
    total = terms["vis"] + terms["ir"] + 5 * terms["gradient"] + 2 * terms["decomposition"]
    return {"total": total, **terms}


def fusion_loss(outputs: SFDFuseTraining, batch: Batch) -> Terms:
    """Phase 2: intensity + 10 gradient + structure + 2 decomposition, m being the brighter of both images per pixel.

    intensity  mean |fused - m|
    gradient   mean |S(fused) - max(S(vis), S(ir))|, S being the Sobel strength
    structure  D(m, fused), the structural dissimilarity with mirrored borders

    Args:
        outputs: what `SFDFuse.forward_training` returned for the batch.

    Returns:
        The terms without their weights, and their weighted `total`.
    """
    vis, ir = even_pair(batch)
    brighter = torch.maximum(vis, ir)
    terms = {
        "intensity": (outputs.fused - brighter).abs().mean(),
        "gradient": gradient_loss(vis, ir, outputs.fused),
        "structure": dssim(brighter, outputs.fused),
        "decomposition": decomposition_loss(outputs.features),
    }
    total = terms["intensity"] + 10 * terms["gradient"] + terms["structure"] + 2 * terms["decomposition"]
    return {"total": total, **terms}


def rebuilt(network: SFDFuse, batch: Batch, *, vis_detail_for_ir: bool = False) -> SFDFuseReconstruction:
    """What the loss of phase 1 looks at, see `SFDFuse.reconstruct`."""
    return network.reconstruct(*even_pair(batch), vis_detail_for_ir=vis_detail_for_ir)


def even_pair(batch: Batch) -> tuple[Tensor, Tensor]:
    """Both images of a batch as the network sees them, without the last row or column of an odd number."""
    return crop_to_even(batch.vis), crop_to_even(batch.ir)


PHASE_1 = Phase(reconstruction_loss, rebuilt, parts=("encoder", "decoder"), until=30 / 90)
PHASE_2 = Phase(fusion_loss, for_training)
RECIPE = Recipe(
    phases=(PHASE_1, PHASE_2),
    epochs=90,
    batch_size=8,
    lr=1e-4,
    schedule=partial(halving, every=10),
    clip_norm=0.01,
    by_part=True,
    crops=Crops(orientations=1),
    smallest=6,  # the structural dissimilarity mirrors its border
)
RELEASE = replace(RECIPE, phases=(PHASE_1._replace(outputs=partial(rebuilt, vis_detail_for_ir=True)), PHASE_2))
METHOD = Method(
    name="sfdfuse",
    label="SFDFuse",
    network=SFDFuse,
    minimum_size=MINIMUM_SIZE,
    output=stretched,
    release=Release(recognises, read),
    recipes={"paper": RECIPE, "release": RELEASE},
)
