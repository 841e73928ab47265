"""CMMDL-lite: CMMDL's blocks, narrow, on a grid of a quarter of the image, and the sources' full detail past them.

    vis ─┬─ 4x4 pixels as channels ─┐                 ┌─ FDLB ─┐
         │                          ├─ one encoder ───┤        ├─ HDFAB ─ decoder ─ guides ─┐
    ir  ─┼─ 4x4 pixels as channels ─┘                 └─ SDLB ─┘                            ├─ blend ─ fused
         └──────────────────────────────────────────────────────────────────────────────────┘
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.checks import check_pair, check_width
from net.cmmdl import transformer
from net.devices import without_autocast
from net.fast.layout import channels_last
from net.fdlb import FDLB
from net.fourier import at_least_float32
from net.hdfab import HDFAB
from net.sdlb import SDLB

SCALE = 4  # side of a cell of the grid, in pixels of the image
GUIDES = 4  # channels that the grid hands to every pixel of the image
MINIMUM_SIZE = 5  # pixels: two cells a side, a border that SDLB can mirror


class Blend(nn.Module):
    """Weighs the two sources pixel by pixel and corrects the result, on the full image.

        [w, c] = conv3x3(LeakyReLU(conv3x3([vis, ir, guides])))
        fused = clamp(ir + sigmoid(w) (vis - ir) + c, 0, 1)

    Args:
        dim: channels between the two convolutions.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2 + GUIDES, dim, 3, padding=1)
        self.head = nn.Conv2d(dim, 2, 3, padding=1)

    def forward(self, vis: Tensor, ir: Tensor, guides: Tensor) -> Tensor:
        """(B, 1, H, W) twice and (B, GUIDES, H, W) -> fused (B, 1, H, W) in [0, 1], in the precision of the sources."""
        with without_autocast(vis.device):  # bf16 has fewer values than an image has grey levels
            hidden = F.leaky_relu(self.mix(torch.cat([vis, ir, guides.to(vis.dtype)], dim=1)), 0.1, inplace=True)
            weight, correction = self.head(hidden).chunk(2, dim=1)
            return (torch.lerp(ir, vis, weight.sigmoid()) + correction).clamp(0, 1)


class CMMDLLite(nn.Module):
    """Fuses a visible and an infrared luminance image of any size from 5x5 up, at camera speed.

    The blocks are those of `net.CMMDL`. They see the image as a grid of a quarter of its height and width, a pixel of
    which holds 4x4 pixels of the image as channels, and guide the blend of the two sources at full resolution.

    Args:
        dim: feature channels on the grid, even and a multiple of `heads`.
        heads: attention heads.
        depth: transformer blocks in the encoder, and again in the decoder.
        detail: channels at full resolution.
    """

    def __init__(self, *, dim: int = 16, heads: int = 2, depth: int = 1, detail: int = 12) -> None:
        super().__init__()
        check_width(dim, heads, depth=depth, detail=detail)
        dim, heads, depth, detail = int(dim), int(heads), int(depth), int(detail)  # no numpy numbers in a weight file
        self.options = {"dim": dim, "heads": heads, "depth": depth, "detail": detail}
        self.embed = nn.Conv2d(SCALE**2, dim, 3, padding=1)
        self.encoder = transformer(dim, heads, depth)
        self.sdlb_vis = SDLB(dim)
        self.sdlb_ir = SDLB(dim)
        self.fdlb = FDLB(dim)
        self.hdfab = HDFAB(dim)
        self.decoder = transformer(dim, heads, depth)
        self.guide = nn.Conv2d(dim, GUIDES * SCALE**2, 1)
        self.blend = Blend(detail)

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        """(B, 1, H, W) luminance in [0, 1], twice -> fused luminance (B, 1, H, W) in [0, 1].

        Raises ValueError for other shapes, unequal sizes, another dtype than the weights', NaN (see `check_pair`).
        """
        check_pair(vis, ir, minimum=MINIMUM_SIZE, network=self)
        vis, ir = at_least_float32(vis), at_least_float32(ir)  # under autocast they may be halves
        height, width = vis.shape[-2:]
        pair = F.pad(torch.cat([vis, ir]), (0, -width % SCALE, 0, -height % SCALE), mode="replicate")
        guides = F.pixel_shuffle(self.guide(self.on_grid(pair)), SCALE)  # (B, GUIDES, H, W), padded
        return self.blend(vis, ir, guides[..., :height, :width])

    def on_grid(self, pair: Tensor) -> Tensor:
        """What the decoder gives, (B, C, H/4, W/4), for visible and then infrared images, (2B, 1, H, W)."""
        x = channels_last(self.embed(F.pixel_unshuffle(pair, SCALE)))  # (2B, C, H/4, W/4)
        e_vis, e_ir = self.encoder(x).chunk(2)  # (B, C, H/4, W/4)
        f_vis, f_ir = self.fdlb(e_vis, e_ir)
        return self.decoder(self.hdfab(f_vis, f_ir, self.sdlb_vis(e_vis), self.sdlb_ir(e_ir)))
