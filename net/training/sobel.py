"""The Sobel operator in the two forms that training losses use, and the loss that most of them have of it."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def sobel(x: Tensor, *, border: Literal["constant", "replicate"] = "constant") -> Tensor:
    """Horizontal and vertical Sobel responses (cross-correlation, not normalised) of a one-channel image.

    Args:
        x: (B, 1, H, W).
        border: what lies outside the image: zeros ("constant") or its edge pixels ("replicate").

    Returns:
        (B, 2, H, W): positive where the image brightens to the right (channel 0) and upwards (channel 1).
    """
    across = x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack((across, -across.T)).unsqueeze(1)  # (2, 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode=border), kernels)


def sobel_strength(x: Tensor) -> Tensor:
    """S(x) = |Gx x| + |Gy x| with zeros outside the image, (B, 1, H, W) to (B, 1, H, W)."""
    return sobel(x).abs().sum(dim=1, keepdim=True)


def gradient_loss(vis: Tensor, ir: Tensor, fused: Tensor) -> Tensor:
    """`mean |S(fused) - max(S(vis), S(ir))|`, S being `sobel_strength`; (B, 1, H, W) each, to a scalar."""
    stronger = torch.maximum(sobel_strength(vis), sobel_strength(ir))
    return (sobel_strength(fused) - stronger).abs().mean()
