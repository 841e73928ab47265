"""CMMDL against the release's numbers, and what it accepts and refuses."""

import json

import numpy as np
import pytest
import torch

import net
import net.fast.layout
from benchmarks.literal import LiteralCMMDL
from net.ablation import PARTS
from net.files.cmmdl_release import rename
from net.training.cmmdl_losses import fusion_loss

SIZES = ("64", "96x136", "95x115")


@pytest.fixture(scope="module")
def vectors(shared):
    return dict(np.load(shared / "vectors" / "cmmdl.npz"))


@pytest.fixture
def released(shared):
    return net.load(shared / "vectors" / "cmmdl_released_format.pth")


def inputs(vectors, name, dtype):
    return (torch.from_numpy(vectors[f"{role}_{name}"]).to(dtype) for role in ("vis", "ir"))


@pytest.mark.parametrize("name", SIZES)
def test_released_weights_give_the_released_output(released, vectors, name):
    with torch.inference_mode():
        fused = released(*inputs(vectors, name, torch.float32))
    assert np.abs(fused.numpy() - vectors[f"out_{name}"]).max() < 1e-5


@pytest.mark.parametrize(("name", "tolerance"), [("64", 1e-7), ("95x115", 1e-7), ("96x136", 1e-5)])
def test_in_double_precision_the_output_is_the_released_one_but_for_the_branch_cut(released, vectors, name, tolerance):
    with torch.inference_mode():
        fused = released.double()(*inputs(vectors, name, torch.float64))
    assert np.abs(fused.numpy() - vectors[f"out_{name}"]).max() < tolerance


def test_released_weights_give_the_released_features_in_every_block(released, vectors):
    found = {}  # the inputs of the blocks that follow each other, and their outputs

    def keep(name):
        return lambda _module, inputs, output: found.update({f"to {name}": inputs, name: output})

    for name in ("fdlb", "sdlb_vis", "sdlb_ir", "decoder"):
        getattr(released, name).register_forward_hook(keep(name))
    with torch.no_grad():
        released.double()(*inputs(vectors, "64", torch.float64))
    features = {
        "enc_vis": found["to fdlb"][0], "sd_vis": found["sdlb_vis"], "sd_ir": found["sdlb_ir"],
        "fd_vis": found["fdlb"][0], "fd_ir": found["fdlb"][1], "fsi": found["to decoder"][0],
    }  # fmt: skip
    for name, feature in features.items():
        expected = vectors[f"mid64_{name}"]
        assert np.abs(feature.numpy() - expected).max() < 1e-5 * np.abs(expected).max(), name


@pytest.mark.parametrize(
    ("dtype", "tolerance", "of_gradients"),
    [
        (torch.float32, 1e-5, {"rel": 3e-2, "abs": 1e-5}),
        pytest.param(torch.float64, 1e-6, {"rel": 1e-4, "abs": 1e-12}, marks=pytest.mark.slow),  # minutes: depth-wise
    ],
)
def test_training_loss_and_every_gradient_equal_the_release(released, vectors, shared, dtype, tolerance, of_gradients):
    norms = json.loads((shared / "vectors" / "cmmdl_train_grad_norms.json").read_text())
    vis, ir, mask = (torch.from_numpy(vectors[f"train_{name}"]).to(dtype) for name in ("vis", "ir", "mask"))
    model = released.to(dtype).train()
    loss = fusion_loss(vis, ir, model(vis, ir), mask)
    loss["total"].backward()
    total, gradient, intensity = vectors["train_loss_total_grad_int"]
    found = torch.stack([loss["total"], 5 * loss["gradient"], loss["intensity"]]).tolist()
    assert found == pytest.approx([total, gradient, intensity], rel=tolerance)
    parameters = dict(model.named_parameters())
    assert {rename(key) for key in norms} == parameters.keys()
    for key, norm in norms.items():
        # Biases in front of a BatchNorm have a gradient of zero but for round-off.
        assert parameters[rename(key)].grad.norm().item() == pytest.approx(norm, **of_gradients), key


def test_the_network_has_the_published_number_of_used_parameters():
    assert sum(p.numel() for p in net.build("cmmdl").parameters()) == 1_142_722


@pytest.mark.parametrize("coupling", ["released", "affine"])
def test_every_parameter_receives_a_gradient(pair, coupling):
    model = net.build("cmmdl", dim=16, depth=2, coupling=coupling)
    fusion_loss(*pair, model(*pair), torch.zeros_like(pair[0]))["total"].backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []


@pytest.mark.parametrize("without", [*PARTS, PARTS])
def test_a_network_without_a_part_lacks_its_parameters_and_still_fuses(pair, without):
    options = {"dim": 16, "depth": 1}
    model, whole = net.build("cmmdl", **options, without=without), net.build("cmmdl", **options)
    fused = model(*pair)
    fused.mean().backward()
    names = {name for name, _ in model.named_parameters()}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    words = {"sfca-frequency": "sfca.norm_f", "sdlb": "sdlb", "fdlb": "fdlb", "hdfab": "hdfab.cbr"}
    for part in [without] if isinstance(without, str) else without:
        removed = {name for name, _ in whole.named_parameters() if words[part] in name}
        assert removed and not removed & names, part
    added = {"hdfab.project.weight"} if "hdfab" in without else set()
    assert names - {name for name, _ in whole.named_parameters()} == added
    differentiable = model.eval()(*pair)
    with torch.inference_mode():
        torch.testing.assert_close(model(*pair), differentiable, rtol=0, atol=1e-5)


def test_a_network_without_parts_is_found_again_in_its_checkpoint(tmp_path):
    model = net.build("cmmdl", dim=16, depth=1, without=("fdlb", "sdlb"))
    path = tmp_path / "ablated.pth"
    torch.save({"method": "cmmdl", "options": model.options, "model": model.state_dict()}, path)
    assert net.load(path).options["without"] == ["fdlb", "sdlb"]


@pytest.mark.parametrize("size", [(3, 3), (3, 8), (16, 17), (31, 45), (64, 48)])
def test_any_size_from_three_up_gives_an_image_of_that_size(small, size):
    with torch.inference_mode():
        fused = small(torch.rand(1, 1, *size), torch.rand(1, 1, *size))
    assert fused.shape == (1, 1, *size)
    assert ((fused > 0) & (fused < 1)).all()


def test_images_of_a_batch_do_not_see_each_other(small, pair):
    with torch.inference_mode():
        together = small(*pair)
        alone = torch.cat([small(vis[None], ir[None]) for vis, ir in zip(*pair, strict=True)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_the_network_equals_its_literal_form(pair, training):
    torch.manual_seed(3)
    model = net.build("cmmdl", dim=16, depth=2).train(training)
    literal = LiteralCMMDL(dim=16, depth=2).train(training)
    literal.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(model(*pair), literal(*pair), rtol=0, atol=1e-5)


@pytest.mark.parametrize("for_gpus", [False, True])
def test_every_gradient_equals_that_of_the_literal_form(for_gpus, monkeypatch):
    monkeypatch.setattr(net.fast.layout, "on_gpu", lambda _: for_gpus)
    torch.manual_seed(3)
    model, literal = net.build("cmmdl", dim=16, depth=1).double(), LiteralCMMDL(dim=16, depth=1).double()
    literal.load_state_dict(model.state_dict())
    vis, ir, mask = torch.rand(3, 2, 1, 14, 19, dtype=torch.float64)
    for network in (model, literal):
        fusion_loss(vis, ir, network(vis, ir), mask > 0.8)["total"].backward()
    of_ours = dict(model.named_parameters())
    for name, parameter in literal.named_parameters():
        torch.testing.assert_close(of_ours[name].grad, parameter.grad, rtol=1e-6, atol=1e-9, msg=name)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_images_fuse_to_finite_values(small, value):
    flat = torch.full((1, 1, 24, 24), value)
    with torch.inference_mode():
        assert small(flat, flat).isfinite().all()


GOOD = torch.rand(1, 1, 8, 8)


@pytest.mark.parametrize(
    ("vis", "ir", "message"),
    [
        (torch.rand(1, 3, 8, 8), GOOD, r"vis has shape \(1, 3, 8, 8\); expected \(B, 1, H, W\)"),
        (GOOD, torch.rand(1, 8, 8), r"ir has shape \(1, 8, 8\); expected \(B, 1, H, W\)"),
        (GOOD, torch.rand(1, 1, 8, 9), "a pair must have one shape"),
        (torch.full((1, 1, 8, 8), float("nan")), GOOD, "vis holds NaN"),
        (GOOD, GOOD / 0, "ir holds NaN or infinite"),
        (GOOD.int(), GOOD.int(), "expected floating point"),
        (GOOD.double(), GOOD, "expected one dtype"),
        (GOOD, GOOD.to("meta"), "ir torch.float32 on meta; expected one dtype and one device"),
        (GOOD.half(), GOOD.half(), "vis and ir are torch.float16, the network's weights torch.float32"),
        (GOOD.double(), GOOD.double(), r"vis and ir are torch.float64, the network's weights torch.float32"),
        (GOOD.to("meta"), GOOD.to("meta"), "vis and ir are on meta, the network's weights on cpu; expected one device"),
        (GOOD[..., :2, :], GOOD[..., :2, :], "8x2 pixels; expected at least 3x3"),
        (GOOD[:0], GOOD[:0], "expected"),
        (GOOD.numpy(), GOOD, "vis is a ndarray"),
    ],
)
def test_other_inputs_are_refused_with_what_was_expected(small, vis, ir, message):
    with pytest.raises(ValueError, match=message):
        small(vis, ir)


@pytest.mark.parametrize("method", ["cmmdl", "cmmdl-lite", "mlfuse", "sfdfuse", "adasffuse"])
def test_weights_on_another_device_than_the_pair_are_refused(method):
    with torch.device("meta"):
        network = net.build(method)
    with pytest.raises(ValueError, match="vis and ir are on cpu, the network's weights on meta; expected one device"):
        network(GOOD, GOOD)


def test_the_output_is_in_single_precision_under_autocast_too(small, pair):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        fused = small(*pair)
    assert fused.dtype == torch.float32
    assert not torch.equal(fused, fused.bfloat16().float()), "with more digits than bf16 has"


def test_weights_in_half_precision_are_refused_and_autocast_is_not(small):
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert small(GOOD.bfloat16(), GOOD.bfloat16()).isfinite().all()
        with pytest.raises(ValueError, match=r"vis and ir are torch.float64, the network's weights torch.float32"):
            small(GOOD.double(), GOOD.double())
    for dtype in (torch.bfloat16, torch.float16):
        with pytest.raises(ValueError, match=f"weights are {dtype}; expected float32, and torch.autocast for less"):
            small.to(dtype)(GOOD.to(dtype), GOOD.to(dtype))


@pytest.mark.parametrize(("options", "words"), [
    ({"dim": 20}, r"dim is 20; expected an even number that is a multiple of heads \(8\)"),
    ({"dim": 15, "heads": 5}, r"dim is 15; expected an even number that is a multiple of heads \(5\)"),
    *(({name: number}, f"{name} is {number}; expected a whole number from 1 up")
      for name, number in (("dim", 0), ("heads", 0), ("depth", -1), ("depth", 1.5))),
    ({"coupling": "other"}, "coupling is 'other'; expected one of released, affine"),
    ({"without": "all"}, "without 'all'; expected parts among sfca-frequency, sdlb, fdlb, hdfab"),
])  # fmt: skip
def test_impossible_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        net.build("cmmdl", **options)
