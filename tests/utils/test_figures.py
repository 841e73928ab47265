"""Figures as files."""

import argparse

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from utils.figures import figure_path, save_figure


def test_a_figure_without_an_extension_is_a_png_whose_letters_can_be_read(tmp_path):
    save_figure(Figure(figsize=(2, 1)), tmp_path / "plot")
    data = (tmp_path / "plot").read_bytes()
    height, width, _ = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape
    assert data.startswith(b"\x89PNG") and width == 2 * height and height >= 100  # pixels an inch


def test_a_format_that_is_not_written_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        save_figure(Figure(), tmp_path / "plot.xyz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["plot", "plot.PNG", "plot.pdf", "a.b/plot.jpeg"])
def test_what_can_be_written_is_a_path_of_an_option(tmp_path, name):
    assert figure_path(str(tmp_path / name)) == tmp_path / name
    save_figure(Figure(), tmp_path / name)


@pytest.mark.parametrize("name, problem", [("", "an empty name"), ("xyz.x", "format '.x'; .* png"), ("/", "a folder")])
def test_what_cannot_be_written_is_told_when_the_command_line_is_read(name, problem):
    with pytest.raises(argparse.ArgumentTypeError, match=problem):
        figure_path(name)
