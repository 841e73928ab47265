"""What the registration check finds of pairs that are moved."""


import numpy as np

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


def test_what_is_no_pair_folder_is_refused(tmp_path, capsys):
    assert registration.main(["--data", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
