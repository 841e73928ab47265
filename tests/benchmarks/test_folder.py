"""What is measured of folders, on small ones."""

import re

from benchmarks import folder, timing
from data.scenes import write_folder


def test_every_part_is_measured(tmp_path, capsys):
    write_folder(tmp_path / "pairs", 2, height=128, width=128)
    small = ["--count", "4", "--height", "64", "--width", "64", "--repeats", "1"]
    assert folder.main([*small, "--data", str(tmp_path / "pairs")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "ratio" in line]
    assert [line.partition(":")[0] for line in lines] == ["fusing", "scoring", "patches", "patches", "loading"]
    assert all(float(re.search(r"ratio ([\d.]+)", line)[1]) > 0 for line in lines)


def test_functions_are_timed_in_turn_and_what_comes_before_them_is_not(monkeypatch):
    clock, took = [0.0], {"a": iter([1, 2, 9]), "b": iter([3, 3, 3])}
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    seen = []

    def wait(name, seconds):
        seen.append(name)
        clock[0] += seconds

    sides = [lambda name=name: wait(name, next(took[name])) for name in took]
    assert timing.in_turn(3, *sides, before=lambda: wait("-", 100)) == [2, 3]
    assert "".join(seen) == "-a-b" * 3


def test_what_is_no_pair_folder_is_refused(tmp_path, capsys):
    assert folder.main(["--data", str(tmp_path / "missing")]) == 2
    assert "no such folder" in capsys.readouterr().err
