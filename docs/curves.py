"""Draw how a training went: loss terms, learning rate and held-out scores, epoch by epoch.

    python -m docs.curves runs/000-cmmdl/history.csv        # history.png beside it
    python -m docs.curves                                   # docs/training.png, of the weights that ship
"""

import csv
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data.files import instead_of_file
from data.options import Parser, UsageError, named_path
from data.words import counted
from utils.failures import command
from utils.figures import save_figure
from utils.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
COUNTS = ("epoch", "steps")


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m docs.curves", __doc__)
    parser.add_argument("history", type=named_path, nargs="?",
                        help="history.csv of a run folder (default: that of the weights that ship)")  # fmt: skip
    parser.add_argument("--out", type=named_path, metavar="FILE",
                        help="the picture (default: beside the history, or docs/training.png)")  # fmt: skip
    args = parser.parse_args(argv)
    args.out = args.out or (args.history.with_suffix(".png") if args.history else ROOT / "docs" / "training.png")
    args.history = args.history or ROOT / "models" / "CMMDL.history.csv"
    columns = read(args.history)
    if args.out.exists() and args.out.samefile(args.history):
        raise UsageError(f"--out {args.out}: is the history itself; expected another name for the picture")
    draw(columns, args.out)
    print(f"{counted(len(columns['epoch']), 'epoch')} of {args.history}; {args.out}")
    return 0


def read(path: Path) -> dict[str, list[float]]:
    """The columns of a history.csv by name, NaN where a phase of the training has no such term. Raises ValueError for
    another file."""
    if problem := instead_of_file(path):
        raise ValueError(f"{path}: {problem}; expected the history.csv of a run folder")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        columns = {name: [math.nan if line[name] == "" else float(line[name]) for line in lines] for name in lines[0]}
    except (IndexError, TypeError, ValueError, csv.Error):  # not a table, or not text
        columns = {}
    if "" in columns or not {*COUNTS, "lr", "total"} <= columns.keys():
        raise ValueError(f"{path}: not the history of a training; expected the columns epoch, steps, lr, total")
    return columns


def draw(columns: dict[str, list[float]], out: Path) -> None:
    """Loss terms, learning rate and held-out scores over the epochs, side by side in one picture."""
    scores = [name for name in columns if name in METRICS]
    losses = [name for name in columns if name not in (*COUNTS, "lr", *scores)]
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, title, names in zip(axes, ("loss terms", "learning rate", "held-out images"),
                                  (losses, ["lr"], scores), strict=True):  # fmt: skip
        plot(axis, columns, names)
        axis.set_title(title)
    axes[0].set_yscale("log")
    save_figure(figure, out)


def plot(axis: Axes, columns: dict[str, list[float]], names: list[str]) -> None:
    """These columns as lines over the epochs."""
    for name in names:
        axis.plot(columns["epoch"], columns[name], label=name, marker="o", markersize=3)
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3)
    if len(names) > 1:
        axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))  # beside the lines, not over them


if __name__ == "__main__":
    sys.exit(main())
