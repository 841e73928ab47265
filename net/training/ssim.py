"""Differentiable structural similarity for training losses.

These are loss terms. The SSIM of the result tables is another one (uniform 7x7 window) and lives with the metrics.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11  # pixels
SIGMA = 1.5  # pixels
C1 = 0.01**2  # for images of range 1
C2 = 0.03**2


def gaussian_window(size: int, like: Tensor) -> Tensor:
    """The normalised one-dimensional Gaussian of sigma 1.5 over `size` pixels, (size,), with dtype and device of
    `like`."""
    offsets = torch.arange(size, dtype=like.dtype, device=like.device) - size // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def ssim_map(x: Tensor, y: Tensor, *, border: Literal["constant", "reflect"] = "constant", eps: float = 0.0) -> Tensor:
    """Structural similarity around every pixel, with an 11x11 Gaussian window of sigma 1.5 and data range 1.

        SSIM = (2 mu_x mu_y + C1)(2 s_xy + C2) / ((mu_x^2 + mu_y^2 + C1)(s_x^2 + s_y^2 + C2) + eps)

    Args:
        x, y: (B, C, H, W), values in about [0, 1].
        border: what lies outside the image: zeros ("constant") or its mirror image ("reflect", needs H, W >= 6).
        eps: added to the denominator.

    Returns:
        (B, C, H, W), in [-1, 1] up to rounding.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
    """
    channels, radius = x.shape[1], WINDOW // 2
    window = gaussian_window(WINDOW, x)
    moments = torch.cat((x, y, x * x, y * y, x * y), dim=1)  # (B, 5C, H, W)
    moments = F.pad(moments, [radius] * 4, mode=border)  # (B, 5C, H+10, W+10)
    columns = window.view(1, 1, WINDOW, 1).expand(5 * channels, 1, WINDOW, 1)
    moments = F.conv2d(moments, columns, groups=5 * channels)  # (B, 5C, H, W+10)
    rows = window.view(1, 1, 1, WINDOW).expand(5 * channels, 1, 1, WINDOW)
    moments = F.conv2d(moments, rows, groups=5 * channels)  # (B, 5C, H, W)
    mean_x, mean_y, xx, yy, xy = moments.split(channels, dim=1)  # 5 x (B, C, H, W)

    luminance = 2 * mean_x * mean_y + C1
    structure = 2 * (xy - mean_x * mean_y) + C2
    energy = mean_x**2 + mean_y**2 + C1
    variance = (xx - mean_x**2) + (yy - mean_y**2) + C2
    return luminance * structure / (energy * variance + eps)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean structural similarity with zeros outside the image: a scalar, 1 for equal images."""
    return ssim_map(x, y).mean()


def dssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural dissimilarity with mirrored borders: the mean of (1 - SSIM) / 2 clamped to [0, 1] at every pixel."""
    return ((1 - ssim_map(x, y, border="reflect", eps=1e-12)) / 2).clamp(0, 1).mean()
