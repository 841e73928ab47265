"""Vehicles in the rendered scenes: extruded outlines with real perspective, warm where an engine makes them so."""

import math
from dataclasses import dataclass

import numpy as np

from data.rendering.canvas import Canvas, Field, Light
from data.rendering.shapes import Colour, ellipse, inset, pick, rectangle, shade, smoothstep

PAINT = ((0.58, 0.13, 0.12), (0.15, 0.25, 0.48), (0.84, 0.84, 0.83), (0.60, 0.62, 0.64), (0.15, 0.16, 0.18),
         (0.18, 0.34, 0.28), (0.74, 0.56, 0.20), (0.40, 0.42, 0.45), (0.70, 0.70, 0.68))  # as often seen
GLASS, RUBBER, CHROME = (0.30, 0.36, 0.42), (0.08, 0.08, 0.08), (0.64, 0.65, 0.66)
PLATE, TAIL_LAMP, HEAD_LAMP = (0.86, 0.85, 0.76), (0.56, 0.07, 0.06), (0.85, 0.88, 0.90)

Points = tuple[tuple[float, float], ...]  # (distance from the rear, height)


@dataclass(frozen=True)
class Body:
    """A vehicle's side: its outline from the rear bumper over the roof to the front bumper, and what is on it.

    panels: what lies between each two points of the outline; belt: above this height the sides lean inwards.
    """

    width: float
    outline: Points
    panels: tuple[str, ...]
    windows: tuple[Points, ...]
    wheels: tuple[float, float]
    radius: float
    belt: float


BODIES = {
    "sedan": Body(
        width=1.8,
        outline=((0, 0.3), (0, 0.66), (0.08, 0.97), (0.72, 1.02), (1.35, 1.42), (2.5, 1.45), (3.2, 1.0), (4.2, 0.82),
                 (4.42, 0.55), (4.4, 0.28)),
        panels=("bumper", "rear", "lid", "glass", "roof", "glass", "hood", "front", "bumper"),
        windows=(((1.0, 1.04), (1.95, 1.04), (1.95, 1.37), (1.45, 1.36)),
                 ((2.03, 1.04), (2.98, 1.04), (2.5, 1.39), (2.03, 1.38))),
        wheels=(0.85, 3.5), radius=0.33, belt=0.95,
    ),
    "hatch": Body(
        width=1.75,
        outline=((0, 0.3), (0, 0.62), (0.1, 1.05), (0.5, 1.47), (2.3, 1.52), (3.0, 1.05), (3.8, 0.88), (4.0, 0.58),
                 (3.98, 0.28)),
        panels=("bumper", "rear", "glass", "roof", "glass", "hood", "front", "bumper"),
        windows=(((0.62, 1.07), (1.7, 1.07), (1.7, 1.43), (0.8, 1.41)),
                 ((1.78, 1.07), (2.78, 1.07), (2.3, 1.45), (1.78, 1.44))),
        wheels=(0.75, 3.15), radius=0.32, belt=1.0,
    ),
    "van": Body(
        width=1.95,
        outline=((0, 0.35), (0, 0.7), (0, 1.15), (0.1, 1.92), (0.3, 2.05), (3.4, 2.05), (4.15, 1.2), (4.65, 1.0),
                 (4.75, 0.6), (4.72, 0.3)),
        panels=("bumper", "rear", "glass", "roof", "roof", "glass", "hood", "front", "bumper"),
        windows=(((1.4, 1.25), (2.6, 1.25), (2.6, 1.85), (1.4, 1.85)),
                 ((2.75, 1.2), (3.85, 1.2), (3.35, 1.86), (2.75, 1.86))),
        wheels=(0.9, 3.85), radius=0.36, belt=1.2,
    ),
    "truck": Body(
        width=2.3,
        outline=((0, 0.5), (0, 0.95), (0, 3.0), (4.1, 3.0), (4.2, 2.35), (5.0, 2.4), (5.55, 1.45), (5.7, 1.0),
                 (5.7, 0.4)),
        panels=("rear", "doors", "roof", "roof", "roof", "glass", "front", "bumper"),
        windows=(((4.5, 1.45), (5.4, 1.45), (5.0, 2.2), (4.5, 2.2)),),
        wheels=(1.1, 4.8), radius=0.48, belt=2.0,
    ),
}


class _Frame:
    """Places a body's own coordinates (across, along, up) in the world."""

    def __init__(self, body: Body, x: float, z: float, yaw: float) -> None:
        self.body, self.x, self.z, self.cos, self.sin = body, x, z, math.cos(yaw), math.sin(yaw)
        self.half_length = body.outline[-1][0] / 2
        self.peak = max(y for _, y in body.outline)

    def half_width(self, up: np.ndarray) -> np.ndarray:
        lean = np.clip((up - self.body.belt) / (self.peak - self.body.belt), 0, 1)
        return self.body.width / 2 * (1 - 0.2 * lean)

    def place(self, across: np.ndarray, along: np.ndarray, up: np.ndarray) -> np.ndarray:
        """Points (k, 3) in the world."""
        along = along - self.half_length
        x, z = self.x + across * self.cos + along * self.sin, self.z - across * self.sin + along * self.cos
        return np.stack(np.broadcast_arrays(x, up, z), axis=1)

    def on_side(self, points: np.ndarray | Points, sign: int) -> np.ndarray:
        """Points (k, 2) of (along, up) on the right (1) or left (-1) side."""
        along, up = np.array(points, float).T
        return self.place(sign * self.half_width(up), along, up)

    def along(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Where points of the world lie between the rear (-1) and the front (1)."""
        return ((x - self.x) * self.sin + (z - self.z) * self.cos) / self.half_length

    def faces(self) -> list[tuple[np.ndarray, str]]:
        """Outer faces, anticlockwise from outside, with their names."""
        points = np.array(self.body.outline, float)
        widths = self.half_width(points[:, 1])
        faces = [(self.on_side(points[::-1], 1), "right"), (self.on_side(points, -1), "left")]
        for i, panel in enumerate(self.body.panels):
            (near, low), (far, high) = points[i], points[i + 1]
            across = np.array([-widths[i], widths[i], widths[i + 1], -widths[i + 1]])
            quad = self.place(across, np.array([near, near, far, far]), np.array([low, low, high, high]))
            faces.append((quad, panel))
        return faces


class _Vehicle:
    """What is painted of a vehicle in its frame; see `vehicle`."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator, frame: _Frame, running: float) -> None:
        self.canvas, self.frame, self.form, self.running = canvas, frame, frame.body, running
        self.colour = pick(rng, PAINT)
        self.base = rng.uniform(0.42, 0.48) + 0.06 * running - 0.03 * canvas.night  # heat
        self.lit = canvas.night and running >= 0.5
        self.detailed = canvas.pixels(1.5, frame.z) > 22

    def ground(self) -> None:
        """The shadow under it and, close by, the treads of its tyres."""
        form, extent = self.form, 2 * self.frame.half_length
        shadow = rectangle(-0.53 * form.width, 0.53 * form.width, -0.03 * extent, 1.03 * extent)
        on_ground = self.frame.place(shadow[:, 0], shadow[:, 1], np.full(4, 0.01))
        self.canvas.paint([on_ground], (0.02,) * 3, 0.38 + 0.08 * self.running, opacity=0.85, lies=True)
        for wheel in form.wheels if self.detailed else ():
            edges = (0.04 - form.width / 2, form.width / 2 - 0.26)
            tread = [rectangle(edge, edge + 0.22, 0, 1.4 * form.radius) for edge in edges]
            placed = [self.frame.place(t[:, 0], wheel, t[:, 1]) for t in tread]
            self._put(placed, RUBBER, self.base + 0.05 + 0.15 * self.running)

    def face(self, polygon: np.ndarray, panel: str) -> None:
        """One of the frame's outer faces, with what is on it."""
        light = self.canvas.brightness(np.cross(polygon[-1] - polygon[0], polygon[1] - polygon[0]))
        if panel == "glass":
            self._put([polygon], shade(self.colour, 0.7), self.base)
            self._put([inset(polygon, 0.06, 0.94, 0.08, 0.95)], GLASS, self.base - 0.1, texture=self._mirror)
            return
        self._put([polygon], self.colour, self._heat, texture=self._sheen(0.75 * light if panel == "bumper" else light))
        if panel in ("left", "right"):
            self._flank(1 if panel == "right" else -1)
        elif panel in ("rear", "front"):
            self._end(polygon, panel == "front")
        elif panel == "doors" and self.detailed:
            self._put([inset(polygon, 0.49, 0.51, 0, 1)], shade(self.colour, 0.4), self.base - 0.02)
        elif panel == "bumper" and polygon[0, 1] < polygon[-1, 1] and self.detailed:
            self._put([inset(polygon, 0.70, 0.79, 0, 0.3)], RUBBER, self.base + 0.4 * self.running)  # the exhaust

    def _flank(self, sign: int) -> None:
        """Windows, seams and wheels of the right (1) or left (-1) side."""
        form, base = self.form, self.base

        def put(outlines: list[np.ndarray | Points], tone: Colour, heat: float, **options) -> None:
            self._put([self.frame.on_side(outline, sign) for outline in outlines], tone, heat, **options)

        put(form.windows, GLASS, base - 0.1, texture=self._mirror)
        if self.detailed:
            seam = form.windows[-1][0][0]
            put([rectangle(0.1, 2 * self.frame.half_length - 0.1, 0.3, 0.4)], RUBBER, base)
            put([rectangle(seam - 0.03, seam, 0.42, form.belt + 0.05)], RUBBER, base - 0.02)
        hub = form.radius
        rings = ((1.18, RUBBER, 0.02, 0.05), (1.0, RUBBER, 0.05, 0.2), (0.6, CHROME, 0.1, 0.3), (0.2, RUBBER, 0.1, 0.3))
        for size, tone, cold, hot in rings if self.detailed else rings[1:3]:
            outlines = [ellipse(wheel, hub, size * hub, size * hub) for wheel in form.wheels]
            put(outlines, tone, base + cold + hot * self.running)

    def _end(self, quad: np.ndarray, front: bool) -> None:
        """Lamps and number plate of the rear, or of the front with the grille; by night the beams of its lamps."""
        base, rise = self.base, float(np.ptp(quad[:, 1]))
        low, high = 0.3, min(0.9, 0.3 + 0.26 / rise)
        lamps = [inset(quad, u, u + 0.17, low, high) for u in (0.03, 0.80)]
        plate = [inset(quad, 0.37, 0.63, 0.12, 0.12 + 0.14 / rise)]
        if not front:
            self._put(lamps, TAIL_LAMP, base, glow=(1.1, 0.03, 0.02) if self.lit else (0, 0, 0))
            if self.detailed:
                self._put(plate, PLATE, base - 0.03)
            return
        self._put([inset(quad, 0.26, 0.74, 0.2, 0.85)], RUBBER, base + 0.12 + 0.25 * self.running)
        self._put(lamps, HEAD_LAMP, base + 0.08, glow=(22, 21, 18) if self.lit else (0, 0, 0))
        if self.detailed:
            self._put(plate, PLATE, base)
        if self.lit:
            aim = self.frame.sin, -0.13, self.frame.cos
            self.canvas.lights.append(Light(tuple(quad.mean(0)), aim, (7.0, 6.7, 6.0), 4))

    def _put(self, polygons: list[np.ndarray], tone: Colour, heat: float | Field, **options) -> None:
        self.canvas.paint(polygons, tone, heat, salient=True, casts=tone is self.colour, **options)

    def _heat(self, x: np.ndarray, _y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """That of the body: warm towards the hood."""
        return self.base + 0.18 * self.running * smoothstep(0.3, 0.9, self.frame.along(x, z))

    def _sheen(self, light: float) -> Field:
        """Paint in this light, with a glint along the belt."""

        def reflect(_x: np.ndarray, y: np.ndarray, _z: np.ndarray) -> np.ndarray:
            glint = np.exp(-(((y - self.form.belt + 0.12) / 0.05) ** 2))
            return light * (0.6 + 0.5 * np.clip(y / self.frame.peak, 0, 1) + 0.3 * glint)

        return reflect

    def _mirror(self, _x: np.ndarray, y: np.ndarray, _z: np.ndarray) -> np.ndarray:
        """Glass, brighter towards the roof."""
        belt = self.form.belt
        return 0.25 + 1.2 * np.clip((y - belt + 0.1) / (self.frame.peak - belt + 0.2), 0, 1) ** 2


def vehicle(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, yaw: float, body: str = "sedan", running: float = 1.0
) -> None:
    """A vehicle with its middle at (x, z). yaw 0 drives away from the camera, pi towards it.

    body: a key of BODIES. running: from 0, stood for hours, to 1, driven just now: warm hood, tyres and exhaust; from
    0.5 its lights are on by night.
    """
    frame = _Frame(BODIES[body], x, z, yaw)
    painted = _Vehicle(canvas, rng, frame, running)
    painted.ground()
    for polygon, panel in sorted(frame.faces(), key=lambda face: -np.hypot(face[0][:, 0], face[0][:, 2]).mean()):
        if canvas.faces_camera(polygon):
            painted.face(polygon, panel)
