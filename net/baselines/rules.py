"""Fusion rules that need no learning: the floor that every network has to be seen above."""

import torch
from torch import Tensor, nn

from net.checks import check_pair


class Average(nn.Module):
    """The mean of the two images, (B, 1, H, W) each -> (B, 1, H, W)."""

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        check_pair(vis, ir, minimum=1)
        return (vis + ir) / 2


class Maximum(nn.Module):
    """The brighter of the two images at every pixel, (B, 1, H, W) each -> (B, 1, H, W)."""

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        check_pair(vis, ir, minimum=1)
        return torch.maximum(vis, ir)
