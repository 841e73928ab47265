"""How SFDFuse is trained: two phases with a loss each, Adam, halving learning rates, gradients clipped per part.

Phase 1 trains encoder and decoder to rebuild each image from its own maps, phase 2 all four parts to fuse.
Source: the training script of SFDFuse's release (zxp771/SFDFuse).
"""

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from net.baselines.recipe import Recipe
from net.baselines.sfdfuse import SFDFuse, SFDFuseFeatures, SFDFuseReconstruction, SFDFuseTraining
from net.baselines.sobel import sobel, sobel_strength
from net.baselines.ssim import dssim

RECIPE = Recipe(duration=90, unit="epoch", batch_size=8, patch_size=128, lr=1e-4, clip_norm=0.01)
PHASE_1_EPOCHS = 30  # epochs 0..29; the rest is phase 2
HALVING_EPOCHS = 10
LOWEST_LR = 1e-6


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


class ReconstructionLoss(nn.Module):
    """Phase 1: vis + ir + 5 gradient + 2 decomposition.

    vis, ir   5 D(image, rebuilt) + MSE(image, rebuilt), D being the structural dissimilarity with mirrored borders
    gradient  mean of |grad vis - grad rebuilt vis| over both directions, Sobel over 8 with repeated edge pixels
    """

    def forward(self, outputs: SFDFuseReconstruction, vis: Tensor, ir: Tensor) -> dict[str, Tensor]:
        """The terms without their outer weights, and their weighted `total`.

        Args:
            outputs: what `SFDFuse.reconstruct` returned for the pair.
            vis, ir: luminance (B, 1, H, W) in [0, 1], H and W even.
        """
        gradient = (sobel(vis, border="replicate") - sobel(outputs.vis, border="replicate")) / 8  # (B, 2, H, W)
        terms = {
            "vis": 5 * dssim(vis, outputs.vis) + ((vis - outputs.vis) ** 2).mean(),
            "ir": 5 * dssim(ir, outputs.ir) + ((ir - outputs.ir) ** 2).mean(),
            "gradient": gradient.abs().mean(),
            "decomposition": decomposition_loss(outputs.features),
        }
        total = terms["vis"] + terms["ir"] + 5 * terms["gradient"] + 2 * terms["decomposition"]
        return {"total": total, **terms}


class FusionLoss(nn.Module):
    """Phase 2: intensity + 10 gradient + structure + 2 decomposition, m being the brighter of both images per pixel.

    intensity  mean |fused - m|
    gradient   mean |S(fused) - max(S(vis), S(ir))|, S being the Sobel strength
    structure  D(m, fused), the structural dissimilarity with mirrored borders
    """

    def forward(self, outputs: SFDFuseTraining, vis: Tensor, ir: Tensor) -> dict[str, Tensor]:
        """The terms without their weights, and their weighted `total`.

        Args:
            outputs: what `SFDFuse.forward_training` returned for the pair.
            vis, ir: luminance (B, 1, H, W) in [0, 1], H and W even.
        """
        brighter = torch.maximum(vis, ir)
        stronger = torch.maximum(sobel_strength(vis), sobel_strength(ir))
        terms = {
            "intensity": (outputs.fused - brighter).abs().mean(),
            "gradient": (sobel_strength(outputs.fused) - stronger).abs().mean(),
            "structure": dssim(brighter, outputs.fused),
            "decomposition": decomposition_loss(outputs.features),
        }
        total = terms["intensity"] + 10 * terms["gradient"] + terms["structure"] + 2 * terms["decomposition"]
        return {"total": total, **terms}


def phase_of(epoch: int) -> int:
    """1 for reconstruction, 2 for fusion; epochs count from 0."""
    return 1 if epoch < PHASE_1_EPOCHS else 2


def make_optimiser(model: SFDFuse) -> Adam:
    """One Adam with a group per part, which equals the release's four: Adam passes over parameters without gradient."""
    groups = [{"params": list(part.parameters()), "name": name} for name, part in model.named_children()]
    return Adam(groups, lr=RECIPE.lr)


def learning_rate_factor(epoch: int) -> float:
    """Halved every ten epochs of a part's own training, down to a floor."""
    return max(0.5 ** (epoch // HALVING_EPOCHS), LOWEST_LR / RECIPE.lr)


def make_schedule(optimiser: Adam) -> LambdaLR:
    """Step it after every epoch. The fusion parts' rates start to fall when phase 2, and so their training, starts."""

    def of_fusion_part(epoch: int) -> float:
        return learning_rate_factor(max(epoch - PHASE_1_EPOCHS, 0))

    names = [group["name"] for group in optimiser.param_groups]
    return LambdaLR(optimiser, [of_fusion_part if "fusion" in name else learning_rate_factor for name in names])


def clip_gradients(model: SFDFuse) -> None:
    """Limit the L2 norm of each part's gradients to the recipe's, in place; call between backward and step."""
    for part in model.children():
        nn.utils.clip_grad_norm_(part.parameters(), RECIPE.clip_norm)
