"""ONNX Runtime beside torch."""

import sys

import pytest

from benchmarks import runtimes

ARGUMENTS = ["--height", "21", "--width", "30", "--repeats", "1", "--threads", "1"]


def test_both_fuse_the_same_image(capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert runtimes.main(ARGUMENTS) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("cmmdl-lite, 30x21") and lines[-2].startswith("ratio ")


def test_without_onnx_runtime_a_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert runtimes.main(ARGUMENTS) == 2
    assert "pip install -r requirements-export.txt" in capsys.readouterr().err


def test_a_method_without_weights_is_refused(capsys):
    assert runtimes.main(["--method", "mlfuse"]) == 2
    assert "no weights of mlfuse ship" in capsys.readouterr().err
