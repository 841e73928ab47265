"""The twelve fusion metrics written straight from their formulas, every window as a two-dimensional convolution.

Nothing here is shared between metrics and nothing is separated, rearranged or cached: this is the text that the fast
functions of `utils.metrics` are measured and tested against. Images are uint8 (H, W); degenerate ones (constant,
identical, smaller than 41x41) are outside its scope.
"""

import numpy as np
from scipy.signal import convolve2d

SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
SOBEL_Y = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]])


def entropy(image: np.ndarray) -> float:
    probability = np.histogram(image, bins=256, range=(0, 256))[0] / image.size
    probability = probability[probability > 0]
    return -np.sum(probability * np.log2(probability))


def spatial_frequency(image: np.ndarray) -> float:
    rows = np.mean((image[:, 1:] - image[:, :-1]) ** 2)
    columns = np.mean((image[1:] - image[:-1]) ** 2)
    return np.sqrt(rows + columns)


def average_gradient(image: np.ndarray) -> float:
    gy, gx = np.gradient(image)
    return np.mean(np.sqrt((gx**2 + gy**2) / 2))


def mutual_information(x: np.ndarray, y: np.ndarray) -> float:
    joint = np.histogram2d(x.ravel(), y.ravel(), bins=256, range=((0, 256), (0, 256)))[0] / x.size
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return np.sum(joint[seen] * np.log(joint[seen] / independent[seen]))


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - np.mean(x), y - np.mean(y)
    return np.sum(x * y) / np.sqrt(np.sum(x**2) * np.sum(y**2))


def vifp(reference: np.ndarray, distorted: np.ndarray) -> float:
    eps, noise, numerator, denominator = 1e-10, 2.0, 0.0, 0.0
    for scale in range(1, 5):
        size = 2 ** (5 - scale) + 1
        offset = np.arange(size) - size // 2
        window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * (size / 5) ** 2))
        window /= window.sum()
        if scale > 1:
            reference = convolve2d(reference, window, mode="valid")[::2, ::2]
            distorted = convolve2d(distorted, window, mode="valid")[::2, ::2]
        mean_r = convolve2d(reference, window, mode="valid")
        mean_d = convolve2d(distorted, window, mode="valid")
        var_r = np.maximum(convolve2d(reference * reference, window, mode="valid") - mean_r * mean_r, 0)
        var_d = np.maximum(convolve2d(distorted * distorted, window, mode="valid") - mean_d * mean_d, 0)
        covariance = convolve2d(reference * distorted, window, mode="valid") - mean_r * mean_d

        gain = covariance / (var_r + eps)
        residual = var_d - gain * covariance
        flat_r, flat_d = var_r < eps, var_d < eps
        gain[flat_r] = 0
        residual[flat_r] = var_d[flat_r]
        var_r[flat_r] = 0
        gain[flat_d] = 0
        residual[flat_d] = 0
        opposed = gain < 0
        residual[opposed] = var_d[opposed]
        gain[opposed] = 0
        residual[residual <= eps] = eps

        numerator += np.sum(np.log10(1 + gain**2 * var_r / (residual + noise)))
        denominator += np.sum(np.log10(1 + var_r / noise))
    return numerator / denominator


def strength_and_orientation(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sx = convolve2d(image, SOBEL_X, mode="same")
    sy = convolve2d(image, SOBEL_Y, mode="same")
    orientation = np.full(image.shape, np.pi / 2)
    orientation[sx != 0] = np.arctan(sy[sx != 0] / sx[sx != 0])
    return np.sqrt(sx**2 + sy**2), orientation


def preserved_edges(g_s: np.ndarray, a_s: np.ndarray, g_f: np.ndarray, a_f: np.ndarray) -> np.ndarray:
    ratio = g_f.copy()
    ratio[g_s > g_f] = g_f[g_s > g_f] / g_s[g_s > g_f]
    ratio[g_s < g_f] = g_s[g_s < g_f] / g_f[g_s < g_f]
    angle = 1 - np.abs(a_s - a_f) / (np.pi / 2)
    q_g = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5)))
    q_a = 0.9879 / (1 + np.exp(-22 * (angle - 0.8)))
    return q_g * q_a


def qabf(fused: np.ndarray, ir: np.ndarray, vis: np.ndarray) -> float:
    g_f, a_f = strength_and_orientation(fused)
    g_ir, a_ir = strength_and_orientation(ir)
    g_vis, a_vis = strength_and_orientation(vis)
    kept = preserved_edges(g_ir, a_ir, g_f, a_f) * g_ir + preserved_edges(g_vis, a_vis, g_f, a_f) * g_vis
    return np.sum(kept) / np.sum(g_ir + g_vis)


def ssim(x: np.ndarray, y: np.ndarray, data_range: float) -> float:
    window = np.full((7, 7), 1 / 49)
    mean_x, mean_y = convolve2d(x, window, mode="valid"), convolve2d(y, window, mode="valid")
    var_x = 49 / 48 * (convolve2d(x * x, window, mode="valid") - mean_x * mean_x)
    var_y = 49 / 48 * (convolve2d(y * y, window, mode="valid") - mean_y * mean_y)
    covariance = 49 / 48 * (convolve2d(x * y, window, mode="valid") - mean_x * mean_y)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return np.mean(luminance * structure)


def evaluate(fused: np.ndarray, ir: np.ndarray, vis: np.ndarray, protocol: str = "cmmdl") -> dict[str, float]:
    """The twelve metrics of one fused image, uint8 (H, W) each, as a dict in the order of `utils.metrics.METRICS`."""
    f, a, b = (image.astype(np.float64) for image in (fused, ir, vis))
    data_range = f.max() - f.min() if protocol == "cmmdl" else 2.0
    mse = (np.mean((a - f) ** 2) + np.mean((b - f) ** 2)) / 2
    return {
        "EN": entropy(f),
        "SD": np.std(f),
        "SF": spatial_frequency(f),
        "MI": mutual_information(f, a) + mutual_information(f, b),
        "SCD": correlation(a, f - b) + correlation(b, f - a),
        "VIF": vifp(a, f) + vifp(b, f),
        "Qabf": qabf(f, a, b),
        "SSIM": ssim(f, a, data_range) + ssim(f, b, data_range),
        "AG": average_gradient(f),
        "MSE": mse,
        "CC": (correlation(a, f) + correlation(b, f)) / 2,
        "PSNR": 10 * np.log10(f.max() ** 2 / mse),
    }
