"""Fusion rules that need no learning: the baseline that every network is compared with.

Each takes and returns luminance (B, 1, H, W), like a network. The two pyramid rules go through OpenCV and PyWavelets on
the CPU and carry no gradient.
"""

from collections.abc import Callable

import cv2
import numpy as np
import pywt
import torch
from torch import Tensor, nn

from net.checks import check_pair
from net.method import Method

LEVELS = 4  # of pyramids, and of wavelets where the image is large enough
WAVELET = "sym4"


class Average(nn.Module):
    """The mean of the two images."""

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        check_pair(vis, ir, minimum=1)
        return (vis + ir) / 2


class Maximum(nn.Module):
    """The brighter of the two images at every pixel."""

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        check_pair(vis, ir, minimum=1)
        return torch.maximum(vis, ir)


class LaplacianPyramid(nn.Module):
    """Laplacian pyramids: at each level the coefficient of larger magnitude, the mean of the coarsest images.

    Source: Burt and Adelson, "The Laplacian pyramid as a compact image code", 1983; Burt and Kolczynski, "Enhanced
    image capture through fusion", 1993.
    """

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        return pair_by_pair(vis, ir, laplacian)


class WaveletTransform(nn.Module):
    """Discrete wavelet transforms (sym4): the detail coefficient of larger magnitude, the mean approximation.

    Source: Li, Manjunath and Mitra, "Multisensor image fusion using the wavelet transform", 1995.
    """

    def forward(self, vis: Tensor, ir: Tensor) -> Tensor:
        return pair_by_pair(vis, ir, wavelet)


def pair_by_pair(vis: Tensor, ir: Tensor, fuse: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Tensor:
    """A rule on numpy images (H, W), applied to each pair of a batch; clamped to [0, 1]."""
    check_pair(vis, ir, minimum=1)
    pairs = zip(*(x[:, 0].detach().float().cpu().numpy() for x in (vis, ir)), strict=True)
    fused = torch.stack([torch.from_numpy(fuse(*pair)) for pair in pairs])[:, None]
    return fused.clamp(0, 1).to(vis)


def laplacian(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two float32 images (H, W) fused by their Laplacian pyramids."""
    details = []
    for _ in range(LEVELS):
        smaller = cv2.pyrDown(a), cv2.pyrDown(b)
        size = a.shape[::-1]
        details.append(stronger(*(x - cv2.pyrUp(y, dstsize=size) for x, y in zip((a, b), smaller, strict=True))))
        a, b = smaller
    fused = (a + b) / 2
    for detail in reversed(details):
        fused = cv2.pyrUp(fused, dstsize=detail.shape[::-1]) + detail
    return fused


def wavelet(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two float32 images (H, W) fused by their wavelet coefficients."""
    levels = min(LEVELS, pywt.dwtn_max_level(a.shape, WAVELET))
    (base_a, *details_a), (base_b, *details_b) = (pywt.wavedec2(x, WAVELET, level=levels) for x in (a, b))
    details = [
        tuple(stronger(x, y) for x, y in zip(of_a, of_b, strict=True))
        for of_a, of_b in zip(details_a, details_b, strict=True)
    ]
    fused = pywt.waverec2([(base_a + base_b) / 2, *details], WAVELET)
    return fused[: a.shape[0], : a.shape[1]]  # odd sizes come back one pixel larger


def stronger(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The value of larger magnitude at every place."""
    return np.where(np.abs(a) >= np.abs(b), a, b)


METHODS = (
    Method(name="average", label="average", network=Average),
    Method(name="max", label="maximum", network=Maximum),
    Method(name="laplacian", label="laplacian", network=LaplacianPyramid),
    Method(name="dwt", label="DWT", network=WaveletTransform),
)
