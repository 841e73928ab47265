"""The registration check: it finds a shift between two sensors and stays silent where there is none."""

import cv2
import numpy as np
import pytest

from data.pairs import find_sets, read_pair
from data.scenes import render
from utils import registration
from utils.metrics import grey
from utils.registration import CONFIDENCE, LONG_SIDE, Shift, misalignment


def shifted(vis, ir, right, down):
    """The pair cut so that the infrared image lies `right` and `down` of the visible one."""
    height, width = vis.shape

    def cut(image, x, y):
        return image[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)]

    return cut(vis, right, down), cut(ir, -right, -down)


@pytest.fixture(scope="module")
def scene():
    scene = render(0, 240, 320)
    return grey(scene.vis), grey(scene.ir)


def test_a_registered_pair_is_not_suspected(scene):
    assert misalignment(*scene) is None


@pytest.mark.parametrize(("right", "down"), [(8, 0), (0, -8), (-6, 5), (11, 3)])
def test_a_shift_is_found_with_its_size_and_direction(scene, right, down):
    found = misalignment(*shifted(*scene, right, down))
    assert found is not None
    assert (found.right, found.down) == pytest.approx((right, down), abs=2)


def test_a_shift_of_large_images_is_found_in_their_own_pixels(scene):
    large = (cv2.resize(image, (640, 480), interpolation=cv2.INTER_CUBIC) for image in scene)
    images = shifted(*large, 12, -8)
    assert max(images[0].shape) > 1.6 * LONG_SIDE
    found = misalignment(*images)
    assert (found.right, found.down) == pytest.approx((12, -8), abs=2)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, (8, -3)), (0.5, (16, -6))])
def test_only_a_peak_that_stands_clear_of_all_near_the_centre_is_a_shift(scale, shift):
    rows, columns = np.mgrid[:64, :64]
    surface = np.where((rows + columns) % 2, 1.0, -1.0)  # standard deviation 1
    surface[32 - 3, 32 + 8] = 1 + CONFIDENCE - 0.2
    assert registration._judge(surface, scale) is None
    surface[32 - 3, 32 + 8] = 1 + CONFIDENCE + 0.2
    found = registration._judge(surface, scale)
    assert (found.right, found.down) == shift and CONFIDENCE == 5.5


@pytest.mark.parametrize(
    ("scale", "column", "right"),
    [(1.0, 3, None), (0.9, 3, 3 / 0.9), (1.0, 4, 4), (1.0, 20, 20), (1.0, 21, None), (0.5, 15, None)],
)
def test_a_peak_within_the_tolerance_or_out_of_reach_is_no_shift(scale, column, right):
    surface = np.zeros((64, 64))
    surface[32, 32 + column] = 1
    found = registration._judge(surface, scale)
    assert (found and found.right) == right


def test_a_shift_of_two_pixels_is_tolerated(scene):
    assert misalignment(*shifted(*scene, 2, -2)) is None


def test_the_shift_is_told_in_words():
    assert str(Shift(-4.2, 3)) == "by about 5 pixels (4 to the left, 3 down)"
    assert str(Shift(0.3, -6)) == "by about 6 pixels (6 up)"
    assert str(Shift(0.6, 9)) == "by about 9 pixels (1 to the right, 9 down)"
    assert str(Shift(8, 0.2)) == "by about 8 pixels (8 to the right)"


@pytest.mark.parametrize(
    ("shape", "large"),
    [((96, 300), True), ((95, 300), False), ((40, 40), False), ((300, 20), False),
     ((100, 800), True), ((100, 820), False)],
)  # fmt: skip
def test_images_too_small_to_tell_are_not_suspected(shape, large):
    noise = np.random.default_rng(0).standard_normal((shape[0], shape[1] + 8))
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    assert (misalignment(texture[:, 8:], texture[:, :-8]) is not None) == large


@pytest.mark.parametrize(
    ("shape", "seen", "scale"),
    [((240, 320), (240, 320), 1), ((300, 384), (300, 384), 1), ((400, 768), (200, 384), 0.5)],
)
def test_images_are_looked_at_with_384_pixels_at_most_and_never_enlarged(monkeypatch, shape, seen, scale):
    monkeypatch.setattr(registration, "_judge", lambda surface, scale: (surface.shape, scale))
    assert misalignment(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)) == (seen, scale)


def test_images_without_edges_or_without_relation_are_not_suspected():
    flat = np.full((120, 160), 90, np.uint8)
    assert misalignment(flat, flat) is None
    noise = np.random.default_rng(1).integers(0, 255, (2, 120, 160), dtype=np.uint8)
    assert misalignment(*noise) is None


def test_real_pairs_raise_few_false_alarms_and_shifted_ones_are_found(shared):
    """Every 4th pair; the whole measurement stands in docs/USING.md."""
    rng = np.random.default_rng(0)
    alarms, found, count = 0, 0, 0
    for name, step in (("TNO", 4), ("RoadScene", 4), ("MSRS", 24)):
        for pair in find_sets(shared / "data" / "test" / name)[0].pairs[::step]:
            images = [grey(image) for image in read_pair(pair)]
            size, angle = rng.uniform(5, 12), rng.uniform(0, 2 * np.pi)
            moved = shifted(*images, round(size * np.cos(angle)), round(size * np.sin(angle)))
            alarms += misalignment(*images) is not None
            found += misalignment(*moved) is not None
            count += 1
    assert alarms <= 0.06 * count
    assert found >= 0.7 * count
