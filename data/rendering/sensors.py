"""What the two cameras make of a painted canvas: light, smoke and lens, then the visible and the infrared sensor."""

from dataclasses import dataclass

import cv2
import numpy as np

from data.rendering.canvas import ALBEDO, FAR, GLOW, HEAT, OVERSAMPLING, SALIENT, Canvas
from data.rendering.shapes import linear, noise, smoothstep

_MOONLIGHT = np.float32([0.8, 1.0, 1.45])


Smoke = tuple[np.ndarray, np.ndarray]  # (H, W) each: optical thickness before every pixel, its own linear brightness


@dataclass(frozen=True)
class Veil:
    """Smoke or fog: thick to visible light, nearly clear to infrared.

    puffs: rows of (x, y, radius) in metres, all at `depth`; grey: how bright the smoke is, display 0..1; haze: optical
    depth per metre of the white mist around.
    """

    depth: float
    puffs: np.ndarray
    grey: float
    haze: float


def expose(canvas: Canvas, rng: np.random.Generator, veil: Veil | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures: visible uint8 (H, W, 3) RGB and infrared uint8 (H, W)."""
    smoke = None if veil is None else _smoke(canvas, veil)
    haze = 0.0 if veil is None else veil.haze
    return _visible(canvas, rng, smoke, haze), _infrared(canvas, rng, smoke)


def _visible(canvas: Canvas, rng: np.random.Generator, smoke: Smoke | None, haze: float) -> np.ndarray:
    """Lit, veiled by haze (optical depth per metre) and smoke, seen through a lens, with shot noise."""
    height, width = canvas.height // OVERSAMPLING, canvas.width // OVERSAMPLING
    light = canvas.layers[ALBEDO].copy()  # (3, H, W), linear
    if canvas.night:
        light *= _illumination(canvas)
    light += canvas.layers[GLOW]
    murk = 1 - np.exp(-canvas.depth * np.float32(1 / 900 if canvas.night else 1 / 350))
    murk[canvas.depth >= FAR] = 0
    air = 0.3 * canvas.moon * _MOONLIGHT if canvas.night else linear((0.76, 0.83, 0.90))
    light += (air[:, None, None] - light) * murk
    if smoke is not None:
        mist = 1 - np.exp(-np.float32(haze) * np.minimum(canvas.depth, np.float32(150)))
        light += (linear((0.84,) * 3)[:, None, None] - light) * mist
        thickness, brightness = smoke
        light += (brightness - light) * (1 - np.exp(-thickness))
    light = cv2.resize(cv2.merge(list(light)), (width, height), interpolation=cv2.INTER_AREA)
    light = _lens(light, canvas.night)
    picture = (1 - np.exp(-1.5 * light)) ** np.float32(1 / 2.2)
    grain = 0.6 * rng.standard_normal((height, width, 1), np.float32)
    grain = grain + 0.6 * rng.standard_normal((height, width, 3), np.float32)
    strength = (1.6, 3.4) if canvas.night else (0.5, 1.5)
    return _to_bytes(255 * picture + grain * (strength[0] + strength[1] * np.sqrt(picture)))


def _infrared(canvas: Canvas, rng: np.random.Generator, smoke: Smoke | None) -> np.ndarray:
    """Heat seen through a little of the smoke and a soft lens, with column pattern and mild noise."""
    height, width = canvas.height // OVERSAMPLING, canvas.width // OVERSAMPLING
    heat = canvas.layers[HEAT].copy()
    if smoke is not None:
        heat += (np.float32(0.2) - heat) * (1 - np.exp(-0.012 * smoke[0]))
    heat = cv2.resize(heat, (width, height), interpolation=cv2.INTER_AREA)
    heat = cv2.GaussianBlur(heat, (0, 0), max(0.4, 0.75 * min(height, width) / 240))
    level, gain = rng.uniform(-0.02, 0.02), rng.uniform(0.92, 1.02)
    pattern = 0.9 * rng.standard_normal((1, width), np.float32) + 0.5 * rng.standard_normal((height, 1), np.float32)
    grain = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 0.6)
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)[None]
    vignette = 1 - 0.07 * (x * x + y * y)
    return _to_bytes(255 * (gain * heat * vignette + level) + pattern + 2.2 * grain)


def salient(canvas: Canvas) -> np.ndarray:
    """The mask, uint8 (H, W) of 0 and 1: pixels that people and vehicles cover by half or more."""
    size = (canvas.width // OVERSAMPLING, canvas.height // OVERSAMPLING)
    cover = canvas.layers[SALIENT]
    return (cv2.resize(cover, size, interpolation=cv2.INTER_AREA) >= 0.5).astype(np.uint8)


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def _illumination(canvas: Canvas) -> np.ndarray:
    """Light that falls on every pixel, linear (3, H, W): moonlight and the scene's lamps by distance and beam."""
    step = OVERSAMPLING
    z = canvas.depth[::step, ::step]
    per_pixel = z * np.float32(1 / canvas.focal)
    x = np.float32(canvas.aside) + canvas.columns[:, ::step] * per_pixel
    y = np.float32(canvas.eye) - canvas.rows[::step] * per_pixel
    total = np.empty((3, *z.shape), np.float32)
    total[:] = canvas.moon * _MOONLIGHT[:, None, None]
    for lamp in canvas.lights:
        dx, dy, dz = (axis - np.float32(at) for axis, at in zip((x, y, z), lamp.position, strict=True))
        squared = dx * dx + dy * dy + dz * dz + np.float32(0.3)
        aim = np.float32(lamp.aim) / np.float32(np.linalg.norm(lamp.aim))
        beam = np.maximum(dx * aim[0] + dy * aim[1] + dz * aim[2], 0) / np.sqrt(squared)
        for _ in range(lamp.narrowness):
            beam *= beam
        total += beam / squared * np.float32(lamp.colour)[:, None, None]
    return total.repeat(step, axis=1).repeat(step, axis=2)


def _smoke(canvas: Canvas, veil: Veil) -> Smoke:
    step = 4
    per_pixel = np.float32(veil.depth / canvas.focal)
    x = np.float32(canvas.aside) + canvas.columns[:, ::step] * per_pixel
    y = np.float32(canvas.eye) - canvas.rows[::step] * per_pixel
    billow = noise(20 * x, 20 * y, 1.4) + 0.45 * noise(60 * x + 91, 60 * y, 1.1)
    dense = np.zeros(np.broadcast(x, y).shape, np.float32)
    for px, py, radius in veil.puffs.tolist():
        dense += np.exp(-((x - px) ** 2 + (y - py) ** 2) / (radius * radius))
    dense = 9 * smoothstep(0.25, 2.0, dense * (1 + 0.36 * billow))
    shading = 0.92 + 0.2 * np.tanh(1.2 * noise(24 * x + 40, 24 * y + 7, 1.3)) + 0.12 * np.tanh(y - 1)
    coarse = (dense, shading, billow)
    size = (canvas.width, canvas.height)
    dense, shading, billow = (cv2.resize(np.float32(a), size, interpolation=cv2.INTER_LINEAR) for a in coarse)
    behind = np.clip((canvas.depth - np.float32(veil.depth) - 0.45 * billow) / 1.2, 0, 1)
    return dense * behind, shading * linear((veil.grey,))


def _lens(light: np.ndarray, night: bool) -> np.ndarray:
    """Glare around what is brighter than the sensor's range; by night also streaks and a little hand shake."""
    size = min(light.shape[:2]) / 240
    excess = np.maximum(light - 1, 0)
    if not night:
        return light + 0.1 * cv2.GaussianBlur(excess, (0, 0), 4 * size + 0.3)
    near = cv2.GaussianBlur(excess, (0, 0), 1.6 * size + 0.3)
    wide = cv2.GaussianBlur(excess, (0, 0), 9 * size + 0.3)
    streak = cv2.GaussianBlur(excess, (0, 0), sigmaX=9 * size + 0.3, sigmaY=0.9 * size + 0.2)
    reach = 2 * round(1.2 * size) + 1
    shaken = cv2.blur(light, (reach, 1))
    return shaken + 0.08 * near + 0.09 * wide + 0.02 * streak
