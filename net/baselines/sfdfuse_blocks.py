"""SFDFuse's trunk: transposed attention, the feed-forward networks, transformer block and ConvFormer block.

Every block keeps (B, dim, H, W); no convolution here has a bias. Source: SFDFuse's release (zxp771/SFDFuse).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.baselines.dilated import DilatedDepthwiseConv
from net.restormer import ChannelLayerNorm


def conv1x1(inputs: int, outputs: int) -> nn.Conv2d:
    """1x1 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def depthwise_conv(channels: int, kernel: int) -> nn.Conv2d:
    """Convolution of every channel by itself, size kept, without bias."""
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, C, H, W) to (B, heads, C/heads, H*W)."""
    return x.flatten(2).unflatten(1, (heads, -1))


def transposed_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor) -> Tensor:
    """softmax(q k^T * temperature) v, a channels x channels map per head; q and k have unit length along the pixels.

    (B, heads, C/heads, N) each, temperature (heads, 1, 1); cost linear in the number of pixels N.
    Source: Zamir et al., "Restormer", CVPR 2022, section 3.1.
    """
    return (q @ k.transpose(-2, -1) * temperature).softmax(dim=-1) @ v  # (B, heads, C/heads, N)


class TransposedAttention(nn.Module):
    """Attention between the channels of one image.

    Args:
        dim: channels.
        heads: attention heads.
        dense: whether the 3x3 convolution of the projections mixes channels (the base branch) or not (the trunk).
    """

    def __init__(self, *, dim: int, heads: int, dense: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv1x1(dim, 3 * dim)
        self.qkv_conv = nn.Conv2d(3 * dim, 3 * dim, 3, padding=1, groups=1 if dense else 3 * dim, bias=False)
        self.project_out = conv1x1(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (split_heads(part, self.heads) for part in self.qkv_conv(self.qkv(x)).chunk(3, dim=1))
        out = transposed_attention(F.normalize(q, dim=-1), F.normalize(k, dim=-1), v, self.temperature)
        return self.project_out(out.flatten(1, 2).unflatten(2, x.shape[-2:]))  # (B, dim, H, W)


class ShuffleFeedForward(nn.Module):
    """Gated feed-forward at twice the resolution: W_out unshuffle(DW7(u1) * gelu(u2)), [u1, u2] = shuffle(W_in x).

    Args:
        dim: channels in and out.
        hidden: channels between W_in and W_out, of each half.
    """

    def __init__(self, *, dim: int, hidden: int) -> None:
        super().__init__()
        self.project_in = conv1x1(dim, 2 * hidden)
        self.dwconv = depthwise_conv(hidden // 4, 7)
        self.project_out = conv1x1(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        u1, u2 = F.pixel_shuffle(self.project_in(x), 2).chunk(2, dim=1)  # 2 x (B, hidden/4, 2H, 2W)
        gated = self.dwconv(u1) * F.gelu(u2)
        return self.project_out(F.pixel_unshuffle(gated, 2))  # (B, hidden, H, W) -> (B, dim, H, W)


class DualShuffleFeedForward(nn.Module):
    """As `ShuffleFeedForward`, both halves filtered: W_out unshuffle(DW5(u1) * mish(DW3_dilated(u2)))."""

    def __init__(self, *, dim: int, hidden: int) -> None:
        super().__init__()
        self.project_in = conv1x1(dim, 2 * hidden)
        self.dwconv5 = depthwise_conv(hidden // 4, 5)
        self.dwconv3_dilated = DilatedDepthwiseConv(hidden // 4, dilation=2, bias=False)
        self.project_out = conv1x1(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        u1, u2 = F.pixel_shuffle(self.project_in(x), 2).chunk(2, dim=1)  # 2 x (B, hidden/4, 2H, 2W)
        gated = self.dwconv5(u1) * F.mish(self.dwconv3_dilated(u2))
        return self.project_out(F.pixel_unshuffle(gated, 2))  # (B, hidden, H, W) -> (B, dim, H, W)


class GroupedFeedForward(nn.Module):
    """Gated feed-forward W_out(gelu(u1) * u2), [u1, u2] = a 3x3 convolution in groups of two channels of W_in x."""

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.project_in = conv1x1(dim, 2 * dim)
        self.conv = nn.Conv2d(2 * dim, 2 * dim, 3, padding=1, groups=dim, bias=False)
        self.project_out = conv1x1(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        u1, u2 = self.conv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(u1) * u2)


class NormedFeedForward(nn.Module):
    """W_2 norm(relu(W_1 x)^2), four times as wide inside."""

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.fc1 = conv1x1(dim, 4 * dim)
        self.norm = ChannelLayerNorm(4 * dim)
        self.fc2 = conv1x1(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.norm(F.relu(self.fc1(x)).square()))


class TransformerBlock(nn.Module):
    """x + attn(norm1(x)), then x + ffn(norm2(x))."""

    def __init__(self, *, dim: int, attn: nn.Module, ffn: nn.Module) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(dim)
        self.attn = attn
        self.norm2 = ChannelLayerNorm(dim)
        self.ffn = ffn

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class StarReLU(nn.Module):
    """scale * relu(x)^2 + bias with two learned numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * F.relu(x).square() + self.bias


class SeparableMixer(nn.Module):
    """y + W_2 DW7(star_relu(W_1 y)). The residual is inside: the ConvFormer block scales it with the rest."""

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.pwconv1 = conv1x1(dim, 2 * dim)
        self.activation = StarReLU()
        self.dwconv = depthwise_conv(2 * dim, 7)
        self.pwconv2 = conv1x1(2 * dim, dim)

    def forward(self, y: Tensor) -> Tensor:
        return y + self.pwconv2(self.dwconv(self.activation(self.pwconv1(y))))


class DropPath(nn.Module):
    """In training, drops a residual branch of a whole sample with probability `rate` and scales the others up."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        kept = torch.floor(keep + torch.rand(len(x), 1, 1, 1, dtype=x.dtype, device=x.device))  # (B, 1, 1, 1)
        return x / keep * kept


class ConvFormerBlock(nn.Module):
    """x + scale1 * mixer(norm1(x)), then x + scale2 * mlp(norm2(x)), both branches under drop path.

    Source: Yu et al., "MetaFormer baselines for vision", TPAMI 2024.
    """

    def __init__(self, *, dim: int, mlp: nn.Module, drop_path: float) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(dim)
        self.mixer = SeparableMixer(dim=dim)
        self.scale1 = nn.Parameter(torch.full((dim,), 1e-5))
        self.norm2 = ChannelLayerNorm(dim)
        self.mlp = mlp
        self.scale2 = nn.Parameter(torch.full((dim,), 1e-5))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.scale1.view(-1, 1, 1) * self.mixer(self.norm1(x)))
        return x + self.drop_path(self.scale2.view(-1, 1, 1) * self.mlp(self.norm2(x)))
