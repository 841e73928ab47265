"""Tables of scores as fusion papers print them: text, Markdown, LaTeX, csv."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from data.files import write_text
from data.words import counted
from net.methods import METHODS
from utils.metrics import METRICS

PRINTED = METRICS[:8]  # the columns of a printed table; the files have all twelve
LOWER_IS_BETTER = ("MSE",)
RULE = "=" * 80
LATEX = {letter: f"\\{letter}" for letter in "_&%#${}"}  # letters with another meaning there
LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
LATEX |= {"[": "{[}", "*": "{*}"}  # at the start of a row they would be read as the end of the row before

Scores = Mapping[str, float]


@dataclass
class Row:
    """One method on one set: the scores of each image by its stem, in the order they were fused."""

    method: str
    images: dict[str, Scores] = field(default_factory=dict)
    is_reference: bool = False  # printed for comparison, never marked as the best
    source: ClassVar[str] = ""  # where the figures of a published row are from

    @property
    def label(self) -> str:
        """The method's name as it is printed."""
        return label(self.method)

    @cached_property
    def mean(self) -> Scores:
        """The average of each metric over the images, once all are there; empty where none was scored."""
        count = len(self.images)
        return {name: sum(scores[name] for scores in self.images.values()) / count for name in METRICS if count}


def label(name: str) -> str:
    """What a method is called in tables; other names (of folders of fused images) as they are."""
    return METHODS[name].label if name in METHODS else name


def text(name: str, rows: Sequence[Row]) -> str:
    """The block that is printed for one set."""
    rows = [row for row in rows if row.mean]
    width = max([11, *(len(named(row, rows)) + 1 for row in rows)])
    lines = [RULE, f"The test result of {name} :", " " * width + "".join(f"{metric:>8}" for metric in PRINTED)]
    for row in rows:
        lines.append(f"{named(row, rows):<{width}}" + "".join(f"{cell(row, metric):>8}" for metric in PRINTED))
    return "\n".join([*lines, RULE])


def named(row: Row, rows: Sequence[Row]) -> str:
    """A row's label and, if some of its images were refused, how many its means are taken over."""
    fewer = 0 < len(row.images) < count(rows)
    return f"{row.label} ({len(row.images)} of {count(rows)})" if fewer else row.label


def cell(row: Row, metric: str) -> str:
    """A row's mean as it is printed; nothing where a published row has none."""
    return f"{row.mean[metric]:.2f}" if metric in row.mean else ""


def markdown(tables: Mapping[str, Sequence[Row]], protocol: str) -> str:
    """All sets with all twelve metrics; the best figure of each column among the methods is bold."""
    parts = [f"Protocol `{protocol}`. Means over the images; higher is better except for MSE.", ""]
    for name, rows in tables.items():
        parts += [f"### {name} ({counted(count(rows), 'image')})", ""]
        parts += markdown_table(METRICS, cells(rows, METRICS, "**{}**"))
        sources = [f"- {row.label}: {row.source}" for row in rows if row.source]
        parts += ["", *sources, ""] if sources else [""]
    return "\n".join(parts)


def latex(tables: Mapping[str, Sequence[Row]], protocol: str) -> str:
    """A `tabular` for each set with the eight metrics that papers print."""
    parts = [f"% protocol {protocol}; needs the package booktabs"]
    for name, rows in tables.items():
        parts += [*tabular(f"{name} ({count(rows)})", PRINTED, cells(rows, PRINTED, r"\textbf{{{}}}")), ""]
    return "\n".join(parts)


def cells(rows: Sequence[Row], metrics: Sequence[str], strong: str) -> Iterator[list[str]]:
    """The rows that have figures: name, then figures as they are printed, the best of each column set `strong`."""
    for row in rows:
        if row.mean:
            yield [named(row, rows), *(bold(cell(row, m), strong, is_best(row, rows, m)) for m in metrics)]


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; each row is a name, then a cell for each column."""
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    return [*lines, *("| " + " | ".join([name.replace("|", r"\|"), *figures]) + " |" for name, *figures in rows)]


def tabular(corner: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a LaTeX table (booktabs); names and columns are escaped, cells are LaTeX already."""
    lines = [rf"\begin{{tabular}}{{l{'r' * len(columns)}}}", r"\toprule"]
    lines += [" & ".join(map(escaped, [corner, *columns])) + r" \\", r"\midrule"]
    lines += [" & ".join([escaped(name), *figures]) + r" \\" for name, *figures in rows]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def write_csv(path: Path, row: Row) -> None:
    """One line for each image (there is one at least) at full precision, and a last line `mean`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["image", *METRICS])
    for image, scores in [*row.images.items(), ("mean", row.mean)]:
        writer.writerow([image, *(repr(scores[name]) for name in METRICS)])
    write_text(path, text.getvalue())


def is_best(row: Row, rows: Sequence[Row], metric: str) -> bool:
    """Whether a method leads its rivals in a metric, as printed; a lone method has none to lead."""
    rivals = [round(r.mean[metric], 2) for r in rows if not r.is_reference and r.images]
    best = min if metric in LOWER_IS_BETTER else max
    return not row.is_reference and len(rivals) > 1 and round(row.mean[metric], 2) == best(rivals)


def bold(text: str, form: str, wanted: bool) -> str:
    return form.format(text) if wanted else text


def count(rows: Sequence[Row]) -> int:
    return max((len(row.images) for row in rows), default=0)


def escaped(name: str) -> str:
    """A name as LaTeX text."""
    return "".join(LATEX.get(letter, letter) for letter in name)
