"""Figures as files."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from data.files import replacing
from data.options import named_path

if TYPE_CHECKING:  # Matplotlib loads where a figure is drawn: processes that are measured have no use for it
    from matplotlib.figure import Figure

DPI = 110


def figure_path(text: str) -> Path:
    """The type of an option that names a figure's file: what is drawn last must not be refused after hours of work."""
    from matplotlib.backend_bases import FigureCanvasBase

    path = named_path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path}: a folder; expected a file name such as figure.png")
    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix and path.suffix[1:].lower() not in formats:
        raise argparse.ArgumentTypeError(f"{path}: format '{path.suffix}'; expected one of {', '.join(formats)}")
    return path


figure_path.metavar = "FILE"


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in the format of the path's extension, PNG where it has none, whole or not at all.

    Raises OSError where it cannot be written, ValueError for a format that Matplotlib does not write.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format=path.suffix[1:] or "png")
