"""What `python -m benchmarks.methods` counts and prints."""

import json
import sys

import pytest
from torch import nn

import net
from benchmarks import methods
from net.baselines.mlfuse_training import RECIPE
from net.method import Method


class Tiny(nn.Module):
    """Two 3x3 convolutions, 1 to 4 to 1 channels, without bias."""

    def __init__(self) -> None:
        super().__init__()
        channels = ((1, 4), (4, 1))
        self.layers = nn.Sequential(*(nn.Conv2d(*pair, 3, padding=1, bias=False) for pair in channels))

    def forward(self, vis, ir):
        return self.layers(vis + ir)


def test_parameters_and_multiply_adds_are_those_of_the_convolutions(monkeypatch):
    tiny = Method(name="tiny", label="Tiny", network=Tiny, recipes={"paper": RECIPE})
    monkeypatch.setitem(net.METHODS, "tiny", tiny)
    assert methods.parameters("tiny") == 72
    assert methods.gmac("tiny", 10, 20) == pytest.approx(72 * 10 * 20 / 1e9)


@pytest.mark.parametrize("name", net.METHODS)
def test_every_method_is_counted_without_being_run(name):
    assert (methods.gmac(name, 32, 40) > 0) == (methods.parameters(name) > 0) == net.METHODS[name].learns


def test_the_table_has_a_line_for_each_method_with_its_ratio_to_the_first(capsys):
    options = ["--method", "mlfuse", "average", "--height", "16", "--width", "16", "--repeats", "1"]
    assert methods.main(options) == 0
    settings, allocator, _, first, second = capsys.readouterr().out.splitlines()
    assert settings.startswith("16x16, batch 1, float32, CPU") and "torch" in settings and "load average" in allocator
    assert first.split()[:2] == ["MLFuse", "109,497"] and first.count("1.000") == 2
    assert second.split()[:3] == ["average", "0", "0.0"]


def test_the_median_time_and_the_largest_memory_of_the_rounds_count_as_parts_of_the_first_method(monkeypatch, capsys):
    rounds = {"max": iter([(2.0, 300.0), (4.0, 200.0), (9.0, 400.0)]), "average": iter([(1.0, 100.0)] * 3)}
    monkeypatch.setattr(methods, "child", lambda _, name: next(rounds[name]))
    options = ["--method", "max", "average", "--height", "16", "--width", "16", "--repeats", "3"]
    assert methods.main(options) == 0
    first, second = (line.split()[3:] for line in capsys.readouterr().out.splitlines()[-2:])
    assert first == ["4.00", "s", "1.000", "400", "MB", "1.000"]
    assert second == ["1.00", "s", "0.250", "100", "MB", "0.250"]


def test_the_time_is_that_of_one_image_of_a_batch(monkeypatch, capsys):
    options = ["--worker", "average", "--height", "9", "--width", "8", "--batch-size", "4"]
    clock, passes = iter(range(0, 100, 2)), []
    monkeypatch.setattr(methods.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(methods, "keep_freed_memory", lambda **_: None)
    average = net.METHODS["average"].network
    monkeypatch.setattr(average, "forward", lambda *given: passes.append((given[0].training, *given[1].shape)))
    assert methods.main(options) == 0
    assert json.loads(capsys.readouterr().out)[0] == 2 / 4 and passes == [(False, 4, 1, 9, 8)] * 2


def test_a_process_that_fails_is_told_by_its_command():
    codes = {"import sys; sys.exit(3)": "with status 3", "import os; os.kill(os.getpid(), 9)": "by signal 9"}
    for code, ended in codes.items():
        with pytest.raises(ChildProcessError, match=f"^-c '{code[:9]}.*: ended {ended}; expected figures"):
            methods.answer([sys.executable, "-c", code])
