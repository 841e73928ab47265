"""SFDFuse, its two training losses and its recipe against the values of its release."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from net.baselines import sfdfuse
from net.baselines.release import flatten
from net.baselines.sfdfuse import SFDFuse, SFDFuseFeatures, feed_forward_of, read
from net.baselines.sfdfuse_detail import DifferenceConv
from net.baselines.sfdfuse_training import (
    PHASE_1,
    PHASE_2,
    RECIPE,
    RELEASE,
    correlation,
    decomposition_loss,
    fusion_loss,
)
from net.baselines.wavelet import haar_taps, wavelet_kernels, wavelet_step
from net.training.objective import Batch, Objective
from tests.weight_files import sfdfuse_as_released


@pytest.fixture
def released(release_file) -> SFDFuse:
    """The release's network without drop path, as its reference training values were made."""
    model = SFDFuse(drop_path=0.0)
    model.load_state_dict(read(release_file("sfdfuse"))[1])
    return model.eval()


@pytest.fixture(scope="module")
def small() -> SFDFuse:
    torch.manual_seed(0)
    return SFDFuse(dim=16, heads=4).eval()


@pytest.mark.parametrize("size", ["64", "96x112"])
@torch.no_grad()
def test_output_equals_the_release(released, vectors, size):
    reference = vectors("sfdfuse")
    fused = released(reference[f"vis_{size}"], reference[f"ir_{size}"])
    torch.testing.assert_close(fused, reference[f"fused_{size}"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_intermediates_equal_the_release(released, vectors, outputs_of, assert_recorded):
    reference = vectors("sfdfuse")
    paths = {
        "fused_base": "base_fusion",
        "fused_detail": "detail_fusion",
        "dec.fusion1.ca": "decoder.combine.channel",
        "dec.fusion1.sa": "decoder.combine.spatial",
        "dec.output": "decoder.head",
    }
    seen = outputs_of(released, paths)
    outputs = released.forward_training(reference["vis_64"], reference["ir_64"])
    seen |= outputs.features._asdict()
    low, high = wavelet_step(released.encoder.embed(reference["vis_64"]), released.encoder.haar)
    seen |= {"enc.FreFeature.0": low, "enc.FreFeature.1": high[:, :64]}
    assert_recorded(seen, reference)


def test_phase_1_loss_and_gradients_equal_the_release(released, vectors, gradient_norm):
    reference = vectors("sfdfuse")
    vis, ir = reference["train_vis"], reference["train_ir"]
    phase, batch = RELEASE.phases[0], Batch(vis, ir, torch.zeros_like(vis))
    outputs = phase.outputs(released.train(), batch)
    losses, maps = phase.loss(outputs, batch), outputs.features
    losses["total"].backward()
    names = {"vis": "mseV", "ir": "mseI", "gradient": "grad", "decomposition": "decomp", "total": "total"}
    for ours, theirs in names.items():
        assert losses[ours].item() == pytest.approx(reference[f"train_phase1_{theirs}"].item(), rel=1e-6), ours
    found = correlation(maps.vis_base, maps.ir_base), correlation(maps.vis_detail, maps.ir_detail)
    assert found[0].item() == pytest.approx(reference["train_phase1_ccB"].item(), rel=1e-5)
    assert found[1].item() == pytest.approx(reference["train_phase1_ccD"].item(), rel=1e-5)
    for ours, theirs in {"encoder": "DIDF_Encoder", "decoder": "DIDF_Decoder_Phase"}.items():
        expected = reference[f"train_phase1_gradnorm_{theirs}"].item()
        assert gradient_norm(released.get_submodule(ours)) == pytest.approx(expected, rel=1e-5), ours
    assert all(p.grad is None for p in released.base_fusion.parameters())


def test_phase_2_loss_and_gradients_equal_the_release(released, vectors, gradient_norm):
    reference = vectors("sfdfuse")
    vis, ir = reference["train_vis"], reference["train_ir"]
    losses = fusion_loss(released.train().forward_training(vis, ir), Batch(vis, ir, None))
    losses["total"].backward()
    names = {"intensity": "l_in", "gradient": "l_grad", "decomposition": "decomp", "total": "total"}
    for ours, theirs in names.items():
        assert losses[ours].item() == pytest.approx(reference[f"train_phase2_{theirs}"].item(), rel=1e-6), ours
    without_decomposition = losses["total"] - 2 * losses["decomposition"]
    assert without_decomposition.item() == pytest.approx(reference["train_phase2_fusionloss"].item(), rel=1e-6)
    parts = {
        "encoder": "DIDF_Encoder",
        "decoder": "DIDF_Decoder_Phase",
        "base_fusion": "BaseFuseLayer",
        "detail_fusion": "DetailFuseLayer",
    }
    for ours, theirs in parts.items():
        expected = reference[f"train_phase2_gradnorm_{theirs}"].item()
        assert gradient_norm(released.get_submodule(ours)) == pytest.approx(expected, rel=1e-5), ours


@torch.no_grad()
def test_drop_path_draws_as_the_release_does(release_file, vectors):
    reference = vectors("sfdfuse")
    vis, ir = reference["train_vis"], reference["train_ir"]
    model = SFDFuse()
    model.load_state_dict(read(release_file("sfdfuse"))[1])
    torch.manual_seed(5)
    total = fusion_loss(model.forward_training(vis, ir), Batch(vis, ir, None))["total"]
    assert total.item() == pytest.approx(reference["train_phase2_total_droppath_seed5"].item(), rel=1e-5)


@torch.no_grad()
def test_infrared_is_rebuilt_from_its_own_detail_but_by_the_recipe_with_the_slip(small):
    vis, ir = torch.rand(2, 1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    maps = small.features(vis, ir)
    right, slip = (recipe.phases[0].outputs(small, Batch(vis, ir, None)) for recipe in (RECIPE, RELEASE))
    assert torch.equal(right.ir, small.decoder(ir, maps.ir_base, maps.ir_detail))
    assert torch.equal(slip.ir, small.decoder(ir, maps.ir_base, maps.vis_detail))
    assert not torch.equal(right.ir, slip.ir)
    assert torch.equal(right.vis, slip.vis)
    assert RELEASE.phases[0].parts == RECIPE.phases[0].parts and RELEASE.phases[1] is RECIPE.phases[1]


def test_difference_convolution_equals_its_five_convolutions():
    block = DifferenceConv(channels=4).double()
    x = torch.randn(2, 4, 7, 9, dtype=torch.float64)
    padded = F.pad(x, (1, 1, 1, 1))
    taps = [padded[..., r : r + 7, c : c + 9] for r in range(3) for c in range(3)]  # row by row

    def weigh(weight: torch.Tensor, tap: torch.Tensor) -> torch.Tensor:
        return torch.einsum("oi,bihw->bohw", weight, tap)

    central, angular, plain = (w.weight.flatten(2) for w in (block.central, block.angular, block.plain))
    expected = sum(weigh(central[..., k], taps[k] - taps[4]) for k in range(9))
    expected += sum(weigh(plain[..., k], taps[k]) for k in range(9))
    for k in range(3):
        expected += weigh(block.horizontal.weight[..., k], taps[3 * k] - taps[3 * k + 2])
        expected += weigh(block.vertical.weight[..., k], taps[k] - taps[k + 6])
    ring = (0, 1, 2, 5, 8, 7, 6, 3)  # clockwise
    for here, after in pairwise((*ring, ring[0])):
        expected += weigh(angular[..., here], taps[here] - taps[after])
    expected += sum(part.bias for part in block.children()).view(-1, 1, 1)
    torch.testing.assert_close(block(x), expected)


def test_haar_bands_keep_the_energy_of_the_image():
    x = torch.randn(1, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    low, high = wavelet_step(x, wavelet_kernels(*haar_taps()).repeat(3, 1, 1, 1))
    assert (low.square().sum() + high.square().sum()).item() == pytest.approx(x.square().sum().item(), rel=1e-5)


@torch.no_grad()
def test_an_odd_row_and_column_repeat_what_the_even_image_gives(small):
    vis, ir = torch.rand(2, 1, 1, 17, 21, generator=torch.Generator().manual_seed(0))
    fused, even = small(vis, ir), small(vis[..., :16, :20], ir[..., :16, :20])
    assert fused.shape == vis.shape
    assert torch.equal(fused[..., :16, :20], even)
    assert torch.equal(fused[..., 16, :20], even[..., 15, :])
    assert torch.equal(fused[..., :16, 20], even[..., :, 19])


def test_correlation_equals_numpys():
    a, b = torch.randn(2, 2, 3, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = np.mean([np.corrcoef(a[i, c].ravel(), b[i, c].ravel())[0, 1] for i in range(2) for c in range(3)])
    assert correlation(a, b).item() == pytest.approx(expected, rel=1e-6)


def test_correlation_of_a_constant_map_is_zero_with_finite_gradients():
    flat = torch.full((1, 2, 4, 4), 0.3, requires_grad=True)
    value = correlation(flat, torch.rand(1, 2, 4, 4))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-3)
    assert torch.isfinite(flat.grad).all()


def test_decomposition_prefers_shared_bases_and_separate_details():
    a, b = torch.randn(2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    good = decomposition_loss(SFDFuseFeatures(vis_base=a, vis_detail=a, ir_base=a, ir_detail=b))
    bad = decomposition_loss(SFDFuseFeatures(vis_base=a, vis_detail=a, ir_base=b, ir_detail=a))
    assert good < 0.01 < 0.9 < bad


def test_parameter_counts_are_the_releases_without_what_it_never_uses():
    def count(part: nn.Module) -> int:
        return sum(t.numel() for t in part.state_dict().values())

    present, first = SFDFuse(), SFDFuse(feed_forward="shuffle")
    inverse_filter, unused_decoder = 1_024, 8_192 + 11_691
    assert count(present.encoder) == 1_973_836 - inverse_filter
    assert count(present.decoder) == 265_554 - unused_decoder
    assert count(present.base_fusion) == 44_520
    assert count(present.detail_fusion) == 44_040
    assert count(first.encoder) == 1_957_084 - inverse_filter
    assert count(first.decoder) == 250_322 - unused_decoder


@pytest.mark.parametrize("variant", ["normed", "shuffle"])
def test_both_variants_of_a_release_file_are_told_apart_and_load(variant):
    original = SFDFuse(feed_forward=variant)
    file = sfdfuse_as_released(original)
    assert file.keys() == {"DIDF_Encoder", "DIDF_Decoder_Phase", "BaseFuseLayer", "DetailFuseLayer"}
    assert ("module.encoder_level1.2.mlp.fc1.weight" in file["DIDF_Encoder"]) == (variant == "normed")
    assert ("module.encoder_level1.2.mlp.project_in.weight" in file["DIDF_Encoder"]) == (variant == "shuffle")
    assert sfdfuse.recognises(file)
    assert feed_forward_of(flatten(file)) == feed_forward_of(original.state_dict()) == variant
    loaded = SFDFuse(feed_forward=variant)
    loaded.load_state_dict(read(file)[1])
    assert all(torch.equal(a, b) for a, b in zip(original.parameters(), loaded.parameters(), strict=True))


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="feed_forward is 'a'; expected 'normed' or 'shuffle'"):
        SFDFuse(feed_forward="a")


@pytest.mark.parametrize(
    ("dim", "variant", "expected"),
    [(2, "normed", "at least 4"), (2, "shuffle", "a multiple of 4"), (6, "shuffle", "a multiple of 4")],
)
def test_widths_that_no_forward_pass_takes_are_refused(dim, variant, expected):
    with pytest.raises(ValueError, match=f"dim is {dim}; expected {expected} with feed_forward '{variant}'"):
        SFDFuse(dim=dim, heads=1, feed_forward=variant)
    with pytest.raises(ValueError, match=r"dim is 12; expected an even number that is a multiple of heads \(8\)"):
        SFDFuse(dim=12)


@pytest.mark.parametrize(("dim", "variant"), [(4, "normed"), (6, "normed"), (4, "shuffle")])
def test_the_narrowest_widths_fuse(dim, variant):
    fused = SFDFuse(dim=dim, heads=1, feed_forward=variant).eval()(*torch.rand(2, 1, 1, 8, 8))
    assert fused.shape == (1, 1, 8, 8) and fused.isfinite().all()


def test_the_recipe_has_the_releases_numbers():
    assert (RECIPE.epochs, RECIPE.batch_size, RECIPE.lr, RECIPE.weight_decay) == (90, 8, 1e-4, 0)
    assert (RECIPE.clip_norm, RECIPE.by_part, RECIPE.ema_decay) == (0.01, True, None)
    assert RECIPE.crops == (1, 8, 1, 0) and RECIPE.stages == ((1, 128, 1),)


def test_learning_rates_halve_every_ten_epochs_of_a_parts_own_training_down_to_a_floor():
    parts = ("encoder", "decoder", "base_fusion", "detail_fusion")
    rates = [{part: RECIPE.lr_at(epoch, 0, part) for part in parts} for epoch in range(90)]
    assert rates[0] == dict.fromkeys(parts, 1e-4)
    assert rates[30]["encoder"] == rates[30]["decoder"] == pytest.approx(1.25e-5)
    assert rates[39]["base_fusion"] == rates[39]["detail_fusion"] == pytest.approx(1e-4)
    assert rates[40]["base_fusion"] == pytest.approx(5e-5)
    assert rates[69]["encoder"] == pytest.approx(1e-4 / 64)
    assert rates[70]["encoder"] == rates[89]["encoder"] == pytest.approx(1e-6)


@pytest.mark.parametrize("epochs, reconstructing", [(90, 30), (9, 3), (3, 1), (2, 1), (1, 0)])
def test_the_first_third_of_the_epochs_is_phase_1(epochs, reconstructing):
    recipe = RECIPE.override(epochs=epochs)
    phases = [recipe.phase(epoch) for epoch in range(epochs)]
    assert phases == [PHASE_1] * reconstructing + [PHASE_2] * (epochs - reconstructing)


def trained(objective: Objective) -> set[str]:
    return {name.split(".")[1] for name, parameter in objective.named_parameters() if parameter.requires_grad}


def test_phase_1_freezes_the_fusion_parts_and_phase_2_trains_them(small):
    assert trained(Objective(small, PHASE_1)) == {"encoder", "decoder"}
    assert trained(Objective(small, PHASE_2)) == {"encoder", "decoder", "base_fusion", "detail_fusion"}


def test_the_gradients_of_each_part_are_clipped_by_themselves(small, gradient_norm):
    Objective(small, PHASE_1)
    for name, parameter in small.named_parameters():
        parameter.grad = torch.full_like(parameter, 1e-9 if name.startswith("decoder.") else 1.0)
    before = gradient_norm(small.decoder)
    RECIPE.clip(small)
    assert gradient_norm(small.encoder) == pytest.approx(0.01, rel=1e-3)
    assert gradient_norm(small.decoder) == before
    assert gradient_norm(small.base_fusion) > 1  # frozen: no gradient to clip, whatever stands there
    small.zero_grad()


def test_patches_of_odd_size_are_trained_on_without_their_last_row_and_column(small):
    images = torch.rand(3, 2, 1, 17, 19, generator=torch.Generator().manual_seed(0))
    odd, even = Batch(*images), Batch(*images[..., :16, :18])
    for phase in RECIPE.phases:
        a, b = (Objective(small, phase).eval()(batch) for batch in (odd, even))
        assert all(torch.equal(a[name], b[name]) for name in a)
