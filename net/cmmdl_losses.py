"""The fusion loss of CMMDL: intensity from the source with more local contrast, gradients from the stronger edge."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from net.baselines.ssim import ssim

WINDOW = 9  # pixels, both windows
SIGMA = 1.5  # pixels, the Gaussian one
GRADIENT_WEIGHT = 5.0
GAIN = 1.1  # of contrast and edges over the sources'; a network's own come out weaker than the loss asks for


class FusionLoss(NamedTuple):
    """Scalars: `total = intensity + 5 * gradient`."""

    total: Tensor
    intensity: Tensor
    gradient: Tensor


def fusion_loss(vis: Tensor, ir: Tensor, fused: Tensor, mask: Tensor) -> FusionLoss:
    """The training loss, CMMDL's release.

    Args:
        vis, ir, fused: (B, 1, H, W) in [0, 1].
        mask: (B, 1, H, W), above 0 on salient (thermal target) pixels, where infrared is always the reference.
    """
    intensity = intensity_loss(vis, ir, fused, mask)
    gradient = gradient_loss(vis, ir, fused)
    return FusionLoss(intensity + GRADIENT_WEIGHT * gradient, intensity, gradient)


def gradient_loss(vis: Tensor, ir: Tensor, fused: Tensor) -> Tensor:
    """`mean |g(fused) - max(g(vis), g(ir))|` with `g` the sum of the absolute Sobel responses."""
    return (sobel(fused) - torch.maximum(sobel(vis), sobel(ir))).abs().mean()


def intensity_loss(vis: Tensor, ir: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
    """`mean(sel mse9(ir, fused) + (1 - sel) mse9(vis, fused))`.

    `sel` is 1 where infrared has the larger local variance or the mask is set; `mse9` is the squared difference
    averaged over 9x9 pixels, zeros beyond the border.
    """
    from_ir = (local_variance(ir) > local_variance(vis)) | (mask > 0)
    return torch.where(from_ir, local_mean((ir - fused).square()), local_mean((vis - fused).square())).mean()


def sobel(x: Tensor) -> Tensor:
    """|horizontal| + |vertical| Sobel response of a (B, 1, H, W) image, zeros beyond the border."""
    return derivatives(F.pad(x, (1, 1, 1, 1))).abs().sum(1, keepdim=True)


def derivatives(x: Tensor) -> Tensor:
    """Horizontal and vertical Sobel response of (B, 1, H, W) away from the border, (B, 2, H - 2, W - 2)."""
    across = x.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    kernels = torch.stack([across, across.t()])[:, None]  # (2, 1, 3, 3)
    return F.conv2d(x, kernels)


def local_mean(x: Tensor) -> Tensor:
    """Mean over 9x9 pixels, zeros beyond the border; always divided by 81."""
    return F.avg_pool2d(x, WINDOW, stride=1, padding=WINDOW // 2)


def local_variance(x: Tensor) -> Tensor:
    """`G * x^2 - (G * x)^2` with a 9x9 Gaussian window G, zeros beyond the border; equals the two-dimensional window
    because a Gaussian is separable."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    line = torch.exp(-offsets.square() / (2 * SIGMA**2))
    line = line / line.sum()
    both = torch.cat([x, x.square()], dim=1)  # (B, 2, H, W)
    rows = F.conv2d(both, line.view(1, 1, 1, -1).expand(2, 1, 1, -1), padding=(0, WINDOW // 2), groups=2)
    mean, mean_of_square = F.conv2d(
        rows, line.view(1, 1, -1, 1).expand(2, 1, -1, 1), padding=(WINDOW // 2, 0), groups=2
    ).chunk(2, dim=1)
    return mean_of_square - mean.square()


class StructureLoss(NamedTuple):
    """Scalars: `total = 10 * intensity + 10 * edges + 0.8 * structure + differences`."""

    total: Tensor
    intensity: Tensor
    edges: Tensor
    structure: Tensor
    differences: Tensor


def structure_loss(vis: Tensor, ir: Tensor, fused: Tensor, mask: Tensor, gain: float = GAIN) -> StructureLoss:
    """The loss of the recipe `best`: the brighter source, the stronger edge and its direction, both sources' structure.

        intensity   mean |fused - b'|, b the brighter source, infrared where the mask is set, b' with `gain` times its
                    contrast (`with_contrast`)
        edges       `edge_loss` with that gain
        structure   [1 - (SSIM(vis, fused) + SSIM(ir, fused)) / 2] + [1 - SSIM(b, fused)] / 2
        differences `unlike_differences`

    Args:
        vis, ir, fused: (B, 1, H, W) in [0, 1], at least 11 pixels on a side.
        mask: (B, 1, H, W), above 0 on salient pixels.
        gain: how much stronger contrast and edges should be than the sources'; 1 asks for theirs.
    """
    brighter = torch.where(mask > 0, ir, torch.maximum(vis, ir))
    intensity = (fused - with_contrast(brighter, gain)).abs().mean()
    edges = edge_loss(vis, ir, fused, gain)
    structure = 1.5 - (ssim(vis, fused) + ssim(ir, fused) + ssim(brighter, fused)) / 2
    differences = unlike_differences(vis, ir, fused)
    total = 10 * intensity + 10 * edges + 0.8 * structure + differences
    return StructureLoss(total, intensity, edges, structure, differences)


def with_contrast(image: Tensor, gain: float) -> Tensor:
    """(B, 1, H, W) in [0, 1] with `gain` times the contrast about each image's mean, cut to [0, 1]."""
    mean = image.mean((2, 3), keepdim=True)
    return (mean + gain * (image - mean)).clamp(0, 1)


def edge_loss(vis: Tensor, ir: Tensor, fused: Tensor, gain: float = 1.0) -> Tensor:
    """`mean |d(fused) - gain d(stronger)|` with `d` the two Sobel responses and `stronger`, pixel by pixel, the source
    where they are larger; repeated pixels beyond the border.

    Unlike `gradient_loss` it knows the direction of an edge: bright to dark is not as good as dark to bright.
    """
    of_vis, of_ir, of_fused = (derivatives(F.pad(x, (1, 1, 1, 1), mode="replicate")) for x in (vis, ir, fused))
    vis_is_stronger = of_vis.abs().sum(1, keepdim=True) >= of_ir.abs().sum(1, keepdim=True)
    return (of_fused - gain * torch.where(vis_is_stronger, of_vis, of_ir)).abs().sum(1).mean()


def unlike_differences(vis: Tensor, ir: Tensor, fused: Tensor) -> Tensor:
    """`1 - [r(fused - vis, ir) + r(fused - ir, vis)] / 2` with r the correlation within each image, mean of the batch.

    What the fused image has beyond one source should be the other one. Source: Aslantas and Bendes, "A new image
    quality metric for image fusion: the sum of the correlations of differences", 2015.
    """
    return 1 - (correlation(fused - vis, ir) + correlation(fused - ir, vis)).mean() / 2


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of two images (B, 1, H, W), (B,); about 0 where one is constant."""
    a, b = ((x - x.mean((1, 2, 3), keepdim=True)).flatten(1) for x in (a, b))
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1) + 1e-6).sqrt()
