"""CMMDL: cross-modal multi-domain learning for image fusion (Neural Networks 196, 2026, 108450).

    vis ─┐                 ┌─ FDLB (both modalities together) ─┐
         ├─ one encoder ───┤                                   ├─ HDFAB ─ decoder ─ fused
    ir  ─┘                 └─ SDLB of vis, SDLB of ir ─────────┘
"""

import torch
from torch import Tensor, nn

from net.checks import check_pair
from net.fdlb import FDLB
from net.hdfab import HDFAB
from net.restormer import TransformerBlock
from net.sdlb import SDLB
from net.sfca import SFCA


def transformer(dim: int, heads: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(TransformerBlock(dim, SFCA(dim, heads), "sfca") for _ in range(depth)))


class Encoder(nn.Module):
    """3x3 convolution and transformer blocks: luminance (B, 1, H, W) -> features (B, C, H, W)."""

    def __init__(self, dim: int, heads: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, dim, 3, padding=1, bias=False)
        self.blocks = transformer(dim, heads, depth)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.embed(x).contiguous(memory_format=torch.channels_last))


class Decoder(nn.Module):
    """Transformer blocks and two 3x3 convolutions: features (B, C, H, W) -> fused luminance (B, 1, H, W) in (0, 1)."""

    def __init__(self, dim: int, heads: int, depth: int) -> None:
        super().__init__()
        self.blocks = transformer(dim, heads, depth)
        self.head = nn.Sequential(
            nn.Conv2d(dim, dim // 2, 3, padding=1, bias=False),
            nn.LeakyReLU(0.01),
            nn.Conv2d(dim // 2, 1, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.blocks(x)))


class CMMDL(nn.Module):
    """Fuses a visible and an infrared luminance image of any size from 3x3 up.

    Args:
        dim: feature channels (64 as published), a multiple of `heads`.
        heads: attention heads (8).
        depth: transformer blocks in the encoder, and again in the decoder (4).
        coupling: form of SDLB's couplings, see `net.sdlb.SDLB`.
    """

    def __init__(self, *, dim: int = 64, heads: int = 8, depth: int = 4, coupling: str = "released") -> None:
        super().__init__()
        if dim % heads or dim % 2:
            raise ValueError(f"dim is {dim}; expected an even multiple of heads ({heads})")
        self.options = {"dim": dim, "heads": heads, "depth": depth, "coupling": coupling}
        self.encoder = Encoder(dim, heads, depth)
        self.sdlb_vis = SDLB(dim, coupling=coupling)
        self.sdlb_ir = SDLB(dim, coupling=coupling)
        self.fdlb = FDLB(dim)
        self.hdfab = HDFAB(dim)
        self.decoder = Decoder(dim, heads, depth)

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        """(B, 1, H, W) luminance in [0, 1], twice -> fused luminance (B, 1, H, W) in (0, 1).

        Raises:
            ValueError: for other shapes, unequal sizes, integers, NaN (`net.checks.check_pair`).
        """
        check_pair(vis, ir)
        if torch.is_grad_enabled():  # one pass of the shared encoder
            e_vis, e_ir = self.encoder(torch.cat([vis, ir])).chunk(2)  # (B, C, H, W) each
        else:  # nothing has to be kept for a backward pass, so two passes need half the memory
            e_vis, e_ir = self.encoder(vis), self.encoder(ir)
        s_vis, s_ir = self.sdlb_vis(e_vis), self.sdlb_ir(e_ir)  # (B, C, H, W)
        f_vis, f_ir = self.fdlb(e_vis, e_ir)  # (B, C, H, W)
        return self.decoder(self.hdfab(f_vis, f_ir, s_vis, s_ir))  # (B, 1, H, W)
