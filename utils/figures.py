"""Figures as files."""

from pathlib import Path

from matplotlib.figure import Figure

from data.files import replacing

DPI = 110


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's extension, PNG where it has none, whole or not at all.

    Raises OSError where it cannot be written, ValueError for a format that Matplotlib does not write.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format=path.suffix[1:] or "png")
