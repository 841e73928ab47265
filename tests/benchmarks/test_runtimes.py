"""ONNX Runtime beside torch."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import net
from benchmarks import runtimes
from tests.weight_files import filled

ARGUMENTS = ["--height", "21", "--width", "30", "--repeats", "1", "--threads", "1"]


def test_both_fuse_the_same_image(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.save(filled(net.build("mlfuse")).state_dict(), tmp_path / "mlfuse.pth")  # whose graph is written soonest
    assert runtimes.main([*ARGUMENTS, "--method", "mlfuse", "--weights", str(tmp_path / "mlfuse.pth")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("mlfuse, 30x21") and lines[-2].startswith("ratio ")


@pytest.mark.parametrize(("apart", "status"), [(9e-4, 0), (1.1e-3, 1), (np.nan, 1)])
def test_outputs_that_are_apart_are_found_and_the_ratio_is_of_onnx_runtime(apart, status, monkeypatch, capsys):
    def other(vis, _):
        return np.where(vis == vis.max(), vis + np.float32(apart), vis)  # in one pixel

    asked = []
    monkeypatch.setattr(runtimes, "open_model", lambda *_: lambda vis, _: vis)
    monkeypatch.setattr(runtimes, "onnx_runtime", lambda _, threads: asked.append(threads) or other)
    monkeypatch.setattr(runtimes, "in_turn", lambda repeats, *sides: asked.append(repeats) or [2.0, 3.0][: len(sides)])
    monkeypatch.setattr(runtimes, "keep_freed_memory", lambda *, every_size: asked.append(every_size))
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    assert runtimes.main(["--height", "21", "--width", "30", "--threads", "3"]) == status
    assert asked == [not net.METHODS["cmmdl-lite"].by_bands, 3, 3, 9]
    assert capsys.readouterr().out == (
        "cmmdl-lite, 30x21, CPU, 3 threads, 9 rounds in turn\ntorch           2.000 s\nONNX Runtime    3.000 s\n"
        f"ratio 1.50\nlargest difference {apart:.1e}\n"
    )


def test_onnx_runtime_computes_on_the_cpu_with_as_many_threads_as_torch(monkeypatch):
    class Session:
        def __init__(self, graph, options, providers):
            assert (graph, options.intra_op_num_threads, providers) == (b"graph", 3, ["CPUExecutionProvider"])

        def run(self, outputs, inputs):
            return [(outputs, inputs)]

    package = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=Session)  # a stand-in
    monkeypatch.setitem(sys.modules, "onnxruntime", package)
    monkeypatch.setattr(runtimes, "write_onnx", lambda path, model: path.write_bytes(model))
    assert runtimes.onnx_runtime(b"graph", 3)("v", "i") == (["fused"], {"vis": "v", "ir": "i"})


def test_without_onnx_runtime_a_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert runtimes.main(ARGUMENTS) == 2
    assert "pip install -r requirements-export.txt" in capsys.readouterr().err


def test_a_method_without_weights_is_refused(capsys):
    for more, words in (([], "no weights of mlfuse ship"), (["--weights", "nowhere.pth"], "no such weights file")):
        assert runtimes.main(["--method", "mlfuse", *more]) == 2
        assert words in capsys.readouterr().err
