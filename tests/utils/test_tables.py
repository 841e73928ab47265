"""Tables as they are printed and saved."""

import csv

import pytest

from utils import tables
from utils.metrics import METRICS
from utils.tables import Row


def row(method, *values, reference=False):
    images = {f"{i}": dict.fromkeys(METRICS, value) for i, value in enumerate(values)}
    return Row(method, images, is_reference=reference)


def test_the_printed_block_has_the_layout_of_fusion_papers():
    scores = dict(zip(METRICS, (7.123, 46.0, 13.149, 2.19, 1.76, 0.77, 0.54, 1.03, 1, 1, 1, 1), strict=True))
    assert tables.text("TNO", [Row("cmmdl", {"01": scores})]) == "\n".join([
        "=" * 80,
        "The test result of TNO :",
        "                 EN      SD      SF      MI     SCD     VIF    Qabf    SSIM",
        "CMMDL          7.12   46.00   13.15    2.19    1.76    0.77    0.54    1.03",
        "=" * 80,
    ])  # fmt: skip


def test_the_mean_is_over_images():
    assert row("cmmdl", 1.0, 2.0, 6.0).mean == dict.fromkeys(METRICS, 3.0)


def test_a_method_without_scored_images_has_no_line():
    assert "CMMDL" not in tables.text("A", [Row("cmmdl")])
    assert "CMMDL" not in tables.markdown({"A": [Row("cmmdl"), row("average", 1.0, reference=True)]}, "cmmdl")


def test_a_row_whose_pairs_were_refused_says_over_how_many_its_means_are():
    rows = [row("cmmdl", 1.0, 2.0), row("mlfuse", 1.0), row("max", 2.0, 3.0, reference=True)]
    sets = {"A": rows}
    for table in (tables.text("A", rows), tables.markdown(sets, "cmmdl"), tables.latex(sets, "cmmdl")):
        assert "MLFuse (1 of 2) " in table and table.count(" of 2)") == 1
    assert {len(line) for line in tables.text("A", rows).splitlines()[2:-1]} == {16 + 64}


def test_the_best_method_is_bold_and_a_reference_never_is():
    rows = [row("cmmdl", 2.0), row("mlfuse", 1.0), row("max", 5.0, reference=True)]
    text = tables.markdown({"A": rows}, "cddfuse")
    assert "| CMMDL | **2.00** " in text
    assert "| maximum | 5.00 " in text
    mse = METRICS.index("MSE") + 2
    assert text.split("| MLFuse |")[1].split("|")[mse - 2].strip() == "**1.00**", "less error is better"
    assert r"CMMDL & \textbf{2.00}" in tables.latex({"A": rows}, "cddfuse")


def test_methods_with_the_same_printed_figure_are_both_bold():
    table = tables.markdown({"A": [row("cmmdl", 1.001), row("mlfuse", 0.999), row("dwt", 0.9)]}, "cmmdl")
    assert "| CMMDL | **1.00** " in table and "| MLFuse | **1.00** " in table and "| DWT | 0.90 " in table


def test_tables_say_over_how_many_images_they_are():
    sets = {"A": [row("cmmdl", 1.0, 2.0, 3.0), row("max", 1.0, 2.0, 3.0, reference=True)]}
    assert "### A (3 images)" in tables.markdown(sets, "cmmdl") and r"A (3) & EN & SD" in tables.latex(sets, "cmmdl")


def test_a_lone_method_is_not_bold():
    assert "**" not in tables.markdown({"A": [row("cmmdl", 1.0), row("max", 0.5, reference=True)]}, "cmmdl")


def test_names_are_escaped_for_latex_and_markdown():
    assert "| a\\|b | 1.00 |" in tables.markdown({"A": [row("a|b", 1.0)]}, "cmmdl")
    assert r"MRI\_CT" in tables.latex({"MRI_CT": [row("cmmdl", 1.0)]}, "cmmdl")
    assert tables.escaped(r"a{50%}~\b") == r"a\{50\%\}\textasciitilde{}\textbackslash{}b"
    assert tables.escaped("[18]<*") == r"{[}18]\textless{}{*}"


def test_every_table_names_its_protocol():
    assert "`cddfuse`" in tables.markdown({"A": [row("cmmdl", 1.0)]}, "cddfuse")
    assert "cddfuse" in tables.latex({"A": [row("cmmdl", 1.0)]}, "cddfuse")


def test_the_csv_reads_back_to_the_last_digit(tmp_path):
    written = row("cmmdl", 1 / 3, 2 / 3)
    tables.write_csv(tmp_path / "set" / "metrics.csv", written)
    lines = list(csv.reader((tmp_path / "set" / "metrics.csv").open()))
    assert lines[0] == ["image", *METRICS]
    assert float(lines[1][1]) == 1 / 3
    assert lines[-1][0] == "mean"
    assert float(lines[-1][1]) == pytest.approx(0.5)
