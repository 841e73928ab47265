"""The literal metrics beside ours."""

import math

import pytest

from benchmarks import metrics

ARGUMENTS = ["--height", "41", "--width", "41", "--repeats", "1"]


def test_both_sides_give_the_same_figures_and_their_times(capsys):
    assert metrics.main(ARGUMENTS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["41x41,", "largest", "literal", "ours", "ours,", "ratio"]


@pytest.mark.parametrize(("factor", "status"), [(1, 0), (1 + 1e-5, 1), (math.nan, 1)])
def test_sides_that_compute_other_things_are_found_and_not_timed(monkeypatch, capsys, factor, status):
    evaluate, times = metrics.literal_metrics.evaluate, {"literal": 3.0, "ours": 1.5, "known": 1.0}

    def literal(*images):
        found = evaluate(*images)
        return found | {"VIF": factor * found["VIF"]}

    monkeypatch.setattr(metrics.literal_metrics, "evaluate", literal)
    monkeypatch.setattr(metrics, "in_turn", lambda *_: list(times.values()))
    assert metrics.main(ARGUMENTS) == status
    said = capsys.readouterr()
    assert ("ratio 2.0\n" in said.out) == (status == 0) and ("the two sides disagree" in said.err) == (status == 1)
