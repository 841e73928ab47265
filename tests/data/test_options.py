"""Options take what makes sense and refuse the rest in one sentence."""

import argparse

import pytest
from data.options import not_negative, positive, positive_number, size, whole


@pytest.mark.parametrize(
    "kind, text, value",
    [(positive, "1", 1), (not_negative, "0", 0), (whole(2, 5), "5", 5), (positive_number, "1e-4", 1e-4),
     (size, "320x240", (320, 240))],  # fmt: skip
)
def test_a_number_in_range_is_read(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize(
    "kind, text",
    [
        *((positive, text) for text in ("0", "-1", "1.5", "", "ten", "1e3", " 1", "1000000001")),
        *((not_negative, text) for text in ("-1", "0.5", "nan")),
        *((whole(2, 5), text) for text in ("1", "6")),
        *((positive_number, text) for text in ("0", "-1e-4", "nan", "inf", "", "fast", "1e300", "1e-300")),
        *((size, text) for text in ("320", "320x", "0x240", "a x b", "320x240x3")),
    ],
)
def test_anything_else_is_refused_with_what_was_found(kind, text):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        kind(text)
    assert repr(text) in str(error.value) and "expected a" in str(error.value)


def test_the_range_is_part_of_the_message():
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number from 2 to 5"):
        whole(2, 5)("6")
