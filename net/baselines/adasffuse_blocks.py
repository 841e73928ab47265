"""AdaSFFuse's parts: the learnable wavelet transform and the state-space block with a frequency filter.

Source: AdaSFFuse (arXiv 2508.15505) and its release.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.baselines.dilated import DilatedDepthwiseConv
from net.baselines.scan import scan
from net.baselines.wavelet import haar_taps, wavelet_kernels, wavelet_step
from net.fourier import at_least_float32

HEAD = 64  # channels of one head of the scan
STATES = 64  # entries of the scan's state per channel


class LearnableDWT(nn.Module):
    """One step of a wavelet transform with learned 2-tap filters (Haar at first), each band then filtered.

    (B, C, H, W) to high (B, 3C, h, w), the bands LH, HL, HH one after the other, and low (B, C, h, w), with
    h, w = H/2, W/2; an odd row or column is repeated first.

    `high_mix` mixes each three neighbouring channels of that order, as the release does: channels of one band, or of
    two where a triple straddles them, not the three bands of one channel.
    """

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.low_taps, self.high_taps = map(nn.Parameter, haar_taps())
        self.high_mix = nn.Conv2d(3 * dim, 3 * dim, 3, padding=1, groups=dim)
        self.low_mix = DilatedDepthwiseConv(dim, dilation=3, bias=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        dim, height, width = x.shape[1:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        kernels = wavelet_kernels(self.low_taps, self.high_taps).repeat(dim, 1, 1, 1)  # (4 dim, 1, 2, 2)
        low, high = wavelet_step(x, kernels)
        return F.gelu(self.high_mix(high)), F.gelu(self.low_mix(low))


class LearnableIDWT(nn.Module):
    """The inverse step with its own learned filters: high (B, 3C, h, w), low (B, C, h, w) to (B, C, 2h, 2w)."""

    def __init__(self) -> None:
        super().__init__()
        self.low_taps, self.high_taps = map(nn.Parameter, haar_taps())

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        dim = low.shape[1]
        bands = torch.cat((low, high), dim=1).unflatten(1, (4, dim))  # (B, 4, dim, h, w)
        bands = bands.transpose(1, 2).flatten(1, 2)  # (B, 4 dim, h, w): four bands per channel
        kernels = wavelet_kernels(self.low_taps, self.high_taps).repeat(dim, 1, 1, 1)  # (4 dim, 1, 2, 2)
        return F.conv_transpose2d(bands, kernels, stride=2, groups=dim)


class FrequencyFilter(nn.Module):
    """Every frequency of the token sequence times one complex number per channel: irfft(w rfft(u)), (B, C, L) kept.

    The result has no use for an imaginary part at frequency zero and, for even L, at the highest one; libraries differ
    in what they do with it, so it is cleared here. Computed in float32 at least.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.trunc_normal_(torch.empty(channels, 2), std=0.02))  # real, imaginary

    def forward(self, u: Tensor) -> Tensor:
        exact, length = at_least_float32(u), u.shape[-1]
        weight = torch.complex(*self.weight.to(exact.dtype).unbind(-1)).unsqueeze(-1)  # (C, 1), of any layout
        spectrum = torch.fft.rfft(exact) * weight  # (B, C, L // 2 + 1)
        imaginary = torch.view_as_real(spectrum)[..., 1]
        imaginary[..., 0] = 0
        if length % 2 == 0:
            imaginary[..., -1] = 0
        return torch.fft.irfft(spectrum, n=length).to(u.dtype)


class Mixer(nn.Module):
    """State-space mixer over the tokens, row by row, with a spatial and a frequency filter before the scan.

    z, u, delta = W_in x;  u = silu(DW3x3(u)) + frequency_filter(u);  x_s, B, C = u;
    y = scan(x_s, softplus(delta + bias), -exp(A_log), B, C, D);  out = W_out (norm(y) * z)

    (B, L, dim) to (B, L, dim), L = height * width tokens.
    """

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.inner = 2 * dim
        heads = self.inner // HEAD
        self.sizes = (self.inner, self.inner + 2 * STATES, heads)
        self.in_proj = nn.Linear(dim, sum(self.sizes), bias=False)
        self.spatial = nn.Conv2d(self.sizes[1], self.sizes[1], 3, padding=1, groups=self.sizes[1])
        self.frequency = FrequencyFilter(channels=self.sizes[1])
        step = torch.exp(torch.empty(heads).uniform_(math.log(1e-3), math.log(0.1))).clamp(min=1e-4)
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus of it gives the step
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = nn.LayerNorm(self.inner)
        self.out_proj = nn.Linear(self.inner, dim, bias=False)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        z, u, delta = self.in_proj(tokens).split(self.sizes, dim=-1)  # each (B, L, its size)
        u = u.transpose(1, 2).contiguous()  # (B, inner + 2 STATES, L)
        spatial = self.spatial(u.unflatten(2, (height, width))).flatten(2)  # (B, inner + 2 STATES, L)
        u = (F.silu(spatial) + self.frequency(u)).transpose(1, 2)  # (B, L, inner + 2 STATES)
        x, b, c = u.split((self.inner, STATES, STATES), dim=-1)
        y = scan(
            x.unflatten(2, (-1, HEAD)),  # (B, L, heads, HEAD)
            F.softplus(delta + self.dt_bias),  # (B, L, heads)
            -self.A_log.exp(),
            b,
            c,
            self.D,
        ).flatten(2)  # (B, L, inner)
        return self.out_proj(self.norm(y) * z)


class GatedMLP(nn.Module):
    """W_2 (silu(u) * v), [u, v] = W_1 x, with dropout on its output in training; (B, L, dim) to (B, L, dim)."""

    def __init__(self, *, dim: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        u, v = self.fc1(tokens).chunk(2, dim=-1)  # 2 x (B, L, 2 dim)
        return self.dropout(self.fc2(F.silu(u) * v))


class MixerBlock(nn.Module):
    """x + mixer(norm1(x)), then x + mlp(norm2(x)); (B, L, dim) to (B, L, dim)."""

    def __init__(self, *, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.mixer = Mixer(dim=dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = GatedMLP(dim=dim, dropout=dropout)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        tokens = tokens + self.mixer(self.norm1(tokens), height, width)
        return tokens + self.mlp(self.norm2(tokens))


class MixerStage(nn.Module):
    """Some `MixerBlock`s on a map, whose pixels become tokens row by row; (B, dim, H, W) to (B, dim, H, W)."""

    def __init__(self, *, dim: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MixerBlock(dim=dim, dropout=dropout) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        tokens = x.flatten(2).transpose(1, 2)  # (B, H*W, dim)
        for block in self.blocks:
            tokens = block(tokens, height, width)
        return tokens.transpose(1, 2).unflatten(2, (height, width))  # (B, dim, H, W)
