"""What no benchmark measures: nothing, not even once."""

import pytest
import torch

from benchmarks import choices, folder, losses, methods, metrics, registration, runtimes, scaling, speed, tradeoff
from tests.commands import status_of

REFUSED = [
    *((speed, options, "are for --train or --device cuda") for options in (["--precision", "bf16"], ["--compile"])),
    (speed, ["--train", "--compile-literal"], "--compile-literal is for inference"),
    (speed, ["--height", "-1"], "--height: '-1'; expected a whole number from 1"),
    (scaling, ["--largest", "32"], "--largest: '32'; expected a whole number from 64"),
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
      for module, more in ((methods, []), (runtimes, []), (scaling, []), (speed, []), (tradeoff, ["--results", "x"]))
      for option in ("--repeats", "--threads")),
]  # fmt: skip


@pytest.mark.parametrize(("module", "options", "words"), REFUSED)
def test_an_option_that_makes_no_sense_is_refused(capsys, module, options, words):
    assert status_of(module.main, *options) == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith(f"usage: python -m {module.__name__} ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_refused(capsys):
    assert status_of(speed.main, "--device", "cuda") == 2
    assert "torch sees no CUDA device here" in capsys.readouterr().err
