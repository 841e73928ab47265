"""Options take what makes sense and refuse the rest in one sentence."""

import argparse

import pytest

from data.options import Parser, fraction, named_path, not_negative, positive, positive_number, size, whole


@pytest.mark.parametrize(
    "kind, text, value",
    [(positive, "1", 1), (not_negative, "0", 0), (whole(2, 5), "5", 5), (positive_number, "1e-4", 1e-4),
     (fraction, "0", 0), (fraction, "1", 1), (size, "320x240", (320, 240))],  # fmt: skip
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
        *((fraction, text) for text in ("-0.1", "1.1", "nan", "high")),
        *((size, text) for text in ("320", "320x", "0x240", "a x b", "320x240x3")),
    ],
)
def test_anything_else_is_refused_with_what_was_found(kind, text):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        kind(text)
    assert repr(text) in str(error.value) and "expected a" in str(error.value)


@pytest.mark.parametrize("kind", [positive, fraction, size])
def test_of_a_number_of_thousands_of_digits_twenty_are_shown(kind):
    with pytest.raises(argparse.ArgumentTypeError, match="^'9{20}'; expected a"):
        kind("9" * 5000)  # more than Python reads


def test_the_range_is_part_of_the_message():
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number from 2 to 5"):
        whole(2, 5)("6")


def test_help_names_values_by_their_kind_and_gives_each_default_once():
    parser = Parser("python -m data.example", "Do something.\n\nMore than the help needs.")
    parser.add_argument("--count", type=positive, default=0, help="how many")
    parser.add_argument("--share", type=fraction, default=0.5, help="how much (default: half)")
    parser.add_argument("--size", type=size, help="of the copies")
    parser.add_argument("--out", type=named_path, action="append", default=[], help="where to")
    parser.add_argument("--set", help="which")
    parser.add_argument("--fast", action="store_true", help="hurry")
    text = " ".join(parser.format_help().split())
    assert text.startswith("usage: python -m data.example [-h]") and "] Do something. options:" in text
    assert text.endswith(
        "--count N how many (default: 0) --share X how much (default: half) --size WxH of the copies "
        "--out PATH where to --set SET which --fast hurry"
    )
