"""FDLB: frequency-domain learning block, both modalities together in amplitude and phase."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.fast.bands import from_planes, in_bands, kinds_of, put_convolved, put_planes, row_bands
from net.fast.layers import pointwise
from net.fast.layout import for_dense, image, pixels
from net.fast.parallel import in_parallel
from net.fast.products import projected
from net.fast.recompute import recomputed
from net.fast.reuse import empty
from net.fourier import fix_branch_cut, irfft2, rfft2
from net.polar import amplitude_and_phase, from_polar, to_polar

EPS = 1e-8  # added to the features before their transform, as the release does
OFFSET = complex(2 * EPS, EPS)  # added to a mixed spectrum, as the release does: twice to the real part


class FDLB(nn.Module):
    """Mixes amplitudes within each modality and phases also across the two, then goes back to the image domain.

    With V^ = rfft2(P_v(V) + EPS), I^ = rfft2(P_i(I) + EPS) and C(a, p) = a e^(ip) + OFFSET:

        fused_phase = M_f([angle(V^), angle(I^)])
        r_m = | irfft2(C(M_am(|m^|), fused_phase)) | + | irfft2(C(M_am(|m^|), M_pm(angle(m^)))) |     for m in V, I
        out_m = conv3x3(r_m)

    P_m = `pre_*`, M_f = `phase_fused`, M_am = `amp_*`, M_pm = `pha_*`, the last convolution `post_*`.

    Takes and returns two (B, C, H, W) tensors, visible first.

    Attributes:
        checkpointed: in training only the inputs are kept, and the backward pass computes the rest anew.
    """

    checkpointed = False

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
        self.kinds = kinds_of(self)

    def forward(self, vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
        if in_bands(self, vis):
            pairs = [self._by_bands(*pair) for pair in zip(vis.split(1), ir.split(1), strict=True)]
            return pairs[0] if len(pairs) == 1 else tuple(map(torch.cat, zip(*pairs, strict=True)))
        whole = self._whole
        if torch.compiler.is_compiling():
            # Inductor has no code for complex numbers, and fails at the gradients of these layouts. A decorator would
            # load the compiler with every import.
            whole = torch.compiler.disable(whole)
        return recomputed(whole, vis, ir, of=self, when=self.checkpointed)

    def _whole(self, vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
        size = vis.shape[-2:]
        amplitude_vis, phase_vis = to_polar(pointwise(self.pre_vis, vis, planes=True) + EPS)  # (B, C, H, W // 2 + 1)
        amplitude_ir, phase_ir = to_polar(pointwise(self.pre_ir, ir, planes=True) + EPS)
        fused_phase = mix(self.phase_fused, torch.cat([phase_vis, phase_ir], dim=1))
        amplitude_vis, amplitude_ir = mix(self.amp_vis, amplitude_vis), mix(self.amp_ir, amplitude_ir)
        phase_vis, phase_ir = mix(self.pha_vis, phase_vis), mix(self.pha_ir, phase_ir)
        restored_vis, restored_ir = (
            from_polar(amplitude, fused_phase, size, OFFSET) + from_polar(amplitude, phase, size, OFFSET)
            for amplitude, phase in ((amplitude_vis, phase_vis), (amplitude_ir, phase_ir))
        )
        return self.post_vis(for_dense(restored_vis.to(vis.dtype))), self.post_ir(for_dense(restored_ir.to(ir.dtype)))

    def _by_bands(self, vis: Tensor, ir: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` computes, of one pair (1, C, H, W).

        Everything between the transforms is local to a bin, so bands of rows of the spectra pass through all of it.
        """
        spectra = [spectrum(self.pre_vis, vis), spectrum(self.pre_ir, ir)]  # (C, H, W // 2 + 1), complex
        bands = row_bands(slice(0, vis.shape[2]), 2 * spectra[0][:, 0].numel(), vis.element_size())
        fused_phase = empty(vis, *spectra[0].shape)

        def work(rows: slice) -> None:
            phases = torch.cat([amplitude_and_phase(one[:, rows])[1] for one in spectra]).flatten(1)  # (2C, P)
            fused_phase[:, rows] = mix_bins(self.phase_fused, phases).view(fused_phase[:, rows].shape)

        in_parallel(work, bands)
        size = vis.shape[-2:]

        def out(own: Tensor, mix_amplitude: nn.Sequential, mix_phase: nn.Sequential, post: nn.Conv2d) -> Tensor:
            planes = restored(own, fused_phase, mix_amplitude, mix_phase, bands, size)
            result = empty(vis, *size, len(planes))
            put_convolved(post, lambda rows: from_planes(planes[:, rows]), result)
            return image(result)

        out_vis = out(spectra.pop(0), self.amp_vis, self.pha_vis, self.post_vis)
        return out_vis, out(spectra.pop(0), self.amp_ir, self.pha_ir, self.post_ir)


def mixer(channels: int, dim: int) -> nn.Sequential:
    """1x1, LeakyReLU(0.1), 1x1: (B, channels, H, W) -> (B, dim, H, W)."""
    return nn.Sequential(nn.Conv2d(channels, dim, 1), nn.LeakyReLU(0.1), nn.Conv2d(dim, dim, 1))


def mix(layers: nn.Sequential, x: Tensor) -> Tensor:
    """A mixer on planes: (B, channels, H, W) -> (B, dim, H, W)."""
    first, activation, second = layers
    return pointwise(second, activation(pointwise(first, x, planes=True)), planes=True)


def spectrum(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """`rfft2(convolution(x) + EPS)` of one image (1, C, H, W) as (C, H, W // 2 + 1), real bins with an angle >= 0."""
    weight, bias = convolution.weight.flatten(1), convolution.bias + EPS
    points, size = pixels(x), x.shape[-2:]
    transformed = empty(x, len(bias), size[0], size[1] // 2 + 1, dtype=x.dtype.to_complex())
    planes = planes_within(transformed, size)

    def project(rows: slice) -> None:
        put_planes(projected(points[rows], weight, bias), planes[:, rows])

    def transform(channel: int) -> None:
        transformed[channel] = rfft2(planes[channel])

    in_parallel(project, row_bands(slice(0, size[0]), points[0].numel(), x.element_size()))
    in_parallel(transform, range(len(bias)))
    fix_branch_cut(transformed, size)
    return transformed


def planes_within(spectra: Tensor, size: torch.Size) -> Tensor:
    """Room for real planes (C, H, W) in the memory of spectra (C, H, W // 2 + 1), each in the place of its own."""
    return torch.view_as_real(spectra).flatten(1)[:, : size.numel()].unflatten(1, size)


def mix_bins(layers: nn.Sequential, x: Tensor) -> Tensor:
    """A mixer on bins in any order: (channels, P) -> (dim, P)."""
    first, activation, second = layers
    hidden = torch.addmm(first.bias[:, None], first.weight.flatten(1), x)
    hidden = F.leaky_relu_(hidden, activation.negative_slope)
    return torch.addmm(second.bias[:, None], second.weight.flatten(1), hidden)


def restored(
    own: Tensor,
    fused_phase: Tensor,
    mix_amplitude: nn.Sequential,
    mix_phase: nn.Sequential,
    bands: list[slice],
    size: torch.Size,
) -> Tensor:
    """r of one modality in planes (C, H, W), from its spectrum (C, H, W // 2 + 1), whose memory they take, and the
    fused phase."""
    fused, planes = empty(own, *own.shape), planes_within(own, size)

    def put_both(rows: slice) -> None:
        """Writes the two spectra that are inverted, with the fused phase and, in the place of `own`, its own."""
        own_amplitude, own_phase = amplitude_and_phase(own[:, rows])
        amplitude = mix_bins(mix_amplitude, own_amplitude.flatten(1))  # (C, P)
        put_polar(fused[:, rows], amplitude, fused_phase[:, rows].flatten(1))
        put_polar(own[:, rows], amplitude, mix_bins(mix_phase, own_phase.flatten(1)))

    def invert(channel: int) -> None:
        parts = (irfft2(one[channel], size).abs_() for one in (fused, own))
        torch.add(*parts, out=planes[channel])

    in_parallel(put_both, bands)
    in_parallel(invert, range(len(own)))
    return planes


def put_polar(out: Tensor, amplitude: Tensor, phase: Tensor) -> None:
    """Writes the spectrum that `from_polar` inverts, from (C, P) each, into (C, n, W // 2 + 1)."""
    real, imaginary = (amplitude * phase.cos()).add_(OFFSET.real), (amplitude * phase.sin()).add_(OFFSET.imag)
    out.copy_(torch.complex(real, imaginary).view(out.shape))
