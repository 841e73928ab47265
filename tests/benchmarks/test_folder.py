"""What is measured of folders, on small ones."""

import pytest

from benchmarks import folder, timing
from data.scenes import write_folder


def test_every_part_is_measured_and_its_figures_follow_from_the_times(tmp_path, monkeypatch, capsys):
    def in_turn(_, *functions, before=lambda: None):
        for function in functions:
            before()
            function()
        return [2.0, 3.0]

    build = folder.net.build
    narrow = {"cmmdl": lambda: build("cmmdl-lite", dim=8)}  # which takes no time
    monkeypatch.setattr(folder.net, "build", lambda name: narrow.get(name, lambda: build(name))())
    monkeypatch.setattr(folder, "open_model", folder.net.build)
    monkeypatch.setattr(folder, "in_turn", in_turn)
    write_folder(tmp_path / "own", 4, height=128, width=128)
    small = ["--count", "8", "--height", "64", "--width", "64"]
    assert folder.main([*small, "--data", str(tmp_path / "own")]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "ratio" in line] == [
        "fusing: network alone 2.00 s, whole folder 3.00 s, ratio 1.50",
        "scoring: literal 2.00 s, ours 3.00 s, ratio 0.7",
        "patches: pairs: decoded 4 pairs/s, cut 3 pairs/s, ratio 1.50",
        "patches: own: decoded 2 pairs/s, cut 1 pairs/s, ratio 1.50",
        "loading: 1 batches/s, 0.33 steps/s, batch 4 of 64x64, ratio 3",
    ]


@pytest.mark.parametrize(("status", "expected"), [(1, 2), (130, 130)])
def test_of_a_cutting_that_fails_or_is_interrupted_no_rate_is_told(monkeypatch, capsys, status, expected):
    for part in ("fusing", "scoring", "loading"):
        monkeypatch.setattr(folder, part, lambda *_: None)
    monkeypatch.setattr(folder.patches, "main", lambda _: status)
    assert folder.main(["--count", "4", "--height", "64", "--width", "64"]) == expected
    told = capsys.readouterr()
    assert "ratio" not in told.out
    assert ("nothing was cut" in told.err) == (status == 1)


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
