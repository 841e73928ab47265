"""FDLB: frequency-domain learning block, both modalities together in amplitude and phase."""

import torch
from torch import Tensor, nn

from net.fourier import at_least_float32, irfft2, phase, rfft2

EPS = 1e-8  # keeps the derivative of an amplitude finite where the spectrum is zero


class FDLB(nn.Module):
    """Mixes amplitudes within each modality and phases also across the two, then goes back to the image domain.

    With V^ = rfft2(P_v(V)) and I^ = rfft2(P_i(I)):

        phase_fused = M_f([angle(V^), angle(I^)])
        r_m = | irfft2(M_am(|m^|), phase_fused) | + | irfft2(M_am(|m^|), M_pm(angle(m^))) |     for m in V, I
        out_m = conv3x3(r_m)

    Takes and returns two (B, C, H, W) tensors, visible first.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pre_vis = nn.Conv2d(dim, dim, 1)
        self.pre_ir = nn.Conv2d(dim, dim, 1)
        self.phase_fused = mixer(2 * dim, dim)
        self.amp_vis = mixer(dim, dim)
        self.amp_ir = mixer(dim, dim)
        self.pha_vis = mixer(dim, dim)
        self.pha_ir = mixer(dim, dim)
        self.post_vis = nn.Conv2d(dim, dim, 3, padding=1)
        self.post_ir = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
        size = vis.shape[-2:]
        spectrum_vis = rfft2(self.pre_vis(vis) + EPS)  # (B, C, H, W // 2 + 1), complex
        spectrum_ir = rfft2(self.pre_ir(ir) + EPS)
        phase_vis, phase_ir = phase(spectrum_vis, size), phase(spectrum_ir, size)
        fused = self.phase_fused(torch.cat([phase_vis, phase_ir], dim=1))
        amplitude_vis, amplitude_ir = self.amp_vis(spectrum_vis.abs()), self.amp_ir(spectrum_ir.abs())
        restored_vis = image(amplitude_vis, fused, size) + image(amplitude_vis, self.pha_vis(phase_vis), size)
        restored_ir = image(amplitude_ir, fused, size) + image(amplitude_ir, self.pha_ir(phase_ir), size)
        return self.post_vis(restored_vis.to(vis.dtype)), self.post_ir(restored_ir.to(ir.dtype))


def mixer(channels: int, dim: int) -> nn.Sequential:
    """1x1, LeakyReLU(0.1), 1x1: (B, channels, H, W) -> (B, dim, H, W)."""
    return nn.Sequential(nn.Conv2d(channels, dim, 1), nn.LeakyReLU(0.1), nn.Conv2d(dim, dim, 1))


def image(amplitude: Tensor, angle: Tensor, size: tuple[int, int]) -> Tensor:
    """|irfft2| of a spectrum in polar form; EPS is added as the release does, twice to the real part."""
    amplitude, angle = at_least_float32(amplitude), at_least_float32(angle)
    spectrum = torch.complex(amplitude * torch.cos(angle) + 2 * EPS, amplitude * torch.sin(angle) + EPS)
    return irfft2(spectrum, size).abs()
