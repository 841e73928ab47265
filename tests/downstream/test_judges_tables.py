"""What is written of results: every training in the csv, and each method in its place in the plot."""

import csv
from pathlib import Path

import numpy as np
import pytest

from downstream import tables
from downstream.tables import Result


@pytest.fixture
def results():
    """The maximum with two trainings, and a method with none."""
    runs = {(1, 0): {"mIoU": 40.0}, (0, 0): {"mIoU": 10.0}}
    return [Result("max", {"mIoU": 25.0}, runs, is_reference=True), Result("mine", {"mIoU": 1 / 3})]


def test_the_csv_has_each_training_in_order_then_the_methods_figures_and_their_spread(results):
    assert list(csv.reader(tables.comma_separated(results, ["mIoU", "car"]).splitlines())) == [
        ["method", "fold", "seed", "mIoU", "car"],
        ["max", "0", "0", "10.0", ""],
        ["max", "1", "0", "40.0", ""],
        ["max", "all", "all", "25.0", ""],
        ["max", "spread", "spread", repr(float(np.sqrt(450))), ""],
        ["mine", "all", "all", repr(1 / 3), ""],
    ]


def test_a_figure_that_rounds_to_zero_has_no_sign():
    assert [tables.cell(Result("mine", {"AP": value}), "AP") for value in (-0.04, -0.06)] == ["0.0", "-0.1"]


def test_the_plot_has_the_first_method_on_top_with_its_spread_and_rules_in_grey(results, monkeypatch):
    drawn = []
    monkeypatch.setattr(tables, "save_figure", lambda figure, _: drawn.extend(figure.axes))
    tables.plot(Path("plot.png"), results, ["mIoU"], "t")
    (axis,) = drawn
    names = {tick.get_text(): place for tick, place in zip(axis.get_yticklabels(), axis.get_yticks(), strict=True)}
    assert names["maximum"] > names["mine"]
    for bars, result, color in zip(axis.containers, results, ("grey", "tab:red"), strict=True):
        point = bars.lines[0]
        assert point.get_xydata().tolist() == [[result.values["mIoU"], names[tables.label(result.method)]]]
        assert (bars.has_xerr, bars.has_yerr, point.get_color()) == (True, False, color)
    (spread,) = axis.containers[0].lines[2][0].get_segments()
    assert spread[:, 0] == pytest.approx([25 - np.sqrt(450), 25 + np.sqrt(450)])


def test_fewer_columns_are_printed_than_are_written_in_markdown(results, tmp_path, capsys):
    tables.write(tmp_path, "figures", results, ["mIoU", "car"], "t", printed=["mIoU"], rest="; car too")
    assert (tmp_path / "figures.md").read_text().startswith("t; car too.\n\n| | mIoU | car |")
    said = capsys.readouterr()
    assert "car" not in said.out + (tmp_path / "figures.tex").read_text()
    assert said.err == f"tables: {tmp_path / 'figures.md'}\n"


def test_figures_are_printed_to_a_tenth_in_columns(results):
    assert tables.text(results, ["mIoU", "car"], "title").splitlines() == [
        "=========================",
        "title",
        "                mIoU  car",
        "maximum  25.0 ± 21.2     ",
        "mine             0.3     ",
        "=========================",
    ]


@pytest.mark.filterwarnings("error:All-NaN")  # of what nobody has
def test_the_highest_figure_is_bold_but_for_differences_and_latex_has_its_own_sign_for_spreads(results):
    results[1] = Result("mine", {"mIoU": 28.0}, {(0, 0): {"mIoU": 12.0}, (1, 0): {"mIoU": 44.0}})
    for result in results:
        result.runs[2, 0] = {"car": 1.0}  # which lacks the figure
    tables.compare(results, "mIoU")
    lines = tables.latex(results, ["mIoU", tables.AGAINST, "person"], "t").splitlines()
    assert r"mine & \textbf{28.0 $\pm$ 22.6} & 3.0 $\pm$ 1.4 &  \\" in lines
