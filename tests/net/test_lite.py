"""CMMDL-lite: any size, the sources' detail past the grid, and what its training minimises."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

import net
from net.training.cmmdl_losses import stretched_maximum, structure_loss
from net.training.lite_training import (
    ALONE,
    DISTILLED,
    METHOD,
    MORE_EDGES,
    RESTART_LR,
    RESTARTS,
    TEACHER_WEIGHT,
    cosine_with_restarts,
    lite_loss,
    lite_loss_with_more_edges,
    lite_loss_with_teacher,
)
from net.training.objective import Batch, Phase


@pytest.fixture
def lite():
    return net.build("cmmdl-lite", dim=8).eval()


@pytest.mark.parametrize("size", [(5, 5), (6, 17), (32, 40), (37, 51)])
def test_images_of_any_size_fuse_by_bands_as_in_training(lite, size):
    vis, ir = torch.rand(2, 2, 1, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        by_bands = lite(vis, ir)
    assert by_bands.shape == vis.shape and by_bands.min() >= 0 and by_bands.max() <= 1
    torch.testing.assert_close(lite(vis, ir).detach(), by_bands, rtol=0, atol=1e-5)


def test_an_image_that_fills_no_whole_cells_is_seen_with_its_border_repeated(lite, pair):
    odd = [image[..., :30, :37] for image in pair]
    with torch.inference_mode():
        larger = lite(*(F.pad(image, (0, 3, 0, 2), mode="replicate") for image in odd))
        found = lite(*odd)
    inside = (..., slice(0, 28), slice(0, 35))  # the blend of the last two pixels sees zeros beyond the image
    torch.testing.assert_close(found[inside], larger[inside], rtol=0, atol=1e-5)


@pytest.mark.parametrize("source", [0, 1])
def test_every_pixel_of_a_source_can_come_through(lite, source):
    pair = torch.rand(2, 1, 1, 37, 51, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        lite.blend.head.weight.zero_()
        lite.blend.head.bias.copy_(torch.tensor([(20.0, -20.0)[source], 0.0]))
        torch.testing.assert_close(lite(*pair), pair[source], rtol=0, atol=1e-6)


def test_a_change_on_one_side_of_the_image_reaches_the_other(lite, pair):
    vis, ir = pair
    other = ir.clone()
    other[..., :4, :4] = 1
    with torch.inference_mode():
        change = (lite(vis, ir) - lite(vis, other)).abs()
    assert change[..., -8:, -8:].max() > 0


@pytest.mark.parametrize(("options", "sentence"), [({"dim": 9}, "dim is 9"), ({"dim": 8, "heads": 3}, "multiple of")])
def test_widths_that_do_not_divide_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        net.build("cmmdl-lite", **options)


def test_images_smaller_than_two_pixels_of_the_grid_are_refused(lite):
    with pytest.raises(ValueError, match="40x4 pixels; expected at least 5x5"):
        lite(torch.rand(1, 1, 4, 40), torch.rand(1, 1, 4, 40))


def test_bare_weights_are_known_by_their_names(tmp_path):
    model = net.build("cmmdl-lite", dim=8, depth=2, detail=4)
    torch.save(model.state_dict(), tmp_path / "bare.pth")
    loaded = net.load(tmp_path / "bare.pth")
    assert type(loaded) is METHOD.network and loaded.options == model.options


def test_the_recipe_distilled_has_the_numbers_of_the_weights_that_ship():
    assert DISTILLED.phases == (Phase(lite_loss_with_teacher, until=4 / 7), Phase(lite_loss_with_more_edges))
    assert (DISTILLED.epochs, DISTILLED.batch_size, DISTILLED.lr, DISTILLED.weight_decay) == (252, 8, 3e-3, 0)
    assert (DISTILLED.clip_norm, DISTILLED.norms_until, DISTILLED.ema_decay) == (1, 3 / 7, 0.995)
    assert DISTILLED.stages == ((2 / 7, 64, 2), (1, 96, 1)) and DISTILLED.crops == (2, 8, 1, 1 / 12)
    assert DISTILLED.image_map is stretched_maximum and DISTILLED.teacher == "cmmdl"
    assert DISTILLED.schedule is cosine_with_restarts and RESTARTS == (4 / 7, 11 / 14) and RESTART_LR == 1 / 3
    assert (TEACHER_WEIGHT, MORE_EDGES) == (15, 8)
    assert METHOD.recipes == {"distilled": DISTILLED, "alone": ALONE}


def test_without_a_teacher_the_edges_weigh_more_throughout_and_all_else_is_the_same():
    assert ALONE.phases == (Phase(lite_loss_with_more_edges),) and ALONE.teacher is None
    assert replace(ALONE, phases=DISTILLED.phases, teacher="cmmdl") == DISTILLED


def test_a_small_network_is_asked_for_more_than_cmmdl():
    vis, ir, fused, stretched = torch.rand(4, 2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    mask = (vis > 0.6).float()
    asked = structure_loss(vis, ir, fused, mask, stretched, edge_share=0.9, scd_weight=4.5)
    assert lite_loss(fused, Batch(vis, ir, mask, stretched)) == asked


def test_the_teacher_counts_only_where_it_looked():
    vis, ir, fused = torch.rand(3, 2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    taught = torch.zeros_like(vis)
    taught[..., 4:12, 4:12] = fused[..., 4:12, 4:12] + 0.25
    batch = Batch(vis, ir, torch.zeros_like(vis), torch.cat([torch.maximum(vis, ir), taught], dim=1))
    terms, alone = lite_loss_with_teacher(fused, batch), lite_loss(fused, batch)
    assert terms["teacher"].item() == pytest.approx(0.25)
    assert terms["total"].item() == pytest.approx(alone["total"].item() + TEACHER_WEIGHT * 0.25)
    nothing = batch._replace(image_map=batch.image_map * torch.tensor([1, 0]).view(2, 1, 1))
    unseen = lite_loss_with_teacher(fused, nothing)
    assert unseen["teacher"] == 0 and unseen["total"] == alone["total"]


def test_edges_weigh_more_without_a_teacher():
    vis, ir, fused = torch.rand(3, 2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    batch = Batch(vis, ir, torch.zeros_like(vis), torch.maximum(vis, ir))
    terms, more = lite_loss(fused, batch), lite_loss_with_more_edges(fused, batch)
    assert more["total"].item() == pytest.approx((terms["total"] + MORE_EDGES * terms["edges"]).item())
    assert {**more, "total": terms["total"]} == terms


@pytest.mark.parametrize("epochs", [1, 3, 12, DISTILLED.epochs])
def test_the_learning_rate_rises_again_at_each_restart_and_falls_to_a_hundredth(epochs):
    recipe, steps = DISTILLED.override(epochs=epochs), 12000 // epochs
    rates = [recipe.lr_at(epoch, step / steps) for epoch in range(epochs) for step in range(steps)]
    edges = [0, *(round(share * len(rates)) for share in RESTARTS), len(rates)]
    for number, (start, end) in enumerate(pairwise(edges)):
        cycle, peak = rates[start + 1 : end - 1], recipe.lr * (RESTART_LR if number else 1)
        top = cycle.index(max(cycle))
        assert max(cycle) == pytest.approx(peak, rel=1e-3) and top < 0.1 * len(cycle)
        assert cycle[:top] == sorted(cycle[:top]) and cycle[top:] == sorted(cycle[top:], reverse=True)
        assert cycle[-1] == pytest.approx(0.01 * peak, rel=0.05)
    assert recipe.lr_at(epochs - 1, 1) == pytest.approx(0.01 * RESTART_LR * recipe.lr)
    assert DISTILLED.lr_at(144, 0) == pytest.approx(0.01 * RESTART_LR * DISTILLED.lr), "4 / 7 of 252 epochs"


def test_the_teacher_leaves_at_the_first_restart():
    teacher = [DISTILLED.phase(epoch).loss is lite_loss_with_teacher for epoch in range(DISTILLED.epochs)]
    assert teacher == sorted(teacher, reverse=True) and sum(teacher) == round(RESTARTS[0] * DISTILLED.epochs)
