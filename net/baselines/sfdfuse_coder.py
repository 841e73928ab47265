"""SFDFuse's encoder (one image to a base and a detail map) and decoder (maps to an image).

Source: SFDFuse's release (zxp771/SFDFuse).
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.baselines.sfdfuse_blocks import (
    ConvFormerBlock,
    DualShuffleFeedForward,
    GroupedFeedForward,
    NormedFeedForward,
    ShuffleFeedForward,
    TransformerBlock,
    TransposedAttention,
)
from net.baselines.sfdfuse_detail import CouplingNode
from net.baselines.sfdfuse_fusion import ContentGuidedFusion, FusionBlock
from net.baselines.wavelet import haar_taps, wavelet_kernels, wavelet_step

FeedForward = Literal["normed", "shuffle"]


def trunk(*, dim: int, heads: int, feed_forward: FeedForward, drop_path: float) -> nn.Sequential:
    """Two transformer blocks and two ConvFormer blocks; `feed_forward` is the latter's."""
    blocks, normed = [], feed_forward == "normed"
    for _ in range(2):
        attn = TransposedAttention(dim=dim, heads=heads)
        blocks.append(TransformerBlock(dim=dim, attn=attn, ffn=ShuffleFeedForward(dim=dim, hidden=2 * dim)))
    for _ in range(2):
        mlp = NormedFeedForward(dim=dim) if normed else DualShuffleFeedForward(dim=dim, hidden=2 * dim)
        blocks.append(ConvFormerBlock(dim=dim, mlp=mlp, drop_path=drop_path))
    return nn.Sequential(*blocks)


def base_block(*, dim: int, heads: int, feed_forward: FeedForward) -> TransformerBlock:
    """The encoder's last block for the base map."""
    attn = TransposedAttention(dim=dim, heads=heads, dense=True)
    ffn = GroupedFeedForward(dim=dim) if feed_forward == "normed" else ShuffleFeedForward(dim=dim, hidden=dim)
    return TransformerBlock(dim=dim, attn=attn, ffn=ffn)


def base_fusion_block(*, dim: int, heads: int) -> FusionBlock:
    """FIB with the feed-forward network for base maps."""
    return FusionBlock(dim=dim, heads=heads, ffn=ShuffleFeedForward(dim=dim, hidden=2 * dim))


def detail_fusion_block(*, dim: int, heads: int) -> FusionBlock:
    """FIB with the feed-forward network for detail maps."""
    return FusionBlock(dim=dim, heads=heads, ffn=DualShuffleFeedForward(dim=dim, hidden=2 * dim))


class Encoder(nn.Module):
    """Base and detail map of one image, each completed by its part of a Haar transform.

    base = FIB(base block(t), up(low)), detail = FIB(couplings(t), high), with e = embed(image), t = trunk(e),
    low and high from Haar(e). (B, 1, H, W) to two (B, dim, H, W), H and W even.
    """

    def __init__(self, *, dim: int, heads: int, feed_forward: FeedForward, drop_path: float) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, dim, 3, padding=1, bias=False)
        self.register_buffer("haar", wavelet_kernels(*haar_taps()).repeat(dim, 1, 1, 1))
        self.high_up = nn.ConvTranspose2d(3 * dim, dim, 2, stride=2)
        self.trunk = trunk(dim=dim, heads=heads, feed_forward=feed_forward, drop_path=drop_path)
        self.base = base_block(dim=dim, heads=heads, feed_forward=feed_forward)
        self.detail = nn.Sequential(*(CouplingNode(half=dim // 2) for _ in range(3)))
        self.base_low = base_fusion_block(dim=dim, heads=heads)
        self.detail_high = detail_fusion_block(dim=dim, heads=heads)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        e = self.embed(image)  # (B, dim, H, W)
        low, high = wavelet_step(e, self.haar)  # (B, dim, H/2, W/2), (B, 3 dim, H/2, W/2)
        low = F.interpolate(low, size=e.shape[-2:], mode="bilinear", align_corners=False)  # (B, dim, H, W)
        high = F.leaky_relu(self.high_up(high), 0.01)  # (B, dim, H, W)
        t = self.trunk(e)
        return self.base_low(self.base(t), low), self.detail_high(self.detail(t), high)


class Decoder(nn.Module):
    """Image from base and detail map: sigmoid(head(trunk(r) + r) + image), r = CGA(base, detail).

    (B, 1, H, W) and two (B, dim, H, W) to (B, 1, H, W) in (0, 1).
    """

    def __init__(self, *, dim: int, heads: int, feed_forward: FeedForward, drop_path: float) -> None:
        super().__init__()
        self.combine = ContentGuidedFusion(dim=dim)
        self.trunk = trunk(dim=dim, heads=heads, feed_forward=feed_forward, drop_path=drop_path)
        self.head = nn.Sequential(
            nn.Conv2d(dim, dim // 2, 3, padding=1, bias=False),
            nn.LeakyReLU(0.01),
            nn.Conv2d(dim // 2, 1, 3, padding=1, bias=False),
        )

    def forward(self, image: Tensor, base: Tensor, detail: Tensor) -> Tensor:
        r = self.combine(base, detail)
        return torch.sigmoid(self.head(self.trunk(r) + r) + image)
