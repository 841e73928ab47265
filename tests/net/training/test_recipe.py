"""The recipes are the numbers they claim to be."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR

from net.training.cmmdl_losses import stretched_maximum
from net.training.cmmdl_training import BEST, METHOD, PAPER, WARM_UP, batch_fusion_loss, batch_structure_loss, cosine
from net.training.objective import Phase


def test_the_paper_recipe_has_the_releases_numbers():
    assert PAPER.phases == (Phase(batch_fusion_loss),)
    assert (PAPER.epochs, PAPER.batch_size, PAPER.lr) == (100, 4, 1e-4)
    assert PAPER.ema_decay is None and PAPER.clip_norm == float("inf")
    assert PAPER.stages == ((1, 128, 1),) and PAPER.weight_decay == 0 and PAPER.norms_until == 1
    assert next(iter(METHOD.recipes)) == "paper" and METHOD.recipes["paper"] is PAPER


def test_the_recipe_best_has_the_numbers_of_the_weights_that_ship():
    assert BEST.phases == (Phase(batch_structure_loss),) and BEST.schedule is cosine and WARM_UP == 0.03
    assert (BEST.epochs, BEST.batch_size, BEST.lr, BEST.weight_decay) == (60, 8, 5e-4, 0)
    assert (BEST.clip_norm, BEST.by_part, BEST.norms_until, BEST.ema_decay) == (1, False, 0.7, 0.999)
    assert BEST.stages == ((0.7, 64, 1), (1, 128, 0.5))
    assert BEST.crops == (2, 8, 1, 1 / 12) and PAPER.crops == (1, 8, 1, 0)
    assert BEST.image_map is stretched_maximum and BEST.teacher is None
    assert METHOD.recipes["best"] is BEST


@pytest.mark.parametrize("lr", [1e-4, 3e-3])
def test_the_paper_schedule_is_step_lr_with_a_floor(lr):
    recipe = PAPER.override(epochs=300, lr=lr)
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=lr)
    schedule = StepLR(optimizer, step_size=20, gamma=0.5)
    for epoch in range(300):
        expected = max(optimizer.param_groups[0]["lr"], 1e-6)
        assert recipe.lr_at(epoch, 0) == recipe.lr_at(epoch, 0.99) == pytest.approx(expected, rel=1e-12)
        optimizer.step()
        schedule.step()


def test_a_learning_rate_below_the_floor_stays():
    assert PAPER.override(lr=1e-8).lr_at(50, 0) == 1e-8


def test_the_cosine_schedule_warms_up_peaks_and_falls_to_a_hundredth():
    rates = [BEST.lr_at(epoch, step / 100) for epoch in range(BEST.epochs) for step in range(100)]
    peak = rates.index(max(rates))
    assert peak == round(WARM_UP * len(rates)) and max(rates) == pytest.approx(BEST.lr)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[0] <= 0.02 * BEST.lr and rates[-1] == pytest.approx(0.01 * BEST.lr, rel=0.01)


@pytest.mark.parametrize("recipe", METHOD.recipes.values(), ids=METHOD.recipes.keys())
@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 60, 100])
def test_every_epoch_has_a_stage_and_the_stages_come_in_their_order(recipe, epochs):
    recipe = recipe.override(epochs=epochs)
    numbers = [recipe.stages.index(recipe.stage(epoch)) for epoch in range(epochs)]
    assert numbers == sorted(numbers)
    assert epochs < 3 or set(numbers) == set(range(len(recipe.stages)))


def test_larger_crops_come_in_smaller_batches_but_never_alone():
    assert [BEST.batch_of(stage) for stage in BEST.stages] == [8, 4]
    assert [BEST.override(batch_size=2).batch_of(stage) for stage in BEST.stages] == [2, 2]
    assert [BEST.override(batch_size=7).batch_of(stage) for stage in BEST.stages] == [7, 4]


def test_what_is_overridden_changes_and_nothing_else():
    assert PAPER.override() == PAPER
    changed = BEST.override(epochs=5, batch_size=3, lr=1e-3, size=32, passes=4)
    assert (changed.epochs, changed.batch_size, changed.lr) == (5, 3, 1e-3)
    assert changed.crops == BEST.crops._replace(passes=4)
    assert changed.stages == ((1, 32, 1),) and changed.norms_until == BEST.norms_until
    assert BEST.override(norms_until=0.0).norms_until == 0
    assert (changed.phases, changed.ema_decay, changed.schedule) == (BEST.phases, BEST.ema_decay, BEST.schedule)


def test_from_its_share_of_the_training_on_batchnorm_works_as_when_fusing():
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Sequential(nn.BatchNorm2d(4), nn.Dropout()))
    recipe = BEST.override(epochs=10, norms_until=0.7)
    for epoch in range(10):
        network.eval()
        recipe.set_mode(network, epoch)
        assert network[1][0].training is (epoch < 7) and network[1][1].training and network.training
    for share, last in ((0.8, False), (0.9, True)):  # of three epochs: as the middle of an epoch is
        BEST.override(epochs=3, norms_until=share).set_mode(network, 2)
        assert network[1][0].training is last
    PAPER.set_mode(network, 99)
    assert network[1][0].training, "the release's recipe learns statistics to its end"


def test_a_recipe_without_a_length_or_an_end_is_refused():
    with pytest.raises(ValueError, match="without a length; expected epochs or iterations"):
        replace(PAPER, epochs=None)
    with pytest.raises(ValueError, match=r"the last phase ends at 0\.5 of the training; expected 1"):
        replace(PAPER, phases=(Phase(batch_fusion_loss, until=0.5),))
    with pytest.raises(ValueError, match=r"the last stage ends at 0\.7 of the training; expected 1"):
        replace(BEST, stages=BEST.stages[:1])


@pytest.mark.parametrize(("by_part", "clipped"), [(True, [1, 1]), (False, [0.6, 0.8])])
def test_gradients_are_limited_by_part_or_together_and_their_norm_is_that_of_all(by_part, clipped):
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    for layer, gradient in zip(network, (3.0, 4.0), strict=True):
        layer.weight.grad = torch.full((1, 1), gradient)
    assert replace(PAPER, by_part=by_part, clip_norm=1.0).clip(network).item() == pytest.approx(5)
    assert [layer.weight.grad.item() for layer in network] == pytest.approx(clipped, rel=1e-5)


def test_what_no_part_covers_is_refused():
    network = nn.Sequential(nn.Linear(2, 2))
    assert len(replace(PAPER, by_part=True).groups(network)) == 1
    network.bias = nn.Parameter(torch.zeros(2))
    assert len(PAPER.groups(network)) == 1
    with pytest.raises(ValueError, match="parameters of no part: bias; with by_part"):
        replace(PAPER, by_part=True).groups(network)
