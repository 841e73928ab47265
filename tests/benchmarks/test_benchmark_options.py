"""What no benchmark measures: nothing, not even once, and metrics that are not the literal ones."""

import pytest

from benchmarks import choices, folder, losses, methods, metrics, registration, runtimes, scaling, tradeoff

REFUSED = [
    (metrics, ["--height", "0"], "--height: '0'; expected a whole number from 41"),
    (metrics, ["--repeats", "0"], "--repeats: '0'; expected a whole number from 1"),
    (folder, ["--count", "0"], "--count: '0'; expected a whole number from 4"),
    (folder, ["--width", "63"], "--width: '63'; expected a whole number from 64"),
    (folder, ["--repeats", "0"], "--repeats: '0'; expected"),
    (losses, ["--data", "x", "--limit", "-1"], "--limit: '-1'; expected"),
    (losses, ["--data", "x", "--size", "8"], "--size: '8'; expected a whole number from 41"),
    (losses, ["--data", "x", "--steps", "0"], "--steps: '0'; expected"),
    (registration, ["--data", "x", "--every", "0"], "--every: '0'; expected"),
    (choices, ["--data", "x", "--dim", "1"], "--dim: '1'; expected a whole number from 2"),
    (choices, ["--data", "x", "--size", "15"], "--size: '15'; expected a whole number from 16"),
    *((module, [], "the following arguments are required: --data") for module in (choices, losses, registration)),
    (runtimes, ["--method", "max"], "--method: invalid choice: 'max'"),
    (tradeoff, [], "the following arguments are required: --results"),
    *((module, [*more, "--out", "a.xyz"], "--out: a.xyz: format '.xyz'; expected one of eps, ")
      for module, more in ((scaling, []), (tradeoff, ["--results", "x"]))),
    *((module, [*more, option, "0"], f"{option}: '0'; expected a whole number from 1")
      for module, more in ((methods, []), (runtimes, []), (tradeoff, ["--results", "x"]))
      for option in ("--repeats", "--threads")),
]  # fmt: skip


@pytest.mark.parametrize(("module", "options", "words"), REFUSED)
def test_an_option_that_makes_no_sense_is_refused(capsys, module, options, words):
    with pytest.raises(SystemExit) as stopped:
        module.main(options)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and words in said and said.startswith(f"usage: python -m {module.__name__} ")


@pytest.mark.parametrize(("factor", "status"), [(1, 0), (1 + 1e-5, 1)])
def test_metrics_that_differ_from_the_literal_ones_are_not_timed(monkeypatch, capsys, factor, status):
    evaluate, times = metrics.literal_metrics.evaluate, {"literal": 3.0, "ours": 1.5, "known": 1.0}

    def literal(*images):
        found = evaluate(*images)
        return found | {"VIF": factor * found["VIF"]}

    monkeypatch.setattr(metrics.literal_metrics, "evaluate", literal)
    monkeypatch.setattr(metrics, "in_turn", lambda *_: list(times.values()))
    assert metrics.main(["--height", "41", "--width", "48"]) == status
    assert ("ratio 2.0\n" in capsys.readouterr().out) == (status == 0)
