"""Plot the speed of every method against its quality.

    python -m benchmarks.tradeoff --results DIR

DIR is the output of a run that fused one set by several methods, where each has its folder with a table (a rule only
if `--method` names it):

    python CMMDL_test.py --data TNO --protocol cddfuse --method cmmdl --method cmmdl-lite --method max --out DIR

The scores are the means in those tables; the times are taken anew, all methods of DIR in turn in one run as in
`benchmarks.methods`, and shown relative to CMMDL, on a logarithmic scale.
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

import net
from benchmarks.methods import Cost, add_settings, measure
from data.options import Parser, named_path
from data.words import counted
from utils.failures import command
from utils.figures import figure_path, save_figure

SCORES = ("VIF", "Qabf")


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m benchmarks.tradeoff", __doc__)
    parser.add_argument("--results", type=named_path, required=True, metavar="DIR", help="output of CMMDL_test.py")
    parser.add_argument("--set", metavar="NAME", help="which of its sets (default: the only one)")
    parser.add_argument("--out", type=figure_path, help="the plot (default: DIR/tradeoff.png)")
    add_settings(parser)
    parser.set_defaults(batch_size=1)
    args = parser.parse_args(argv)
    args.set, args.out = args.set or only_set(args.results), args.out or args.results / "tradeoff.png"
    scores = read(args.results, args.set)
    args.method = list(scores)
    costs = measure(args)
    settings = f"{args.set}, {args.width}x{args.height}, {counted(args.threads, 'CPU thread')}"
    print(settings)
    for name, means in scores.items():
        figures = "".join(f"  {score} {means[score]:.3f}" for score in SCORES)
        ratio = costs[name].seconds / costs["cmmdl"].seconds
        print(f"{net.METHODS[name].label:<11}{costs[name].seconds:8.3f} s{ratio:10.5f}{figures}")
    draw(scores, costs, args.out, title=settings)
    print(args.out)
    return 0


def only_set(results: Path) -> str:
    """The set that CMMDL fused. Raises ValueError where there are several, or none."""
    sets = sorted(table.parent.name for table in (results / "cmmdl").glob("*/metrics.csv"))
    if not sets:
        expected = "expected what CMMDL_test.py writes with --method cmmdl and others"
        raise ValueError(f"{results}: no folder cmmdl with the table of a set; {expected}")
    if len(sets) > 1:
        raise ValueError(f"{results}: sets that CMMDL fused: {', '.join(sets)}; name one by --set")
    return sets[0]


def read(results: Path, name: str) -> dict[str, dict[str, float]]:
    """The mean scores by method, from `<results>/<method>/<name>/metrics.csv`.

    Raises ValueError where CMMDL is not among the methods there, or a table has no means.
    """
    found = {method: results / method / name / "metrics.csv" for method in net.METHODS}
    found = {method: path for method, path in found.items() if path.exists()}
    if "cmmdl" not in found:
        methods = ", ".join(found) or "none"
        raise ValueError(f"{results}: tables of {name} by these methods: {methods}; expected cmmdl and others")
    return {method: means(path) for method, path in found.items()}


def means(path: Path) -> dict[str, float]:
    """The last row of a metrics.csv."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("image") == "mean"]
        return {score: float(rows[-1][score]) for score in SCORES}
    except (IndexError, KeyError, TypeError, ValueError, csv.Error):
        expected = f"expected a table of CMMDL_test.py with {', '.join(SCORES)}"
        raise ValueError(f"{path}: no row of means; {expected}") from None


def draw(scores: dict[str, dict[str, float]], costs: dict[str, Cost], out: Path, *, title: str) -> None:
    """One plot for each score over the time relative to CMMDL; rules without learning are hollow."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, len(SCORES))
    for axis, score in zip(axes, SCORES, strict=True):
        for name, values in scores.items():
            method, ratio = net.METHODS[name], costs[name].seconds / costs["cmmdl"].seconds
            axis.scatter(ratio, values[score], color="tab:blue", facecolors=None if method.learns else "none")
            axis.annotate(method.label, (ratio, values[score]), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axis.set(xscale="log", xlabel="time relative to CMMDL", ylabel=score)
        axis.grid(alpha=0.3)
        axis.margins(x=0.15, y=0.1)
    figure.suptitle(title)
    save_figure(figure, out)


if __name__ == "__main__":
    sys.exit(main())
