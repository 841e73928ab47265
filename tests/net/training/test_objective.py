"""What every recipe minimises falls when it is followed, in every phase, and has the gradient that is followed."""

import pytest
import torch
from torch import nn

import net
from net.training.objective import Batch, Objective, Phase
from net.training.recipe import Recipe

SMALL = {  # a method that is not here is tried at its own width
    "cmmdl": {"dim": 16, "depth": 1},
    "cmmdl-lite": {"dim": 8},
    "mlfuse": {"dim": 8},
    "sfdfuse": {"dim": 16},
    "adasffuse": {"dim": 32, "dropout": 0.0},
}
PHASES = [
    (name, recipe, number)
    for name, method in net.METHODS.items()
    for recipe in method.recipes
    for number in range(len(method.recipes[recipe].phases))
]


def smooth_batch(recipe: Recipe) -> Batch:
    """Two pairs of smooth 16x16 images with a bright target in infrared."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 16), torch.linspace(0, 1, 16), indexing="ij")
    vis = torch.stack([0.5 + 0.4 * torch.sin(9 * rows), 0.2 + 0.6 * columns])[:, None]
    ir = torch.stack([(-((rows - 0.5) ** 2 + (columns - c) ** 2) / 0.02).exp() for c in (0.3, 0.7)])[:, None]
    made = [image_map for image_map in (recipe.image_map, torch.maximum if recipe.teacher else None) if image_map]
    planes = [torch.cat([image_map(vis[i : i + 1], ir[i : i + 1]) for i in range(2)]) for image_map in made]
    return Batch(vis, ir, (ir > 0.5).float(), torch.cat(planes, dim=1) if made else None)


def trained(network: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


@pytest.mark.parametrize("name, recipe, number", PHASES)
def test_the_loss_falls_and_every_trained_parameter_has_a_gradient(name, recipe, number):
    recipe = net.METHODS[name].recipes[recipe]
    network = net.build(name, **SMALL.get(name, {}))
    objective = Objective(network, recipe.phases[number]).train()
    optimizer = torch.optim.Adam(recipe.groups(network), lr=2e-3, weight_decay=recipe.weight_decay)
    batch, totals = smooth_batch(recipe), []
    for _ in range(5):
        optimizer.zero_grad()
        terms = objective(batch)
        assert next(iter(terms)) == "total"
        terms["total"].backward()
        totals.append(terms["total"].item())
        assert all(parameter.grad is not None for parameter in trained(network))
        recipe.clip(network)
        optimizer.step()
    assert totals[-1] < 0.8 * totals[0]


@pytest.mark.parametrize("name, recipe, number", [phase for phase in PHASES if phase[0] != "sfdfuse"])
def test_the_gradient_is_the_slope_of_the_loss(name, recipe, number, monkeypatch):  # SFDFuse's is too rough to measure
    monkeypatch.setattr("net.training.objective.in_float32", lambda outputs: outputs)
    recipe = net.METHODS[name].recipes[recipe]
    network = net.build(name, **SMALL.get(name, {})).double()
    objective = Objective(network, recipe.phases[number]).train()
    batch = Batch(*(plane if plane is None else plane.double() for plane in smooth_batch(recipe)))
    parameters = trained(network)
    gradients = torch.autograd.grad(objective(batch)["total"], parameters)
    # along the gradient, so that the slope is steep, and across it, so that a gradient that is 0 by mistake shows
    steps = [g / (g.norm() + 1e-12) + torch.randn_like(g) / g.numel() ** 0.5 for g in gradients]
    slope = sum((gradient * step).sum() for gradient, step in zip(gradients, steps, strict=True)).item()
    totals = []
    with torch.no_grad():
        for share in (1e-7, -2e-7):
            for parameter, step in zip(parameters, steps, strict=True):
                parameter.add_(share * step)
            totals.append(objective(batch)["total"].item())
    assert (totals[0] - totals[1]) / 2e-7 == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("name, recipe, number", PHASES)
def test_a_step_in_bf16_is_close_to_one_in_fp32(name, recipe, number):
    recipe = net.METHODS[name].recipes[recipe]
    batch, totals = smooth_batch(recipe), []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        network = net.build(name, **SMALL.get(name, {}))
        total = Objective(network, recipe.phases[number]).train()(batch, precision)["total"]
        total.backward()
        assert all(parameter.grad.isfinite().all() for parameter in trained(network))
        totals.append(total.item())
    assert totals[0] != totals[1] == pytest.approx(totals[0], rel=0.02)


def test_in_bf16_the_network_works_in_bf16_and_the_loss_in_float32():
    seen = {}

    def loss(outputs, batch):  # noqa: ARG001 - a loss
        seen["loss"] = outputs.dtype
        return {"total": outputs.mean()}

    network = nn.Sequential(nn.Conv2d(1, 1, 1))
    phase = Phase(loss, lambda network, batch: seen.setdefault("output", network(batch.vis)))
    Objective(network, phase)(Batch(*torch.rand(3, 1, 1, 4, 4)), "bf16")
    assert seen["output"].dtype == torch.bfloat16 and seen["loss"] == torch.float32


def test_a_part_that_the_network_does_not_have_is_refused():
    network = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="a phase trains body; expected parts among 0"):
        Objective(network, Phase(dict, parts=("0", "body")))
