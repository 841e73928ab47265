"""How cost grows, measured of the smallest images."""

import argparse

import pytest

from benchmarks import scaling

ARGS = argparse.Namespace(threads=1, repeats=1)


@pytest.mark.parametrize(("batch", "train"), [(1, False), (2, True)])
def test_a_size_is_measured_in_a_process_of_its_own(batch, train):
    cost = scaling.measure(ARGS, 16, batch, train=train)
    assert cost["seconds"] > 0 and 100 < cost["peak"] < 4000


def test_the_first_pass_does_not_count(monkeypatch):
    monkeypatch.setattr(scaling.speed, "child", lambda *_, **__: {"times": {"ours": [9, 1, 2]}, "peaks": {"ours": 7}})
    assert scaling.measure(ARGS, 16, 1, train=False) == {"seconds": 1.5, "peak": 7}


def test_processes_share_the_threads(monkeypatch):
    def threads(command, environment):
        return command[command.index("--threads") + 1], environment["OMP_NUM_THREADS"]

    monkeypatch.setattr(scaling, "answer", threads)
    args = argparse.Namespace(threads=4, repeats=1)
    assert [scaling.measure_ranks(args, processes) for processes in (1, 2, 8)] == [("4", "4"), ("2", "2"), ("1", "1")]


def test_processes_that_fail_are_told_by_their_command(monkeypatch):
    monkeypatch.setattr(scaling.sys, "executable", "false")
    with pytest.raises(ChildProcessError, match="--nproc_per_node=2 .*: ended with status 1; expected figures"):
        scaling.measure_ranks(ARGS, 2)


@pytest.mark.slow  # of the whole network
@pytest.mark.parametrize("processes", [1, 2])
def test_a_step_is_measured_in_processes_that_average_their_gradients(capfd, processes):
    cost = scaling.measure_ranks(ARGS, processes)
    assert cost["seconds"] > 0 and 100 < cost["peak"] < 8000
    assert "Warning" not in capfd.readouterr().err


def test_the_table_and_the_exponent_follow_from_times_and_pixels(monkeypatch, capsys, tmp_path):
    def cost(args, size, batch, train):  # noqa: ARG001
        return {"seconds": batch * max(2, (size / 64) ** 3), "peak": 100.0}

    monkeypatch.setattr(scaling, "measure", cost)
    monkeypatch.setattr(scaling, "measure_ranks", lambda _, processes: {"seconds": 1.0 * processes, "peak": 100.0})
    assert scaling.main(["--largest", "256", "--out", str(tmp_path / "a.png")]) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    sides = [["64", "2.000", "100", "1.00"], ["128", "8.000", "100", "1.00"], ["256", "64.000", "100", "2.00"]]
    assert rows[2:5] == sides
    assert (rows[10], rows[16]) == (["4", "8.000", "100", "1.00"], ["2", "2.000", "100", "1.00"])
    assert "time grows with the power 1.50 of the pixels from side 128 to side 256" in printed
    assert (tmp_path / "a.png").stat().st_size
    for largest, told in (("128", True), ("64", False)):
        assert scaling.main(["--largest", largest, "--out", str(tmp_path / "b.png")]) == 0
        assert ("grows" in capsys.readouterr().out) == told
