"""HDFAB: heterogeneous-domain feature aggregation block (the journal abstract calls it HDFFB)."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from net.fast.bands import BAND_BYTES, in_bands, kinds_of, one_by_one, row_bands
from net.fast.dense import Direct, Winograd, dense
from net.fast.layers import pointwise
from net.fast.layout import for_dense, image, pixels
from net.fast.parallel import in_parallel, shares
from net.fast.products import projected
from net.fast.reuse import empty

DENSE_BYTES = 2 * BAND_BYTES  # a band's features in the dense stages, which wait for arithmetic, not for memory


class CBR(nn.Sequential):
    """1x1 convolution, BatchNorm, ReLU6: (B, C_in, H, W) -> (B, C_out, H, W)."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__(nn.Conv2d(channels, dim, 1, bias=False), nn.BatchNorm2d(dim), nn.ReLU6(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        convolution, norm, activation = self
        return activation(norm(pointwise(convolution, x)))


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
        return x * self.gains(self[0](x))

    def gains(self, mean: Tensor) -> Tensor:
        """The channels' weights for channels with these means, (B, C, 1, 1) in and out."""
        for layer in list(self)[1:]:
            mean = layer(mean)
        return mean


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
        self.kinds = kinds_of(self)

    def forward(self, f_vis: Tensor, f_ir: Tensor, s_vis: Tensor, s_ir: Tensor) -> Tensor:
        return self.join(*self.cross(f_vis, f_ir, s_vis, s_ir))

    def cross(self, f_vis: Tensor, f_ir: Tensor, s_vis: Tensor, s_ir: Tensor) -> tuple[Tensor, Tensor]:
        """`CBR_1([F_v, S_i])` and `CBR_2([S_v, F_i])`, (B, C, H, W) each."""
        pairs = (self.cbr_1, f_vis, s_ir), (self.cbr_2, s_vis, f_ir)
        if in_bands(self, f_vis):
            return tuple(one_by_one(partial(cbr_by_bands, block), *pair) for block, *pair in pairs)
        return tuple(block(torch.cat(pair, dim=1)) for block, *pair in pairs)

    def join(self, m1: Tensor, m2: Tensor) -> Tensor:
        """What comes after `cross`: (B, C, H, W) twice -> (B, C, H, W)."""
        if in_bands(self, m1):
            return one_by_one(self._join_by_bands, m1, m2)
        m = torch.cat([m1, m2], dim=1)  # (B, 2C, H, W)
        summary = torch.cat([m.mean(1, keepdim=True), m.max(1, keepdim=True).values], dim=1)  # (B, 2, H, W)
        m = m + torch.sigmoid(self.spatial(summary)) * m
        x1, x2 = m.chunk(2, dim=1)
        features = for_dense(self.cbr_3(m))
        for stage in self.dense[:-1]:
            features = torch.cat([features, stage(features)], dim=1)  # (B, kC, H, W)
        return self.channel_1(x1) + self.channel_2(x2) + self.dense[-1](features)

    def _join_by_bands(self, m1: Tensor, m2: Tensor) -> Tensor:
        """What `join` computes, of one image (1, C, H, W) twice; every BatchNorm is folded into its convolution."""
        m1, m2 = pixels(m1), pixels(m2)
        height, width, dim = m1.shape
        mean, highest = (m1.mean(-1) + m2.mean(-1)) / 2, torch.maximum(m1.amax(-1), m2.amax(-1))
        summary = torch.stack([mean, highest])[None]  # (1, 2, H, W)
        weight = 1 + torch.sigmoid(self.spatial(summary))[0].permute(1, 2, 0)  # (H, W, 1): m + w m = (1 + w) m
        means = (weight.flatten() @ half.flatten(0, 1) / (height * width) for half in (m1, m2))  # (C,) each
        blocks = zip((self.channel_1, self.channel_2), means, strict=True)
        gains = [block.gains(mean[None, :, None, None]).flatten() for block, mean in blocks]  # (C,) each
        stages = [dense(*folded(stage[0], stage[1], stage[2])) for stage in self.dense]
        cbr_3 = halves(self.cbr_3)
        y = empty(m1, height, width, dim)

        def first(rows: slice) -> Tensor:
            return folded_cbr(m1[rows], m2[rows], *cbr_3, gain=weight[rows])

        def work(part: slice) -> None:
            for rows, features in dense_stages(first, stages, y, part):
                gained = (m1[rows] * gains[0]).addcmul_(m2[rows], gains[1])
                torch.addcmul(features, gained, weight[rows], out=y[rows])

        small = len(stages) * y.numel() * y.element_size() <= DENSE_BYTES  # shares would mostly overlap
        in_parallel(work, [slice(0, height)] if small else shares(height))
        return image(y)


def dense_stages(
    source: Callable[[slice], Tensor], stages: list[Direct] | list[Winograd], y: Tensor, part: slice
) -> Iterator[tuple[slice, Tensor]]:
    """Stages of 3x3 convolution and ReLU, each of which reads the results of all before it, by bands of a part.

    Within the part nothing is computed twice: each stage is a row ahead of the next, and what later bands read of it is
    kept, prepared for the convolutions of all stages.

    Args:
        source: gives rows of the first stage's input, (n, W, C); it is asked for each row once.
        stages: the k-th maps kC channels to C, k = 1, 2, ...
        y: a tensor like the last stage's result, (H, W, C).
        part: rows that are wanted.

    Yields:
        The band and its rows of the last stage's result, (n, W, C).
    """
    (height, width, dim), ahead, form = y.shape, len(stages), stages[0]
    bands = row_bands(part, width * ahead * dim, y.element_size(), DENSE_BYTES)
    tallest = max(band.stop - band.start for band in bands)
    known = y.new_zeros(form.points, tallest + 2 * ahead, form.columns(width), ahead * dim)
    done = [max(0, part.start - ahead + k) for k in range(ahead + 1)]  # rows of source and of each stage
    for band in bands:
        count, top = band.stop - band.start, band.start - ahead  # `known` holds the rows from `top` on
        known[:, max(0, height - top) :] = 0  # below the image
        for k in range(ahead + 1):
            rows = slice(done[k], min(height, band.stop + ahead - k))
            done[k] = rows.stop
            if rows.start == rows.stop:
                continue
            here = slice(rows.start - top, rows.stop - top)
            if k == 0:
                features = source(rows)
            else:
                features = y.new_empty(rows.stop - rows.start, width, dim)
                stages[k - 1].put(known[:, here.start - 1 : here.stop + 1, :, : k * dim], features)
                features.relu_()
            if k < ahead:
                form.prepare(features, known[:, here, :, k * dim : (k + 1) * dim])
        yield band, features
        known[:, : 2 * ahead] = known[:, count : count + 2 * ahead].clone()


def cbr_by_bands(block: CBR, first: Tensor, second: Tensor) -> Tensor:
    """`block([first, second])` of one image (1, C, H, W), by bands."""
    first, second = pixels(first), pixels(second)
    weights = halves(block)
    out = empty(first, *first.shape)

    def work(rows: slice) -> None:
        out[rows] = folded_cbr(first[rows], second[rows], *weights)

    in_parallel(work, row_bands(slice(0, len(out)), out[0].numel(), out.element_size()))
    return image(out)


def folded_cbr(
    first: Tensor, second: Tensor, of_first: Tensor, of_second: Tensor, bias: Tensor, *, gain: Tensor | None = None
) -> Tensor:
    """A CBR of two inputs' channels together, (n, W, C) each; a product with each half replaces the concatenation.

    Args:
        of_first, of_second, bias: the block's `halves`.
        gain: what the inputs are multiplied by first, (n, W, 1).
    """
    if gain is None:
        return projected(first, of_first, bias).add_(projected(second, of_second)).clamp_(0, 6)
    product = projected(first, of_first).add_(projected(second, of_second))
    return torch.addcmul(bias, product, gain, out=product).clamp_(0, 6)


def halves(block: CBR) -> tuple[Tensor, Tensor, Tensor]:
    """Both halves of the weight, (C, C) each, and bias (C,) of a CBR's convolution with its BatchNorm folded in."""
    weight, bias = folded(block[0], block[1])
    return *weight.flatten(1).chunk(2, dim=1), bias


def folded(convolution: nn.Conv2d, *norms: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals a convolution without bias and then `norms` in eval mode."""
    weight, bias = convolution.weight, torch.zeros_like(norms[0].running_mean)
    for norm in norms:
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight, bias = weight * scale[:, None, None, None], (bias - norm.running_mean) * scale + norm.bias
    return weight, bias
