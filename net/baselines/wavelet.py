"""One step of a wavelet transform, which two of the siblings share."""

import torch
import torch.nn.functional as F
from torch import Tensor


def haar_taps() -> tuple[Tensor, Tensor]:
    """The Haar wavelet's low and high filter, (1, 2) each."""
    return torch.tensor([[1.0, 1.0]]) * 0.5**0.5, torch.tensor([[1.0, -1.0]]) * 0.5**0.5


def wavelet_kernels(low: Tensor, high: Tensor) -> Tensor:
    """The 2x2 kernels LL, LH, HL, HH of two 2-tap filters (1, 2): row filter times column filter, (4, 1, 2, 2)."""
    low, high = low.flatten(), high.flatten()
    pairs = ((low, low), (high, low), (low, high), (high, high))
    return torch.stack([torch.outer(rows, columns) for rows, columns in pairs]).unsqueeze(1)


def wavelet_step(x: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Low (B, C, H/2, W/2) and high (B, 3C, H/2, W/2), the bands LH, HL, HH one after the other, of (B, C, H, W).

    Args:
        kernels: `wavelet_kernels`, repeated for each channel, (4C, 1, 2, 2).
    """
    channels = x.shape[1]
    bands = F.conv2d(x, kernels, stride=2, groups=channels)  # (B, 4C, H/2, W/2): four bands per channel
    bands = bands.unflatten(1, (channels, 4)).transpose(1, 2)  # (B, 4, C, H/2, W/2)
    return bands[:, 0], bands[:, 1:].flatten(1, 2)
