"""Exported weights: ONNX Runtime agrees with torch at sizes that the exporter did not see; safetensors come back."""

import io
import json
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import net
from net.fast.layout import weights_to_channels_last
from net.files.safetensors_file import write_safetensors
from net.methods import method_of
from tests.commands import status_of
from tests.scripts.trainings import disk_of
from tests.weight_files import filled
from utils import export
from utils.shipped import digest_of_network, shipped


@pytest.fixture
def safetensors():
    return pytest.importorskip("safetensors", reason="safetensors is not installed (make test-export)")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A narrow CMMDL's weights in a file."""
    model = filled(net.build("cmmdl", dim=16, depth=1))
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save({"method": "cmmdl", "options": model.options, "model": model.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def runtime():
    """ONNX Runtime, where it and the exporter's packages are installed."""
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed (make test-export)")
    return pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (make test-export)")


@pytest.fixture(scope="module")
def exported(runtime, weights):  # noqa: ARG001 - skips
    """The same as an ONNX file, without a warning of the exporter's, and what the exporter made for it."""
    path, programs, export_program = weights.with_suffix(".onnx"), [], torch.onnx.export
    said = io.StringIO()

    def kept(*args, **options):
        programs.append(export_program(*args, **options))
        return programs[-1]

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
        warnings.simplefilter("error", FutureWarning)
        patch.setattr(torch.onnx, "export", kept)
        assert export.main(["--weights", str(weights), "--onnx", str(path)]) == 0
    assert said.getvalue() == f"{path}: {path.stat().st_size / 1e6:.1f} MB\n"
    return path, programs[0]


@pytest.fixture(scope="module")
def graph(runtime, exported):
    """The same in ONNX Runtime."""
    return runtime.InferenceSession(exported[0], providers=["CPUExecutionProvider"])


def smooth(size, seed):
    """Smooth shapes with some noise: a spectrum that falls off, as pictures have."""
    rows, columns = np.mgrid[: size[0], : size[1]] / 9
    noise = np.random.default_rng(seed).random(size)
    return torch.from_numpy(0.5 + 0.3 * np.sin(rows + seed) * np.cos(columns) + 0.1 * noise).float()[None, None]


def check(graph, model, size):
    pair = smooth(size, 0), smooth(size, 1)
    with torch.inference_mode():
        expected = method_of(model).output(model(*pair)).numpy()
    assert expected.std() > 0.01  # the weights do something
    assert expected.min() >= 0 and expected.max() <= 1
    (found,) = graph.run(["fused"], dict(zip(("vis", "ir"), (image.numpy() for image in pair), strict=True)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(33, 47), (64, 40), (3, 5)])
def test_onnx_runtime_agrees_with_torch_at_any_size(graph, weights, size):
    check(graph, net.load(weights), size)


def test_the_graph_names_its_inputs_output_and_axes(graph):
    found = {node.name: node.shape for node in (*graph.get_inputs(), *graph.get_outputs())}
    assert found == {name: [1, 1, "height", "width"] for name in ("vis", "ir", "fused")}


SIBLINGS = [
    ("cmmdl-lite", {"dim": 8}),
    ("mlfuse", {}),
    pytest.param("sfdfuse", {"dim": 16, "heads": 2}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("method", "options"), SIBLINGS)
def test_siblings_agree_too(runtime, tmp_path, method, options):
    model = filled(net.build(method, **options))
    export.write_onnx(tmp_path / "sibling.onnx", model.train())  # what a training leaves
    model.eval()
    graph = runtime.InferenceSession(tmp_path / "sibling.onnx", providers=["CPUExecutionProvider"])
    for size in ((33, 47), (64, 40)):
        check(graph, model, size)


def test_a_safetensors_file_gives_the_same_network(safetensors, weights, tmp_path):
    path = tmp_path / "small.safetensors"
    assert export.main(["--weights", str(weights), "--safetensors", str(path)]) == 0
    with safetensors.safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["options"])["dim"] == 16
    before, after = net.load(weights), net.load(path.rename(tmp_path / "SMALL.SAFETENSORS"))
    assert after.options == before.options
    assert not after.training
    torch.testing.assert_close(after.state_dict(), before.state_dict(), rtol=0, atol=0)


@pytest.mark.usefixtures("safetensors")
def test_where_no_weights_are_named_those_of_cmmdl_that_ship_are_written(tmp_path):
    assert export.main(["--safetensors", str(tmp_path / "a.safetensors")]) == 0
    assert digest_of_network(net.load(tmp_path / "a.safetensors")) == digest_of_network(net.load(shipped("cmmdl")))


@pytest.mark.parametrize("method", [method.name for method in net.METHODS.values() if method.learns])
def test_a_safetensors_file_names_the_method_as_everything_else_does(monkeypatch, tmp_path, method):
    written = []  # by a stand-in for the package, so that this needs none
    package = SimpleNamespace(save=lambda _, metadata: written.append(metadata) or b"")
    for name in ("safetensors", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, name, package)
    model = net.build(method)
    write_safetensors(tmp_path / "a.safetensors", model)
    assert written == [{"method": method, "options": json.dumps(model.options)}]


@pytest.mark.usefixtures("safetensors")
@pytest.mark.parametrize("method", ["cmmdl-lite", "mlfuse", "sfdfuse", "adasffuse"])
def test_a_siblings_safetensors_file_says_whose_it_is(tmp_path, method):
    model, path = net.build(method), tmp_path / "sibling.safetensors"
    write_safetensors(path, model)
    loaded = net.load(path)
    assert type(loaded) is type(model)
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_a_safetensors_file_of_another_program_is_read_and_options_that_are_none_are_refused(tmp_path):
    torch_form = pytest.importorskip("safetensors.torch", reason="safetensors is not installed (make test-export)")
    model, path = net.build("cmmdl", dim=16, depth=1), tmp_path / "other.safetensors"
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    for metadata in (None, {"format": "pt"}):
        torch_form.save_file(state, path, metadata)
        assert net.load(path).options == model.options
    torch_form.save_file(state, path, {"method": "cmmdl", "options": "dim 16"})
    with pytest.raises(net.WeightsError, match="other.safetensors: its metadata has options 'dim 16'; expected JSON"):
        net.load(path)
    torch_form.save_file(net.build("mlfuse").state_dict(), path, {"method": "mlfuse"})
    assert net.load(path).options == net.build("mlfuse").options


def test_a_network_of_no_method_is_written_without_saying_whose_it_is(safetensors, tmp_path):
    write_safetensors(tmp_path / "a.safetensors", torch.nn.Linear(2, 3))
    with safetensors.safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert not file.metadata() and {*file.keys()} == {"weight", "bias"}


@pytest.mark.usefixtures("safetensors")
def test_a_wrapped_network_and_one_whose_weights_lie_otherwise_are_written(tmp_path):
    model = net.build("cmmdl", dim=16, depth=1, coupling="affine")
    weights_to_channels_last(model)
    write_safetensors(tmp_path / "a.safetensors", torch.nn.DataParallel(model))
    loaded = net.load(tmp_path / "a.safetensors")
    assert loaded.options == model.options
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


@pytest.mark.usefixtures("safetensors")
def test_a_name_that_is_not_utf_8_is_written_and_told(weights, tmp_path, capfd):
    path = tmp_path / "small\udcff.safetensors"
    assert export.main(["--weights", str(weights), "--safetensors", str(path)]) == 0
    assert path.exists() and "small\\udcff.safetensors: 0." in capfd.readouterr().out


@pytest.mark.usefixtures("safetensors")
@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize("option", ["--safetensors", "--onnx"])
def test_a_full_disk_is_told_by_file_and_keeps_the_one_before(
    weights, tmp_path, monkeypatch, capsys, request, option
):
    if option == "--onnx":
        program = request.getfixturevalue("exported")[1]  # making it again takes most of a minute
        monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: program)
    path = tmp_path / "small.safetensors"
    path.write_bytes(b"before")
    with disk_of(10_000):
        assert export.main(["--weights", str(weights), option, str(path)]) == 2
    assert capsys.readouterr() == ("", f"error: {path}: File too large\n")
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("safetensors")
@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\x40" + bytes(7) + b"{" + bytes(63)])
def test_a_damaged_safetensors_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(net.WeightsError, match=r"bad\.safetensors: not a readable safetensors file"):
        net.load(path)


def test_without_the_packages_a_sentence_says_what_to_install(weights, tmp_path, monkeypatch, capsys):
    for package in ("onnxscript", "safetensors", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, package, None)  # importing it now fails
    for option, file in (("--onnx", "out.onnx"), ("--safetensors", "out.safetensors")):
        assert export.main(["--weights", str(weights), option, str(tmp_path / file)]) == 2
        assert "pip install -r requirements-export.txt" in capsys.readouterr().err
    (tmp_path / "some.safetensors").write_bytes(b"")
    with pytest.raises(net.WeightsError, match=r"some\.safetensors.*requirements-export\.txt"):
        net.load(tmp_path / "some.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["some.safetensors"]  # nothing half written


def test_adasffuse_is_refused_with_the_reason(tmp_path, capsys):
    path = tmp_path / "adasffuse.pth"
    torch.save(net.build("adasffuse").state_dict(), path)
    assert export.main(["--weights", str(path), "--onnx", str(tmp_path / "out.onnx")]) == 2
    assert "scan" in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("options", [[], ["--safetensors", "out.pth"]])
def test_a_command_line_that_writes_nothing_sensible_is_refused(options):
    assert status_of(export.main, *options) == 2


def test_a_missing_file_is_named(capsys):
    assert export.main(["--weights", "nowhere.pth", "--onnx", "out.onnx"]) == 2
    assert "nowhere.pth" in capsys.readouterr().err


def test_net_and_utils_import_none_of_the_extras():
    extras = "{'onnx', 'onnxscript', 'onnxruntime', 'safetensors', 'gradio', 'torchvision'}"
    code = f"import sys, net, utils.export; print(sorted({extras} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("options", [("--weights", "a.pth", "--onnx", "link.pth"),
                                     ("--onnx", "a.safetensors", "--safetensors", "a.safetensors")])  # fmt: skip
def test_no_file_takes_the_place_of_another(monkeypatch, tmp_path, capsys, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(b"weights")
    (tmp_path / "link.pth").symlink_to("a.pth")
    assert status_of(export.main, *options) == 2 and "expected another name" in capsys.readouterr().err
    assert (tmp_path / "a.pth").read_bytes() == b"weights"
