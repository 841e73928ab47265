"""The picture of a training."""

import math
import sys

import cv2
import pytest

from docs import curves

HISTORY = "epoch,steps,lr,total,intensity,VIF\n1,10,0.1,2.0,1.0,0.5\n2,20,0.05,1.5,0.5,0.75\n"


def test_a_history_becomes_a_picture(tmp_path):
    (tmp_path / "history.csv").write_text(HISTORY)
    columns = curves.read(tmp_path / "history.csv")
    assert columns["total"] == [2.0, 1.5] and columns["VIF"] == [0.5, 0.75]
    curves.draw(columns, tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture.shape[1] > 2 * picture.shape[0] and picture.std() > 5


def test_terms_that_one_phase_alone_has_are_missing_in_the_others(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,steps,lr,total,teacher\n1,10,0.1,2.0,0.5\n2,20,0.05,1.5,\n")
    columns = curves.read(tmp_path / "history.csv")
    assert columns["teacher"][0] == 0.5 and math.isnan(columns["teacher"][1])
    curves.draw(columns, tmp_path / "curves.png")


def test_the_command_says_what_it_wrote(tmp_path, monkeypatch, capsys):
    history, out = tmp_path / "history.csv", tmp_path / "curves.png"
    history.write_text(HISTORY)
    monkeypatch.setattr(sys, "argv", ["curves", str(history), "--out", str(out)])
    assert curves.main() == 0 and out.exists()
    assert capsys.readouterr().out == f"2 epochs of {history}; {out}\n"


NOT_A_HISTORY = ["", "a,b\n1,2\n", "epoch,steps,lr,total\n1,2,3,many\n", "epoch,steps,lr,total\n1,2\n"]


@pytest.mark.parametrize("text", NOT_A_HISTORY)
def test_another_file_is_refused_by_name(tmp_path, text):
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(ValueError, match=r"other\.csv: not the history of a training"):
        curves.read(tmp_path / "other.csv")
