"""Dense 3x3 convolutions of an image with zeros around it, by rows: the formula, and one with half its multiplications.

Both first prepare the rows of the input, which may then serve several convolutions, and put the results from them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from net.fast.products import filtered

MIN_CHANNELS = 32  # of input and result; with fewer, Winograd's sums take longer than the products they save


class Direct:
    """The convolution as it is written.

    Args:
        weight: (K, C, 3, 3).
        bias: (K,) or None.
    """

    points = 1

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    @staticmethod
    def columns(width: int) -> int:
        return width

    @staticmethod
    def prepare(x: Tensor, out: Tensor) -> None:
        """Prepares rows (n, W, C) into (points, n, columns(W), C)."""
        out[0] = x

    @staticmethod
    def prepared(x: Tensor) -> Tensor:
        """`prepare` into a tensor of its own."""
        return x[None]

    def put(self, rows: Tensor, out: Tensor) -> None:
        """Writes rows of the result, (n, W, K), from these rows and one more on either side, prepared."""
        out.copy_(filtered(rows[0], self.weight, self.bias, padding=(0, 1)))


class Winograd:
    """The same by Winograd's minimal filtering F(4, 3) along each row.

    Four results side by side need six values of each row above, at and below them. Where the formula multiplies these
    twelve times, six combinations of the values times six of the kernel's are enough: the results are combinations of
    the six products. One combination of all pixels is a tensor like the image, a quarter as wide, and what remains to
    be computed of it is a convolution with a 3x1 kernel.

    After S. Winograd, Arithmetic Complexity of Computations (1980), and Lavin and Gray, CVPR 2016. The combinations are
    the values of polynomials at 0, 1, -1, 2, -2 and infinity, and come in this order. Round-off is larger than that of
    the formula, in float32 below 3e-5 of the results' standard deviation (a test holds it to that).
    """

    points = 6
    tile = 4  # results side by side
    of_kernel = (  # each point's combination of the left, middle and right value in a kernel's row
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    )

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.kernels = torch.einsum("pj,kcij->pkci", weight.new_tensor(self.of_kernel), weight)[..., None]
        self.biases = [bias if point == 1 else None for point in range(self.points)]  # each result takes it once

    @staticmethod
    def columns(width: int) -> int:
        return -(-width // Winograd.tile)  # the last tile may reach beyond the image

    @staticmethod
    def prepare(x: Tensor, out: Tensor) -> None:
        width, step, end = x.shape[1], Winograd.tile, Winograd.tile * out.shape[2]
        x = F.pad(x, (0, 0, 1, end + 1 - width))
        x0, x1, x2, x3, x4, x5 = (x[:, i : i + end - step + 1 : step] for i in range(Winograd.points))
        even, odd = torch.sub(x4, x2, alpha=4), torch.sub(x3, x1, alpha=4)
        torch.add(even, odd, out=out[1])
        torch.sub(even, odd, out=out[2])
        even, odd = torch.sub(x4, x2, out=even), torch.sub(x3, x1, out=odd)
        torch.add(even, odd, alpha=2, out=out[3])
        torch.sub(even, odd, alpha=2, out=out[4])
        rest = x0 - x2
        torch.add(even, rest, alpha=4, out=out[0])
        rest = torch.sub(x5, x3, out=rest)
        torch.sub(rest, odd, alpha=4, out=out[5])

    @staticmethod
    def prepared(x: Tensor) -> Tensor:
        rows, width, channels = x.shape
        out = x.new_empty(Winograd.points, rows, Winograd.columns(width), channels)
        Winograd.prepare(x, out)
        return out

    def put(self, rows: Tensor, out: Tensor) -> None:
        p0, p1, p2, p3, p4, p5 = map(filtered, rows, self.kernels, self.biases)  # (n, columns, K) each
        width, whole = out.shape[1], self.tile * p0.shape[1]
        y = out if width == whole else out.new_empty(len(out), whole, out.shape[2])
        y0, y1, y2, y3 = (y[:, i :: self.tile] for i in range(self.tile))
        even, odd = p1 + p2, p1.sub_(p2)
        even_2, odd_2 = torch.add(p3, p4, out=p2), p3.sub_(p4)
        torch.add(even, even_2, out=y0).add_(p0)
        torch.add(odd, odd_2, alpha=2, out=y1)
        torch.add(even, even_2, alpha=4, out=y2)
        torch.add(odd, odd_2, alpha=8, out=y3).add_(p5)
        if y is not out:
            out.copy_(y[:, :width])


def dense(weight: Tensor, bias: Tensor | None) -> Direct | Winograd:
    """The faster form of a convolution with this weight, (K, C, 3, 3), and bias, (K,)."""
    return (Winograd if min(weight.shape[:2]) >= MIN_CHANNELS else Direct)(weight, bias)
