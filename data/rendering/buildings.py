"""Houses in the rendered scenes: walls in perspective with windows, shops and roofs."""

import numpy as np

from data.rendering.canvas import Canvas
from data.rendering.shapes import Colour, noise, pick, rectangle, shade, upright, wrap

PLASTER = ((0.68, 0.63, 0.55), (0.52, 0.36, 0.30), (0.76, 0.74, 0.71), (0.50, 0.49, 0.48), (0.64, 0.56, 0.45),
           (0.56, 0.60, 0.63))
TILES = ((0.42, 0.25, 0.20), (0.30, 0.30, 0.32), (0.38, 0.30, 0.25))
AWNINGS = ((0.58, 0.17, 0.16), (0.16, 0.36, 0.27), (0.18, 0.28, 0.48), (0.70, 0.55, 0.22))
WINDOW_LIGHT = ((0.42, 0.25, 0.09), (0.36, 0.27, 0.16), (0.16, 0.20, 0.24))
PANE, FRAME, DOOR, BRICK = (0.34, 0.42, 0.50), (0.78, 0.77, 0.74), (0.30, 0.20, 0.14), (0.48, 0.30, 0.25)
STOREY = 3.1


class _Wall:
    """A wall from `corner` (x, z), `length` metres in the direction `along`."""

    def __init__(
        self,
        canvas: Canvas,
        rng: np.random.Generator,
        corner: tuple[float, float],
        along: tuple[float, float],
        length: float,
        height: float,
    ) -> None:
        self.canvas, self.rng = canvas, rng
        self.corner, self.along, self.length, self.height = corner, along, length, height
        nearest = min(corner[1], corner[1] + length * along[1])
        self.detailed = canvas.pixels(1.4, nearest) > 14
        self.light = canvas.brightness((along[1], 0.0, -along[0]))
        self.heat = 0.25 if canvas.night else 0.25 + 0.1 * (self.light - 0.5)
        self.shift = rng.uniform(0, 200)

    def place(self, outline: np.ndarray) -> np.ndarray:
        """Points (k, 2) of (along the wall, up) in the world, (k, 3)."""
        a, y = outline.T
        return np.stack([self.corner[0] + a * self.along[0], y, self.corner[1] + a * self.along[1]], axis=1)

    def paint(self, tone: Colour, shop: bool = False, door: bool = False) -> None:
        """The wall and what is in it; a shop or a door takes up the ground floor's middle or all of it."""
        bricks = 0.24 * (self.rng.random() < 0.5)

        def plaster(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
            a = x * self.along[0] + z * self.along[1]
            stain = 0.09 * noise(5 * a + self.shift, 4 * y, 1.2) + 0.06 * noise(40 * a, 40 * y, 0.5)
            joints = bricks * np.minimum(1, 0.012 * self.canvas.focal / z) * (wrap(y, 0.3) < 0.07)
            return self.light * (1 + stain - joints)

        def warm(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
            return self.heat + 0.015 * noise(3 * (x + z) + self.shift, 3 * y, 1.2)

        self.canvas.paint([self.place(rectangle(0, self.length, 0, self.height))], tone, warm, texture=plaster)
        if self.detailed:
            self._put([rectangle(0, self.length, self.height - 0.35, self.height)], shade(tone, 0.75), -0.01)
        self._windows(STOREY if shop else 0.0, door)
        if shop and self.detailed:
            self._shop()

    def _put(self, outlines: list[np.ndarray], tone: Colour, warmer: float, **options) -> None:
        """A detail of the wall, `warmer` than it."""
        options = {"texture": self.light} | options
        self.canvas.paint([self.place(o) for o in outlines], tone, self.heat + warmer, casts=False, **options)

    def _windows(self, first: float, door: bool) -> None:
        """Rows of panes from the height `first` up; by night some are lit."""
        pitch, night = self.rng.uniform(2.1, 2.8), self.canvas.night
        columns = int((self.length - 0.8) / pitch)
        left = (self.length - columns * pitch) / 2
        if door:
            middle = left + (columns // 2) * pitch
            self._put([rectangle(middle - 0.5, middle + 0.5, 0, 2.2)], DOOR, 0.02)
        panes = [rectangle(left + (i + 0.26) * pitch, left + (i + 0.74) * pitch, y + 0.95, y + 2.35)
                 for y in np.arange(first, self.height - 2.9, STOREY).tolist() for i in range(columns)]
        if self.detailed:
            frame = np.array([(-0.1, -0.14), (0.1, -0.14), (0.1, 0.1), (-0.1, 0.1)])
            self._put([pane + frame for pane in panes], FRAME, 0.01, texture=0.8 * self.light)
        warmer = 0.05 if night else -0.07
        self._put(panes, PANE, warmer, texture=self._reflection)
        for glow in WINDOW_LIGHT if night else ():
            lit = [pane for pane in panes if self.rng.random() < 0.08]
            if lit:
                self._put(lit, PANE, warmer + 0.03, glow=glow)
        if self.detailed:
            middles = [(pane[0, 0] + pane[1, 0]) / 2 for pane in panes]
            bars = [rectangle(x - 0.04, x + 0.04, *pane[1:3, 1]) for x, pane in zip(middles, panes, strict=True)]
            self._put(bars, FRAME, 0.0, texture=0.8 * self.light)

    def _reflection(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return 0.55 + 0.3 * np.sin(1.3 * (x + z) + 0.7 * y + self.shift)

    def _shop(self) -> None:
        """A shop window, by night perhaps lit, under a striped awning."""

        def stripes(x: np.ndarray, _y: np.ndarray, z: np.ndarray) -> np.ndarray:
            a = x * self.along[0] + z * self.along[1]
            return self.light * (1 + np.float32(1.6) * (wrap(a, 0.8) < 0.4))

        late = self.canvas.night and self.rng.random() < 0.4
        self._put([rectangle(0.5, self.length - 0.5, 0.4, 2.3)], shade(PANE, 0.7), 0.0, texture=self._reflection,
                  glow=[0.7 * late * c for c in WINDOW_LIGHT[0]])
        self._put([rectangle(0.3, self.length - 0.3, 2.3, 2.9)], pick(self.rng, AWNINGS), 0.0, texture=stripes)


def building(
    canvas: Canvas, rng: np.random.Generator, x: float, z: float, width: float, length: float, height: float
) -> None:
    """A town house whose near corner to the road is (x, z); it extends `width` away from the road, `length` in z."""
    tone, right, shop = pick(rng, PLASTER), x > 0, bool(rng.random() < 0.7)
    gable = _Wall(canvas, rng, (x if right else x - width, z), (1.0, 0.0), width, height)
    front = _Wall(canvas, rng, (x, z + length if right else z), (0.0, -1.0 if right else 1.0), length, height)
    gable.paint(tone)
    front.paint(tone, shop=shop)


def house(canvas: Canvas, rng: np.random.Generator, x: float, z: float, width: float = 9.0) -> None:
    """A farmhouse: its front towards the camera, under a tiled roof with a chimney."""
    height, rise, eaves = 3.6, 2.6, width / 2 + 0.4
    light = canvas.brightness((0.0, 4.4, -rise))
    chimney = rectangle(-0.4, 0.4, height + 1, height + rise + 0.9)
    canvas.paint([upright(chimney, x - width / 4, z + 3)], BRICK, 0.36)
    _Wall(canvas, rng, (x - width / 2, z), (1.0, 0.0), width, height).paint(pick(rng, PLASTER), door=True)
    low, high = (height - 0.2, z - 0.4), (height + rise, z + 4)
    roof = np.array([(x - eaves, *low), (x + eaves, *low), (x + eaves, *high), (x - eaves, *high)])

    def courses(px: np.ndarray, py: np.ndarray, _z: np.ndarray) -> np.ndarray:
        return light * (0.95 - np.float32(0.25) * (wrap(py, 0.34) < 0.1) + 0.12 * noise(12 * px, 12 * py, 0.7))

    canvas.paint([roof], pick(rng, TILES), 0.17 if canvas.night else 0.35, texture=courses)
