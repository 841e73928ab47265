"""RGB <-> YCbCr as CMMDL's release converts, all values in [0, 1]."""

import torch
from torch import Tensor


def rgb_to_ycbcr(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 3, H, W) RGB -> luminance Y and chroma Cb, Cr, each (B, 1, H, W) in [0, 1]; grey has chroma 0.5."""
    r, g, b = rgb.split(1, dim=1)
    y = (0.299 * r + 0.587 * g + 0.114 * b).clamp(0, 1)
    cb = (b - y) * 0.564 + 0.5
    cr = (r - y) * 0.713 + 0.5
    return y, cb, cr


def ycbcr_to_rgb(y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
    """Luminance and chroma, each (B, 1, H, W) -> (B, 3, H, W) RGB clamped to [0, 1]."""
    cb, cr = cb - 0.5, cr - 0.5
    return torch.cat([y + 1.403 * cr, y - 0.714 * cr - 0.344 * cb, y + 1.773 * cb], dim=1).clamp(0, 1)


def blend_chroma(first: Tensor, second: Tensor) -> Tensor:
    """One chroma component of two images, (B, 1, H, W) each: the mean weighted by the distance from neutral (0.5).

    The rule that exposure and focus fusion uses, C = (C1 |C1 - 0.5| + C2 |C2 - 0.5|) / (|C1 - 0.5| + |C2 - 0.5|): a
    pixel takes the colour of the image that has one there. Where both are neutral, so is the result.
    """
    one, two = first - 0.5, second - 0.5
    return 0.5 + (one * one.abs() + two * two.abs()) / (one.abs() + two.abs()).clamp_min(1e-6)
