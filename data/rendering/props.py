"""What stands about in the rendered scenes and is not salient: plants, lamps, signs, fences."""

from functools import cache

import cv2
import numpy as np

from data.rendering.canvas import Canvas, Light
from data.rendering.shapes import Colour, capsule, ellipse, noise, pick, rectangle, shade, upright

BARK = ((0.32, 0.26, 0.21), (0.40, 0.35, 0.30), (0.26, 0.23, 0.20))
LEAVES = ((0.27, 0.36, 0.17), (0.36, 0.42, 0.20), (0.23, 0.33, 0.19), (0.30, 0.37, 0.20), (0.47, 0.42, 0.20))
NEEDLES = ((0.15, 0.25, 0.18), (0.19, 0.28, 0.18))
BLADES = ((0.40, 0.47, 0.24), (0.55, 0.54, 0.32), (0.32, 0.40, 0.20))
STRAW, STEEL, CONE_ORANGE, WHITE = (0.70, 0.60, 0.36), (0.42, 0.44, 0.45), (0.86, 0.36, 0.12), (0.92, 0.92, 0.92)
SIGN_BLUE, SIGN_RED, BLACK = (0.12, 0.28, 0.56), (0.72, 0.12, 0.11), (0.09, 0.09, 0.09)
WORDS = ("CAFE", "HOTEL", "BOOKS", "PARK", "MARKET", "RADIO", "BAKERY", "CINEMA")
LAMPLIGHT = ((1.0, 0.72, 0.38), (1.0, 0.86, 0.62), (0.80, 0.92, 1.0))
SIGNALS = (((0.9, 0.1, 0.08), (8, 0.5, 0.3)), ((0.9, 0.6, 0.1), (8, 4, 0.3)), ((0.1, 0.8, 0.35), (0.4, 7, 2.5)))


def _foliage(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: float,
    middle: tuple[float, float],
    spread: tuple[float, float],
    green: Colour,
) -> None:
    """A crown or bush: round lobes, each lit from above and from the sun, with ragged edges and leaves."""
    count = 7
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 0.9, count)
    offset = rng.uniform(0.42, 0.62, (count, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lobes = np.array(middle) + np.concatenate([offset, np.zeros((1, 2))]) * spread
    radii = rng.uniform(0.38, 0.54, count + 1) * np.sqrt(spread[0] * spread[1])
    shift = rng.uniform(0, 200, 2).tolist()
    aside = 0.0 if canvas.night else -0.45 * float(np.sign(canvas.sun[0]))
    heat = (0.2 if canvas.night else 0.24) + rng.uniform(-0.02, 0.02)
    visible_size = canvas.pixels(2 * spread[1], z)

    def lit(px: np.ndarray, py: np.ndarray) -> np.ndarray:
        total, weights = np.float32(0.02 * 0.6), np.float32(0.02)
        for (cx, cy), radius in zip(np.float32(lobes) + np.float32((x, 0)), np.float32(radii), strict=True):
            dx, dy = (px - cx) / radius, (py - cy) / radius
            weight = np.maximum(1.1 - dx * dx - dy * dy, 0) ** 2
            total = total + weight * (0.8 + 0.42 * (dy + aside * dx))
            weights = weights + weight
        return total / weights

    def leaves(px: np.ndarray, py: np.ndarray, _z: np.ndarray) -> np.ndarray:
        value = lit(px, py)
        if visible_size > 25:
            value = value * (1 + 0.24 * noise(9 * px + shift[0], 9 * py + shift[1], 0.8))
        if visible_size > 60:
            value = value * (1 + 0.36 * noise(30 * px + shift[1], 30 * py + shift[0], 0.5))
        return value

    def warm(px: np.ndarray, py: np.ndarray, _z: np.ndarray) -> np.ndarray:
        return heat + 0.026 * noise(9 * px + shift[0], 9 * py + shift[1], 0.8)

    tufts = int(np.clip(visible_size / 2, 16, 110))
    which = rng.integers(0, count + 1, tufts)
    turn, points = rng.uniform(0, 2 * np.pi, tufts), np.linspace(0, 2 * np.pi, 9, endpoint=False)
    rim = lobes[which] + 0.94 * radii[which, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    size = rng.uniform(0.4, 1.5, (tufts, 9)) * radii.mean() * 0.2
    ragged = rim[:, None] + np.stack([size * np.cos(points), size * np.sin(points)], axis=2)
    shapes = [ellipse(*lobe, radius, radius) for lobe, radius in zip(lobes, radii, strict=True)] + list(ragged)
    canvas.paint([upright(outline, x, z) for outline in shapes], green, warm, texture=leaves)


def _bark(x: np.ndarray, y: np.ndarray, _z: np.ndarray) -> np.ndarray:
    return 0.8 + 0.25 * noise(60 * x, 12 * y, 0.8)


def tree(canvas: Canvas, rng: np.random.Generator, x: float, z: float, height: float = 7.0) -> None:
    """A broad-leaved tree."""
    fork, girth, lean = 0.36 * height, 0.022 * height, rng.uniform(-0.03, 0.03) * height
    limbs = [capsule((0, -0.1), (lean, fork), 1.3 * girth, 0.9 * girth)]
    texture = 1.0
    if canvas.pixels(height, z) > 120:
        tips = [(lean + dx * height, rng.uniform(0.55, 0.75) * height) for dx in (-0.18, -0.06, 0.06, 0.18)]
        limbs += [capsule((lean, 0.95 * fork), tip, 0.6 * girth, 0.2 * girth) for tip in tips]
        texture = _bark
    canvas.paint([upright(limb, x, z) for limb in limbs], pick(rng, BARK), 0.28 if canvas.night else 0.31,
                 texture=texture)
    crown = (rng.uniform(0.24, 0.32) * height, 0.32 * height)
    _foliage(canvas, rng, x, z, (1.5 * lean, 0.67 * height), crown, pick(rng, LEAVES))


def conifer(canvas: Canvas, rng: np.random.Generator, x: float, z: float, height: float = 8.0) -> None:
    """A fir: ragged tiers on a straight trunk."""
    green, shift = pick(rng, NEEDLES), rng.uniform(0, 200)
    canvas.paint([upright(rectangle(-0.1, 0.1, 0, 0.3 * height), x, z)], pick(rng, BARK), 0.3)
    for step in np.linspace(0, 1, 9):
        base, half = (0.08 + 0.78 * step) * height, (0.21 - 0.165 * step) * height
        rim = np.linspace(-half, half, 21)
        sag = base + rng.uniform(-0.035, 0.035, 21) * height - 0.02 * height * np.abs(rim) / half
        tip = np.array([(0.025, 0.17), (-0.025, 0.17)]) * height + (0, base)
        tier = np.concatenate([np.stack([rim, sag], axis=1), tip])
        canvas.paint([upright(tier, x, z)], shade(green, 0.85 + 0.3 * step), 0.21 + 0.02 * step,
                     texture=lambda px, py, _z: 1 + 0.45 * noise(30 * px + shift, 14 * py, 0.7))


def bush(canvas: Canvas, rng: np.random.Generator, x: float, z: float, size: float = 1.0) -> None:
    """A low shrub, `size` metres high."""
    _foliage(canvas, rng, x, z, (0, 0.42 * size), (rng.uniform(0.7, 1.1) * size, 0.55 * size), pick(rng, LEAVES))


def grass(canvas: Canvas, rng: np.random.Generator, z: float, count: int = 90) -> None:
    """Tufts of long grass across the picture at depth z."""
    middles = canvas.across(rng.uniform(-1, 1, count // 7), z)
    x = rng.choice(middles, count) + rng.normal(0, 0.09, count)
    height, lean = rng.uniform(0.06, 0.22, count), rng.uniform(-0.1, 0.1, count)
    left, right = np.stack([x - 0.012, 0 * x], axis=1), np.stack([x + 0.012, 0 * x], axis=1)
    blades = np.stack([left, right, np.stack([x + lean, height], axis=1)], axis=1)
    canvas.paint(upright(blades, 0, z), pick(rng, BLADES), 0.19 if canvas.night else 0.27, lies=True, opacity=0.8,
                 texture=lambda _x, py, _z: 0.55 + 3.2 * py)


def bale(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A round bale of straw, seen from its end."""
    radius = rng.uniform(0.6, 0.75)

    def spiral(px: np.ndarray, py: np.ndarray, _z: np.ndarray) -> np.ndarray:
        dx, dy = px - x, py - radius
        return 0.85 + 0.2 * np.sin(60 * np.hypot(dx, dy) + np.arctan2(dy, dx)) + 0.2 * noise(50 * px, 50 * py, 0.6)

    canvas.paint([upright(ellipse(0, radius, radius, radius), x, z)], STRAW, 0.27, texture=spiral)


def fence(canvas: Canvas, rng: np.random.Generator, x: float, z: float, dx: float, dz: float) -> None:
    """Posts and two rails from (x, z) to (x + dx, z + dz)."""
    wood, heat = pick(rng, BARK), 0.25 if canvas.night else 0.34
    wave = rng.uniform(-0.05, 0.05, 4)
    for y, (sag0, sag1) in zip((0.5, 0.95), wave.reshape(2, 2), strict=True):
        low = np.array([(x, y + sag0, z), (x + dx, y + sag1, z + dz)])
        canvas.paint([np.concatenate([low, low[::-1] + (0, 0.1, 0)])], wood, heat)
    for t in np.linspace(0, 1, max(2, int(np.hypot(dx, dz) / 2.2))):
        lean, top = rng.uniform(-0.05, 0.05), rng.uniform(1.1, 1.3)
        post = np.array([(-0.07, 0), (0.07, 0), (0.06 + lean, top), (-0.06 + lean, top)])
        canvas.paint([upright(post, x + t * dx, z + t * dz)], wood, heat)


def cone(canvas: Canvas, _rng: np.random.Generator, x: float, z: float) -> None:
    """A traffic cone."""
    canvas.paint([upright(rectangle(-0.2, 0.2, 0, 0.05), x, z)], BLACK, 0.29)
    body = np.array([(-0.15, 0.05), (0.15, 0.05), (0.03, 0.62), (-0.03, 0.62)])
    canvas.paint([upright(body, x, z)], CONE_ORANGE, 0.29)
    bands = np.array([[(-0.12, 0.2), (0.12, 0.2), (0.1, 0.3), (-0.1, 0.3)],
                      [(-0.077, 0.4), (0.077, 0.4), (0.056, 0.5), (-0.056, 0.5)]])
    canvas.paint(upright(bands, x, z), WHITE, 0.29)


@cache
def _lettering(word: str) -> np.ndarray:
    """A word in white on black, float32 (32, W) in 0..1."""
    (width, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1, 2)
    plate = np.zeros((32, width + 12), np.uint8)
    cv2.putText(plate, word, (6, 26), cv2.FONT_HERSHEY_DUPLEX, 1, 255, 2, cv2.LINE_AA)
    return plate.astype(np.float32) / 255


def board(canvas: Canvas, x: float, z: float, low: float, width: float, height: float, tone: Colour, word: str) -> None:
    """A dark board with a white word on it, its lower edge at `low`; paint, so nothing of it in infrared."""
    plate = _lettering(word)
    size = (min(plate.shape[1], int(canvas.pixels(width, z)) + 2), min(32, int(canvas.pixels(height, z)) + 2))
    plate = cv2.resize(plate, size, interpolation=cv2.INTER_AREA)
    contrast = (0.9 / max(tone)) ** 2.2 - 1

    def text(px: np.ndarray, py: np.ndarray, _z: np.ndarray) -> np.ndarray:
        u = (px - x + width / 2) / width * size[0] - 0.5
        v = (low + height - py) / height * size[1] - 0.5
        u, v = (np.ascontiguousarray(axis, np.float32) for axis in np.broadcast_arrays(u, v))
        return 1 + contrast * cv2.remap(plate, u, v, cv2.INTER_LINEAR)

    face = upright(rectangle(-width / 2, width / 2, low, low + height), x, z)
    canvas.paint([face], tone, 0.26 if canvas.night else 0.3, texture=text)


def street_sign(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """A traffic sign or a name board on a post."""
    canvas.paint([upright(rectangle(-0.04, 0.04, 0, 2.9), x, z)], STEEL, 0.29)
    if rng.random() < 0.6:
        board(canvas, x, z, 2.1, rng.uniform(1.2, 1.7), 0.55, SIGN_BLUE, WORDS[rng.integers(len(WORDS))])
        return
    for radius, tone in ((0.42, SIGN_RED), (0.31, WHITE)):
        canvas.paint([upright(ellipse(0, 2.5, radius, radius), x, z)], tone, 0.3)
    canvas.paint([upright(rectangle(-0.2, 0.2, 2.44, 2.56), x, z)], BLACK, 0.3)


def traffic_light(canvas: Canvas, rng: np.random.Generator, x: float, z: float) -> None:
    """Three lamps on a post, one of them on."""
    canvas.paint([upright(rectangle(-0.06, 0.06, 0, 2.5), x, z)], STEEL, 0.29)
    canvas.paint([upright(rectangle(-0.18, 0.18, 2.4, 3.4), x, z)], BLACK, 0.32)
    burning, strength = rng.integers(3), 0.8 if canvas.night else 0.2
    for i, (tone, light) in enumerate(SIGNALS):
        on = i == burning
        canvas.paint([upright(ellipse(0, 3.22 - 0.32 * i, 0.12, 0.12), x, z)], tone if on else shade(tone, 0.25),
                     0.4 if on else 0.32, glow=[strength * on * c for c in light])


def lamp(canvas: Canvas, rng: np.random.Generator, x: float, z: float, on: bool = True) -> None:
    """A street lamp whose arm reaches over the road; by night it lights its surroundings when `on`."""
    arm, on, tint = -1.3 * float(np.sign(x)), on and canvas.night, LAMPLIGHT[rng.integers(len(LAMPLIGHT))]
    pole = np.array([(-0.08, 0), (0.08, 0), (0.05, 5.6), (-0.05, 5.6)])
    canvas.paint([upright(pole, x, z), upright(capsule((0, 5.5), (arm, 5.8), 0.05, 0.04), x, z)], STEEL, 0.28)
    canvas.paint([upright(ellipse(arm, 5.72, 0.32, 0.1), x, z)], (0.75,) * 3, 0.62 if on else 0.31,
                 glow=[24 * on * c for c in tint])
    if on:
        canvas.lights.append(Light((x + arm, 5.6, z), (0, -1, 0), tuple(6.0 * c for c in tint), 1))


def treeline(canvas: Canvas, rng: np.random.Generator, z: float, height: float, tone: Colour) -> None:
    """A wood or ridge right across the picture at depth z; it hides where the ground ends."""
    phase, x = rng.uniform(0, 200), canvas.across(np.linspace(-1.1, 1.1, 160), z)
    wave = 0.18 * noise((x / z * 60 + phase)[None], phase, 1.2) + 0.07 * noise((x / z * 500)[None], phase, 0.8)
    top = height * (1 + wave[0])
    ridge = np.concatenate([np.stack([x, top], axis=1), [(x[-1], -1), (x[0], -1)]])
    grain = 800 / z
    canvas.paint([upright(ridge, 0, z)], tone, 0.19 if canvas.night else 0.22, casts=False,
                 texture=lambda px, py, _z: 0.9 + 0.3 * noise(grain * px, grain * py, 0.9) + 0.3 * (py / height - 0.5))
