"""SDLB: spatial-domain learning block, three coupling layers on one modality's features."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.fast.bands import expand_and_filter, in_bands, kinds_of, one_by_one
from net.fast.layers import depthwise, pointwise, reflected
from net.fast.layout import image, keep_channels_last, pixels
from net.fast.parallel import in_parallel, shares
from net.fast.products import projected
from net.fast.recompute import recomputed, recomputed_on_cpu
from net.fast.reuse import empty

COUPLINGS = ("released", "affine")


class Bottleneck(nn.Module):
    """`branch(z) + z`; the branch: 1x1, ReLU6, depth-wise 3x3 (reflected border), ReLU6, 1x1, twice as wide inside.

    Starts close to the identity: its three convolutions are drawn Xavier normal and scaled by 0.1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(dim, 2 * dim, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * dim, 2 * dim, 3, groups=2 * dim, bias=False)
        self.project = nn.Conv2d(2 * dim, dim, 1, bias=False)
        for convolution in (self.expand, self.dwconv, self.project):
            nn.init.xavier_normal_(convolution.weight, gain=0.1)

    def forward(self, z: Tensor) -> Tensor:
        return recomputed_on_cpu(self._branch, z, of=self) + z

    def _branch(self, z: Tensor) -> Tensor:
        hidden = F.relu6(pointwise(self.expand, reflected(z)))  # reflected here, where there are half the channels
        return pointwise(self.project, F.relu6(depthwise(self.dwconv, hidden)))


class Coupling(nn.Module):
    """Splits the channels into halves z1, z2; y1 then scales and shifts z2. (B, C, H, W) in and out.

        y1 = z1 + phi(z1)                                    released
        y1 = z1 + phi(z2)                                    affine, which can be inverted
        y2 = z2 * exp(s) + eta(y1),   s = 0.8 (2 sigmoid(rho(y1)) - 1)
    """

    def __init__(self, dim: int, coupling: str = "released") -> None:
        super().__init__()
        if coupling not in COUPLINGS:
            raise ValueError(f"coupling is {coupling!r}; expected one of {', '.join(COUPLINGS)}")
        self.affine = coupling == "affine"
        self.phi = Bottleneck(dim // 2)
        self.rho = Bottleneck(dim // 2)
        self.eta = Bottleneck(dim // 2)

    def log_scale(self, y1: Tensor) -> Tensor:
        """s, between -0.8 and 0.8: (B, C / 2, H, W) in and out."""
        return 0.8 * torch.tanh(0.5 * self.rho(y1))  # 2 sigmoid(x) - 1 = tanh(x / 2)

    def forward(self, x: Tensor) -> Tensor:
        z1, z2 = x.chunk(2, dim=1)
        y1 = z1 + self.phi(z2 if self.affine else z1)
        y2 = z2 * torch.exp(self.log_scale(y1)) + self.eta(y1)
        return torch.cat([y1, y2], dim=1)

    def by_bands(self, x: Tensor) -> Tensor:
        """What `forward` computes, of one image (H, W, C); rho and eta read y1 in one pass."""
        y = empty(x, *x.shape)
        (z1, z2), (y1, y2) = x.chunk(2, dim=-1), y.chunk(2, dim=-1)

        def first(part: slice) -> None:
            for rows, (phi,) in bottlenecks(z2 if self.affine else z1, part, self.phi):
                torch.add(z1[rows], phi, out=y1[rows])

        def second(part: slice) -> None:
            for rows, (rho, eta) in bottlenecks(y1, part, self.rho, self.eta):
                scale = rho.sigmoid_().mul_(1.6).sub_(0.8).exp_()  # exp(s); sigmoid is faster than tanh here
                torch.addcmul(eta, z2[rows], scale, out=y2[rows])

        in_parallel(first, shares(len(x)))
        in_parallel(second, shares(len(x)))
        return y

    def inverse(self, y: Tensor) -> Tensor:
        """The x with `forward(x) = y`.

        Raises ValueError for the released coupling, whose y1 = 2 z1 + branch(z1) has no closed-form inverse.
        """
        if not self.affine:
            raise ValueError('the released coupling has no inverse; build the block with coupling="affine"')
        y1, y2 = y.chunk(2, dim=1)
        z2 = (y2 - self.eta(y1)) * torch.exp(-self.log_scale(y1))
        return torch.cat([y1 - self.phi(z2), z2], dim=1)


def bottlenecks(z: Tensor, part: slice, *blocks: Bottleneck) -> Iterator[tuple[slice, list[Tensor]]]:
    """Several bottlenecks of one input (H, W, C), side by side, by bands of a part of its rows.

    Yields rows and one (n, W, C) for each bottleneck.
    """
    expand = torch.cat([block.expand.weight.flatten(1) for block in blocks])
    kernel = torch.cat([block.dwconv.weight for block in blocks])
    widths = [len(block.dwconv.weight) for block in blocks]
    bands = expand_and_filter(
        lambda rows: z[rows], expand, kernel, z.shape[:2], part, widths=widths, activation=relu6_, reflect=True
    )
    for rows, hidden in bands:
        yield rows, [
            projected(relu6_(channels), block.project.weight.flatten(1)).add_(z[rows])
            for block, channels in zip(blocks, hidden, strict=True)
        ]


def relu6_(x: Tensor) -> Tensor:
    return x.clamp_(0, 6)


class SDLB(nn.Module):
    """Three couplings in sequence; (B, C, H, W) in and out, C even, H and W from 2 up.

    Args:
        dim: channels.
        coupling: "released" (the published weights' form, the default) or "affine" (the classic coupling, with an
            exact `inverse`).

    Attributes:
        checkpointed: in training only each coupling's input is kept, and the backward pass computes the rest anew.
    """

    checkpointed = False

    def __init__(self, dim: int, *, coupling: str = "released") -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(dim, coupling) for _ in range(3))
        self.kinds = kinds_of(self)

    def forward(self, x: Tensor) -> Tensor:
        if in_bands(self, x):
            return one_by_one(self._by_bands, x)
        x = keep_channels_last(x)
        for coupling in self.couplings:
            x = recomputed(coupling, x, of=coupling, when=self.checkpointed)
        return keep_channels_last(x)

    def _by_bands(self, x: Tensor) -> Tensor:
        """What `forward` computes, of one image (1, C, H, W)."""
        x = pixels(x)
        for coupling in self.couplings:
            x = coupling.by_bands(x)
        return image(x)

    def inverse(self, y: Tensor) -> Tensor:
        """The x with `forward(x) = y`; see `Coupling.inverse`."""
        for coupling in reversed(self.couplings):
            y = coupling.inverse(y)
        return y
