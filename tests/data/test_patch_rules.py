"""The rules of cutting: where patches lie, what luminance they have, and when contrast is low."""

import numpy as np
import pytest

from data.luminance import luminance, span_of
from data.patches import is_low_in_contrast, percentiles, windows
from net.fuser import luma, to_unit


@pytest.mark.parametrize(
    ("shape", "corners"),
    [
        ((480, 640), [(0, 0), (0, 200), (0, 400), (200, 0), (200, 200), (200, 400)]),
        ((128, 128), [(0, 0)]),
        ((127, 600), []),
        ((328, 328), [(0, 0), (0, 200), (200, 0), (200, 200)]),
    ],
)
def test_patches_lie_at_multiples_of_the_stride(shape, corners):
    found = list(windows(shape, 128, 200))
    assert [(rows.start, columns.start) for rows, columns in found] == corners
    assert all((rows.stop - rows.start, columns.stop - columns.start) == (128, 128) for rows, columns in found)


def test_contrast_is_measured_between_the_10th_and_90th_percentile():
    ramp = np.linspace(0.5, 1, 101)  # p10 = 0.55, p90 = 0.95: contrast 0.421
    assert not is_low_in_contrast(ramp, 0.42)
    assert is_low_in_contrast(ramp, 0.43)
    assert is_low_in_contrast(np.full(10, 0.5))
    outliers = np.full(101, 0.5)
    outliers[:9], outliers[-9:] = 0, 1
    assert is_low_in_contrast(outliers)


def test_a_contrast_of_a_tenth_is_enough_and_one_below_is_not():
    steps = np.arange(11) - 1.0  # times a step above p10, p90 is eight of them higher
    assert not is_low_in_contrast(90 + 1.25 * steps)  # (100 - 90) / 100
    assert is_low_in_contrast(90 + 1.243 * steps)


def test_black_patch_is_low_in_contrast():
    assert is_low_in_contrast(np.zeros((4, 4)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 5), (64, 63)])
def test_percentiles_are_those_of_numpy(shape):
    values = np.random.default_rng(0).random(shape, np.float32)
    expected = np.percentile(values.astype(np.float64), (0, 10, 50, 90, 100))
    np.testing.assert_allclose(percentiles(values, (0, 10, 50, 90, 100)), expected, rtol=1e-12)


def test_luminance_is_in_0_to_1():
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(luminance(rgb), [[0.299, 0.587, 0.114, 1]], atol=1e-6)
    np.testing.assert_allclose(luminance(np.array([[0, 51, 255]], np.uint8)), [[0, 0.2, 1]], atol=1e-7)


def test_luminance_of_three_equal_channels_is_that_channel():
    channel = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_allclose(luminance(np.dstack([channel] * 3)), channel / 255, atol=1e-6)


def test_luminance_of_16_bits_fills_0_to_1():
    image = (np.arange(10000, dtype=np.uint16) + 20000).reshape(100, 100)
    assert (luminance(image).min(), luminance(image).max()) == (0, 1)
    assert abs(luminance(image)[50, 50] - 0.5) < 0.01


def test_a_thermal_image_of_one_value_is_black():
    assert not luminance(np.full((4, 5), 700, np.uint16)).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_training_sees_images_as_fusing_does(dtype, channels):
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, *channels))
    image = noise.astype(dtype) * dtype(1 if dtype == np.uint8 else 3)
    if channels == (4,):
        image[..., 3] = 255 if dtype == np.uint8 else 9999
    expected = luma(to_unit(image))[0, 0].numpy()
    assert luminance(image).dtype == np.float32
    np.testing.assert_allclose(luminance(image), expected, atol=1e-6)
    window = slice(3, 11), slice(5, 20)
    np.testing.assert_allclose(luminance(image[window], span_of(image)), expected[window], atol=1e-6)
