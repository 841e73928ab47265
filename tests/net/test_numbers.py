"""Every method gives finite values and gradients on images that divide by nothing and take roots of nothing."""

import pytest
import torch

import net

NARROW = {
    "cmmdl": {"dim": 8, "heads": 2, "depth": 1},
    "cmmdl-lite": {"dim": 8},
    "mlfuse": {"dim": 8},
    "sfdfuse": {"dim": 16, "heads": 4},
    "adasffuse": {"dim": 32},
}
SPOT = torch.zeros(2, 1, 32, 32)
SPOT[..., 16, 16] = 1
IMAGES = {
    "black": torch.zeros(2, 1, 32, 32),
    "white": torch.ones(2, 1, 32, 32),
    "constant": torch.full((2, 1, 32, 32), 0.3),
    "spot": SPOT,
    "noise": torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)),
}
PAIRS = [(name, name) for name in IMAGES] + [("black", "noise"), ("noise", "black"), ("spot", "white")]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("method", net.METHODS)
def test_values_and_gradients_are_finite(method, pair):
    model = net.build(method, **NARROW.get(method, {}))
    vis, ir = (IMAGES[name].clone() for name in pair)
    with torch.no_grad():
        assert model.eval()(vis, ir).isfinite().all()
    if not list(model.parameters()):
        return  # a rule has nothing to learn
    fused = model.train()(vis.requires_grad_(), ir.requires_grad_())
    assert fused.isfinite().all()
    (fused - 0.5).square().mean().backward()
    gradients = [tensor.grad for tensor in (vis, ir, *model.parameters()) if tensor.grad is not None]
    assert len(gradients) > 2 and all(gradient.isfinite().all() for gradient in gradients)
