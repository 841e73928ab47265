"""CMMDL as a reader would write it down from the formulas: the yardstick for every speed and memory figure.

NCHW, one operation after the other, nothing folded, nothing shared. The parameters carry the names of `net.CMMDL`,
so both sides of a comparison run on the same weights: `LiteralCMMDL().load_state_dict(net.CMMDL().state_dict())`.
A test holds the two networks equal.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm(nn.Module):
    """Normalises the channels of each pixel: (x - mean) / sqrt(var + eps) * weight + bias."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        var = x.var(1, keepdim=True, unbiased=False)
        normal = (x - mean) / torch.sqrt(var + 1e-5)
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


class SFCA(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(1, heads, 1, 1))
        self.qkvu = nn.Conv2d(dim, 4 * dim, 1, bias=False)
        self.qkvu_dw = nn.Conv2d(4 * dim, 4 * dim, 3, padding=1, groups=4 * dim, bias=False)
        self.project_s = nn.Conv2d(dim, dim, 1, bias=False)
        self.kv_f = nn.Conv2d(dim, 2 * dim, 1, bias=False)
        self.kv_f_dw = nn.Conv2d(2 * dim, 2 * dim, 3, padding=1, groups=2 * dim, bias=False)
        self.norm_f = LayerNorm(dim)
        self.project_f = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k, v, u = self.qkvu_dw(self.qkvu(x)).chunk(4, dim=1)
        q, k, v = (t.reshape(b, self.heads, c // self.heads, h * w) for t in (q, k, v))
        q = F.normalize(q, dim=-1)
        k = F.normalize(k, dim=-1)
        attention = (q @ k.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        s = self.project_s((attention @ v).reshape(b, c, h, w))
        k_f, v_f = self.kv_f_dw(self.kv_f(s)).chunk(2, dim=1)
        spectrum = torch.fft.rfft2(u) * torch.fft.rfft2(k_f)
        circular = self.norm_f(torch.fft.irfft2(spectrum, s=(h, w)))
        return self.project_f(circular * v_f) + s


class GDFN(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(dim, 4 * dim, 1, bias=False)
        self.dwconv = nn.Conv2d(4 * dim, 4 * dim, 3, padding=1, groups=4 * dim, bias=False)
        self.project_out = nn.Conv2d(2 * dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(a) * b)


class Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = LayerNorm(dim)
        self.sfca = SFCA(dim, heads)
        self.norm2 = LayerNorm(dim)
        self.gdfn = GDFN(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.sfca(self.norm1(x))
        return x + self.gdfn(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self, dim: int, heads: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, dim, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.embed(x))


class Bottleneck(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(dim, 2 * dim, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * dim, 2 * dim, 3, groups=2 * dim, bias=False)
        self.project = nn.Conv2d(2 * dim, dim, 1, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        hidden = F.relu6(self.expand(z))
        hidden = F.pad(hidden, (1, 1, 1, 1), mode="reflect")
        hidden = F.relu6(self.dwconv(hidden))
        return self.project(hidden) + z


class Coupling(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.phi = Bottleneck(dim // 2)
        self.rho = Bottleneck(dim // 2)
        self.eta = Bottleneck(dim // 2)

    def forward(self, x: Tensor) -> Tensor:
        z1, z2 = x.chunk(2, dim=1)
        y1 = z1 + self.phi(z1)
        scale = 0.8 * (2 * torch.sigmoid(self.rho(y1)) - 1)
        y2 = z2 * torch.exp(scale) + self.eta(y1)
        return torch.cat([y1, y2], dim=1)


class SDLB(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.couplings = nn.Sequential(*(Coupling(dim) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.couplings(x)


def angle(spectrum: Tensor, size: tuple[int, int]) -> Tensor:
    """Angles of `rfft2` of images of this size; at the bins that are real, where round-off decides, never -pi."""
    phase = torch.angle(spectrum)
    height, width = size
    real = torch.zeros(phase.shape[-2:], dtype=torch.bool, device=phase.device)
    for row in {0, height // 2} if height % 2 == 0 else {0}:
        for column in {0, width // 2} if width % 2 == 0 else {0}:
            real[row, column] = True
    return torch.where(real & (phase < -3.14159), torch.full_like(phase, math.pi), phase)


def polar(amplitude: Tensor, phase: Tensor) -> Tensor:
    return torch.complex(amplitude * torch.cos(phase) + 1e-8, amplitude * torch.sin(phase) + 1e-8) + 1e-8


class FDLB(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()

        def mix(channels: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(channels, dim, 1), nn.LeakyReLU(0.1), nn.Conv2d(dim, dim, 1))

        self.pre_vis, self.pre_ir = nn.Conv2d(dim, dim, 1), nn.Conv2d(dim, dim, 1)
        self.phase_fused = mix(2 * dim)
        self.amp_vis, self.amp_ir = mix(dim), mix(dim)
        self.pha_vis, self.pha_ir = mix(dim), mix(dim)
        self.post_vis, self.post_ir = nn.Conv2d(dim, dim, 3, padding=1), nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
        size = vis.shape[-2:]
        spectrum_vis = torch.fft.rfft2(self.pre_vis(vis) + 1e-8)
        spectrum_ir = torch.fft.rfft2(self.pre_ir(ir) + 1e-8)
        fused = self.phase_fused(torch.cat([angle(spectrum_vis, size), angle(spectrum_ir, size)], dim=1))

        def back(amplitude: Tensor, own: Tensor) -> Tensor:
            with_fused = torch.fft.irfft2(polar(amplitude, fused), s=size).abs()
            with_own = torch.fft.irfft2(polar(amplitude, own), s=size).abs()
            return with_fused + with_own

        out_vis = back(self.amp_vis(spectrum_vis.abs()), self.pha_vis(angle(spectrum_vis, size)))
        out_ir = back(self.amp_ir(spectrum_ir.abs()), self.pha_ir(angle(spectrum_ir, size)))
        return self.post_vis(out_vis), self.post_ir(out_ir)


class CBR(nn.Sequential):
    def __init__(self, dim: int) -> None:
        super().__init__(nn.Conv2d(2 * dim, dim, 1, bias=False), nn.BatchNorm2d(dim), nn.ReLU6())


class ChannelAttention(nn.Sequential):
    def __init__(self, dim: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(dim, dim // 2, 1), nn.BatchNorm2d(dim // 2), nn.ReLU(),
            nn.Conv2d(dim // 2, dim, 1), nn.BatchNorm2d(dim), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(x)


class DenseStage(nn.Sequential):
    def __init__(self, channels: int, dim: int) -> None:
        super().__init__(
            nn.Conv2d(channels, dim, 3, padding=1, bias=False), nn.BatchNorm2d(dim), nn.BatchNorm2d(dim), nn.ReLU()
        )


class HDFAB(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.cbr_1, self.cbr_2, self.cbr_3 = CBR(dim), CBR(dim), CBR(dim)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.channel_1, self.channel_2 = ChannelAttention(dim), ChannelAttention(dim)
        self.dense = nn.ModuleList(DenseStage(k * dim, dim) for k in range(1, 5))

    def forward(self, f_vis: Tensor, f_ir: Tensor, s_vis: Tensor, s_ir: Tensor) -> Tensor:
        a = self.cbr_1(torch.cat([f_vis, s_ir], dim=1))
        b = self.cbr_2(torch.cat([s_vis, f_ir], dim=1))
        m = torch.cat([a, b], dim=1)
        weight = torch.sigmoid(self.spatial(torch.cat([m.mean(1, keepdim=True), m.max(1, keepdim=True).values], dim=1)))
        m = weight * m + m
        x1, x2 = m.chunk(2, dim=1)
        features = [self.cbr_3(m)]
        for stage in self.dense:
            features.append(stage(torch.cat(features, dim=1)))
        return self.channel_1(x1) + self.channel_2(x2) + features[-1]


class Decoder(nn.Module):
    def __init__(self, dim: int, heads: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(depth)))
        self.head = nn.Sequential(
            nn.Conv2d(dim, dim // 2, 3, padding=1, bias=False),
            nn.LeakyReLU(0.01),
            nn.Conv2d(dim // 2, 1, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.head(self.blocks(x)))


class LiteralCMMDL(nn.Module):
    """(vis, ir), each (B, 1, H, W) in [0, 1] -> fused luminance (B, 1, H, W) in (0, 1)."""

    def __init__(self, dim: int = 64, heads: int = 8, depth: int = 4) -> None:
        super().__init__()
        self.encoder = Encoder(dim, heads, depth)
        self.sdlb_vis, self.sdlb_ir = SDLB(dim), SDLB(dim)
        self.fdlb = FDLB(dim)
        self.hdfab = HDFAB(dim)
        self.decoder = Decoder(dim, heads, depth)

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        vis, ir = self.encoder(vis), self.encoder(ir)
        f_vis, f_ir = self.fdlb(vis, ir)
        return self.decoder(self.hdfab(f_vis, f_ir, self.sdlb_vis(vis), self.sdlb_ir(ir)))
