"""Numbers, sizes and what files hold, as messages have them."""

import numpy as np

from data.words import counted, one_line, size_of


def test_one_thing_is_in_the_singular_and_none_or_several_are_not():
    assert [counted(number, "pair") for number in (0, 1, 2)] == ["0 pairs", "1 pair", "2 pairs"]
    assert [counted(number, "patch", "patches") for number in (0, 1, 3)] == ["0 patches", "1 patch", "3 patches"]


def test_a_size_is_width_by_height():
    assert size_of(np.zeros((480, 640, 3))) == "640x480"


def test_a_text_of_several_lines_becomes_one():
    assert one_line("vi/1\nir/1\r\n") == "vi/1 ir/1"
