"""The transformer block's common parts: channel LayerNorm, gated feed-forward, and the block around an attention.

After Restormer (Zamir et al., CVPR 2022), as CMMDL uses it. All tensors are (B, C, H, W) and best kept in
`torch.channels_last`, see `net.fast.layout`.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from net.devices import without_autocast
from net.fast.bands import expand_and_filter, in_bands, kinds_of, one_by_one
from net.fast.layers import depthwise, pointwise
from net.fast.layout import image, keep_channels_last, pixels
from net.fast.parallel import in_parallel, shares
from net.fast.products import put_added
from net.fast.recompute import recomputed, recomputed_on_cpu
from net.fast.reuse import empty


class ChannelLayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel, (B, C, H, W) -> (B, C, H, W); biased variance, eps 1e-5."""

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def last(self, x: Tensor) -> Tensor:
        """The same for tensors that have their channels last, (..., C).

        Half precision stays half precision, though its sums are in float32: autocast's copies in float32, which the
        next layer rounds again, are two passes over memory.
        """
        if x.dtype == self.weight.dtype:
            return super().forward(x)
        with without_autocast(x.device):
            return F.layer_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)


class GDFN(nn.Module):
    """Gated depth-wise feed-forward network: `W_out (gelu(a) * b)` with `[a, b] = DW3x3(W_in x)`.

    Args:
        dim: channels in and out; each half has twice as many.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = 2 * dim
        self.project_in = nn.Conv2d(dim, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a, b = depthwise(self.dwconv, pointwise(self.project_in, x)).chunk(2, dim=1)
        return pointwise(self.project_out, F.gelu(a) * b)

    def by_bands(self, x: Tensor, norm: ChannelLayerNorm, out: Tensor) -> None:
        """`out = x + self(norm(x))` of one image (H, W, C), by bands."""
        expand, kernel, project = self.project_in.weight.flatten(1), self.dwconv.weight, self.project_out.weight
        halves = [project.shape[1]] * 2

        def work(part: slice) -> None:
            bands = expand_and_filter(lambda rows: norm.last(x[rows]), expand, kernel, x.shape[:2], part, widths=halves)
            for rows, (a, b) in bands:
                put_added(x[rows], F.gelu(a).mul_(b), project.flatten(1), out[rows])

        in_parallel(work, shares(len(x)))


class TransformerBlock(nn.Module):
    """`x + SFCA(norm1(x))`, then `x + GDFN(norm2(x))`; (B, C, H, W) in and out."""

    def __init__(self, dim: int, sfca: nn.Module) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(dim)
        self.sfca = sfca
        self.norm2 = ChannelLayerNorm(dim)
        self.gdfn = GDFN(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.sfca(self.norm1(x))
        return x + recomputed_on_cpu(lambda x: self.gdfn(self.norm2(x)), x, of=self)

    def by_bands(self, x: Tensor, scratch: list[Tensor]) -> Tensor:
        """`forward(x)` of one image (H, W, C), by bands, in the first of the four scratch tensors; x, overwritten too,
        takes its place among them."""
        self.sfca.by_bands(x, self.norm1, scratch)
        out, scratch[0] = scratch[0], x
        self.gdfn.by_bands(x, self.norm2, out)
        return out


class Transformer(nn.Sequential):
    """Transformer blocks in sequence; (B, C, H, W) in and out.

    Attributes:
        checkpointed: in training only each block's input is kept, and the backward pass computes the rest anew.
    """

    checkpointed = False

    def __init__(self, *blocks: TransformerBlock) -> None:
        super().__init__(*blocks)
        self.kinds = kinds_of(self)

    def forward(self, x: Tensor, *, overwrite: bool = False) -> Tensor:
        """overwrite: nobody reads x afterwards, so that inference may take its memory for the result."""
        if in_bands(self, x):
            return one_by_one(lambda x: self._by_bands(x, overwrite=overwrite), x)
        x = keep_channels_last(x)
        for block in self:
            x = recomputed(block, x, of=block, when=self.checkpointed)
        return keep_channels_last(x)

    def _by_bands(self, x: Tensor, *, overwrite: bool) -> Tensor:
        """What `forward` computes, of one image (1, C, H, W); all blocks share one set of large tensors."""
        x = pixels(x)
        x = x.contiguous() if overwrite else empty(x, *x.shape).copy_(x)
        scratch = [empty(x, *x.shape) for _ in range(4)]
        for block in self:
            x = block.by_bands(x, scratch)
        return image(x)
