"""Products and convolutions of a band, which one thread computes alone: by oneDNN or MKL, whichever is faster here."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from net.fast.layout import image, pixels


def projected(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.t() + bias`, a 1x1 convolution: (n, W, C), (K, C), (K,) -> (n, W, K)."""
    if multiplied_by_onednn(x):
        return filtered(x, weight[:, :, None, None], bias)
    return F.linear(x, weight, bias)


def put_projected(x: Tensor, weight: Tensor, out: Tensor) -> None:
    """`out = projected(x, weight)`; out is contiguous."""
    if multiplied_by_onednn(x):
        out.copy_(projected(x, weight))
    else:
        torch.mm(x.flatten(0, 1), weight.t(), out=out.view(-1, len(weight)))


def put_added(base: Tensor, x: Tensor, weight: Tensor, out: Tensor) -> None:
    """`out = base + projected(x, weight)`; out is contiguous, and may be base."""
    if multiplied_by_onednn(x):
        torch.add(base, projected(x, weight), out=out)
    else:
        flat = out.view(-1, len(weight))
        torch.addmm(flat if base is out else base.flatten(0, 1), x.flatten(0, 1), weight.t(), out=flat)


def filtered(x: Tensor, kernel: Tensor, bias: Tensor | None = None, padding: tuple[int, int] = (0, 0)) -> Tensor:
    """A dense convolution: (n, W, C), (K, C, h, w), (K,) -> (n + 2 padding - h + 1, W + 2 padding - w + 1, K)."""
    if by_onednn(x):  # in a single thread `F.conv2d` would not call oneDNN
        bias = None if bias is None else bias.contiguous()  # oneDNN reads any bias as if it were
        return pixels(torch.mkldnn_convolution(image(x), kernel, bias, padding, (1, 1), (1, 1), 1))
    return pixels(F.conv2d(image(x), kernel, bias, padding=padding))


def multiplied_by_onednn(x: Tensor) -> bool:
    """Whether oneDNN computes products in a band. MKL, where torch has it, puts its results in their place without a
    copy, but uses AVX-512 on Intel's processors alone."""
    return by_onednn(x) and not mkl_uses_all_instructions()


@functools.cache
def mkl_uses_all_instructions() -> bool:
    """Whether torch has MKL and this processor has no AVX-512, or is Intel's."""
    if not torch.backends.mkl.is_available():
        return False
    known = torch.cpu.get_capabilities()
    return not known.get("avx512_f") or "Intel" in known.get("cpu_name", "")


def by_onednn(x: Tensor) -> bool:
    """Whether oneDNN computes for x: in float32, where torch has it and nobody has switched it off."""
    return x.dtype == torch.float32 and torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
