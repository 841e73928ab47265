"""Tables of scores as fusion papers print them: text, Markdown, LaTeX, csv."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from net.methods import METHODS
from utils.files import write_text
from utils.metrics import METRICS

PRINTED = METRICS[:8]  # the columns of a printed table; the files have all twelve
LOWER_IS_BETTER = ("MSE",)
RULE = "=" * 80

Scores = Mapping[str, float]


@dataclass
class Row:
    """One method on one set: the scores of each image by its stem, in the order they were fused."""

    method: str
    images: dict[str, Scores] = field(default_factory=dict)
    is_floor: bool = False  # a rule without learning, printed for comparison

    @property
    def label(self) -> str:
        """The method's name as it is printed."""
        return label(self.method)

    def mean(self) -> dict[str, float]:
        """The average of each metric over the images; empty where none was scored."""
        count = len(self.images)
        return {name: sum(scores[name] for scores in self.images.values()) / count for name in METRICS if count}


def label(name: str) -> str:
    """What a method is called in tables; other names (of folders of fused images) as they are."""
    return METHODS[name].label if name in METHODS else name


def text(name: str, rows: Sequence[Row]) -> str:
    """The block that is printed for one set."""
    lines = [RULE, f"The test result of {name} :", " " * 11 + "".join(f"{metric:>8}" for metric in PRINTED)]
    for row in rows:
        mean = row.mean()
        if mean:
            lines.append(f"{row.label:<11}" + "".join(f"{mean[metric]:>8.2f}" for metric in PRINTED))
    return "\n".join([*lines, RULE])


def markdown(tables: Mapping[str, Sequence[Row]], protocol: str) -> str:
    """All sets with all twelve metrics; the best figure of each column among the methods (not the floor) is bold."""
    parts = [f"Protocol `{protocol}`. Means over the images; higher is better except for MSE.", ""]
    for name, rows in tables.items():
        parts += [f"### {name} ({count(rows)} images)", ""]
        parts += ["| | " + " | ".join(METRICS) + " |", "| --- |" + " ---: |" * len(METRICS)]
        for row in rows:
            if mean := row.mean():
                cells = (bold(f"{mean[m]:.2f}", "**{}**", is_best(row, rows, m)) for m in METRICS)
                parts.append(f"| {row.label} | " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


def latex(tables: Mapping[str, Sequence[Row]], protocol: str) -> str:
    """A `tabular` for each set with the eight metrics that papers print."""
    parts = [f"% protocol {protocol}; needs the package booktabs"]
    for name, rows in tables.items():
        parts += [rf"\begin{{tabular}}{{l{'r' * len(PRINTED)}}}", r"\toprule"]
        parts += [f"{escaped(name)} ({count(rows)}) & " + " & ".join(PRINTED) + r" \\", r"\midrule"]
        for row in rows:
            if mean := row.mean():
                cells = (bold(f"{mean[m]:.2f}", r"\textbf{{{}}}", is_best(row, rows, m)) for m in PRINTED)
                parts.append(f"{escaped(row.label)} & " + " & ".join(cells) + r" \\")
        parts += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(parts)


def write_csv(path: Path, row: Row) -> None:
    """One line for each image at full precision, and a last line `mean`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["image", *METRICS])
    for image, scores in [*row.images.items(), ("mean", row.mean())]:
        if scores:
            writer.writerow([image, *(repr(scores[name]) for name in METRICS)])
    write_text(path, text.getvalue())


def is_best(row: Row, rows: Sequence[Row], metric: str) -> bool:
    """Whether a method leads its rivals in a metric, as printed; a lone method has none to lead."""
    rivals = [round(r.mean()[metric], 2) for r in rows if not r.is_floor and r.images]
    best = min if metric in LOWER_IS_BETTER else max
    return not row.is_floor and len(rivals) > 1 and round(row.mean()[metric], 2) == best(rivals)


def bold(cell: str, form: str, wanted: bool) -> str:
    return form.format(cell) if wanted else cell


def count(rows: Sequence[Row]) -> int:
    return max((len(row.images) for row in rows), default=0)


def escaped(name: str) -> str:
    """A name as LaTeX text."""
    return "".join(f"\\{letter}" if letter in "_&%#$" else letter for letter in name)
