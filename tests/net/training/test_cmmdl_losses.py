"""The losses equal their formulas, written here as the specification has them, and mean what they say."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from net.training.cmmdl_losses import (
    EDGE_SHARE,
    GAIN,
    SCD_WEIGHT,
    STRETCH,
    STRETCH_SHARE,
    contrast_gain,
    edge_loss,
    fusion_loss,
    intensity_loss,
    local_variance,
    scd_loss,
    stretched_maximum,
    structure_loss,
    with_contrast,
)
from net.training.cmmdl_training import BEST, PAPER
from net.training.objective import Batch, Objective
from net.training.sobel import gradient_loss


@pytest.fixture
def batch() -> tuple[torch.Tensor, ...]:
    """(vis, ir, fused, mask), each (2, 1, 24, 20) float64, with a third of the mask above 0."""
    generator = torch.Generator().manual_seed(5)
    vis, ir, fused, mask = torch.rand(4, 2, 1, 24, 20, generator=generator, dtype=torch.float64)
    return vis, ir, fused, (mask > 0.67).double() / 3


def literal_sobel(x: torch.Tensor) -> torch.Tensor:
    kernel = torch.tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=x.dtype)[None, None]
    return F.conv2d(x, kernel, padding=1).abs() + F.conv2d(x, kernel.transpose(2, 3), padding=1).abs()


def literal_variance(x: torch.Tensor) -> torch.Tensor:
    offsets = torch.arange(-4, 5, dtype=x.dtype)
    window = torch.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    window = (window / window.sum())[None, None]
    return F.conv2d(x**2, window, padding=4) - F.conv2d(x, window, padding=4) ** 2


def literal_mse(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.conv2d((a - b) ** 2, torch.full((1, 1, 9, 9), 1 / 81, dtype=a.dtype), padding=4)


def literal_fusion_loss(vis: torch.Tensor, ir: torch.Tensor, fused: torch.Tensor, mask: torch.Tensor) -> dict:
    gradient = (literal_sobel(fused) - torch.maximum(literal_sobel(vis), literal_sobel(ir))).abs().mean()
    from_ir = ((literal_variance(ir) > literal_variance(vis)) | (mask > 0)).double()
    intensity = (from_ir * literal_mse(ir, fused) + (1 - from_ir) * literal_mse(vis, fused)).mean()
    return {"total": intensity + 5 * gradient, "intensity": intensity, "gradient": gradient}


def test_the_fusion_loss_equals_its_formula(batch):
    torch.testing.assert_close(fusion_loss(*batch), literal_fusion_loss(*batch))


class Mix(torch.nn.Module):
    """A rule to which it matters which image is the visible one."""

    def forward(self, vis, ir):
        return 0.7 * vis + 0.2 * ir


def test_the_recipes_minimise_these_losses_of_what_the_network_makes_of_vis_and_ir(batch, monkeypatch):
    monkeypatch.setattr("net.training.objective.in_float32", lambda outputs: outputs)  # double precision to the end
    vis, ir, _, mask = batch
    fused, stretched = 0.7 * vis + 0.2 * ir, 0.9 * torch.maximum(vis, ir)
    patches = Batch(vis, ir, mask, torch.cat([stretched, torch.zeros_like(vis)], dim=1))  # its last plane: a teacher's
    paper, best = (Objective(Mix(), recipe.phases[0])(patches) for recipe in (PAPER, BEST))
    torch.testing.assert_close(paper, literal_fusion_loss(vis, ir, fused, mask))
    assert best == structure_loss(vis, ir, fused, mask, stretched)


def test_the_fusion_loss_equals_the_releases(shared):
    vectors = np.load(shared / "vectors" / "cmmdl.npz")
    vis, ir, out, mask = (torch.from_numpy(vectors[f"train_{name}"]) for name in ("vis", "ir", "out", "mask"))
    loss = fusion_loss(vis.double(), ir.double(), out.double(), mask.double())
    found = [float(term) for term in (loss["total"], 5 * loss["gradient"], loss["intensity"])]
    assert found == pytest.approx(vectors["train_loss_total_grad_int"], rel=1e-6)


def test_the_separable_window_equals_the_two_dimensional_one(batch):
    torch.testing.assert_close(local_variance(batch[0]), literal_variance(batch[0]))


def test_the_mask_makes_infrared_the_reference(batch):
    vis, ir, _, mask = batch
    everywhere, nowhere = torch.ones_like(mask), torch.zeros_like(mask)
    assert intensity_loss(vis, ir, ir, everywhere) == 0
    assert intensity_loss(vis, ir, vis, everywhere) > intensity_loss(vis, ir, vis, nowhere)


def test_the_input_with_more_local_contrast_is_the_reference_outside_the_mask(batch):
    vis, ir, _, mask = batch
    nowhere, flat = torch.zeros_like(mask), torch.full_like(ir, 0.5)
    inside = (..., slice(4, -4), slice(4, -4))  # beyond it the zeros around the images are contrast too
    assert (local_variance(flat)[inside] < local_variance(vis)[inside]).all()
    assert intensity_loss(vis, flat, vis, nowhere) < 0.1 * intensity_loss(vis, flat, flat, nowhere)


def test_the_gradient_loss_is_zero_for_the_input_with_the_stronger_edges(batch):
    vis = batch[0]
    assert gradient_loss(vis, vis * 0.5, vis) == 0
    assert gradient_loss(vis * 0.5, vis, vis) == 0
    assert gradient_loss(vis, vis * 0.5, vis * 0.5) > 0


def test_identical_inputs_fused_into_themselves_lose_nothing(batch):
    vis, *_, mask = batch
    assert all(abs(term) < 1e-12 for term in fusion_loss(vis, vis, vis, mask).values())
    assert abs(structure_loss(vis, vis, vis, mask, vis)["structure"]) < 1e-12
    assert edge_loss(vis, vis, vis) == 0
    assert (scd_loss(vis, vis, vis) == 1).all(), "there is no difference that could be like the other source"


def stretched_loss(vis, ir, fused, mask):
    return structure_loss(vis, ir, fused, mask, torch.cat([stretched_maximum(*pair) for pair in each(vis, ir)]))


def each(*images):
    """The images of batches one by one, (1, 1, H, W)."""
    return zip(*(image.split(1) for image in images), strict=True)


@pytest.mark.parametrize("loss", [fusion_loss, stretched_loss])
def test_the_total_comes_first_and_has_a_finite_gradient_even_on_constant_images(loss, batch):
    for inputs in (batch, [torch.zeros_like(x) for x in batch], [torch.ones_like(x) for x in batch]):
        vis, ir, fused, mask = inputs
        fused = fused.clone().requires_grad_()
        terms = loss(vis, ir, fused, mask)
        assert next(iter(terms)) == "total"
        terms["total"].backward()
        assert fused.grad.isfinite().all()


def test_the_structure_loss_is_the_weighted_sum_of_its_terms(batch):
    vis, ir, fused, mask = batch
    maximum = torch.maximum(vis, ir)
    stretched = (1.3 * maximum - 0.2).clamp(0, 1)
    loss = structure_loss(*batch, stretched)
    brighter = torch.where(mask > 0, ir, maximum)
    moved = brighter + STRETCH_SHARE * (stretched - maximum)
    mean = moved.mean((2, 3), keepdim=True)
    asked = (mean + GAIN * (moved - mean)).clamp(0, 1)
    gain = contrast_gain(asked, brighter)
    assert (gain > GAIN).all()
    torch.testing.assert_close(loss["intensity"], (fused - asked).abs().mean())
    torch.testing.assert_close(loss["edges"], edge_loss(vis, ir, fused, 1 + EDGE_SHARE * (gain - 1)))
    differences = SCD_WEIGHT * ((gain.flatten() / GAIN - 1) * scd_loss(vis, ir, fused)).mean()
    torch.testing.assert_close(loss["differences"], differences)
    weighted = 12 * loss["intensity"] + 12 * loss["edges"] + 0.8 * loss["structure"] + loss["differences"]
    torch.testing.assert_close(loss["total"], weighted)
    other = structure_loss(*batch, stretched, edge_share=0, scd_weight=0)
    assert other["edges"] == edge_loss(vis, ir, fused) and other["differences"] == 0
    unstretched = structure_loss(*batch, maximum)
    assert unstretched["differences"].abs() < 1e-2 < loss["differences"], "the whole range is in use: nothing is hidden"


def test_the_losses_of_given_images_are_these_numbers():
    k = torch.arange(2 * 16 * 12, dtype=torch.float64).view(2, 1, 16, 12)
    vis, ir, fused = (0.5 + a * torch.cos(b * k) for a, b in ((0.25, 0.37), (0.3, 0.23), (0.4, 0.31)))
    mask = (k % 5 < 2).double()
    structure, fusion = stretched_loss(vis, ir, fused, mask), fusion_loss(vis, ir, fused, mask)
    numbers = [31.543262476, 0.326822093, 2.143893429, 1.047804729, 1.056432427]
    assert [float(term) for term in structure.values()] == pytest.approx(numbers, rel=1e-7)
    assert [float(term) for term in fusion.values()] == pytest.approx([3.561383196, 0.088051595, 0.694666320], rel=1e-7)


def test_the_maximum_is_stretched_over_the_whole_range_unless_that_is_too_much():
    dark, bright = torch.tensor([0.1, 0.2, 0.3]).view(1, 1, 1, 3), torch.tensor([0.2, 0.6, 0.9]).view(1, 1, 1, 3)
    torch.testing.assert_close(stretched_maximum(dark, bright).flatten(), torch.tensor([0, 4 / 7, 1]))
    whole = torch.tensor([0.0, 0.3, 1.0]).view(1, 1, 1, 3)
    assert torch.equal(stretched_maximum(whole, 0.5 * whole), whole)
    narrow = stretched_maximum(0.5 * dark, 0.3 + dark).flatten()  # 0.4 to 0.6
    assert narrow[2] - narrow[0] == pytest.approx(STRETCH * 0.2) and narrow[1] == pytest.approx(0.5)
    assert torch.equal(stretched_maximum(torch.full_like(dark, 0.7), dark), torch.full_like(dark, 0.7))


def test_the_gain_of_contrast_is_that_of_each_image_and_limited():
    before = torch.linspace(0, 0.5, 64).view(1, 1, 8, 8).repeat(4, 1, 1, 1)
    factors = torch.tensor([0.5, 1.0, 1.4, 2.0]).view(4, 1, 1, 1)
    torch.testing.assert_close(
        contrast_gain(before * factors, before).flatten(), torch.tensor([1, 1, 1.4, 1.8]), rtol=0.01, atol=0
    )
    assert contrast_gain(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)) == 1


def test_the_structure_term_falls_to_zero_as_the_structures_agree(batch):
    vis, ir, fused, mask = batch
    agreeing, blurred = structure_loss(vis, vis, vis, mask, vis), structure_loss(vis, vis, 0.9 * vis, mask, vis)
    assert abs(agreeing["structure"]) < 1e-12
    assert 0 < blurred["structure"] < structure_loss(vis, ir, fused, mask, vis)["structure"] < 1.8


def test_the_edge_loss_knows_the_direction_of_an_edge():
    rise = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    flat, fall = torch.full_like(rise, 0.5), 1 - rise
    assert edge_loss(rise, flat, rise) == edge_loss(flat, rise, rise) == 0
    assert edge_loss(rise, flat, fall) > edge_loss(rise, flat, flat) > 0
    assert gradient_loss(rise, flat, fall) < gradient_loss(rise, flat, flat), "which the release's does not"


def test_a_gain_asks_for_stronger_edges_than_the_sources_have():
    rise = torch.linspace(0, 0.5, 16).expand(1, 1, 16, 16)
    flat = torch.full_like(rise, 0.5)
    assert edge_loss(rise, flat, 1.1 * rise, gain=1.1) < 1e-6 < edge_loss(rise, flat, rise, gain=1.1)


def test_contrast_grows_about_the_mean_of_each_image_and_stays_in_range():
    images = torch.tensor([[0.4, 0.6], [0.0, 1.0]]).view(2, 1, 1, 2)
    torch.testing.assert_close(with_contrast(images, 1.5).flatten(), torch.tensor([0.35, 0.65, 0.0, 1.0]))


def test_edges_at_the_border_are_those_of_the_images(batch):
    bright = torch.ones_like(batch[0])
    assert edge_loss(bright, 0.5 * bright, 0.2 * bright) < 1e-6, "constant images have no edge at their border"


def test_what_the_fused_image_adds_to_one_source_should_be_the_other():
    vis, ir = torch.rand(2, 2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    assert scd_loss(vis, ir, vis + ir).tolist() == pytest.approx([0, 0], abs=1e-4)
    added = [np.corrcoef((v - i).flatten(), v.flatten())[0, 1] for v, i in zip(vis, ir, strict=True)]
    assert scd_loss(vis, ir, vis).tolist() == pytest.approx([1 - one / 2 for one in added], abs=1e-4)
    flat = torch.full_like(vis, 0.5)
    assert scd_loss(flat, flat, flat).tolist() == [1, 1]


def test_images_and_masks_of_other_shapes_are_refused():
    vis, ir, fused, mask = torch.rand(4, 2, 1, 16, 20)
    for wrong in ((vis, ir, fused, mask[:, 0]), (vis, ir, fused[:1], mask), (vis, ir[..., :8], fused, mask)):
        with pytest.raises(ValueError, match=r"vis, ir, fused and mask are \(2, .*; expected \(B, 1, H, W\) each"):
            fusion_loss(*wrong)
        with pytest.raises(ValueError, match=r"fused, mask and stretched are \(2, .*; expected \(B, 1, H, W\) each"):
            structure_loss(*wrong, vis)
    with pytest.raises(ValueError, match=r"stretched are .*, \(1, 1, 16, 20\); expected \(B, 1, H, W\) each"):
        structure_loss(vis, ir, fused, mask, vis[:1])


def test_each_maximum_of_a_batch_is_stretched_by_itself():
    vis, ir = torch.rand(2, 3, 1, 8, 9) * torch.tensor([0.3, 0.6, 1.0]).view(3, 1, 1, 1)
    apart = torch.cat([stretched_maximum(*pair) for pair in zip(vis.split(1), ir.split(1), strict=True)])
    assert torch.equal(stretched_maximum(vis, ir), apart)
