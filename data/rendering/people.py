"""People in the rendered scenes: jointed figures in coloured clothes, warm in infrared."""

import numpy as np

from data.rendering.canvas import Canvas, Field
from data.rendering.shapes import Colour, capsule, ellipse, lying, noise, pick, rectangle, shade, smoothstep, upright

SKIN = ((0.87, 0.68, 0.56), (0.78, 0.56, 0.43), (0.55, 0.38, 0.28), (0.38, 0.26, 0.20))
HAIR = ((0.12, 0.09, 0.08), (0.30, 0.20, 0.12), (0.55, 0.43, 0.28), (0.50, 0.49, 0.48))
SHOES = ((0.12, 0.11, 0.11), (0.25, 0.18, 0.13), (0.60, 0.59, 0.57))
TOPS = {
    "bright": ((0.66, 0.20, 0.18), (0.20, 0.33, 0.58), (0.76, 0.66, 0.28), (0.82, 0.82, 0.80), (0.24, 0.46, 0.34),
               (0.70, 0.44, 0.54), (0.38, 0.56, 0.66), (0.82, 0.50, 0.22), (0.22, 0.23, 0.26)),
    "dark": ((0.13, 0.13, 0.15), (0.16, 0.18, 0.24), (0.22, 0.18, 0.15), (0.20, 0.22, 0.20)),
    "drab": ((0.33, 0.36, 0.20), (0.40, 0.36, 0.24), (0.28, 0.32, 0.18)),
}
TROUSERS = {
    "bright": ((0.20, 0.25, 0.38), (0.16, 0.16, 0.18), (0.45, 0.40, 0.32), (0.30, 0.30, 0.33)),
    "dark": TOPS["dark"],
    "drab": TOPS["drab"],
}
VEST, BAND, SHADOW = (0.82, 0.80, 0.12), (0.92, 0.92, 0.92), (0.03, 0.03, 0.03)


def _swing(start: np.ndarray, angle: float, length: float) -> np.ndarray:
    """The end of a limb that hangs from `start`, swung forward by `angle`."""
    return start + (length * np.sin(angle), -length * np.cos(angle))


def _joints(rng: np.random.Generator, sideways: bool) -> dict[str, np.ndarray]:
    """Joint positions (metres, 1.75 m tall, feet at 0) of somebody who walks across or faces the camera."""
    hip, neck = np.array([0.0, 0.93]), np.array([0.0, 1.43])
    stride = rng.uniform(0.14, 0.4) if sideways else rng.uniform(0.02, 0.07)
    knee_bend, elbow_bend = rng.uniform(0.15, 0.6), rng.uniform(0.1, 0.8)
    joints = {"hip": hip, "neck": neck, "head": np.array([0.03 * sideways, 1.63])}
    for part, sign in (("near", 1), ("far", -1)):
        top = hip + (sign * (0.02 if sideways else 0.09), 0)
        knee = _swing(top, sign * stride, 0.44)
        bend = (0.05 if sign > 0 else knee_bend) * sideways
        shoulder = neck + (sign * (0.03 if sideways else 0.175), -0.05)
        arm = -0.8 * sign * stride if sideways else sign * rng.uniform(0.08, 0.22)
        elbow = _swing(shoulder, arm, 0.29)
        joints[f"{part}_top"], joints[f"{part}_knee"] = top, knee
        joints[f"{part}_ankle"] = _swing(knee, sign * stride - bend, 0.43)
        joints[f"{part}_shoulder"], joints[f"{part}_elbow"] = shoulder, elbow
        joints[f"{part}_hand"] = _swing(elbow, arm + (elbow_bend if sideways else -0.1 * sign), 0.26)
    ground = joints["near_ankle"][1] - 0.06  # the far one is never lower
    return {name: point - (0, ground) for name, point in joints.items()}


def _garment(rng: np.random.Generator) -> Field:
    """Texture of a garment: plain, striped or checked, with folds."""
    style, pitch, shift = rng.integers(4), 2 * np.pi / rng.uniform(0.08, 0.13), rng.uniform(0, 200, 2).tolist()

    def cloth(x: np.ndarray, y: np.ndarray, _z: np.ndarray) -> np.ndarray:
        value = 1 + 0.22 * noise(30 * x + shift[0], 14 * y + shift[1], 1.0)
        if style == 2:
            value = value * (1 - 0.5 * smoothstep(-0.3, 0.3, np.sin(pitch * y)))
        if style == 3:
            value = value * (1 + 0.22 * np.sin(pitch * y) + 0.22 * np.sin(pitch * x))
        return value

    return cloth


def _torso(bust: float, hips: float, hem: float) -> np.ndarray:
    right = np.array([(0.9, hem), (0.85, hips + 0.12), (1.0, hips + 0.34), (0.93, hips + 0.45), (0.3, hips + 0.53)])
    return np.concatenate([right, right[::-1] * (-1, 1)]) * (bust, 1)


def person(canvas: Canvas, rng: np.random.Generator, x: float, z: float, clothes: str = "bright") -> None:
    """Somebody who stands or walks at (x, z); `clothes` is a key of TOPS."""
    scale, sideways, way = rng.uniform(1.58, 1.9) / 1.75, bool(rng.random() < 0.6), int(rng.choice([-1, 1]))
    joints = _joints(rng, sideways)
    skin, hair, shoes = pick(rng, SKIN), pick(rng, HAIR), pick(rng, SHOES)
    top, legs = pick(rng, TOPS[clothes]), pick(rng, TROUSERS[clothes])
    cloth, warmth, shift = _garment(rng), rng.uniform(0.7, 0.82), rng.uniform(0, 200, 2).tolist()
    coat, vest, from_behind = rng.random() < 0.3, clothes == "bright" and rng.random() < 0.15, rng.random() < 0.4
    lit_side = 0.0 if canvas.night else -float(np.sign(canvas.sun[0]))
    detailed = canvas.pixels(1.75, z) > 44

    def roundness(px: np.ndarray, _y: np.ndarray, _z: np.ndarray) -> np.ndarray:
        return 0.85 + 0.35 * np.clip(lit_side * (px - x) / (0.2 * scale), -1, 1)

    def dressed(px: np.ndarray, py: np.ndarray, pz: np.ndarray) -> np.ndarray:
        return cloth(px, py, pz) * roundness(px, py, pz)

    def part(outlines: list[np.ndarray], colour: Colour, level: float, texture: Field = roundness) -> None:
        def heat(px: np.ndarray, py: np.ndarray, _z: np.ndarray) -> np.ndarray:
            return level + 0.045 * noise(26 * px + shift[0], 16 * py + shift[1], 1.1)

        solid = [upright(outline * (way * scale, scale), x, z) for outline in outlines]
        canvas.paint(solid, colour, heat if detailed else level, salient=True, texture=texture if detailed else None)

    def leg(which: str, light: float) -> None:
        hip, knee, ankle = (joints[f"{which}_{name}"] for name in ("top", "knee", "ankle"))
        toe = ankle + ((0.15, -0.025) if sideways else (0.03 if which == "near" else -0.03, -0.03))
        part([capsule(ankle, toe, 0.05, 0.035)], shoes, 0.5)
        part([capsule(hip, knee, 0.095, 0.065), capsule(knee, ankle, 0.065, 0.045)], shade(legs, light), warmth - 0.06)

    def arm(which: str, light: float) -> None:
        shoulder, elbow, hand = (joints[f"{which}_{name}"] for name in ("shoulder", "elbow", "hand"))
        part([capsule(hand, hand - (0, 0.05), 0.042, 0.034)], skin, 0.9)
        sleeve = [capsule(shoulder, elbow, 0.062, 0.05), capsule(elbow, hand, 0.05, 0.038)]
        part(sleeve, shade(top, light), warmth - 0.02, dressed)

    def far_away() -> None:
        both = ("near", "far")
        part([capsule(joints[f"{s}_top"], joints[f"{s}_ankle"], 0.09, 0.05) for s in both], legs, warmth - 0.06)
        arms = [capsule(joints[f"{s}_shoulder"], joints[f"{s}_hand"], 0.06, 0.045) for s in both]
        part([torso, *arms], top, warmth)

    bust, hips = 0.13 if sideways else 0.19, joints["hip"][1]
    torso = _torso(bust, hips, hips - (0.3 if coat else 0.06))
    canvas.paint([lying(ellipse(x, z, 0.34 * scale, 0.2 * scale))], SHADOW, 0.3, opacity=0.4, lies=True)
    if detailed:
        arm("far", 0.75)
        leg("far", 0.8)
        leg("near", 1.0)
        part([torso], top, warmth, dressed)
    else:
        far_away()
    if vest:
        part([_torso(bust, hips, hips)], VEST, warmth - 0.01)
        part([rectangle(-0.9 * bust, 0.9 * bust, hips + y, hips + y + 0.05) for y in (0.08, 0.24)], BAND, warmth)
    head_x, head_y = joints["head"]
    neck = capsule(joints["neck"], (head_x, head_y - 0.06), 0.055, 0.05)
    part([neck, ellipse(head_x, head_y, 0.088, 0.118)], skin, 0.95)
    hairline = (0.0, 2 * np.pi) if from_behind and not sideways else (0.12, np.pi + 0.5 * sideways)
    part([ellipse(head_x - 0.015 * sideways, head_y + 0.01, 0.097, 0.125, *hairline)], hair, 0.8)
    if detailed:
        arm("near", 1.05)
