"""How judges are trained: the learning rate, the order of the images, and in what form these are shown."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from torch import nn

from data.options import Parser
from downstream import detector, segformer
from downstream.cross_validation import add_options
from downstream.training import Budget, Standardised, fit, rate_at, to_tensor


def fitted(model, loss_of, *, seed=0, tick=lambda: None, **options):
    """Train a model on seven images, two in a step, for two epochs."""
    fit(model, 7, loss_of, Budget("", epochs=2, batch=2, rate=0.1), seed=seed, tick=tick, **options)


def test_the_rate_rises_in_a_tenth_of_the_steps_and_then_falls_evenly():
    assert [rate_at(step, 20) for step in (0, 1, 2, 11, 19)] == pytest.approx([1 / 2, 1, 1, 1 / 2, 1 / 18])
    assert [rate_at(step, 3) for step in range(3)] == pytest.approx([1, 1, 1 / 2])
    assert [rate_at(step, 200) for step in (18, 19, 20, 21)] == pytest.approx([19 / 20, 1, 1, 179 / 180])
    assert rate_at(0, 1) == 1


def test_pictures_come_with_mean_0_and_deviation_1_in_each_channel_however_bright_they_are():
    pictures = np.random.default_rng(0).integers(0, 200, (3, 8, 9, 3)).astype(np.uint8) // np.uint8([1, 2, 4])
    shown, brighter = (
        Standardised(images)(to_tensor(images, torch.device("cpu"))).transpose(0, 1).flatten(1)  # (3, N H W)
        for images in (pictures, pictures + np.uint8(50))
    )
    torch.testing.assert_close(shown.mean(1), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(shown.std(1), torch.ones(3))
    torch.testing.assert_close(brighter, shown)


def test_flat_pictures_come_as_zeros():
    flat = np.full((2, 4, 4, 3), 90, np.uint8)
    assert (Standardised(flat)(to_tensor(flat, torch.device("cpu"))) == 0).all()


def test_the_seed_decides_the_order_of_the_images_and_what_is_drawn_about_them():
    def seen(seed):
        batches = []

        def loss_of(batch, random):
            batches.append((batch.tolist(), random.random()))
            return model(torch.ones(1)).sum()

        model = nn.Linear(1, 1)
        fitted(model, loss_of, seed=seed)
        return batches

    batches = seen(1)
    assert batches == seen(1) and len(batches) == 2 * 3
    assert [batch for batch, _ in batches] != [batch for batch, _ in seen(2)]
    assert [batch for batch, _ in batches[:3]] != [batch for batch, _ in batches[3:]], "each epoch has its own order"
    assert not {drawn for _, drawn in batches} & {drawn for _, drawn in seen(2)}
    for epoch in (batches[:3], batches[3:]):
        assert len({index for batch, _ in epoch for index in batch}) == 6, "none comes twice"


@pytest.mark.parametrize(("options", "norm"), [({}, 5), ({"clip": 0.1}, 0.1)])
def test_the_norm_of_gradients_is_limited_where_that_is_asked_for(options, norm):
    model, norms = nn.Linear(1, 1, bias=False), []
    fitted(model, lambda *_: 5 * model.weight.sum(), tick=lambda: norms.append(model.weight.grad.norm()), **options)
    assert norms == pytest.approx([norm] * 6, rel=1e-4)


def test_a_loss_that_is_not_finite_ends_it_before_it_reaches_the_weights():
    model = nn.Linear(1, 1, bias=False)
    before = model.weight.item()
    with pytest.raises(ValueError, match="the judge's loss is not finite any more; try a lower --lr"):
        fitted(model, lambda *_: model.weight.sum() * torch.nan)
    assert model.weight.item() == before


def test_fewer_images_than_a_batch_are_one_step_of_each_epoch():
    model, batches = nn.Linear(1, 1).eval(), []  # as pretrained ones come

    def loss_of(batch, _):
        assert model.training
        batches.append(sorted(batch))
        return model(torch.ones(1)).sum()

    budget = Budget("", epochs=2, batch=8, rate=0.1)
    fit(model, 3, loss_of, budget, seed=0, tick=lambda: None)
    assert batches == [[0, 1, 2]] * 2 and budget.steps(3) == 2 and not model.training


def test_weights_decay_by_a_hundredth_of_the_rate():
    model = nn.Linear(1, 1, bias=False).double()
    before = model.weight.item()
    fitted(model, lambda *_: 0 * model.weight.sum())
    kept = np.prod([1 - 0.01 * 0.1 * rate_at(step, 6) for step in range(6)])
    assert model.weight.item() == pytest.approx(before * kept, rel=1e-12)


# How each judge trains


@pytest.mark.parametrize("judge", [detector, segformer])
def test_a_budget_is_what_the_options_say(judge):
    parser = Parser("judge", "")
    add_options(parser, "out", "labels", judge.MODELS, judge.BUDGET)
    given = ["--epochs", "3", "--batch-size", "5", "--lr", "0.25", "--pretrained", "w"]
    assert Budget.of(parser.parse_args(["--data", "MSRS", *given])) == Budget("small", 3, 5, 0.25, "w")
    assert Budget.of(parser.parse_args(["--data", "MSRS"])) == judge.BUDGET


@pytest.mark.parametrize("judge", [detector, segformer], ids=["detector", "segmenter"])
def test_the_seed_decides_fresh_weights_and_is_handed_on(monkeypatch, judge):
    def trained(seed):
        how = {"seed": seed, "device": torch.device("cpu"), "tick": lambda: None}
        return judge.train(pictures, pictures[..., 0], judge.BUDGET, **how).network.weight  # its truth is not read

    pictures, given = np.zeros((2, 8, 8, 3), np.uint8), []
    monkeypatch.setattr(judge, "build", lambda _: nn.Linear(4, 4))
    monkeypatch.setattr(judge, "fit", lambda *_, **options: given.append(options))
    assert torch.equal(trained(3), trained(3)) and not torch.equal(trained(3), trained(4))
    assert [options["seed"] for options in given] == [3, 3, 3, 4]
    assert {options.get("clip") for options in given} == {0.1 if judge is detector else None}, "as RT-DETR's"


def test_a_segmenter_is_shown_parts_of_seven_eighths_from_everywhere_of_which_some_are_mirrored():
    rows, columns = np.indices((32, 64)).astype(np.uint8)
    pictures = np.repeat(np.stack([rows, columns, columns], -1)[None], 60, 0)
    images, labels = segformer.augmented(pictures, pictures[..., 1], np.random.default_rng(0))
    assert images.shape == (60, 28, 56, 3) and np.array_equal(images[..., 1], labels)
    steps = np.diff(labels.astype(int), axis=2)
    assert {*steps[:, 0, 0]} == {-1, 1} and (steps == steps[:, :1, :1]).all()
    assert {*images[:, 0, 0, 0]} == set(range(5)) and {*labels.min((1, 2))} == set(range(9))


@pytest.mark.filterwarnings("error:divide by zero")
def test_in_a_segmenters_loss_a_class_counts_by_the_inverse_root_of_its_share(monkeypatch):
    class Guess(nn.Module):
        """Class 0 everywhere, by one in the logarithm."""

        def forward(self, pictures):
            scores = torch.zeros(len(pictures), 9, 8, 8)
            scores[:, 0] = 1
            return Namespace(logits=scores)

    losses, labels = [], np.zeros((2, 32, 32), np.uint8)
    labels[:, :8] = 2  # a quarter
    monkeypatch.setattr(segformer, "build", lambda _: Guess())
    monkeypatch.setattr(segformer, "fit", lambda *given, **_: losses.append(given[2](np.arange(2), random(0))))
    pictures, random = np.zeros((2, 32, 32, 3), np.uint8), np.random.default_rng
    segformer.train(pictures, labels, segformer.BUDGET, seed=0, device=torch.device("cpu"), tick=lambda: None)
    few = (segformer.augmented(pictures, labels, random(0))[1] == 2).mean()
    counts, wrong = [(1 - few) * 0.75**-0.5, few * 0.25**-0.5], np.log(np.e + 8)
    assert losses[0].item() == pytest.approx(np.average([wrong - 1, wrong], weights=counts), rel=1e-5)
