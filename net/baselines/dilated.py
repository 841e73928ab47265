"""The dilated convolution that two of the siblings share."""

from torch import Tensor, nn


class DilatedDepthwiseConv(nn.Conv2d):
    """Convolution of every channel by itself with a dilated 3x3 kernel, size kept.

    On a CPU it reads planes: where channels lie side by side, torch 2.13's gradient of its weight in bf16 is
    entirely wrong, since oneDNN leaves a part of it unwritten.

    Args:
        channels: C of (B, C, H, W).
        dilation: pixels from one of the kernel's entries to the next.
        bias: whether there is one.
    """

    def __init__(self, channels: int, *, dilation: int, bias: bool) -> None:
        super().__init__(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.contiguous() if x.device.type == "cpu" else x)
