"""Loading weights in whatever wrapping they come, and refusing everything else."""

import errno
import os
import zipfile

import numpy as np
import pytest
import torch

import net
from net.baselines.sfdfuse import SFDFuse
from tests.scripts.material import Trap
from tests.weight_files import as_released, filled, sfdfuse_as_released


@pytest.fixture
def model():
    return filled(net.build("cmmdl", dim=8, heads=2, depth=2))


@pytest.fixture
def bare(model):
    return as_released(model)


def saved(content, folder):
    path = folder / "weights.pth"
    torch.save(content, path)
    return path


WRAPPINGS = {
    "bare": lambda state: state,
    "parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "doubly parallel": lambda state: {f"module.module.{key}": value for key, value in state.items()},
    "nested": lambda state: {"epoch": 3, "state_dict": state},
    "nested beside tensors": lambda state: {"epoch": torch.tensor(3), "state_dict": state},
    **{f"nested under {key} beside tensors": lambda state, key=key: {"step": torch.tensor(3), key: state}
       for key in ("net", "network", "params", "weights")},
    "nested under an unusual name": lambda state: {"epoch": 3, "fusion_net": {"inner": state}},
    "beside a tensor under a number": lambda state: state | {7: torch.zeros(1)},
    "nested four times": lambda state: {"run": {"last": {"fusion": {"net": state}}}},
    "nested beside a number": lambda state: {"weights": state, 5: 1},
    "nested under a number": lambda state: {0: state},
    "compiled": lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    "compiled and parallel": lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
    "nested and parallel": lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_authors_file_loads_in_any_wrapping(model, bare, tmp_path, wrapping):
    loaded = net.load(saved(WRAPPINGS[wrapping](bare), tmp_path))
    assert loaded.options == model.options
    assert not any(module.training for module in loaded.modules())
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("method", ["mlfuse", "adasffuse", "sfdfuse", "cmmdl-lite"])
def test_a_number_beside_the_weights_of_any_method_is_left(tmp_path, method):
    state = net.build(method).state_dict()
    loaded = net.load(saved({"weights": state, 5: 1}, tmp_path))
    torch.testing.assert_close(loaded.state_dict(), state, rtol=0, atol=0)


def test_the_siblings_weights_under_a_number_are_refused_in_words(tmp_path):
    with pytest.raises(net.WeightsError, match="weights.pth: entry 0 has a int for a name; expected text"):
        net.load(saved({0: net.build("mlfuse").state_dict()}, tmp_path))


def test_the_names_and_shapes_are_those_of_the_authors_file(shared):
    theirs = torch.load(shared / "vectors" / "cmmdl_released_format.pth", weights_only=True)
    ours = WRAPPINGS["parallel"](as_released(net.build("cmmdl")))
    assert {key: value.shape for key, value in theirs.items()} == {key: value.shape for key, value in ours.items()}


@pytest.mark.parametrize("method", ["cmmdl", "mlfuse", "sfdfuse", "adasffuse"])
def test_the_authors_file_is_recognised_by_its_keys(shared, method):
    file = "cmmdl_released_format.pth" if method == "cmmdl" else f"{method}_state.pth"
    assert isinstance(net.load(shared / "vectors" / file), net.METHODS[method].network)


@pytest.mark.parametrize("keys", [("model", "average"), ("average", "model")])
def test_of_weights_and_their_average_the_average_is_loaded(model, tmp_path, keys):
    other = net.build("cmmdl", **model.options)
    states = {"average": model.state_dict(), "model": other.state_dict()}
    loaded = net.load(saved({key: states[key] for key in keys}, tmp_path))
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(("name", "words"), [
    ("MDLB.FDomain.pre1.bias", r"missing fdlb\.pre_vis\.bias"),
    ("MDLB.FSI.something.new", r"unexpected hdfab\.something\.new"),
    ("share_Encoder.share_encoder.0.ffn.q1X1_1.weight", r"unexpected .*q1X1_1"),  # unused in an attention, not here
])  # fmt: skip
def test_a_missing_or_a_left_over_tensor_of_the_authors_file_is_named(bare, tmp_path, name, words):
    if bare.pop(name, None) is None:
        bare[name] = torch.zeros(1)
    with pytest.raises(net.WeightsError, match=words):
        net.load(saved(bare, tmp_path))


def test_a_wrong_shape_is_named(tmp_path):
    state = net.build("cmmdl", dim=16, depth=1).state_dict()
    state["fdlb.pre_vis.bias"] = torch.zeros(5)
    with pytest.raises(net.WeightsError, match=r"fdlb\.pre_vis\.bias has shape \(5,\), expected \(16,\)"):
        net.load(saved(state, tmp_path))


def test_width_heads_and_depth_come_from_the_file(tmp_path):
    model = net.build("cmmdl", dim=24, heads=4, depth=3)
    loaded = net.load(saved(model.state_dict(), tmp_path))
    assert loaded.options == {"dim": 24, "heads": 4, "depth": 3, "coupling": "released"}
    torch.testing.assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_the_coupling_comes_with_a_checkpoint_of_ours(tmp_path):
    model = net.build("cmmdl", dim=16, depth=1, coupling="affine")
    loaded = net.load(saved({"method": "cmmdl", "options": model.options, "model": model.state_dict()}, tmp_path))
    assert loaded.options["coupling"] == "affine"


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    path = saved({"model": Trap(tmp_path / "ran")}, tmp_path)
    with pytest.raises(net.WeightsError, match="weights.pth: holds more than tensors .*; refused unread$"):
        net.load(path)
    assert not (tmp_path / "ran").exists()


OTHER_FILES = {
    "empty": b"", "text": b"these are not weights", "half a zip": b"PK\x03\x04 half a zip",
    "noise": np.random.default_rng(3).bytes(4096),
}  # fmt: skip


@pytest.mark.parametrize("content", OTHER_FILES.values(), ids=OTHER_FILES)
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(net.WeightsError, match=r"other\.pth"):
        net.load(path)


def test_half_a_file_is_refused_by_name(tmp_path):
    path = saved(net.build("cmmdl", dim=16, depth=1).state_dict(), tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(net.WeightsError, match=r"weights\.pth"):
        net.load(path)


@pytest.mark.parametrize("place", ["data/0", "data.pkl"])
def test_one_changed_bit_is_noticed(tmp_path, place):
    path = saved(net.build("cmmdl", dim=16, depth=1).state_dict(), tmp_path)
    with zipfile.ZipFile(path) as file:
        part = file.getinfo(next(name for name in file.namelist() if name.endswith(place)))
    data = bytearray(path.read_bytes())
    data[part.header_offset + 30 + len(part.filename) + 80] ^= 1  # within the part, past its header
    path.write_bytes(data)
    with pytest.raises(net.WeightsError, match="does not have its checksum|not a readable torch file"):
        net.load(path)


def claims():
    """Small files that ask for a large network, for endless reading, or for what is no number."""
    state = net.build("cmmdl", dim=16, depth=1).state_dict()
    large = {"dim": 512, "heads": 8, "depth": 64}
    circle = {}
    circle["model"] = circle
    maze = {}
    for _ in range(4):  # 200^4 ways lead to the innermost of five
        maze = dict.fromkeys(map(str, range(200)), maze)
    wide = torch.ones(1).expand(10**6, 1, 3, 3)
    return {
        "width": ({"method": "cmmdl", "options": {"dim": 10**9}, "model": state}, "expected smaller numbers"),
        "depth": ({"method": "cmmdl", "options": {"depth": 10**7}, "model": state}, "expected smaller numbers"),
        "all": ({"method": "cmmdl", "options": large, "model": state}, "smaller numbers"),
        "0": ({"method": "cmmdl", "options": large | {"detail": 0}, "model": state}, "smaller numbers"),
        "stride 0": (state | {"encoder.embed.weight": wide}, "claim more values than it has bytes"),
        "circle": (circle, "holds no tensors"),
        "maze": (maze, "holds no tensors"),
        "NaN": (state | {"encoder.embed.weight": torch.full((16, 1, 3, 3), torch.nan)}, "NaN or infinite values in"),
    }


@pytest.mark.timeout(60)
@pytest.mark.parametrize("claim", claims())
def test_what_a_file_claims_takes_neither_memory_nor_time(tmp_path, claim):
    content, words = claims()[claim]
    with pytest.raises(net.WeightsError, match=words):
        net.load(saved(content, tmp_path))


def wrong_kinds():
    """Files with tensors, a method or options of a kind that no network has."""
    model = net.build("cmmdl", dim=16, depth=1)
    state, name = model.state_dict(), "encoder.embed.weight"
    kinds = {
        "int8": state[name].to(torch.int8),
        "bool": state[name] > 0,
        "complex": state[name].to(torch.complex64),
        "sparse": state[name].to_sparse(),
        "meta": state[name].to("meta"),
        "too large": torch.full_like(state[name], 1e300, dtype=torch.float64),
    }
    plain = "embed.weight: complex, sparse, quantised or without values"
    words = {"int8": "weight is of torch.int8, expected torch.float32", "bool": "is of torch.bool",
             "too large": "NaN or infinite values in encoder.embed.weight"}  # fmt: skip
    files = {kind: (state | {name: tensor}, words.get(kind, plain)) for kind, tensor in kinds.items()}
    count = "hdfab.cbr_1.1.num_batches_tracked"
    files["count"] = state | {count: state[count].float()}, f"{count} is of torch.float32, expected torch.int64"
    ours = {"method": "cmmdl", "options": model.options, "model": state}
    files["method"] = ours | {"method": ["cmmdl"]}, "its method is a list; expected a name"
    files["options"] = ours | {"options": ["dim", 16]}, "its options are a list; expected a dictionary"
    files["option"] = ours | {"options": {"dim": torch.tensor(10**9)}}, "option 'dim' is a Tensor; expected a number"
    return files


@pytest.mark.parametrize("kind", wrong_kinds())
def test_tensors_method_and_options_of_other_kinds_are_refused(tmp_path, kind):
    content, words = wrong_kinds()[kind]
    with pytest.raises(net.WeightsError, match=f"weights.pth: .*{words}"):
        net.load(saved(content, tmp_path))


FIRST = {
    "cmmdl": ("encoder.embed.weight", "encoder.blocks.0.sfca.temperature"),
    "cmmdl-lite": ("blend.mix.weight", "embed.weight", "encoder.0.sfca.temperature"),
}


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize(("method", "name"), [(method, name) for method in FIRST for name in FIRST[method]])
def test_a_tensor_of_too_few_axes_where_the_width_is_read_is_refused(tmp_path, method, name, shape):
    state = net.build(method, dim=8, heads=2, depth=1).state_dict() | {name: torch.ones(shape)}
    with pytest.raises(net.WeightsError, match="weights.pth: (its first tensors have other shapes|.*expected)"):
        net.load(saved(state, tmp_path))


def test_each_of_several_state_dicts_is_checked(tmp_path):
    parts = sfdfuse_as_released(SFDFuse())
    assert len(parts) == 4 and net.load(saved(parts, tmp_path)).options["feed_forward"] == "normed"
    layer = parts["BaseFuseLayer"]
    name, weight = next((name, tensor) for name, tensor in layer.items() if tensor.ndim == 4)
    layer[name] = torch.full_like(weight, torch.nan)
    with pytest.raises(net.WeightsError, match=r"weights.pth: NaN or infinite values in base_fusion\."):
        net.load(saved(parts, tmp_path))
    layer[name] = weight.to_sparse()
    with pytest.raises(net.WeightsError, match=r"weights.pth: base_fusion\..*: complex, sparse"):
        net.load(saved(parts, tmp_path))


def test_of_many_tensors_that_do_not_fit_some_are_named_and_the_others_counted(tmp_path):
    state = net.build("cmmdl", dim=16, depth=1).state_dict()
    odd = [f"odd\n{i}" for i in range(11)]
    first, *others = [name for name, tensor in state.items() if tensor.shape == (16,)][:3]
    wrong = dict.fromkeys([first, *others], torch.zeros(5))
    whole = {"hdfab.cbr_1.1.num_batches_tracked": torch.zeros(())}
    with pytest.raises(net.WeightsError) as error:
        net.load(saved(state | wrong | whole | dict.fromkeys(odd, torch.zeros(1)), tmp_path))
    assert f"unexpected {', '.join(f'odd {i}' for i in range(8))} and 3 more; " in str(error.value)
    assert f"{first} has shape (5,), expected (16,), and 2 more differ; hdfab" in str(error.value)
    assert str(error.value).endswith("is of torch.float32, expected torch.int64")


@pytest.mark.parametrize(("method", "label"), [("cmmdl", "CMMDL"), ("cmmdl-lite", "CMMDL-lite")])
def test_weights_without_the_tensor_that_tells_their_heads_are_refused_by_its_name(tmp_path, method, label):
    state = net.build(method, dim=8, heads=2, depth=1).state_dict()
    (name,) = (name for name in FIRST[method] if name.endswith("temperature"))
    del state[name]
    with pytest.raises(net.WeightsError, match=f"these are not {label}'s weights; missing: {name}$"):
        net.load(saved(state, tmp_path))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_load(tmp_path, kind):
    state = {key: x.to(kind) if x.is_floating_point() else x for key, x in net.build("mlfuse").state_dict().items()}
    assert all(x.dtype == torch.float32 for x in net.load(saved(state, tmp_path)).parameters())


@pytest.mark.parametrize("content", [{}, {"epoch": 1}, [1, 2], torch.zeros(3), {"conv.weight": torch.zeros(3)}])
def test_files_of_something_else_are_refused(tmp_path, content):
    with pytest.raises(net.WeightsError, match="expected|not the weights"):
        net.load(saved(content, tmp_path))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such weights file"):
        net.load(tmp_path / "nothing.pth")
    with pytest.raises(net.WeightsError, match="is a folder"):
        net.load(tmp_path)


def test_what_cannot_be_examined_is_not_called_missing(tmp_path):
    reason = r"xxx.pth: not readable \(File name too long\); expected a weights file"
    with pytest.raises(net.WeightsError, match=reason):
        net.load(tmp_path / ("x" * 300 + ".pth"))
    with pytest.raises(FileNotFoundError, match="no such weights file"):
        net.load(f"{tmp_path}/nu\0ll.pth")


@pytest.mark.parametrize("name", ["fifo.pth", "fifo.safetensors"])
def test_what_is_no_regular_file_is_refused_rather_than_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(net.WeightsError, match=f"{name}: is not a regular file; expected a weights file"):
        net.load(tmp_path / name)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def refuse(*_, **__):  # as the system does, but for root
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "a.pth").touch()
    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(net.WeightsError, match=r"a.pth: not readable \(Permission denied\); expected a weights file"):
        net.load(tmp_path / "a.pth")


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown method 'nothing'; expected one of cmmdl, cmmdl-lite, "):
        net.build("nothing")


def test_a_device_that_is_not_there_is_refused_in_a_sentence(tmp_path, small, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    torch.save(small.state_dict(), tmp_path / "a.pth")
    assert next(net.load(tmp_path / "a.pth", device="auto").parameters()).device.type == "cpu"
    with pytest.raises(ValueError, match="device is cuda, but torch sees no CUDA device here"):
        net.load(tmp_path / "a.pth", device="cuda")
