"""The losses of CMMDL: the release's (`fusion_loss`), and that of the recipe `best` (`structure_loss`)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from net.checks import check_shapes
from net.training.objective import Terms
from net.training.sobel import gradient_loss, sobel
from net.training.ssim import gaussian_window, ssim

WINDOW = 9  # pixels, both windows
GRADIENT_WEIGHT = 5.0
INTENSITY_WEIGHT, EDGE_WEIGHT, STRUCTURE_WEIGHT = 12.0, 12.0, 0.8  # in the recipe `best`
GAIN = 1.05  # in contrast over the sources'; what a network reaches is less than the loss asks for
MAX_GAIN = 1.8  # the most contrast to ask for, as `contrast_gain` counts it
STRETCH = 1.6  # the most that contrast may grow by stretching
STRETCH_SHARE = 0.7  # the part of it that is asked for: all of it would darken too much
EDGE_SHARE = 0.8  # the part of the gain in contrast that is asked of edges
SCD_WEIGHT = 3.5  # weight of `scd_loss`, divided by the contrast gained by stretching


def fusion_loss(vis: Tensor, ir: Tensor, fused: Tensor, mask: Tensor) -> Terms:
    """The training loss of CMMDL's release: `total = intensity + 5 * gradient`.

    Args:
        vis, ir, fused: (B, 1, H, W) in [0, 1].
        mask: (B, 1, H, W), above 0 on salient (thermal target) pixels, where infrared is always the reference.

    Raises ValueError for other shapes.
    """
    check_shapes(vis=vis, ir=ir, fused=fused, mask=mask)
    intensity = intensity_loss(vis, ir, fused, mask)
    gradient = gradient_loss(vis, ir, fused)
    return {"total": intensity + GRADIENT_WEIGHT * gradient, "intensity": intensity, "gradient": gradient}


def intensity_loss(vis: Tensor, ir: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
    """`mean(sel mse9(ir, fused) + (1 - sel) mse9(vis, fused))`.

    `sel` is 1 where infrared has the larger local variance or the mask is set; `mse9` is the squared difference
    averaged over 9x9 pixels, zeros beyond the border.
    """
    from_ir = (local_variance(ir) > local_variance(vis)) | (mask > 0)
    return torch.where(from_ir, local_mean((ir - fused).square()), local_mean((vis - fused).square())).mean()


def local_mean(x: Tensor) -> Tensor:
    """Mean over 9x9 pixels, zeros beyond the border; always divided by 81."""
    return F.avg_pool2d(x, WINDOW, stride=1, padding=WINDOW // 2)


def local_variance(x: Tensor) -> Tensor:
    """`G * x^2 - (G * x)^2` with a 9x9 Gaussian window G of sigma 1.5, zeros beyond the border; one line after the
    other equals the two-dimensional window because a Gaussian is separable."""
    line = gaussian_window(WINDOW, x)
    both = torch.cat([x, x.square()], dim=1)  # (B, 2, H, W)
    rows = F.conv2d(both, line.view(1, 1, 1, -1).expand(2, 1, 1, -1), padding=(0, WINDOW // 2), groups=2)
    mean, mean_of_square = F.conv2d(
        rows, line.view(1, 1, -1, 1).expand(2, 1, -1, 1), padding=(WINDOW // 2, 0), groups=2
    ).chunk(2, dim=1)
    return mean_of_square - mean.square()


def structure_loss(
    vis: Tensor,
    ir: Tensor,
    fused: Tensor,
    mask: Tensor,
    stretched: Tensor,
    edge_share: float = EDGE_SHARE,
    scd_weight: float = SCD_WEIGHT,
) -> Terms:
    """The loss of the recipe `best`: the brighter source in more of the range, the stronger edge and its direction,
    both sources' structure; `total = 12 intensity + 12 edges + 0.8 structure + differences`.

        intensity   mean |fused - b'|, b' the brighter source b moved by `STRETCH_SHARE` of what stretching moves it,
                    with `GAIN` times the contrast (`with_contrast`)
        edges       `edge_loss` with a gain of 1 + `edge_share` (k - 1), k the contrast that b' gained (`contrast_gain`)
        structure   `ssim_loss`
        differences mean of `scd_weight` (k / `GAIN` - 1) `scd_loss`, k / `GAIN` from stretching: the less of the
                    range the brighter source uses, the more it hides of the other one

    Args:
        vis, ir, fused: (B, 1, H, W) in [0, 1], at least 11 pixels on a side.
        mask: (B, 1, H, W), above 0 on salient pixels, where infrared is the brighter source.
        stretched: (B, 1, H, W), `stretched_maximum` of the whole images that these are of.
        edge_share, scd_weight: how much the gain in contrast counts for edges and differences.

    Raises ValueError for images of other shapes.
    """
    check_shapes(vis=vis, ir=ir, fused=fused, mask=mask, stretched=stretched)
    maximum = torch.maximum(vis, ir)
    brighter = torch.where(mask > 0, ir, maximum)
    asked = with_contrast(brighter + STRETCH_SHARE * (stretched - maximum), GAIN)
    gained = contrast_gain(asked, brighter)  # (B, 1, 1, 1)
    by_stretching = (gained / GAIN - 1).clamp_min(0).flatten()
    intensity = (fused - asked).abs().mean()
    edges = edge_loss(vis, ir, fused, 1 + edge_share * (gained - 1))
    structure = ssim_loss(vis, ir, brighter, fused)
    differences = scd_weight * (by_stretching * scd_loss(vis, ir, fused)).mean()
    total = INTENSITY_WEIGHT * intensity + EDGE_WEIGHT * edges + STRUCTURE_WEIGHT * structure + differences
    return {"total": total, "intensity": intensity, "edges": edges, "structure": structure, "differences": differences}


def stretched_maximum(vis: Tensor, ir: Tensor) -> Tensor:
    """The per-pixel maximum of a whole pair, stretched towards [0, 1].

    Protocols stretch every result from its darkest to its brightest pixel, and the maximum, which has no dark ones
    where one source is bright throughout, gains contrast by that. A network cannot: one black pixel keeps it from it.
    Contrast grows by at most `STRETCH`, about the grey value that the full stretch leaves as it is.

    Args:
        vis, ir: (B, 1, H, W) in [0, 1]; each pair is stretched by itself.
    """
    maximum = torch.maximum(vis, ir)
    low, high = maximum.amin((2, 3), keepdim=True), maximum.amax((2, 3), keepdim=True)
    gain = 1 / (high - low).clamp_min(1 / STRETCH)
    still = low / (low + 1 - high).clamp_min(1e-6)
    return (still + gain * (maximum - still)).clamp(0, 1)


def ssim_loss(vis: Tensor, ir: Tensor, brighter: Tensor, fused: Tensor) -> Tensor:
    """`[1 - (SSIM(vis, fused) + SSIM(ir, fused)) / 2] + [1 - SSIM(brighter, fused)] / 2` of (B, 1, H, W) in [0, 1]."""
    return 1.5 - (ssim(vis, fused) + ssim(ir, fused) + ssim(brighter, fused)) / 2


def contrast_gain(image: Tensor, before: Tensor) -> Tensor:
    """How many times the standard deviation of each image (B, 1, H, W) is what it was before, (B, 1, 1, 1), from 1 to
    `MAX_GAIN`; about 1 where there was none."""
    now, then = (x.flatten(1).std(1) + 1e-3 for x in (image, before))
    return (now / then).clamp(1, MAX_GAIN).view(-1, 1, 1, 1)


def with_contrast(image: Tensor, gain: float) -> Tensor:
    """(B, 1, H, W) in [0, 1] with `gain` times the contrast about each image's mean, cut to [0, 1]."""
    mean = image.mean((2, 3), keepdim=True)
    return (mean + gain * (image - mean)).clamp(0, 1)


def edge_loss(vis: Tensor, ir: Tensor, fused: Tensor, gain: Tensor | float = 1.0) -> Tensor:
    """`|d(fused) - gain d(stronger)|`, summed over the two Sobel responses `d`, mean over the pixels; `stronger` is,
    pixel by pixel, the source where they are larger. Beyond the border pixels are repeated.

    Unlike `gradient_loss` it knows the direction of an edge: bright to dark is not as good as dark to bright.
    """
    of_vis, of_ir, of_fused = (sobel(x, border="replicate") for x in (vis, ir, fused))
    vis_is_stronger = of_vis.abs().sum(1, keepdim=True) >= of_ir.abs().sum(1, keepdim=True)
    return (of_fused - gain * torch.where(vis_is_stronger, of_vis, of_ir)).abs().sum(1).mean()


def scd_loss(vis: Tensor, ir: Tensor, fused: Tensor) -> Tensor:
    """`1 - [r(fused - vis, ir) + r(fused - ir, vis)] / 2` for each image (B, 1, H, W), r its correlation; (B,).

    What the fused image has beyond one source should be the other one. Source: Aslantas and Bendes, "A new image
    quality metric for image fusion: the sum of the correlations of differences", 2015.
    """
    return 1 - (correlation(fused - vis, ir) + correlation(fused - ir, vis)) / 2


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of two images (B, 1, H, W), (B,); about 0 where one is constant."""
    a, b = ((x - x.mean((1, 2, 3), keepdim=True)).flatten(1) for x in (a, b))
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1) + 1e-6).sqrt()
