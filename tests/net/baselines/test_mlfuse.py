"""MLFuse and its training loss against the values of its release."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from net.baselines.mlfuse import MLFuse, MLFuseTraining, read
from net.baselines.mlfuse_training import RECIPE, infrared_saliency, mlfuse_loss, visual_saliency
from net.training.objective import Batch
from net.training.recipe import Crops


@pytest.fixture
def released(release_file) -> MLFuse:
    model = MLFuse()
    model.load_state_dict(read(release_file("mlfuse"))[1])
    return model.eval()


@pytest.mark.parametrize("size", ["64", "96x112"])
@torch.no_grad()
def test_outputs_equal_the_release(released, vectors, size):
    reference = vectors("mlfuse")
    vis, ir = reference[f"img1_{size}"], reference[f"img2_{size}"]
    outputs = released.forward_training(vis, ir)
    for name, found in zip(("f", "l_edg", "l_cmk", "l_ssd"), outputs, strict=True):
        torch.testing.assert_close(
            found, reference[f"{name}_{size}"], atol=1e-5, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )
    assert torch.equal(released(vis, ir), outputs.fused)


INTERMEDIATES = {
    "inc_edg": "edge_stem",
    "inc_ssd": "saliency_stem",
    "inc_cmk_1": "cross_stem_vis",
    "inc_cmk_2": "cross_stem_ir",
    "edg_net.conv2": "edge_branch.coarse",
    "edg_net.conv_max": "edge_branch.refine.1",
    "edg_net.conv3_": "edge_branch.refine.4",
    "edg_net.conv4": "edge_branch.expand",
    "edg_net": "edge_branch",
    "ssd_net.conv_up": "saliency_branch.channel_up",
    "ssd_net": "saliency_branch",
    "cmk_net": "cross_branch",
    "layer": "mix",
}


@torch.no_grad()
def test_intermediates_equal_the_release(released, vectors, outputs_of, assert_recorded):
    reference = vectors("mlfuse")
    vis, ir = reference["img1_64"], reference["img2_64"]
    seen = outputs_of(released, INTERMEDIATES)
    released(vis, ir)
    t = released.saliency_stem(ir)
    seen["ssd_net.softmax_left"] = released.saliency_branch.pixel_weights(t)
    seen["ssd_net.softmax_right"] = released.saliency_branch.channel_weights(t)
    assert_recorded(seen, reference)


def test_one_training_step_on_noise_has_the_losses_of_the_release(released, vectors, gradient_norm):
    """The release's inputs of this step are not at hand but are uniform noise: other noise gives the same means."""
    reference = vectors("mlfuse")
    released.train()
    generator = torch.Generator().manual_seed(1)
    vis, ir = torch.rand(2, 2, 1, 128, 128, generator=generator)
    outputs = released.forward_training(vis, ir)
    losses = mlfuse_loss(outputs, Batch(vis, ir, None, reference["train_vsm2_128"]))
    losses["total"].backward()
    names = {"edge": "edg", "saliency": "ssd", "cross": "cmk", "fusion": "fus", "total": "total"}
    for ours, theirs in names.items():
        assert losses[ours].item() == pytest.approx(reference[f"train_loss_{theirs}"].item(), rel=0.01), ours
    assert gradient_norm(released) == pytest.approx(reference["train_gradnorm"].item(), rel=0.03)
    norm_layer = released.edge_stem[1]
    torch.testing.assert_close(norm_layer.running_mean, reference["train_running_mean_inc_edg"], atol=1e-3, rtol=0)
    torch.testing.assert_close(norm_layer.running_var, reference["train_running_var_inc_edg"], atol=0, rtol=0.01)
    assert outputs.fused.std().item() == pytest.approx(reference["train_f_128"].std().item(), rel=0.01)


def _sobel_strength(image: np.ndarray) -> np.ndarray:
    return sum(np.abs(ndimage.sobel(image, axis=axis, mode="constant")) for axis in (0, 1))


def _ssim(x: np.ndarray, y: np.ndarray) -> float:
    def blur(image):
        return ndimage.gaussian_filter(image, 1.5, mode="constant", radius=5)

    mx, my = blur(x), blur(y)
    sxx, syy, sxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return (((2 * mx * my + c1) * (2 * sxy + c2)) / ((mx**2 + my**2 + c1) * (sxx + syy + c2))).mean()


def test_every_loss_term_equals_its_formula_computed_with_scipy():
    generator = torch.Generator().manual_seed(0)
    vis, ir, saliency, fused, edge, cross, view = torch.rand(7, 1, 1, 24, 31, generator=generator, dtype=torch.float64)
    losses = mlfuse_loss(MLFuseTraining(fused, edge, cross, view), Batch(vis, ir, None, saliency))
    v, i, s, f, e, k, w = (t[0, 0].numpy() for t in (vis, ir, saliency, fused, edge, cross, view))
    expected = {
        "edge": np.abs(_sobel_strength(e) - _sobel_strength(v)).mean(),
        "saliency": np.abs(s * w - s * i).mean(),
        "cross": ((k - v) ** 2).mean() + ((k - i) ** 2).mean(),
        "fusion": 0.05 * (1 - _ssim(v, f)) + 0.05 * (1 - _ssim(i, f)),
    }
    expected["total"] = 0.3 * expected["edge"] + 3 * expected["saliency"] + 0.5 * expected["cross"] + expected["fusion"]
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-9), name


def test_a_saliency_map_of_other_images_is_refused():
    vis, ir = torch.rand(2, 2, 1, 16, 18)
    with pytest.raises(ValueError, match=r"saliency are \(2, .*, \(1, 1, 16, 18\); expected \(B, 1, H, W\) each"):
        mlfuse_loss(MLFuseTraining(vis, vis, vis, vis), Batch(vis, ir, None, visual_saliency(ir[:1])))


def test_the_recipe_minimises_this_loss_of_vis_and_ir_with_the_saliency_of_infrared():
    vis, ir = torch.rand(2, 2, 1, 24, 31, generator=torch.Generator().manual_seed(0))
    network, (phase,) = MLFuse(dim=8).eval(), RECIPE.phases
    saliency = RECIPE.image_map(vis, ir)
    assert torch.equal(saliency, visual_saliency(ir))
    batch = Batch(vis, ir, torch.zeros_like(vis), saliency)
    expected = mlfuse_loss(network.forward_training(vis, ir), batch)
    assert phase.loss(phase.outputs(network, batch), batch) == expected


def test_saliency_is_the_sum_of_distances_to_every_other_pixel():
    image = torch.rand(2, 1, 9, 7, generator=torch.Generator().manual_seed(0))
    grey = (image * 255).round().flatten(1)
    literal = (grey[:, :, None] - grey[:, None, :]).abs().sum(-1)  # (B, N)
    literal = literal - literal.amin(1, keepdim=True)
    literal = (literal / literal.amax(1, keepdim=True)).view_as(image)
    torch.testing.assert_close(visual_saliency(image), literal)


def test_an_image_of_one_level_has_no_salient_pixel():
    assert torch.equal(visual_saliency(torch.full((1, 1, 8, 8), 0.4)), torch.zeros(1, 1, 8, 8))


def test_a_rare_bright_target_is_the_most_salient():
    image = torch.full((1, 1, 16, 16), 0.1)
    image[..., 4:6, 4:6] = 0.9
    assert torch.equal(visual_saliency(image), (image > 0.5).float())


def test_parameter_count_is_the_releases_without_its_unused_convolution():
    assert sum(p.numel() for p in MLFuse().parameters()) == 111_817 - 2_320


def test_learning_rate_falls_from_the_recipe_to_zero():
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=501)
    for epoch in range(501):
        assert RECIPE.lr_at(epoch, 0.7) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6), epoch
        optimizer.step()
        schedule.step()
    assert RECIPE.lr_at(501, 0) == pytest.approx(0, abs=1e-12)


def test_the_recipe_has_the_releases_numbers():
    assert (RECIPE.epochs, RECIPE.batch_size, RECIPE.weight_decay) == (501, 16, 5e-5)
    assert RECIPE.crops == Crops(orientations=1, most=1) and RECIPE.stages == ((1, 128, 1),)
    assert RECIPE.image_map is infrared_saliency and RECIPE.ema_decay is None


def test_gate_convolutions_start_from_kaiming_normal():
    branch = MLFuse(dim=256).saliency_branch
    for gate in (branch.pixel_query, branch.pixel_value, branch.channel_value):
        assert gate.weight.std().item() == pytest.approx(math.sqrt(2 / 256), rel=0.02)
    assert branch.channel_query.weight.std().item() == pytest.approx(math.sqrt(2 / 256), rel=0.1)  # of 256 numbers
