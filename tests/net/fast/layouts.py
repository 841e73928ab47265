"""One tensor as it may lie in memory."""

from collections.abc import Iterator

import torch
from torch import Tensor


def layouts(x: Tensor) -> Iterator[Tensor]:
    """x as planes, with channels side by side, and as every second half of a wider tensor's channels."""
    last = torch.channels_last
    yield x.contiguous()
    yield x.contiguous(memory_format=last)
    yield torch.cat([torch.ones_like(x), x], dim=1).contiguous(memory_format=last).chunk(2, dim=1)[1]
