"""How cost grows, measured of the smallest images."""

import argparse
import sys

import pytest

from benchmarks import scaling

ARGS = argparse.Namespace(threads=1, repeats=1)


@pytest.mark.parametrize(("batch", "train"), [(1, False), (2, True)])
def test_a_size_is_measured_in_a_process_of_its_own(batch, train):
    cost = scaling.measure(ARGS, 16, batch, train=train)
    assert cost["seconds"] > 0 and 100 < cost["peak"] < 4000


@pytest.mark.slow  # of the whole network
def test_a_step_is_measured_in_processes_that_average_their_gradients():
    cost = scaling.measure_ranks(ARGS, 1)
    assert cost["seconds"] > 0 and 100 < cost["peak"] < 8000


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--largest", "32", "from 64"), ("--repeats", "0", "from 1"), ("--threads", "-1", "from 1")],
)
def test_what_cannot_be_measured_is_a_usage_error(monkeypatch, capsys, option, value, words):
    monkeypatch.setattr(sys, "argv", ["scaling", f"{option}={value}"])
    with pytest.raises(SystemExit) as caught:
        scaling.main()
    assert caught.value.code == 2
    assert f"{option}: {value!r}; expected a whole number {words}" in capsys.readouterr().err
