"""What stands in rendered scenes: each thing where it is put, in its size, and salient or not."""

from functools import partial

import numpy as np
import pytest

from data.rendering.buildings import house
from data.rendering.canvas import HEAT, OPEN, SALIENT, Canvas
from data.rendering.people import person
from data.rendering.props import bale, bush, cone, conifer, street_sign, traffic_light, tree
from data.rendering.vehicles import BODIES, vehicle

X, Z = 0.7, 12.0  # metres


def by_its_end(name, yaw):
    """A vehicle whose near end stands where it is put."""
    length = BODIES[name].outline[-1][0]
    return lambda canvas, rng, x, z: vehicle(canvas, rng, x, z + length / 2, yaw, name)


THINGS = {  # metres wide and high
    "cone": (cone, 0.4, 0.62),
    "bale": (bale, 1.4, 1.4),
    "bush": (bush, 1.5, 1.0),
    "tree": (partial(tree, height=6), 4, 6),
    "conifer": (partial(conifer, height=6), 2.5, 6),
    "traffic light": (traffic_light, 0.36, 3.4),
    "sign": (street_sign, 0.84, 2.9),
    "house": (partial(house, width=8), 9, 6),
    "person": (person, 0.75, 1.8),
    **{f"{name} {way}": (by_its_end(name, yaw), body.width, max(y for _, y in body.outline))
       for name, body in BODIES.items() for way, yaw in (("from behind", 0), ("from before", np.pi))},
}  # fmt: skip


@pytest.mark.parametrize("name", THINGS)
def test_a_thing_stands_where_it_is_put_in_its_size_and_only_people_and_vehicles_are_salient(name):
    draw, width, height = THINGS[name]
    canvas = Canvas(300, 360, horizon=0.6, eye=1.7)
    canvas.layers[HEAT] = -1
    draw(canvas, np.random.default_rng(0), X, Z)
    upright = (canvas.layers[HEAT] > -0.5) & (canvas.layers[OPEN] < 0.5)  # its shadow lies
    rows, columns = np.nonzero(upright)
    metre = canvas.pixels(1, Z)
    left, right = ((edge - canvas.centre) / metre for edge in (columns.min(), columns.max() + 1))
    top, foot = (canvas.eye - (edge - canvas.horizon) / metre for edge in (rows.min(), rows.max() + 1))
    assert ((left + right) / 2, foot) == pytest.approx((X, 0), abs=0.35)
    assert (right - left, top) == pytest.approx((width, height), rel=0.1, abs=0.06)
    is_salient = name == "person" or name.split()[0] in BODIES
    assert (canvas.layers[SALIENT][upright].mean() > 0.8) == is_salient
