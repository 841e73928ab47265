"""SFCA: spatial-frequency cascaded attention (CMMDL, the attention of every transformer block)."""

import math

import torch
from torch import Tensor, nn

from net.devices import without_autocast
from net.fast.bands import expand_and_filter, from_planes, put_planes, row_bands
from net.fast.layers import depthwise, is_plain, mix_channels, pointwise
from net.fast.parallel import in_parallel, shares
from net.fast.products import put_added
from net.fast.recompute import recomputed_on_cpu
from net.fourier import at_least_float32, circular_convolution, convolve_in_place
from net.restormer import ChannelLayerNorm

MIN_WIDTH = 16  # channels of a matrix product; narrower matrix products are slower in total


class SFCA(nn.Module):
    """A spatial stage, then a frequency stage that reads the spatial stage's output; (B, C, H, W) in and out.

    `[q, k, v, u] = DW3x3(W_qkvu x)`, each (C, HW) and split into heads.

    Spatial: transposed attention between the channels of each head,
    `A = softmax(temperature * q k^T)` with q and k normalised over the pixels, `s = W_s (A v)`.

    Frequency: `[k_f, v_f] = DW3x3(W_kv s)`, a circular convolution over the whole image
    `c = LN(irfft2(rfft2(u) * rfft2(k_f)))`, `f = W_f (c * v_f)`; the output is `f + s`.

    `W_s` is `project_s`, `W_f` is `project_f`.

    Args:
        dim: channels in and out, a multiple of `heads`.
        heads: groups of channels that attend within themselves.
        frequency: False leaves the frequency stage out (an ablation); the output is then `s`.
    """

    def __init__(self, dim: int, heads: int, *, frequency: bool = True) -> None:
        super().__init__()
        self.dim, self.heads, self.frequency = dim, heads, frequency
        streams = 4 if frequency else 3
        self.temperature = nn.Parameter(torch.ones(1, heads, 1, 1))
        self.qkvu = nn.Conv2d(dim, streams * dim, 1, bias=False)
        self.qkvu_dw = nn.Conv2d(streams * dim, streams * dim, 3, padding=1, groups=streams * dim, bias=False)
        self.project_s = nn.Conv2d(dim, dim, 1, bias=False)
        if frequency:
            self.kv_f = nn.Conv2d(dim, 2 * dim, 1, bias=False)
            self.kv_f_dw = nn.Conv2d(2 * dim, 2 * dim, 3, padding=1, groups=2 * dim, bias=False)
            self.norm_f = ChannelLayerNorm(dim)
            self.project_f = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        streams = recomputed_on_cpu(lambda x: depthwise(self.qkvu_dw, pointwise(self.qkvu, x)), x, of=self)
        q, k, v, *u = streams.split(self.dim, dim=1)
        attention, folds = self._channel_attention(q, k), self._folds()  # (B, C, C)
        if folds:  # `W_s (A v)` is one matrix product: the small matrix `W_s A` replaces a pass over the image
            mix = self.project_s.weight.flatten(1) @ attention  # (B, C, C)
            s = mix_channels(mix, v)
        else:
            s = self.project_s(mix_channels(attention, v))
        if not self.frequency:
            return s
        if folds:  # likewise `W_kv s = (W_kv W_s A) v`
            expand = self.kv_f.weight.flatten(1) @ mix  # (B, 2C, C)
            streams = recomputed_on_cpu(lambda v, e: depthwise(self.kv_f_dw, mix_channels(e, v)), v, expand, of=self)
        else:
            streams = recomputed_on_cpu(lambda s: depthwise(self.kv_f_dw, self.kv_f(s)), s, of=self)
        k_f, v_f = streams.split(self.dim, dim=1)
        c = circular_convolution(*u, k_f).to(x.dtype)
        return pointwise(self.project_f, self.norm_f(c) * v_f) + s

    def _folds(self) -> bool:
        """Whether `W_s` and `W_kv` may be joined with the attention's matrix: their weights tell what they compute."""
        layers = [self.project_s, self.kv_f] if self.frequency else [self.project_s]
        return all(is_plain(layer, kernel=1) and layer.bias is None for layer in layers)

    def by_bands(self, x: Tensor, norm: ChannelLayerNorm, scratch: list[Tensor]) -> None:
        """`x += self(norm(x))` of one image (H, W, C), by bands; `scratch` is four tensors of its size."""
        v, v_f, *planes = scratch
        u, k_f = (plane.view(self.dim, *x.shape[:2]) for plane in planes)
        mix = self._spatial(x, norm, v, u)
        if not self.frequency:
            put_added(x, v, mix, x)
            return
        self._frequency(x, mix, v, k_f, v_f)
        convolve_in_place(u, k_f)

        def work(rows: slice) -> None:
            c = self.norm_f.last(from_planes(u[:, rows])).mul_(v_f[rows])
            band = x[rows]
            put_added(band, c, self.project_f.weight.flatten(1), band)

        in_parallel(work, row_bands(slice(0, len(x)), x[0].numel(), x.element_size()))

    def _spatial(self, x: Tensor, norm: ChannelLayerNorm, v: Tensor, u: Tensor) -> Tensor:
        """Writes v (H, W, C) and u in planes (C, H, W); returns the matrix with `s = mix v`, (C, C).

        q and k are never stored: their products and squares are summed over the bands.
        """
        dim = self.dim
        groups = math.gcd(self.heads, max(1, dim // MIN_WIDTH))  # of neighbouring heads; each group is one product
        expand, kernel = self.qkvu.weight.flatten(1), self.qkvu_dw.weight
        widths = [2 * dim, dim, dim] if self.frequency else [2 * dim, dim]

        def work(part: slice) -> tuple[Tensor, Tensor]:
            products, squares = x.new_zeros(groups, dim // groups, dim // groups), x.new_zeros(2 * dim)
            bands = expand_and_filter(lambda rows: norm.last(x[rows]), expand, kernel, x.shape[:2], part, widths=widths)
            for rows, (qk, of_v, *of_u) in bands:
                q, k = qk.flatten(0, 1).unflatten(1, (2, groups, -1)).permute(1, 2, 0, 3)  # (groups, P, C / groups)
                products.baddbmm_(q.transpose(1, 2), k)
                squares += qk.square().sum((0, 1))
                v[rows] = of_v
                if self.frequency:
                    put_planes(*of_u, u[:, rows])
            return products, squares

        products, squares = map(sum, zip(*in_parallel(work, shares(len(x))), strict=True))
        products = torch.block_diag(*products)  # (C, C)
        attention = self._attention(products[None], squares[None, :dim], squares[None, dim:])[0]
        return self.project_s.weight.flatten(1) @ attention

    def _frequency(self, x: Tensor, mix: Tensor, v: Tensor, k_f: Tensor, v_f: Tensor) -> None:
        """Writes k_f in planes (C, H, W) and v_f (H, W, C), and adds s to x."""
        kv, kernel, widths = self.kv_f.weight.flatten(1) @ mix, self.kv_f_dw.weight, [self.dim] * 2

        def work(part: slice) -> None:
            bands = expand_and_filter(lambda rows: v[rows], kv, kernel, x.shape[:2], part, widths=widths)
            for rows, (of_k, of_v) in bands:
                put_planes(of_k, k_f[:, rows])
                v_f[rows] = of_v
                band = x[rows]
                put_added(band, v[rows], mix, band)

        in_parallel(work, shares(len(x)))

    def _channel_attention(self, q: Tensor, k: Tensor) -> Tensor:
        """Softmax attention of each head as the blocks of one block-diagonal matrix, (B, C, C).

        All heads' products are blocks on the diagonal of one C x C product, which is faster than one thin product per
        head, and each row of the image has a product of its own: one sum over all pixels would keep few of a GPU's
        processors busy.
        """
        q, k = (at_least_float32(x).permute(0, 2, 3, 1) for x in (q, k))  # (B, H, W, C)
        with without_autocast(q.device):  # in bf16 the gradients of product and norm do not cancel
            products = (q.transpose(2, 3) @ k).sum(1)
            return self._attention(products, q.square().sum((1, 2)), k.square().sum((1, 2)))

    def _attention(self, products: Tensor, squares_q: Tensor, squares_k: Tensor) -> Tensor:
        """Attention (B, C, C) from q k^T (B, C, C) and the sums over the pixels of q^2 and k^2, (B, C) each.

        Dividing the products by the norms equals normalising q and k over the pixels first; the softmax gives what
        lies outside the heads' blocks a weight of zero.
        """
        # norms of at least 1e-12; clamped before the root, whose slope at 0 is infinite
        norm_q, norm_k = squares_q.clamp_min(1e-24).sqrt(), squares_k.clamp_min(1e-24).sqrt()  # (B, C)
        cosine = products / (norm_q[:, :, None] * norm_k[:, None, :])  # (B, C, C)
        width = self.dim // self.heads
        temperature = self.temperature.flatten().repeat_interleave(width)[:, None]  # (C, 1)
        head = torch.arange(self.dim, device=cosine.device) // width
        other_head = head[:, None] != head  # (C, C)
        return (cosine * temperature).masked_fill(other_head, -torch.inf).softmax(dim=-1)
