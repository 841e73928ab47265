"""Where SFDFuse brings two feature maps together: the fusion block (FIB) and the decoder's attention fusion.

Source: SFDFuse's release (zxp771/SFDFuse).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.baselines.sfdfuse_blocks import conv1x1, depthwise_conv, split_heads, transposed_attention
from net.restormer import ChannelLayerNorm


class CrossAttention(nn.Module):
    """Transposed attention of two maps to each other, with one set of weights for both directions:

        out = W (softmax(q_y k_x^T t) v_x + q_y) + W (softmax(q_x k_y^T t) v_y + q_x) + x + y

    The added queries are the normalised ones. (B, dim, H, W) twice to (B, dim, H, W); symmetric in its inputs.
    """

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv1x1(dim, 3 * dim)
        self.qkv_conv = depthwise_conv(3 * dim, 3)
        self.project_out = conv1x1(dim, dim)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (split_heads(part, self.heads) for part in self.qkv_conv(self.qkv(x)).chunk(3, dim=1))
        return F.normalize(q, dim=-1), F.normalize(k, dim=-1), v  # each (B, heads, dim/heads, N)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        q_x, k_x, v_x = self._project(x)
        q_y, k_y, v_y = self._project(y)
        from_x = transposed_attention(q_y, k_x, v_x, self.temperature) + q_y
        from_y = transposed_attention(q_x, k_y, v_y, self.temperature) + q_x
        # W is linear: one projection of the sum equals the sum of two projections.
        out = (from_x + from_y).flatten(1, 2).unflatten(2, x.shape[-2:])  # (B, dim, H, W)
        return self.project_out(out) + x + y


class FusionBlock(nn.Module):
    """FIB: a = attention(norm1(x), norm1(y)), then a + ffn(norm2(a)).

    The attention's residual adds the normalised inputs, not x and y themselves.
    """

    def __init__(self, *, dim: int, heads: int, ffn: nn.Module) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(dim)
        self.attention = CrossAttention(dim=dim, heads=heads)
        self.norm2 = ChannelLayerNorm(dim)
        self.ffn = ffn

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        a = self.attention(self.norm1(x), self.norm1(y))
        return a + self.ffn(self.norm2(a))


class ContentGuidedFusion(nn.Module):
    """CGA: base and detail maps concatenated, gated per channel and pixel, projected: W(c * g + c), c = [base, detail].

    g = gelu(sigmoid(pixel([c | channel(c) + spatial(c)]))), where channel sees the means over all pixels, spatial the
    mean and maximum over the channels, and pixel each channel of c beside the same channel of the sum.
    (B, dim, H, W) twice to (B, dim, H, W); borders are mirrored, so H, W >= 4.

    Source: the content-guided attention of DEA-Net (Chen et al., TIP 2024), in the form of SFDFuse's release.
    """

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        both = 2 * dim
        self.channel = nn.Sequential(nn.Conv2d(both, both // 8, 1), nn.ReLU(), nn.Conv2d(both // 8, both, 1))
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, padding_mode="reflect")
        self.pixel = nn.Conv2d(2 * both, both, 7, padding=3, padding_mode="reflect", groups=both)
        self.project_out = nn.Conv2d(both, dim, 1)

    def forward(self, base: Tensor, detail: Tensor) -> Tensor:
        c = torch.cat((base, detail), dim=1)  # (B, 2 dim, H, W)
        channel = self.channel(c.mean(dim=(2, 3), keepdim=True))  # (B, 2 dim, 1, 1)
        extremes = torch.cat((c.mean(dim=1, keepdim=True), c.amax(dim=1, keepdim=True)), dim=1)  # (B, 2, H, W)
        coarse = channel + self.spatial(extremes)  # (B, 2 dim, H, W)
        paired = torch.stack((c, coarse), dim=2).flatten(1, 2)  # (B, 4 dim, H, W): c_0, coarse_0, c_1, coarse_1, ...
        gate = F.gelu(torch.sigmoid(self.pixel(paired)))
        return self.project_out(c * gate + c)
