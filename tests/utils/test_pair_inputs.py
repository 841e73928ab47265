"""What a pair becomes before it is fused, and what a run says about the pairs of a set."""

from pathlib import Path

import numpy as np

from data.pairs import Pair
from utils.inputs import Inputs, Remarks, resize
from utils.registration import Shift


def test_an_image_is_averaged_where_it_shrinks_and_has_no_steps_where_it_grows():
    dots = np.zeros((6, 9), np.uint16)
    dots[::3, ::3] = 9000
    assert resize(dots, (2, 3)).tolist() == [[1000] * 3] * 2
    grown = resize(np.float32([[0, 0, 1, 1]] * 4), (4, 16))
    assert grown.shape == (4, 16) and len(np.unique(grown[0].round(3))) > 4
    narrower = resize(np.float32([[0, 0, 1, 1]] * 4), (3, 16))  # of fewer rows, of more pixels
    assert narrower.shape == (3, 16) and np.ptp(narrower) > 1.05, "cubic: beyond the values beside an edge"


def test_the_first_of_the_pairs_brought_to_one_size_is_told_before_shifts_and_the_others_counted():
    image, remarks, pair = np.zeros((4, 4), np.uint8), Remarks(), Pair("a", Path(), Path(), ("visible", "infrared"))
    remarks.add(pair, Inputs(image, image, "8x8 to 4x4", Shift(8, 0)))
    assert remarks.lines()[0] == "resized: infrared brought to the size of visible, 8x8 to 4x4"
    remarks.add(pair, Inputs(image, image, "9x9 to 4x4"))
    assert remarks.lines()[0].endswith(", 8x8 to 4x4 (in 2 pairs; this is the first)") and len(remarks.lines()) == 2


def test_ten_misaligned_pairs_are_named_and_the_others_counted():
    image, remarks = np.zeros((4, 4), np.uint8), Remarks()
    for i in range(12):
        remarks.add(Pair(str(i), Path(), Path(), ("MRI", "PET")), Inputs(image, image, shift=Shift(8, 0)))
    *named, last = remarks.lines()
    assert [line.split(":")[1] for line in named] == [f" {i}" for i in range(10)]
    assert "9: PET looks shifted against MRI by about 8 pixels (8 to the right);" in named[-1]
    assert last == "warning: 2 more pairs with such a shift"
