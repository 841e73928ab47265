"""Figures as files."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from utils.figures import save_figure


def test_a_figure_without_an_extension_is_a_png_whose_letters_can_be_read(tmp_path):
    save_figure(Figure(figsize=(2, 1)), tmp_path / "plot")
    data = (tmp_path / "plot").read_bytes()
    height, width, _ = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape
    assert data.startswith(b"\x89PNG") and width == 2 * height and height >= 100  # pixels an inch


def test_a_format_that_is_not_written_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        save_figure(Figure(), tmp_path / "plot.xyz")
    assert not list(tmp_path.iterdir())
