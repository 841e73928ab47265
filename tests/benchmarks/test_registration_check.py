"""What the registration check finds of pairs that are moved."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import registration
from data.scenes import write_folder


def test_a_moved_image_shares_what_is_left_of_both():
    scene = np.arange(30 * 40).reshape(30, 40)
    vis, ir = scene[5:25, 5:35], scene[3:23, 8:38]  # infrared shows it 3 columns to the left and 2 rows down
    np.testing.assert_array_equal(registration.without(vis, 3, -2), registration.without(ir, -3, 2))


def test_each_set_has_a_line(tmp_path, capsys):
    write_folder(tmp_path / "pairs", 3, height=128, width=160)
    assert registration.main(["--data", str(tmp_path / "pairs")]) == 0
    name, pairs, warned, moved, found, error, *_ = capsys.readouterr().out.splitlines()[1].split()
    assert (name, pairs, warned, moved) == ("pairs", "3", "0.0%", "6")
    assert float(found.rstrip("%")) >= 50 and float(error) < 1


@pytest.mark.parametrize(
    ("said", "warned", "found", "error"),
    [(None, "0.0%", "0.0%", "nan"), (SimpleNamespace(right=0, down=0), "100.0%", "100.0%", None)],
)
def test_pairs_are_moved_every_way_and_what_is_said_of_them_is_counted(monkeypatch, capsys, said, warned, found, error):
    def check(*_):
        clock[0] += 0.25
        return said

    moves, clock, grey = [], [100.0], np.zeros((48, 48), np.uint8)
    monkeypatch.setattr(registration, "read_pair", lambda _: (grey, grey))
    monkeypatch.setattr(registration, "misalignment", check)
    monkeypatch.setattr(registration, "without", lambda image, *move: moves.append(move) or image)
    monkeypatch.setattr(registration.time, "perf_counter", lambda: clock[0])
    registration.report("few", [SimpleNamespace(words=("visible", "infrared"))] * 20)
    vis, ir = np.array(moves[::2]), np.array(moves[1::2])
    distances = np.hypot(*vis.T)
    assert np.array_equal(ir, -vis) and 4.2 < distances.min() < 6.5 and 10.5 < distances.max() < 12.8
    assert {(right > 0, down > 0) for right, down in vis} == {(a, b) for a in (True, False) for b in (True, False)}
    line = f"few 20 {warned} 40 {found} {error or f'{np.median(distances):.1f}'} px 250.0 ms"
    assert capsys.readouterr().out.split() == line.split()


def test_what_is_no_pair_folder_is_refused(tmp_path, capsys):
    assert registration.main(["--data", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
