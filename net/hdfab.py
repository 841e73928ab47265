"""HDFAB: heterogeneous-domain feature aggregation block (the journal abstract calls it HDFFB), and the decoder."""

import torch
from torch import Tensor, nn


class CBR(nn.Sequential):
    """1x1 convolution, BatchNorm, ReLU6: (B, C_in, H, W) -> (B, C_out, H, W)."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__(nn.Conv2d(channels, dim, 1, bias=False), nn.BatchNorm2d(dim), nn.ReLU6(inplace=True))


class ChannelAttention(nn.Sequential):
    """`x * sigmoid(BN W2 relu(BN W1 mean(x)))`, one weight per channel; (B, C, H, W) in and out."""

    def __init__(self, dim: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(dim, dim // 2, 1),
            nn.BatchNorm2d(dim // 2),
            nn.ReLU(),
            nn.Conv2d(dim // 2, dim, 1),
            nn.BatchNorm2d(dim),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(x)


class DenseStage(nn.Sequential):
    """3x3 convolution, BatchNorm twice (as published), ReLU: (B, C_in, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__(
            nn.Conv2d(channels, dim, 3, padding=1, bias=False),
            nn.BatchNorm2d(dim),
            nn.BatchNorm2d(dim),
            nn.ReLU(inplace=True),
        )


class HDFAB(nn.Module):
    """Brings Fourier and spatial features of both modalities together: four (B, C, H, W) in, one out.

    Modalities cross: visible Fourier features meet infrared spatial ones and the reverse.

        m = [CBR_1([F_v, S_i]), CBR_2([S_v, F_i])],   m = m + sigmoid(conv7x7([mean_c m, max_c m])) m
        out = CA_1(m_first) + CA_2(m_second) + dense(CBR_3(m))
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cbr_1 = CBR(2 * dim, dim)
        self.cbr_2 = CBR(2 * dim, dim)
        self.cbr_3 = CBR(2 * dim, dim)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.channel_1 = ChannelAttention(dim)
        self.channel_2 = ChannelAttention(dim)
        self.dense = nn.ModuleList(DenseStage(k * dim, dim) for k in range(1, 5))

    def forward(self, f_vis: Tensor, f_ir: Tensor, s_vis: Tensor, s_ir: Tensor) -> Tensor:
        a = self.cbr_1(torch.cat([f_vis, s_ir], dim=1))
        b = self.cbr_2(torch.cat([s_vis, f_ir], dim=1))
        m = torch.cat([a, b], dim=1)  # (B, 2C, H, W)
        summary = torch.cat([m.mean(1, keepdim=True), m.max(1, keepdim=True).values], dim=1)  # (B, 2, H, W)
        m = m + torch.sigmoid(self.spatial(summary)) * m
        x1, x2 = m.chunk(2, dim=1)
        features = self.cbr_3(m)
        for stage in self.dense[:-1]:
            features = torch.cat([features, stage(features)], dim=1)  # (B, kC, H, W)
        return self.channel_1(x1) + self.channel_2(x2) + self.dense[-1](features)
