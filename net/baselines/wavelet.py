"""The filters of one step of a wavelet transform, which two of the siblings share."""

import torch
from torch import Tensor


def haar_taps() -> tuple[Tensor, Tensor]:
    """The Haar wavelet's low and high filter, (1, 2) each."""
    return torch.tensor([[1.0, 1.0]]) * 0.5**0.5, torch.tensor([[1.0, -1.0]]) * 0.5**0.5


def wavelet_kernels(low: Tensor, high: Tensor) -> Tensor:
    """The 2x2 kernels LL, LH, HL, HH of two 2-tap filters (1, 2): row filter times column filter, (4, 1, 2, 2)."""
    low, high = low.flatten(), high.flatten()
    pairs = ((low, low), (high, low), (low, high), (high, high))
    return torch.stack([torch.outer(rows, columns) for rows, columns in pairs]).unsqueeze(1)
