"""Inference band by band: a few rows of the image pass through several layers while they are in the processor's cache
(cache blocking, with the layers fused).

On a CPU most layers wait for memory, not for arithmetic. A block whose `in_bands` is true therefore does not run layer
after layer over the whole image, but takes one band of rows through all its layers and writes only the result: what its
`forward` computes is then computed by its `by_bands`. In this form an image is (H, W, C): the matrix products and sums
over channels read each pixel's channels side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as modules

from net.fast.dense import dense
from net.fast.layout import eager_on_cpu, image, pixels, transposed
from net.fast.parallel import evenly, in_parallel
from net.fast.products import put_projected
from net.fast.reuse import empty

FORM = "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"
BAND_BYTES = 4 * 2**20  # one band of a block's widest tensor; with less, the calls themselves take longer


def in_bands(block: nn.Module, x: Tensor) -> bool:
    """True where `block` works band by band: evaluation without gradients on a CPU, in float32 or float64.

    Elsewhere the whole-tensor form runs: training differentiates it, GPUs prefer it, compilers and exporters want one
    graph without loops, forward hooks within the block need its layers to be called, and dispatch modes, such as
    counters of operations, see only this thread's work. It also runs if a layer was replaced since the block was built,
    because the form by bands has the original layers written out.

    Args:
        block: has what `kinds_of` gave at its construction as `kinds`.
    """
    if not eager_on_cpu(x) or watched_everywhere():
        return False
    half = torch.is_autocast_enabled("cpu") or x.dtype not in (torch.float32, torch.float64)
    if torch.is_grad_enabled() or half:
        return False
    layers = list(block.modules())
    return not any(map(trained_or_watched, layers)) and block.kinds == list(map(kind, layers))


def kinds_of(block: nn.Module) -> list[tuple[Any, ...]]:
    """The kinds of all layers of a block, by which `in_bands` sees that one was replaced since."""
    return list(map(kind, block.modules()))


def kind(layer: nn.Module) -> tuple[Any, ...]:
    """The class, whether `forward` is replaced, whether there are a bias (a BatchNorm without one has no weight either)
    and running statistics, and the form of a convolution."""
    own = vars(layer)
    missing = layer._parameters.get("bias") is None, layer._buffers.get("running_mean") is None
    return type(layer), "forward" in own, *missing, *map(own.get, FORM)


def watched_everywhere() -> bool:
    """Whether hooks on every module, or a dispatch mode, wait for layers."""
    return modules._has_any_global_hook() or torch._C._len_torch_dispatch_stack() > 0


def trained_or_watched(module: nn.Module) -> bool:
    return bool(module.training or module._forward_hooks or module._forward_pre_hooks)


def one_by_one(function: Callable[..., Tensor], *batches: Tensor) -> Tensor:
    """`function` of one image each, put together again as a batch."""
    if len(batches[0]) == 1:
        return function(*batches)
    return torch.cat([function(*images) for images in zip(*(batch.split(1) for batch in batches), strict=True)])


def put_convolved(convolution: nn.Conv2d, source: Callable[[slice], Tensor], out: Tensor) -> None:
    """A dense 3x3 convolution of one image, with zeros around it, by bands, into `out`, (H, W, K).

    Args:
        source: gives rows of the image, (n, W, C).
    """
    height, width = out.shape[:2]
    form = dense(convolution.weight, convolution.bias)

    def work(rows: slice) -> None:
        inside = slice(max(0, rows.start - 1), min(height, rows.stop + 1))
        beyond = inside.start - rows.start + 1, rows.stop + 1 - inside.stop  # rows above and below the image
        x = source(inside)
        x = F.pad(x, (0, 0, 0, 0, *beyond)) if any(beyond) else x
        form.put(form.prepared(x), out[rows])

    in_parallel(work, row_bands(slice(0, height), width * max(convolution.weight.shape[:2]), out.element_size()))


def convolved(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """`convolution(x)`, a dense 3x3 convolution, by bands; (B, C, H, W) -> (B, K, H, W), channels side by side."""

    def of_one(x: Tensor) -> Tensor:
        out = empty(x, *x.shape[2:], len(convolution.weight))
        put_convolved(convolution, lambda rows: pixels(x)[rows], out)
        return image(out)

    return one_by_one(of_one, x)


def row_bands(part: slice, row: int, itemsize: int, budget: int = 0) -> list[slice]:
    """The rows of a part in bands of about one height, of `row` numbers of `itemsize` bytes in each row.

    A band has at least two rows, so that a 3x3 convolution finds both neighbours of its border in one band.

    Args:
        budget: bytes that a band should have at most; 0: `BAND_BYTES`.
    """
    rows, height = max(2, (budget or BAND_BYTES) // (row * itemsize)), part.stop - part.start
    count = max(1, min(-(-height // rows), height // 2))
    return evenly(part, count)


def expand_and_filter(
    source: Callable[[slice], Tensor],
    expand: Tensor,
    depthwise: Tensor,
    size: tuple[int, int],
    part: slice,
    *,
    widths: Sequence[int],
    activation: Callable[[Tensor], Any] | None = None,
    reflect: bool = False,
) -> Iterator[tuple[slice, list[Tensor]]]:
    """A 1x1 convolution, `activation` and a depth-wise 3x3 convolution, by bands from the top to the bottom of a part.

    Within the part nothing is computed twice: the last two rows that the 1x1 convolution gave are kept as the first two
    of the next band's 3x3 convolution. The channels that go separate ways are computed apart: nobody then has to gather
    them from a wider tensor, and a row takes less of the cache.

    Args:
        source: gives rows of the input, (n, W, C); it is asked for each row of the part, and the row before and behind
            it, once.
        expand: (K, C).
        depthwise: (K, 1, 3, 3).
        size: (H, W) of the whole image.
        part: rows that are wanted.
        widths: channels of each tensor of the result, K in all.
        activation: changes its argument in place.
        reflect: the border repeats the row or column next to it; False: zeros.

    Yields:
        The band and its rows of the result, (n, W, width of each), channels side by side.
    """
    height, width = size
    bands = row_bands(part, width * max(widths), depthwise.element_size())
    tallest = max(band.stop - band.start for band in bands)
    columns = width + 2 if reflect else width
    # each holds the row above a band, the band and the row below
    buffers = [depthwise.new_empty(tallest + 2, columns, channels) for channels in widths]
    layers = list(zip(buffers, expand.split(widths), depthwise.split(widths), strict=True))
    done = max(0, part.start - 1)  # rows that are expanded already
    for band in bands:
        count = band.stop - band.start
        last = band.stop == height
        rows = slice(done, height if last else band.stop + 1)
        x = source(rows)
        if reflect:
            x = torch.cat([x[:, 1:2], x, x[:, -2:-1]], dim=1)  # (n, W + 2, C)
        padding = (0, 0 if reflect else 1)
        results = []
        for buffer, weight, kernel in layers:
            expanded = buffer[done - band.start + 1 :][: rows.stop - rows.start]
            put_projected(x, weight, expanded)
            if activation:
                activation(expanded)
            if band.start == 0:
                buffer[0] = buffer[2] if reflect else 0
            if last:
                buffer[count + 1] = buffer[count - 1] if reflect else 0
            filtered = F.conv2d(image(buffer[: count + 2]), kernel, padding=padding, groups=len(kernel))
            results.append(pixels(filtered))
            buffer[:2] = buffer[count : count + 2]
        yield band, results
        done = rows.stop


def put_planes(x: Tensor, planes: Tensor) -> None:
    """Writes (n, W, C) into (C, n, W), by way of rows (n, C, W): a direct copy takes longer."""
    planes.copy_(transposed(x).transpose(0, 1))


def from_planes(planes: Tensor) -> Tensor:
    """(C, n, W) -> (n, W, C) with channels side by side; copies as `put_planes` does."""
    return transposed(planes.transpose(0, 1))
