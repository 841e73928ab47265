"""The twelve metrics of fusion papers on 8-bit grey images, in the two conventions that published tables use.

`evaluate` is all that most callers need; `Sources` scores several fused images against one pair and shares the work
that depends on the pair alone. F is the fused image, A the infrared and B the visible one, grey levels 0..255, all of
one size (H, W); the metrics by themselves take them as `Image`. Every value is finite: what a metric gives where its
formula is undefined stands in its docstring.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np

from data.words import size_of

METRICS = ("EN", "SD", "SF", "MI", "SCD", "VIF", "Qabf", "SSIM", "AG", "MSE", "CC", "PSNR")
PROTOCOLS = ("cmmdl", "cddfuse")
MIN_SIDE = 41  # the least side that leaves VIF's fourth scale one whole window
VIF_SIZES = (17, 9, 5, 3)
VIF_EPS = 1e-10
VIF_NOISE = 2.0
BAND_PIXELS = 3 * 2**14  # a few arrays of so many pixels stay in cache


def evaluate(fused: np.ndarray, ir: np.ndarray, vis: np.ndarray, protocol: str = "cmmdl") -> dict[str, float]:
    """Score one fused image against its two sources.

    Three uint8 grey arrays (H, W) of one size, at least 41x41. The protocols differ in SSIM's data range alone:
    max(F) - min(F) in "cmmdl", 2 in "cddfuse". Returns a dict of twelve floats in the order of `METRICS`; raises
    ValueError for any other type, shape or protocol.
    """
    return Sources(ir, vis).evaluate(fused, protocol)


class TooSmall(ValueError):
    """Images that are too small to be scored."""


class Sources:
    """One pair of sources that any number of fused images is scored against; what depends on the pair is kept."""

    def __init__(self, ir: np.ndarray, vis: np.ndarray) -> None:
        self.ir, self.vis = Image(ir, "infrared"), Image(vis, "visible")
        _check_sizes(self.ir, self.vis)

    def evaluate(self, fused: np.ndarray, protocol: str = "cmmdl") -> dict[str, float]:
        """As the module's `evaluate`."""
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol {protocol!r}; expected one of {', '.join(PROTOCOLS)}")
        f, a, b = Image(fused, "fused"), self.ir, self.vis
        _check_sizes(f, a)
        data_range = np.ptp(f.values) if protocol == "cmmdl" else 2.0
        scores = (en(f), sd(f), sf(f), mi(f, a, b), scd(f, a, b), vif(f, a, b), qabf(f, a, b),
                  ssim(f, a, b, data_range), ag(f), mse(f, a, b), cc(f, a, b), psnr(f, a, b))
        return {name: float(score) for name, score in zip(METRICS, scores, strict=True)}


class _kept:
    """`functools.cached_property` without its lock, which before Python 3.12 made images wait for each other."""

    def __init__(self, compute: Callable[["Image"], Any]) -> None:
        self.compute, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, _: type, name: str) -> None:
        self.name = name

    def __get__(self, image: "Image | None", _: type | None = None) -> Any:
        if image is None:
            return self
        value = image.__dict__[self.name] = self.compute(image)
        return value


class Image:
    """A checked grey image and, computed at first use, what more than one comparison needs of it."""

    def __init__(self, levels: np.ndarray, name: str = "image") -> None:
        if not isinstance(levels, np.ndarray) or levels.dtype != np.uint8 or levels.ndim != 2:
            raise ValueError(f"{name}: {_describe(levels)}; expected a uint8 grey array (H, W)")
        if min(levels.shape) < MIN_SIDE:
            raise TooSmall(f"{name}: {size_of(levels)}; VIF's four scales need {MIN_SIDE}x{MIN_SIDE} or more")
        self.name = name
        self.levels = np.array(levels, order="C")  # a plain copy, also of a matrix or a masked array
        self.values = self.levels.astype(np.float64)

    @_kept
    def histogram(self) -> np.ndarray:
        """How many pixels have each of the 256 levels."""
        return np.bincount(self.levels.ravel(), minlength=256)

    @_kept
    def centred(self) -> np.ndarray:
        """The values minus their mean, (H W,)."""
        return _centred(self.values)

    @_kept
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Sobel strength and orientation, (H, W) each, zeros beyond the border, for Qabf; pi/2 where Sx = 0."""
        # Against OpenCV's correlation, true convolution with the two kernels turns the sign of Sx, not that of Sy.
        sx = cv2.Sobel(self.values, -1, 1, 0, scale=-1, borderType=cv2.BORDER_CONSTANT)
        sy = cv2.Sobel(self.values, -1, 0, 1, borderType=cv2.BORDER_CONSTANT)
        slope = np.divide(sy, sx, out=np.full_like(sx, np.inf), where=sx != 0)
        return cv2.magnitude(sx, sy), np.arctan(slope, out=slope)

    @_kept
    def scales(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The image, its local mean and its local variance (0 if below 1e-10) at VIF's four scales."""
        image, scales = self.values, []
        for size in VIF_SIZES:
            if scales:
                image = np.ascontiguousarray(_gaussian(image, size)[::2, ::2])
            mean = _gaussian(image, size)
            variance = _gaussian(image**2, size)
            variance -= mean**2
            variance[variance < VIF_EPS] = 0
            scales.append((image, mean, variance))
        return scales


def en(f: Image) -> float:
    """Entropy of F's 256-bin histogram, bits, 0 (constant image) to 8. Roberts et al., J. Appl. Remote Sens. 2008."""
    count = f.histogram[f.histogram > 0]
    return np.sum(count * np.log2(f.levels.size / count)) / f.levels.size


def sd(f: Image) -> float:
    """Standard deviation of F, grey levels, 0 (constant image) to 127.5. Rao, Meas. Sci. Technol. 1997."""
    return f.values.std()


def sf(f: Image) -> float:
    """Spatial frequency: sqrt(mean of squared horizontal differences + mean of squared vertical differences) of F.

    Grey levels, 0 (constant image) to 361. Eskicioglu and Fisher, IEEE Trans. Commun. 1995.
    """
    return np.sqrt(np.mean(np.diff(f.values, axis=1) ** 2) + np.mean(np.diff(f.values, axis=0) ** 2))


def ag(f: Image) -> float:
    """Average gradient: mean of sqrt((Gx^2 + Gy^2) / 2), central differences inside F, one-sided at its border.

    Grey levels per pixel, 0 (constant image) to 255. Cui et al., Opt. Commun. 2015.
    """
    gy, gx = np.gradient(f.values)
    return np.mean(cv2.magnitude(gx, gy)) / np.sqrt(2)


def mi(f: Image, a: Image, b: Image) -> float:
    """MI(F, A) + MI(F, B) over the joint histogram of exact grey levels, natural logarithm.

    Nats, 0 (F or both sources constant, or independent) to 2 ln 256. Qu et al., Electron. Lett. 2002.
    """
    return _mutual_information(f, a) + _mutual_information(f, b)


def scd(f: Image, a: Image, b: Image) -> float:
    """Sum of the correlations of differences: corr(A, F - B) + corr(B, F - A), -2 to 2.

    A correlation with a constant is 0, as where F = A or F = B. Aslantas and Bendes, AEU 2015.
    """
    return (_correlation(a.centred, _centred(f.values - b.values))
            + _correlation(b.centred, _centred(f.values - a.values)))


def cc(f: Image, a: Image, b: Image) -> float:
    """Mean correlation (corr(A, F) + corr(B, F)) / 2, -1 to 1; a correlation with a constant image is 0."""
    return (_correlation(a.centred, f.centred) + _correlation(b.centred, f.centred)) / 2


def mse(f: Image, a: Image, b: Image) -> float:
    """Mean of the mean squared errors against A and B, squared grey levels, 0 (F = A = B) to 255^2."""
    return (np.mean((a.values - f.values) ** 2) + np.mean((b.values - f.values) ** 2)) / 2


def psnr(f: Image, a: Image, b: Image) -> float:
    """10 log10(max(F)^2 / MSE), decibels, with the MSE above.

    A perfect or a black F stays finite: the MSE counts as at least 1 / (2 H W), the least that unequal 8-bit images
    can have (one pixel of one source is off by one), and the peak as at least one grey level.
    """
    return 10 * np.log10(max(f.values.max(), 1) ** 2 / max(mse(f, a, b), 0.5 / f.values.size))


def ssim(f: Image, a: Image, b: Image, data_range: float) -> float:
    """SSIM(F, A) + SSIM(F, B), uniform 7x7 window, sample covariance, mean over the whole windows, -2 to 2.

    Equals scikit-image's `structural_similarity` at its defaults, from the windows' sums, which are exact integers. A
    `data_range` of 0 (constant F in "cmmdl") leaves no scale to compare at: a source then counts 1 if it equals F,
    else 0. Wang et al., IEEE Trans. Image Process. 2004.
    """
    return _ssim(f.values, a.values, data_range) + _ssim(f.values, b.values, data_range)


def vif(f: Image, a: Image, b: Image) -> float:
    """Pixel-domain visual information fidelity VIFP(A, F) + VIFP(B, F), about 0 to 2 and above if F gains contrast.

    Four scales with Gaussian windows of 17, 9, 5, 3 pixels, sigma = size / 5, noise variance 2. A constant source
    carries no information that could be lost: its term, 0 / 0, counts as 1. Sheikh and Bovik, IEEE Trans. Image
    Process. 2006.
    """
    return _vifp(a, f) + _vifp(b, f)


def qabf(f: Image, a: Image, b: Image) -> float:
    """Edges of A and B that F keeps, weighted by their Sobel strength, 0 to 0.975; 0 if both sources are black.

    As released: where the strengths of source and F are equal, the strength itself stands for their ratio, and the
    orientation has the sign of true convolution. Xydeas and Petrovic, Electron. Lett. 2000.
    """
    weight = np.sum(a.edges[0]) + np.sum(b.edges[0])
    kept = sum(_sum_over(kept_edges, *source.edges, *f.edges) for source in (a, b))
    return kept / weight if weight > 0 else 0.0


def grey(image: np.ndarray) -> np.ndarray:
    """The 8-bit grey image that the release's evaluator reads: float luma .299 R + .587 G + .114 B, rounded.

    uint8 (H, W), (H, W, 1), RGB (H, W, 3) or RGBA (H, W, 4), whose alpha is ignored, to uint8 (H, W). Three equal
    channels come back unchanged. OpenCV's fixed-point conversion of 8-bit images differs in 0.1 % of all colours.
    Raises ValueError for anything else.
    """
    is_bytes = isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim >= 2 and image.size > 0
    if not is_bytes or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(f"{_describe(image)}; expected a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    if image.ndim == 2:
        return image
    if image.shape[2] == 1:
        return image[..., 0]
    bgr = image[..., 2::-1].astype(np.float32, order="C")  # the release adds up in this order, which decides ties
    return np.rint(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)).astype(np.uint8)


def _mutual_information(x: Image, y: Image) -> float:
    joint = np.bincount((x.levels.astype(np.uint16) * 256 + y.levels).ravel(), minlength=256 * 256)
    seen = np.flatnonzero(joint > 0)  # most pairs of levels never occur
    joint, independent = joint[seen], x.histogram[seen // 256] * y.histogram[seen % 256]
    return np.sum(joint * np.log(x.levels.size * joint / independent)) / x.levels.size


def _centred(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()).ravel()


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Of two vectors whose means are 0."""
    scale = np.sqrt(_dot(x, x) * _dot(y, y))
    return _dot(x, y) / scale if scale > 0 else 0.0


def _dot(x: np.ndarray, y: np.ndarray) -> float:
    return np.einsum("i,i", x, y)  # uses one thread and stores no product


def _ssim(x: np.ndarray, y: np.ndarray, data_range: float) -> float:
    if data_range == 0:
        return float(np.array_equal(x, y))
    c1, c2 = (0.01 * data_range) ** 2 * 49**2, (0.03 * data_range) ** 2 * 49 * 48  # for sums instead of means

    def similarity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        sum_x, sum_y = _window_sum(x), _window_sum(y)
        product, squares = sum_x * sum_y, sum_x**2 + sum_y**2
        covariance = 49 * _window_sum(x * y) - product
        variances = 49 * _window_sum(x**2 + y**2) - squares
        return (2 * product + c1) / (squares + c1) * (2 * covariance + c2) / (variances + c2)

    return _sum_over(similarity, x, y, overlap=6) / ((x.shape[0] - 6) * (x.shape[1] - 6))


def _window_sum(values: np.ndarray) -> np.ndarray:
    return cv2.boxFilter(values, -1, (7, 7), normalize=False)[3:-3, 3:-3]


def _vifp(reference: Image, distorted: Image) -> float:
    if np.ptp(reference.values) == 0:
        return 1.0
    kept = total = 0.0
    for size, (r, mean_r, var_r), (d, mean_d, var_d) in zip(VIF_SIZES, reference.scales, distorted.scales, strict=True):
        kept += _sum_over(_kept_information, _gaussian(r * d, size), mean_r, var_r, mean_d, var_d)
        total += _sum_over(_information, var_r)
    return kept / total


def _information(var_r: np.ndarray) -> np.ndarray:
    return np.log10(1 + var_r / VIF_NOISE)


def _kept_information(
    mean_rd: np.ndarray, mean_r: np.ndarray, var_r: np.ndarray, mean_d: np.ndarray, var_d: np.ndarray
) -> np.ndarray:
    """Equals VIFP's usual text to 1e-10: its masks act where var_r, var_d or the gain is 0, and so is the value."""
    covariance = mean_rd - mean_r * mean_d
    gain = np.maximum(covariance, 0) / (var_r + VIF_EPS)
    return np.log10(1 + gain**2 * var_r / (var_d - gain * covariance + VIF_NOISE))


def _gaussian(values: np.ndarray, size: int) -> np.ndarray:
    """'valid' filter with a Gaussian window of `size` x `size` pixels, sigma = size / 5: (h-size+1, w-size+1)."""
    half, window = size // 2, _window(size)
    return cv2.sepFilter2D(values, -1, window, window)[half:-half, half:-half]


@cache
def _window(size: int) -> np.ndarray:
    half = size // 2
    window = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * (size / 5) ** 2))
    return window / window.sum()


def kept_edges(
    g_source: np.ndarray, angle_source: np.ndarray, g_fused: np.ndarray, angle_fused: np.ndarray
) -> np.ndarray:
    """What F keeps of a source's edges at each pixel, 0 to 0.975 times their Sobel strength, from `Image.edges`."""
    low, high = np.minimum(g_source, g_fused), np.maximum(g_source, g_fused)
    ratio = np.divide(low, high, out=low.copy(), where=low != high)
    angle = 1 - np.abs(angle_source - angle_fused) / (np.pi / 2)
    q_strength = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5)))
    q_angle = 0.9879 / (1 + np.exp(-22 * (angle - 0.8)))
    return q_strength * q_angle * g_source


def _sum_over(function: Callable[..., np.ndarray], *arrays: np.ndarray, overlap: int = 0) -> float:
    """Sum of function(*arrays) in bands of rows, whose temporaries stay in cache; windows `overlap` + 1 rows high."""
    rows = max(BAND_PIXELS // arrays[0].shape[1], 16)
    starts = range(0, len(arrays[0]) - overlap, rows)
    return sum(np.sum(function(*(array[i:i + rows + overlap] for array in arrays))) for i in starts)


def _check_sizes(image: Image, other: Image) -> None:
    if image.levels.shape != other.levels.shape:
        sizes = f"{image.name} {size_of(image.levels)}, {other.name} {size_of(other.levels)}"
        raise ValueError(f"{sizes} (width x height); they must have one size")


def _describe(found: object) -> str:
    return f"{found.dtype} array {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
