"""The picture of speed against quality, and what it is refused."""

import cv2
import pytest

from benchmarks import tradeoff
from benchmarks.methods import Cost

TABLE = "image,EN,VIF,Qabf\n1,7.0,0.1,0.2\nmean,7.0,{vif},{qabf}\n"


@pytest.fixture
def results(tmp_path):
    """Tables of three methods for a set."""
    for name, vif, qabf in (("cmmdl", 0.75, 0.5), ("cmmdl-lite", 0.7, 0.55), ("max", 1.0, 0.6)):
        (tmp_path / name / "TNO").mkdir(parents=True)
        (tmp_path / name / "TNO" / "metrics.csv").write_text(TABLE.format(vif=vif, qabf=qabf))
    return tmp_path


def run(*options):
    return tradeoff.main(list(map(str, options)))


def test_figures_come_from_the_tables_and_times_relative_to_cmmdl(results, monkeypatch, capsys):
    def measure(args):
        assert (args.batch_size, args.method) == (1, ["cmmdl", "cmmdl-lite", "max"])
        return {name: Cost(seconds, 300) for name, seconds in zip(args.method, (8.0, 0.04, 0.001), strict=True)}

    monkeypatch.setattr(tradeoff, "measure", measure)
    assert run("--results", results, "--out", results / "plot.png") == 0
    title, cmmdl, lite, maximum, _ = capsys.readouterr().out.splitlines()
    assert title.startswith("TNO, 640x480, ")
    assert cmmdl.split() == ["CMMDL", "8.000", "s", "1.00000", "VIF", "0.750", "Qabf", "0.500"]
    assert lite.split() == ["CMMDL-lite", "0.040", "s", "0.00500", "VIF", "0.700", "Qabf", "0.550"]
    assert maximum.split()[0] == "maximum"
    picture = cv2.imread(str(results / "plot.png"))
    assert picture.shape[1] > 2 * picture.shape[0] and picture.std() > 5


def test_each_score_stands_over_the_time_and_rules_are_hollow(results, monkeypatch):
    drawn = []
    monkeypatch.setattr(tradeoff, "save_figure", lambda figure, _: drawn.extend(figure.axes))
    costs = {name: Cost(seconds, 300) for name, seconds in (("cmmdl", 8.0), ("cmmdl-lite", 0.04), ("max", 0.001))}
    tradeoff.draw(tradeoff.read(results, "TNO"), costs, results / "plot.png", title="t")
    ratios, scores = (1, 0.005, 0.000125), {"VIF": (0.75, 0.7, 1), "Qabf": (0.5, 0.55, 0.6)}
    assert [axis.get_ylabel() for axis in drawn] == list(scores)
    assert [axis.get_subplotspec().colspan.start for axis in drawn] == [0, 1]  # side by side
    for axis, values in zip(drawn, scores.values(), strict=True):
        assert axis.get_xlabel() == "time relative to CMMDL"
        dots = axis.collections
        assert [tuple(x.get_offsets()[0]) for x in dots] == [*zip(ratios, values, strict=True)]
        assert [len(x.get_facecolor()) for x in dots] == [1, 1, 0] and axis.get_xscale() == "log"


def test_a_run_without_cmmdl_is_refused_by_what_is_there(results, capsys):
    (results / "cmmdl" / "TNO" / "metrics.csv").unlink()
    assert run("--results", results, "--set", "TNO") == 2
    assert "tables of TNO by these methods: cmmdl-lite, max; expected cmmdl" in capsys.readouterr().err


NO_TABLES = [b"", b"image,VIF\nmean,0.5\n", b"image,VIF,Qabf\n1,0.5,0.5\n", b"image,\xff\n", b"a" * 200_000]


@pytest.mark.parametrize("content", NO_TABLES, ids=range(len(NO_TABLES)))
def test_a_table_without_means_is_refused_by_name(results, capsys, content):
    (results / "max" / "TNO" / "metrics.csv").write_bytes(content)
    assert run("--results", results) == 2
    assert "metrics.csv: no row of means" in capsys.readouterr().err


def test_the_only_set_is_taken_and_of_several_one_is_to_be_named(results, monkeypatch, capsys):
    monkeypatch.setattr(tradeoff, "measure", lambda args: {name: Cost(1.0, 300) for name in args.method})
    assert run("--results", results) == 0 and (results / "tradeoff.png").exists()
    (results / "cmmdl" / "MSRS").mkdir()
    (results / "cmmdl" / "MSRS" / "metrics.csv").write_text(TABLE.format(vif=1, qabf=1))
    assert run("--results", results) == 2
    assert "sets that CMMDL fused: MSRS, TNO; name one by --set" in capsys.readouterr().err


def test_a_folder_in_which_cmmdl_fused_nothing_is_refused_with_what_to_run(results, capsys):
    (results / "cmmdl").rename(results / "mine")
    assert run("--results", results) == 2
    assert "no folder cmmdl with the table of a set; expected what CMMDL_test.py writes" in capsys.readouterr().err


def test_the_picture_has_the_format_of_its_name(results, monkeypatch):
    monkeypatch.setattr(tradeoff, "measure", lambda args: {name: Cost(1.0, 300) for name in args.method})
    assert run("--results", results, "--out", results / "plot.jpg") == 0
    assert (results / "plot.jpg").read_bytes().startswith(b"\xff\xd8")
