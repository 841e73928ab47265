"""What takes the place of a block that an ablation leaves out."""

import torch
from torch import Tensor, nn

PARTS = ("sfca-frequency", "sdlb", "fdlb", "hdfab")


class Unchanged(nn.Module):
    """In place of FDLB: both modalities' features as they came."""

    def forward(self, vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
        return vis, ir


class Merge(nn.Module):
    """In place of HDFAB: one 1x1 convolution of all features side by side, four (B, C, H, W) in, one out."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(4 * dim, dim, 1, bias=False)

    def forward(self, *features: Tensor) -> Tensor:
        return self.project(torch.cat(features, dim=1))

    def cross(self, *features: Tensor) -> tuple[Tensor, ...]:
        """HDFAB's first step, which is none here."""
        return features

    def join(self, *features: Tensor) -> Tensor:
        """HDFAB's second step."""
        return self(*features)
