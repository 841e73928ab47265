"""ONNX Runtime beside torch."""

import sys

import numpy as np
import pytest

from benchmarks import runtimes

ARGUMENTS = ["--height", "21", "--width", "30", "--repeats", "1", "--threads", "1"]


def test_both_fuse_the_same_image(capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert runtimes.main(ARGUMENTS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cmmdl-lite, 30x21") and lines[-2].startswith("ratio ")


@pytest.mark.parametrize(("apart", "status"), [(1e-4, 0), (1e-2, 1), (np.nan, 1)])
def test_outputs_that_are_apart_are_found_and_the_ratio_is_of_onnx_runtime(apart, status, monkeypatch, capsys):
    monkeypatch.setattr(runtimes, "open_model", lambda *_: lambda vis, _: vis)
    monkeypatch.setattr(runtimes, "onnx_runtime", lambda *_: lambda vis, _: vis + np.float32(apart))
    monkeypatch.setattr(runtimes, "in_turn", lambda *_: [2.0, 3.0])
    assert runtimes.main(ARGUMENTS) == status
    assert capsys.readouterr().out.endswith(f"ratio 1.50\nlargest difference {apart:.1e}\n")


def test_without_onnx_runtime_a_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert runtimes.main(ARGUMENTS) == 2
    assert "pip install -r requirements-export.txt" in capsys.readouterr().err


def test_a_method_without_weights_is_refused(capsys):
    assert runtimes.main(["--method", "mlfuse"]) == 2
    assert "no weights of mlfuse ship" in capsys.readouterr().err
