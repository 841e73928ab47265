"""The literal metrics beside ours."""

import math

import pytest

from benchmarks import metrics

ARGUMENTS = ["--height", "41", "--width", "41", "--repeats", "1"]


def test_both_sides_give_the_same_figures_and_their_times(capsys):
    assert metrics.main(ARGUMENTS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["41x41,", "largest", "literal", "ours", "ours,", "ratio"]


@pytest.mark.parametrize("other", [1.001, math.nan])
def test_sides_that_compute_other_things_are_found(other, monkeypatch, capsys):
    right = metrics.literal_metrics.evaluate

    def changed(*images):
        found = right(*images)
        return found | {"VIF": other * found["VIF"]}

    monkeypatch.setattr(metrics.literal_metrics, "evaluate", changed)
    assert metrics.main(ARGUMENTS) == 1
    assert "the two sides disagree" in capsys.readouterr().err
