"""SFDFuse's detail branch: coupling nodes whose subnetworks convolve with difference kernels.

Source: SFDFuse's release (zxp771/SFDFuse); the difference convolution is DEA-Net's (Chen et al., TIP 2024).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net.baselines.sfdfuse_blocks import conv1x1

CLOCKWISE = (3, 0, 1, 6, 4, 2, 7, 8, 5)  # tap k of a 3x3 kernel takes its ring neighbour; taps count row by row


def weight_of(convolution: nn.Module) -> Tensor:
    """The weight with which a call of the convolution would compute now.

    Pruning and the old weight normalisation of `torch.nn.utils` make weights and biases anew from other tensors in
    forward pre-hooks; these run here, so that the bias too is what it is now.

    Raises TypeError where another layer, such as an adapter, took a convolution's place: its weight does not tell all.
    """
    if type(convolution).forward not in (nn.Conv1d.forward, nn.Conv2d.forward) or "forward" in vars(convolution):
        raise TypeError(f"{type(convolution).__name__} in a DifferenceConv, which never calls it; expected nn.Conv2d")
    hooks = convolution._forward_pre_hooks
    if hooks and not {"weight", "bias"} <= convolution._parameters.keys():
        for hook in list(hooks.values()):
            hook(convolution, ())
    return convolution.weight


class DifferenceConv(nn.Module):
    """A plain 3x3 convolution plus four that look at differences between pixels, summed into one kernel and one bias.

    central     the stored kernel less its sum at the centre: neighbours against the centre pixel
    horizontal  three stored taps as the left column, their negatives as the right one
    vertical    three stored taps as the top row, their negatives as the bottom one
    angular     the stored kernel less itself turned by one tap around its ring
    plain       the stored kernel

    The members hold parameters and are never called: a convolution is linear in its kernel, so convolving once with
    the sum equals summing five convolutions. (B, channels, H, W) to the same, zeros outside the image.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.central = nn.Conv2d(channels, channels, 3)
        self.horizontal = nn.Conv1d(channels, channels, 3)
        self.vertical = nn.Conv1d(channels, channels, 3)
        self.angular = nn.Conv2d(channels, channels, 3)
        self.plain = nn.Conv2d(channels, channels, 3)

    def kernel(self) -> Tensor:
        """The equivalent kernel, (channels, channels, 3, 3)."""
        central, horizontal, vertical, angular, plain = map(weight_of, self.children())
        centre = F.pad(central.sum(dim=(2, 3), keepdim=True), (1, 1, 1, 1))  # (C, C, 1, 1) -> (C, C, 3, 3)
        turned = angular.flatten(2)[..., CLOCKWISE].view_as(angular)
        horizontal = torch.stack((horizontal, torch.zeros_like(horizontal), -horizontal), dim=-1)  # (C, C, 3, 3)
        vertical = torch.stack((vertical, torch.zeros_like(vertical), -vertical), dim=-2)  # (C, C, 3) -> (C, C, 3, 3)
        return central - centre + horizontal + vertical + angular - turned + plain

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel()
        bias = sum(part.bias for part in self.children())  # (C,)
        return F.conv2d(x, kernel, bias, padding=1)


def bottleneck(half: int) -> nn.Sequential:
    """A coupling's subnetwork, (B, half, H, W) to (B, half, H, W)."""
    return nn.Sequential(
        conv1x1(half, 2 * half),
        nn.ReLU6(),
        DifferenceConv(channels=2 * half),
        nn.ReLU6(),
        conv1x1(2 * half, half),
    )


class CouplingNode(nn.Module):
    """One affine coupling of two halves: [z1, z2] = mix [z1, z2]; z2 += phi(z1); z1 = z1 exp(rho(z2)) + eta(z2)."""

    def __init__(self, *, half: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2 * half, 2 * half, 1)
        self.phi = bottleneck(half)
        self.rho = bottleneck(half)
        self.eta = bottleneck(half)

    def forward(self, x: Tensor) -> Tensor:
        z1, z2 = self.mix(x).chunk(2, dim=1)  # 2 x (B, half, H, W)
        z2 = z2 + self.phi(z1)
        z1 = z1 * self.rho(z2).exp() + self.eta(z2)
        return torch.cat((z1, z2), dim=1)  # (B, 2 half, H, W)
