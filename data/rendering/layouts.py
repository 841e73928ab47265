"""Where things stand in each kind of scene, and the sky and ground around them."""

from collections.abc import Callable

import numpy as np

from data.rendering.buildings import building, house
from data.rendering.canvas import ALBEDO, GLOW, HEAT, OPEN, Canvas
from data.rendering.people import person
from data.rendering.props import (
    bale,
    bush,
    cone,
    conifer,
    fence,
    grass,
    lamp,
    street_sign,
    traffic_light,
    tree,
    treeline,
)
from data.rendering.sensors import Veil
from data.rendering.shapes import Colour, linear, noise, smoothstep, wrap
from data.rendering.vehicles import BODIES, vehicle

Thing = tuple[float, Callable[..., None], tuple, dict]  # distance, draw(canvas, rng, *where, **options)

ASPHALT, ROAD_PAINT, SLABS = (0.40, 0.41, 0.42), (0.88, 0.88, 0.84), (0.56, 0.54, 0.51)
GREEN_GRASS, DRY_GRASS, EARTH = (0.35, 0.40, 0.22), (0.51, 0.48, 0.31), (0.54, 0.47, 0.37)


class Plan:
    """Things to draw, each at its distance."""

    def __init__(self) -> None:
        self.things: list[Thing] = []

    def put(self, distance: float, draw: Callable[..., None], *where: float, **options) -> None:
        self.things.append((distance, draw, tuple(float(value) for value in where), options))

    def draw(self, canvas: Canvas, seed: int) -> None:
        """Draw all, far things first; each has its own random numbers, whatever the others use up."""
        ordered = sorted(enumerate(self.things), key=lambda item: -item[1][0])
        for number, (_, draw, where, options) in ordered:
            draw(canvas, np.random.default_rng([seed, number]), *where, **options)


def _sky(canvas: Canvas, rng: np.random.Generator) -> None:
    rows, x, up = canvas.sky_rows()
    height = up / canvas.height
    away = 1 / (height + 0.3)
    clouds = noise(38 * x / canvas.width * away + rng.uniform(0, 200), 60 * away + rng.uniform(0, 200), 1.5)
    cover = smoothstep(*((0.1, 1.7) if rng.random() < 0.7 else (-1.2, 1.0)), clouds)
    zenith = smoothstep(0, 0.6, height)
    sky = canvas.layers[:, rows]
    if canvas.night:
        town = rng.uniform(0.3, 1.0) * np.exp(-9 * height) * (1 + cover)
        sky[GLOW] = _plane((0.07, 0.08, 0.13)) * (1 - 0.5 * zenith) + _plane((0.24, 0.20, 0.17)) * town
    else:
        blue = _plane((0.76, 0.83, 0.89)) * (1 - zenith) + _plane((0.40, 0.57, 0.80)) * zenith
        white = _plane((0.90, 0.90, 0.91)) * (0.9 + 0.1 * np.tanh(clouds))
        sky[GLOW] = 0.9 * (blue + (white - blue) * cover)
    sky[HEAT] = 0.04 + 0.05 * np.exp(-7 * height) + 0.04 * cover


def _plane(colour: Colour) -> np.ndarray:
    return linear(colour)[:, None, None]


def _ground_grain(canvas: Canvas, x: np.ndarray, z: np.ndarray, shift: float) -> np.ndarray:
    """Grain of the ground at four scales, each fading out where its detail is finer than a pixel."""
    footprint = z * z / (canvas.focal * canvas.eye)
    total = np.zeros(np.broadcast(x, z).shape, np.float32)
    for scale, weight in ((1.5, 0.35), (6, 0.5), (24, 0.9), (70, 1.1)):
        near = int(np.searchsorted(-scale * footprint[:, 0], -4.0))  # rows go from far to near
        if near == len(total):
            break  # too fine for any row of a tiny picture
        amount = weight / (1 + (scale * footprint[near:]) ** 2)
        total[near:] += amount * noise(scale * x[near:] + shift, scale * z[near:] + shift, 0.6)
    return np.clip(total, -2.5, 2.5)


def _stripe(distance: np.ndarray, half: float, footprint: np.ndarray) -> np.ndarray:
    """Coverage of a stripe of a half width, from the distance to its middle; smooth over one pixel."""
    return np.clip((half - np.abs(distance)) / footprint + 0.5, 0, 1)


def _lay(canvas: Canvas, materials: list[tuple[Colour, np.ndarray]], heat: np.ndarray) -> None:
    """Fill the ground with materials: a display colour and how much of it, (h, W), each."""
    rows, _, z = canvas.ground_rows()
    palette = np.stack([linear(colour) for colour, _ in materials], axis=1)
    amounts = np.stack([amount for _, amount in materials])
    ground = canvas.layers[:, rows]
    ground[ALBEDO] = (palette @ amounts.reshape(len(materials), -1)).reshape(3, *heat.shape)
    ground[HEAT], ground[OPEN] = heat, 1
    canvas.depth[rows] = z


def _street(canvas: Canvas, rng: np.random.Generator, half: float, crossing: float | None) -> None:
    """Asphalt between kerbs, paint on it, pavements of slabs, grass beyond."""
    _, x, z = canvas.ground_rows()
    fx, fz, shift = z / canvas.focal, z * z / (canvas.focal * canvas.eye), rng.uniform(0, 200)
    grain, patchy = _ground_grain(canvas, x, z, shift), noise(0.5 * x + shift, 0.35 * z, 1.3)
    aside = np.abs(x)
    track = np.exp(-(((np.abs(aside - half / 2) - 0.75) / 0.3) ** 2))

    dash = np.clip((1.5 - np.abs(wrap(z + shift, 6) - 3)) / fz + 0.5, 0, 1)
    paint = np.maximum(_stripe(x, 0.07, fx) * dash, _stripe(aside - half + 0.35, 0.06, fx))
    if crossing is not None:
        across = _stripe(z - crossing, 1.4, fz)
        bars = _stripe(wrap(x, 1.1) - 0.55, 0.28, fx) * (aside < half - 0.4)
        paint = np.maximum(paint * (1 - across), across * bars)
        paint = np.maximum(paint, _stripe(z - crossing + 2.3, 0.18, fz) * ((x > 0.2) & (x < half - 0.4)))
    paint *= np.clip(0.84 + 0.2 * noise(9 * x, 9 * z, 0.8), 0, 1)  # worn

    pavement = np.clip((aside - half) / fx + 0.5, 0, 1)
    lawn = np.clip((aside - half - 3.2) / fx + 0.5, 0, 1)
    kerb = _stripe(aside - half - 0.1, 0.1, fx)
    joint = np.maximum(_stripe(wrap(x, 0.7) - 0.35, 0.02, fx), _stripe(wrap(z, 0.7) - 0.35, 0.02, fz))
    dry, slabs = smoothstep(-0.4, 1.8, patchy), pavement * (1 - lawn)
    road, turf = 1 - pavement, lawn * (1 + 0.3 * grain)
    materials = [
        (ASPHALT, road * (1 - paint) * (rng.uniform(0.75, 1.1) + 0.17 * grain + 0.07 * patchy - 0.1 * track)),
        (ROAD_PAINT, road * paint),
        (SLABS, slabs * (1 + 0.1 * grain + 0.06 * patchy - 0.4 * joint / (1 + 6 * fz) + 0.35 * kerb)),
        (GREEN_GRASS, turf * (1 - dry)),
        (DRY_GRASS, turf * dry),
    ]
    warm = 0.26 if canvas.night else 0.33
    heat = warm + 0.014 * patchy + 0.005 * grain + road * 0.014 * track - slabs * (0.045 + 0.02 * kerb) - 0.1 * lawn
    _lay(canvas, materials, heat)


def _meadow(canvas: Canvas, rng: np.random.Generator) -> None:
    """Grass with dry patches and a winding path of earth with two ruts."""
    _, x, z = canvas.ground_rows()
    fx, shift = z / canvas.focal, rng.uniform(0, 200)
    grain, patchy = _ground_grain(canvas, x, z, shift), noise(1.1 * x + shift, 0.8 * z, 1.2)
    bend = rng.uniform(1.5, 4) * np.sin(z / rng.uniform(7, 12) + rng.uniform(0, 6)) + rng.uniform(-0.4, 0.4) * z
    off = np.abs(x - bend + 0.25 * noise(5 * x, 5 * z, 1.0))
    path = smoothstep(-0.15, 0.15, rng.uniform(1.0, 1.4) - off - fx)
    rut, dry = np.exp(-(((off - 0.6) / 0.18) ** 2)), smoothstep(-0.4, 1.8, patchy)
    turf = (1 - path) * (1 + 0.32 * grain)
    earth = path * (1 + 0.22 * grain - 0.3 * rut)
    warm = 0.19 if canvas.night else 0.27
    heat = warm + (1 - path) * (0.028 * patchy + 0.012 * grain) + path * (0.06 + 0.012 * grain - 0.02 * rut)
    _lay(canvas, [(GREEN_GRASS, turf * (1 - dry)), (DRY_GRASS, turf * dry), (EARTH, earth)], heat)


def road(canvas: Canvas, rng: np.random.Generator, people: bool = True) -> Plan:
    """A street: cars in two lanes and at the kerb, people on the pavements and crossing, houses, trees and lamps."""
    half, plan = rng.uniform(3.3, 3.8), Plan()
    crossing = rng.uniform(8.5, 11) if rng.random() < 0.6 else None
    _sky(canvas, rng)
    _street(canvas, rng, half, crossing)
    plan.put(160, treeline, 160, rng.uniform(7, 12), tone=(0.28, 0.33, 0.26))
    for side in (-1, 1):
        _roadside(rng, plan, side, half)
    for side, yaw in ((1, 0.0), (-1, np.pi)):
        z = rng.uniform(13, 22)
        while z < 50:
            plan.put(z, vehicle, side * 0.43 * half, z, yaw + rng.normal(0, 0.02), body=str(rng.choice(list(BODIES))))
            z += rng.uniform(12, 30)
        if rng.random() < 0.5:
            z, body = rng.uniform(11, 15), str(rng.choice(["sedan", "hatch", "van"]))
            plan.put(z, vehicle, side * (half + 0.2), z, yaw, body=body, running=0.1)
    for z in rng.uniform(7, 14, rng.integers(0, 4)):
        plan.put(z, cone, rng.choice([-1, 1]) * (half - 0.3), z)
    if not people:
        return plan
    clothes = "dark" if canvas.night else "bright"
    for _ in range(rng.integers(2, 4)):
        z = rng.uniform(6.5, 10.5) if crossing is None else crossing + rng.uniform(-1.2, 1.2)
        x = float(np.clip(canvas.across(rng.uniform(-0.8, 0.8), z), -half, half))
        plan.put(z, person, x, z, clothes=clothes)
    for _ in range(rng.integers(2, 6)):
        z, x = rng.uniform(9, 32), rng.choice([-1, 1]) * rng.uniform(half + 0.9, half + 2.8)
        plan.put(z, person, x, z, clothes=clothes)
    return plan


def _roadside(rng: np.random.Generator, plan: Plan, side: int, half: float) -> None:
    """One side of a street: a terrace of houses or an avenue, with lamps and signs at the kerb."""
    z, built = rng.uniform(11, 16), rng.random() < 0.75
    while z < 75:
        if built:
            length, gap = rng.uniform(9, 16), rng.uniform(0.5, 6) if rng.random() < 0.5 else 0.3
            front, width, height = side * rng.uniform(7.6, 8.4), rng.uniform(8, 12), rng.uniform(6.5, 13)
            plan.put(z + length / 2, building, front, z, width, length, height)
            z += length + gap
        else:
            plan.put(z, tree, side * rng.uniform(7.5, 10), z, height=rng.uniform(6, 9))
            z += rng.uniform(4, 7) * (1 + z / 60)
    for z in np.arange(rng.uniform(12, 20), 60, rng.uniform(17, 22)):
        plan.put(z, lamp, side * (half + 0.5), z, on=bool(rng.random() < 0.75))
    for z in rng.uniform(9, 40, rng.integers(1, 3)):
        plan.put(z, street_sign if rng.random() < 0.6 else traffic_light, side * (half + 0.6), z)
    for z in np.arange(rng.uniform(14, 22), 60, 14) if built else ():
        plan.put(z, tree, side * (half + 2.6), z, height=rng.uniform(4.5, 6.5))


def field(canvas: Canvas, rng: np.random.Generator, people: bool = True) -> Plan:
    """Open country: a path through a meadow, trees, perhaps a house, people and perhaps a vehicle."""
    plan = Plan()

    def across(z: float, margin: float) -> float:
        return canvas.across(rng.uniform(-margin, margin), z)

    _sky(canvas, rng)
    _meadow(canvas, rng)
    plan.put(300, treeline, 300, rng.uniform(22, 40), tone=(0.34, 0.40, 0.35))
    plan.put(120, treeline, 120, rng.uniform(6, 10), tone=(0.25, 0.31, 0.19))
    if rng.random() < 0.75:
        z = rng.uniform(24, 36)
        plan.put(z + 2, house, across(z, 0.6), z, width=rng.uniform(8, 11))
    for z in rng.uniform(16, 60, rng.integers(6, 12)):
        plan.put(z, tree if rng.random() < 0.7 else conifer, across(z, 1.0), z, height=rng.uniform(6, 10))
    for z in rng.uniform(9, 30, rng.integers(3, 8)):
        plan.put(z, bush, across(z, 1.0), z, size=rng.uniform(0.6, 1.4))
    z = rng.uniform(14, 22)
    left, right = canvas.across(-rng.uniform(0.2, 1.2), z), canvas.across(rng.uniform(0.3, 1.2), z)
    plan.put(z, fence, left, z, right - left, rng.uniform(-2, 4))
    for z in rng.uniform(14, 40, rng.integers(0, 4)):
        plan.put(z, bale, across(z, 0.9), z)
    for z in (4.2, 4.7, 5.3, 6.0, 6.9, 8.0, 9.5, 11.5):
        plan.put(z, grass, z)
    if rng.random() < 0.6:
        z, body = rng.uniform(11, 20), str(rng.choice(["hatch", "van", "truck"]))
        plan.put(z, vehicle, across(z, 0.7), z, rng.uniform(0, 2 * np.pi), body=body, running=rng.uniform(0.2, 0.49))
    for z in rng.uniform(6, 14, rng.integers(2, 5)) if people else ():
        clothes = "drab" if rng.random() < 0.6 else "dark" if canvas.night else "bright"
        plan.put(z, person, across(z, 0.75), z, clothes=clothes)
    return plan


def smoke(canvas: Canvas, rng: np.random.Generator) -> tuple[Plan, Veil]:
    """A street or a field with smoke in front of people, and some mist."""
    plan = (road if rng.random() < 0.4 else field)(canvas, rng, people=False)
    depth, middle = 6.5, rng.uniform(-0.35, 0.35)
    crowd = int(rng.integers(2, 5))
    for place in range(crowd):
        z = rng.uniform(8.3, 10.5)
        x = canvas.across(middle, z) + 1.1 * (place - (crowd - 1) / 2) + rng.uniform(-0.4, 0.4)
        plan.put(z, person, x, z, clothes="dark" if rng.random() < 0.5 else "drab")
    drift = rng.normal(0, 1.0, 60)
    x = canvas.across(middle, depth) + 1.3 * drift
    low = np.abs(rng.normal(0.6, 0.5, 60))
    rising = np.where(rng.random(60) < 0.25, rng.uniform(0, 1.2, 60), 0) + 0.2 * np.maximum(drift, 0) ** 2
    puffs = np.stack([x + 0.3 * rising, low + rising, rng.uniform(0.26, 0.6, 60) + 0.12 * rising], axis=1)
    return plan, Veil(depth, puffs, grey=rng.uniform(0.44, 0.56), haze=rng.uniform(0.001, 0.008))
