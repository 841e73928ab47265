"""The picture of a training."""

import math
import os
from pathlib import Path

import cv2
import pytest

from docs import curves

HISTORY = "epoch,steps,lr,total,intensity,VIF\n1,10,0.1,2.0,1.0,0.5\n2,20,0.05,1.5,0.5,0.75\n"


def test_a_history_becomes_a_picture(tmp_path, monkeypatch):
    figures, save = [], curves.save_figure
    monkeypatch.setattr(curves, "save_figure", lambda *given: (figures.append(given[0]), save(*given)))
    (tmp_path / "history.csv").write_text(HISTORY)
    columns = curves.read(tmp_path / "history.csv")
    assert columns["total"] == [2.0, 1.5] and columns["VIF"] == [0.5, 0.75]
    curves.draw(columns, tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture.shape[1] > 2 * picture.shape[0] and picture.std() > 5
    losses, rate, scores = figures[0].axes
    assert [axis.get_yscale() for axis in figures[0].axes] == ["log", "linear", "linear"]
    assert [line.get_label() for line in losses.lines] == ["total", "intensity"] and losses.get_legend()
    assert [line.get_xydata().tolist() for line in rate.lines] == [[[1, 0.1], [2, 0.05]]]
    assert scores.lines[0].get_ydata().tolist() == [0.5, 0.75]


def test_legends_stand_beside_the_lines(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: figures.append(figure))
    (tmp_path / "history.csv").write_text("epoch,steps,lr,total,one,two,three,VIF,Qabf\n1,1,1,9,8,7,6,5,4\n")
    curves.draw(curves.read(tmp_path / "history.csv"), tmp_path / "curves.png")
    figures[0].draw_without_rendering()
    for axis in (figures[0].axes[0], figures[0].axes[2]):
        assert not axis.get_legend().get_window_extent().overlaps(axis.bbox)
        assert axis.get_tightbbox().x1 <= figures[0].bbox.x1


def test_terms_that_one_phase_alone_has_are_missing_in_the_others(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,steps,lr,total,teacher\n1,10,0.1,2.0,0.5\n2,20,0.05,1.5,\n")
    columns = curves.read(tmp_path / "history.csv")
    assert columns["teacher"][0] == 0.5 and math.isnan(columns["teacher"][1])
    curves.draw(columns, tmp_path / "curves.png")


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    history, out = tmp_path / "history.csv", tmp_path / "curves.png"
    history.write_text(HISTORY)
    assert curves.main([str(history), "--out", str(out)]) == 0 and out.exists()
    assert capsys.readouterr().out == f"2 epochs of {history}; {out}\n"
    assert curves.main([str(history)]) == 0 and (tmp_path / "history.png").exists()


def test_without_a_history_that_of_the_weights_that_ship_is_drawn(monkeypatch, capsys):
    drawn, docs = [], Path(curves.__file__).parent
    monkeypatch.setattr(curves, "draw", lambda _, out: drawn.append(out))
    assert curves.main([]) == 0
    assert drawn == [docs / "training.png"]
    assert f" epochs of {docs.parent / 'models' / 'CMMDL.history.csv'}; {drawn[0]}\n" in capsys.readouterr().out


def test_terms_with_capital_letters_are_no_scores(tmp_path, monkeypatch):
    (tmp_path / "history.csv").write_text("epoch,steps,lr,total,L1,VIF\n1,10,0.1,2.0,1.0,0.5\n")
    drawn = []
    monkeypatch.setattr(curves, "plot", lambda *arguments: drawn.append(arguments[-1]))
    curves.draw(curves.read(tmp_path / "history.csv"), tmp_path / "curves.png")
    assert drawn == [["total", "L1"], ["lr"], ["VIF"]]


HEADER = "epoch,steps,lr,total"
NOT_A_HISTORY = {
    "empty": "",
    "other columns": "a,b\n1,2\n",
    "a word for a number": f"{HEADER}\n1,2,3,many\n",
    "a short line": f"{HEADER}\n1,2\n",
    "a column without a name": f"{HEADER},\n1,2,3,4,\n",
    "a very long field": f"{HEADER}\n1,2,3,{'4' * 200_000}\n",
    "a byte that is no text": f"{HEADER},\udcff\n1,2,3,4,5\n",
}


@pytest.mark.parametrize("kind", NOT_A_HISTORY)
def test_another_file_is_refused_by_name(tmp_path, kind):
    (tmp_path / "other.csv").write_text(NOT_A_HISTORY[kind], encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=r"other\.csv: not the history of a training"):
        curves.read(tmp_path / "other.csv")


def test_the_picture_does_not_take_the_place_of_the_history(tmp_path, monkeypatch, capsys):
    (tmp_path / "history.csv").write_text(HISTORY)
    monkeypatch.chdir(tmp_path)
    assert curves.main(["history.csv", "--out", str(tmp_path / "history.csv")]) == 2
    assert "history.csv: is the history itself; expected another name" in capsys.readouterr().err
    assert (tmp_path / "history.csv").read_text() == HISTORY


def test_a_pipe_is_refused_and_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "history.csv")
    assert curves.main([str(tmp_path / "history.csv")]) == 2
    assert "history.csv: a pipe or device; expected the history.csv of a run folder" in capsys.readouterr().err
