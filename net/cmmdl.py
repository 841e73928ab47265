"""CMMDL: cross-modal multi-domain learning for image fusion (Neural Networks 196, 2026, 108450).

    vis ─┐                 ┌─ FDLB (both modalities together) ─┐
         ├─ one encoder ───┤                                   ├─ HDFAB ─ decoder ─ fused
    ir  ─┘                 └─ SDLB of vis, SDLB of ir ─────────┘

The same network written down literally, without `net.fast`, is `benchmarks/literal.py`; tests hold the two equal. What
stands under `in_bands` here and in the blocks, and their `kinds`, serve inference on a CPU alone: see `net.fast.bands`.
"""

from collections.abc import Collection
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from net.ablation import PARTS, Merge, Unchanged
from net.checks import check_pair, check_width
from net.devices import without_autocast
from net.fast.bands import convolved, in_bands, kinds_of
from net.fast.layout import channels_last, for_dense
from net.fast.reuse import reused_memory
from net.fdlb import FDLB
from net.fourier import at_least_float32
from net.hdfab import HDFAB
from net.restormer import Transformer, TransformerBlock
from net.sdlb import SDLB
from net.sfca import SFCA

MINIMUM_SIZE = 3  # pixels


def transformer(dim: int, heads: int, depth: int, *, frequency: bool = True) -> Transformer:
    """`depth` blocks of SFCA and GDFN, (B, C, H, W) in and out."""
    blocks = (TransformerBlock(dim, SFCA(dim, heads, frequency=frequency)) for _ in range(depth))
    return Transformer(*blocks)


class Encoder(nn.Module):
    """3x3 convolution and transformer blocks: luminance (B, 1, H, W) -> features (B, C, H, W)."""

    def __init__(self, dim: int, heads: int, depth: int, *, frequency: bool = True) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, dim, 3, padding=1, bias=False)
        self.blocks = transformer(dim, heads, depth, frequency=frequency)
        self.kinds = kinds_of(self)

    def forward(self, x: Tensor) -> Tensor:
        if in_bands(self, x):
            return self.blocks(convolved(self.embed, x), overwrite=True)
        return self.blocks(channels_last(self.embed(x)))  # not overwritten: a hook may have kept it


class Decoder(nn.Module):
    """Transformer blocks and two 3x3 convolutions: features (B, C, H, W) -> fused luminance (B, 1, H, W) in (0, 1)."""

    def __init__(self, dim: int, heads: int, depth: int, *, frequency: bool = True) -> None:
        super().__init__()
        self.blocks = transformer(dim, heads, depth, frequency=frequency)
        self.head = nn.Sequential(
            nn.Conv2d(dim, dim // 2, 3, padding=1, bias=False),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv2d(dim // 2, 1, 3, padding=1, bias=False),
        )
        self.kinds = kinds_of(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)
        if in_bands(self, x):
            first, activation, last = self.head
            return torch.sigmoid(convolved(last, activation(convolved(first, x))))
        with without_autocast(x.device):  # in bf16 there are too few values: 128 from 0.5 to 1
            return torch.sigmoid(self.head(for_dense(at_least_float32(x))))


class CMMDL(nn.Module):
    """Fuses a visible and an infrared luminance image of any size from 3x3 up.

    Args:
        dim: feature channels (64 as published), even and a multiple of `heads`.
        heads: attention heads (8).
        depth: transformer blocks in the encoder, and again in the decoder (4).
        coupling: form of SDLB's couplings, see `net.sdlb.SDLB`.
        without: the paper's parts that an ablation leaves out, one or more of `net.ablation.PARTS`: the frequency stage
            of every SFCA; SDLB or FDLB, whose features then pass unchanged; HDFAB, then one 1x1 convolution.

    Raises ValueError for a width, coupling or part that it cannot have.
    """

    def __init__(
        self,
        *,
        dim: int = 64,
        heads: int = 8,
        depth: int = 4,
        coupling: str = "released",
        without: str | Collection[str] = (),
    ) -> None:
        super().__init__()
        without = [without] if isinstance(without, str) else sorted(without)
        check_width(dim, heads, depth=depth)
        if unknown := [part for part in without if part not in PARTS]:
            raise ValueError(f"without {unknown[0]!r}; expected parts among {', '.join(PARTS)}")
        dim, heads, depth = int(dim), int(heads), int(depth)  # no numpy numbers in a weight file
        self.options = {"dim": dim, "heads": heads, "depth": depth, "coupling": coupling}
        if without:
            self.options["without"] = without
        frequency = "sfca-frequency" not in without
        self.encoder = Encoder(dim, heads, depth, frequency=frequency)
        self.sdlb_vis = nn.Identity() if "sdlb" in without else SDLB(dim, coupling=coupling)
        self.sdlb_ir = nn.Identity() if "sdlb" in without else SDLB(dim, coupling=coupling)
        self.fdlb = Unchanged() if "fdlb" in without else FDLB(dim)
        self.hdfab = Merge(dim) if "hdfab" in without else HDFAB(dim)
        self.decoder = Decoder(dim, heads, depth, frequency=frequency)
        self.kinds = kinds_of(self)

    def checkpoint_activations(self) -> None:
        """Train with less memory and more time: the backward pass computes the inside of all blocks but HDFAB anew.
        Gradients stay the same."""
        for module in self.modules():
            if hasattr(module, "checkpointed"):
                module.checkpointed = True

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        """(B, 1, H, W) luminance in [0, 1], twice -> fused luminance (B, 1, H, W) in (0, 1).

        Raises ValueError for other shapes, unequal sizes, another dtype than the weights', NaN (see `check_pair`).
        """
        check_pair(vis, ir, minimum=MINIMUM_SIZE, network=self)
        with reused_memory() if in_bands(self, vis) else nullcontext():
            return self.decoder(self.aggregated(vis, ir))  # (B, 1, H, W)

    def aggregated(self, vis: Tensor, ir: Tensor) -> Tensor:
        """What the decoder reads, (B, C, H, W); a method, so that all else is freed before the decoder runs."""
        e_vis, e_ir = self.encoder(vis), self.encoder(ir)  # (B, C, H, W) each
        f_vis, f_ir = self.fdlb(e_vis, e_ir)  # (B, C, H, W) each
        s_vis = self.sdlb_vis(e_vis)  # (B, C, H, W)
        del e_vis  # here and below: frees features that nothing reads any more
        s_ir = self.sdlb_ir(e_ir)  # (B, C, H, W)
        del e_ir
        if not in_bands(self, vis):
            return self.hdfab(f_vis, f_ir, s_vis, s_ir)  # whole, for compilers
        crossed = self.hdfab.cross(f_vis, f_ir, s_vis, s_ir)  # (B, C, H, W) each
        del f_vis, f_ir, s_vis, s_ir
        return self.hdfab.join(*crossed)
