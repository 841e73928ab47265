"""Results of judges: text, Markdown, LaTeX, csv and a plot, each figure with its spread where it has one."""

import csv
import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from data.files import write_text
from utils.figures import save_figure
from utils.tables import bold, label, markdown_table, tabular

REFERENCE = "max"  # the method that the others are compared with
AGAINST = f"against {label(REFERENCE)}"
Scores = dict[str, float]


@dataclass
class Result:
    """What a judge says of one method.

    `values` has its scores by name; `runs` those of each training, by fold and seed.
    """

    method: str
    values: Scores
    runs: dict[tuple[int, int], Scores] = field(default_factory=dict)
    is_reference: bool = False

    def spread(self, column: str) -> float:
        """The standard deviation of a figure over the runs that have it; NaN where these are not two."""
        values = [scores[column] for scores in self.runs.values() if not math.isnan(scores.get(column, math.nan))]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def compare(results: Sequence[Result], column: str) -> None:
    """Give each result the column AGAINST: its figure minus the reference's in the same fold with the same seed.

    Folds differ far more than methods do; what a method gains is the mean of these differences, with their spread.
    """
    reference = next(result for result in results if result.method == REFERENCE)
    for result in results:
        for run, scores in result.runs.items():
            scores[AGAINST] = scores.get(column, math.nan) - reference.runs[run].get(column, math.nan)
        found = [scores[AGAINST] for scores in result.runs.values() if not math.isnan(scores[AGAINST])]
        result.values[AGAINST] = float(np.mean(found)) if found else math.nan


def write(out: Path, name: str, results: Sequence[Result], columns: Sequence[str], title: str,
          printed: Sequence[str], extra: Sequence[str] = (), rest: str = "") -> None:  # fmt: skip
    """Print the table, write `<out>/<name>.md`, `.tex`, `.csv` and `.png`, and say where they are.

    Args:
        columns: of the Markdown table and, with `extra` after them, of the csv.
        title: what was measured, in which unit.
        printed: columns of the text, the LaTeX table and the plot.
        rest: what the title of the Markdown table adds about its other columns.
    """
    print(text(results, printed, title), flush=True)
    write_text(out / f"{name}.md", markdown(results, columns, title + rest))
    write_text(out / f"{name}.tex", latex(results, printed, title))
    write_text(out / f"{name}.csv", comma_separated(results, [*columns, *extra]))
    plot(out / f"{name}.png", results, printed, title)
    print(f"tables: {out / name}.md", file=sys.stderr)


def cell(result: Result, column: str) -> str:
    """A figure with its spread, to a tenth; nothing where there is none."""
    value, spread = result.values.get(column, math.nan), result.spread(column)
    if math.isnan(value):
        return ""
    value = round(value, 1) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{value:.1f}" if math.isnan(spread) else f"{value:.1f} ± {spread:.1f}"


def is_best(result: Result, results: Iterable[Result], column: str) -> bool:
    """Whether nothing else in the table has a higher figure, sources and rules included."""
    values = [r.values.get(column, math.nan) for r in results]
    return column != AGAINST and result.values.get(column, math.nan) == np.nanmax([-math.inf, *values])


def text(results: Sequence[Result], columns: Sequence[str], title: str) -> str:
    """The block that is printed."""
    rows = [["", *columns], *([label(r.method), *(cell(r, c) for c in columns)] for r in results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns) + 1)]
    lines = ["  ".join(w.ljust(n) if not i else w.rjust(n) for i, (w, n) in enumerate(zip(row, widths, strict=True)))
             for row in rows]  # fmt: skip
    rule = "=" * len(lines[0])
    return "\n".join([rule, title, *lines, rule])


def markdown(results: Sequence[Result], columns: Sequence[str], title: str) -> str:
    """All columns, the highest figure of each bold."""
    return "\n".join([f"{title}.", "", *markdown_table(columns, cells(results, columns, "**{}**")), ""])


def latex(results: Sequence[Result], columns: Sequence[str], title: str) -> str:
    """The printed columns as a `tabular`."""
    rows = cells(results, columns, r"\textbf{{{}}}")
    rows = ([name, *(figure.replace("±", r"$\pm$") for figure in figures)] for name, *figures in rows)
    return "\n".join([f"% {title}; needs the package booktabs", *tabular("", columns, rows), ""])


def cells(results: Sequence[Result], columns: Sequence[str], strong: str) -> Iterator[list[str]]:
    """Each method's name, then its figures with their spread, the highest of each column set `strong`."""
    for result in results:
        figures = (bold(cell(result, column), strong, is_best(result, results, column)) for column in columns)
        yield [label(result.method), *figures]


def comma_separated(results: Sequence[Result], columns: Sequence[str]) -> str:
    """Each run at full precision, then the method's figures (fold and seed `all`) and their spread."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["method", "fold", "seed", *columns])
    for result in results:
        lines = [(run, scores) for run, scores in sorted(result.runs.items())]
        lines.append((("all", "all"), result.values))
        if result.runs:
            lines.append((("spread", "spread"), {column: result.spread(column) for column in columns}))
        for run, scores in lines:
            numbers = [scores.get(column, math.nan) for column in columns]
            writer.writerow([result.method, *run, *("" if math.isnan(x) else repr(float(x)) for x in numbers)])
    return text.getvalue()


def plot(path: Path, results: Sequence[Result], columns: Sequence[str], title: str) -> None:
    """A panel for each column: the methods' figures as points, their spread as bars, each run as a small mark."""
    size = (1.8 * len(columns) + 1.5, 0.35 * len(results) + 1.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)
    places = range(len(results), 0, -1)
    for axis, column in zip(axes[0], columns, strict=True):
        for place, result in zip(places, results, strict=True):
            color = "grey" if result.is_reference else "tab:red"
            runs = [scores.get(column, math.nan) for scores in result.runs.values()]
            axis.plot(runs, [place] * len(runs), "|", color=color, alpha=0.5)
            axis.errorbar(result.values.get(column, math.nan), place, xerr=result.spread(column), fmt="o", color=color,
                          markersize=4, capsize=2)  # fmt: skip
        axis.set_title(column, fontsize=9)
        axis.grid(alpha=0.3)
        axis.set_yticks(places, [label(result.method) for result in results])
    figure.suptitle(title, fontsize=9)
    save_figure(figure, path)
