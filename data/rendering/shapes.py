"""Outlines, colours and noise that the rendered scenes are made of."""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

_TILE = 256
_EIGHTEENTHS = np.arange(18) / 17
_HALF_TURN = np.stack([np.cos(np.linspace(np.pi / 2, 3 * np.pi / 2, 7)),
                       np.sin(np.linspace(np.pi / 2, 3 * np.pi / 2, 7))], axis=1)

Colour = tuple[float, float, float]  # display values in 0..1


@cache
def _noise_tile(slope: float) -> np.ndarray:
    """Periodic noise, zero mean, unit deviation, amplitude falling as frequency ** -slope; the edge repeats."""
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None])
    frequency[0, 0] = np.inf
    white = np.random.default_rng(round(100 * slope)).standard_normal((_TILE, _TILE))
    tile = np.fft.irfft2(np.fft.rfft2(white) * frequency**-slope, s=white.shape)
    return np.pad(tile / tile.std(), (0, 1), mode="wrap").astype(np.float32)


def noise(x: np.ndarray, y: np.ndarray, slope: float = 1.0) -> np.ndarray:
    """Smooth noise at the points (x, y), which broadcast to (H, W); zero mean, unit deviation, period 256.

    The larger `slope`, the softer: 0.5 is grain, 1 is cloth and leaves, 1.6 is clouds. Any two calls agree.
    """
    x, y = (np.ascontiguousarray(axis) for axis in np.broadcast_arrays(wrap(x, _TILE), wrap(y, _TILE)))
    return cv2.remap(_noise_tile(slope), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def wrap(value: np.ndarray, period: float) -> np.ndarray:
    """The remainder of a division, float32; what np.mod gives, but many times faster."""
    value = np.asarray(value, np.float32)
    return value - np.float32(period) * np.floor(value * np.float32(1 / period))


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def linear(colour: Sequence[float]) -> np.ndarray:
    """Display colour (0..1) to linear light, float32 (3,)."""
    return np.float32(colour) ** np.float32(2.2)


def shade(colour: Colour, factor: float) -> Colour:
    """A colour darkened (below 1) or lightened."""
    return tuple(factor * c for c in colour)


def pick(rng: np.random.Generator, options: Sequence[Colour]) -> Colour:
    """One of several colours, slightly varied."""
    return tuple((np.array(options[rng.integers(len(options))]) + rng.uniform(-0.03, 0.03, 3)).tolist())


def rectangle(x0: float, x1: float, y0: float, y1: float) -> np.ndarray:
    """Outline (4, 2), anticlockwise from the bottom left."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)


def ellipse(x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 2 * np.pi) -> np.ndarray:
    """Outline (18, 2) of an ellipse or, between two angles, of a segment of it."""
    angle = start + _EIGHTEENTHS * (stop - start)
    outline = np.empty((len(angle), 2))
    outline[:, 0], outline[:, 1] = x + rx * np.cos(angle), y + ry * np.sin(angle)
    return outline


def capsule(a: Sequence[float], b: Sequence[float], radius_a: float, radius_b: float) -> np.ndarray:
    """Outline (14, 2) of a limb from a to b with round ends."""
    (ax, ay), (bx, by) = a, b
    length = np.hypot(bx - ax, by - ay) + 1e-9
    dx, dy = (bx - ax) / length, (by - ay) / length
    arc = _HALF_TURN @ np.array([(dx, dy), (-dy, dx)])
    return np.concatenate([radius_a * arc + (ax, ay), (bx, by) - radius_b * arc])


def upright(outline: np.ndarray, x: float, z: float) -> np.ndarray:
    """Figures (..., k, 2) of (right, up), in metres, stood up at (x, z) and facing the camera: (..., k, 3)."""
    standing = np.empty((*outline.shape[:-1], 3))
    standing[..., 0], standing[..., 1], standing[..., 2] = outline[..., 0] + x, outline[..., 1], z
    return standing


def lying(outline: np.ndarray) -> np.ndarray:
    """A figure (k, 2) of (x, z) laid on the ground: (k, 3)."""
    return np.stack([outline[:, 0], np.full(len(outline), 0.01), outline[:, 1]], axis=1)


def inset(quad: np.ndarray, u0: float, u1: float, v0: float, v1: float) -> np.ndarray:
    """The part of a quad (4, 3) between fractions u of its width and v of its height, from its first corner."""
    corners = np.array([(u0, v0), (u1, v0), (u1, v1), (u0, v1)])
    u, v = corners[:, :1], corners[:, 1:]
    return (1 - v) * ((1 - u) * quad[0] + u * quad[1]) + v * ((1 - u) * quad[3] + u * quad[2])
