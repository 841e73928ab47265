"""Networks whose weights a formula gives fuse to these numbers, whatever computes them."""

import pytest
import torch

import net
from tests.weight_files import filled

NUMBERS = {  # four pixels, mean and standard deviation
    "cmmdl": ({"dim": 8, "heads": 2, "depth": 1}, [0.3510613, 0.4286818, 0.4441509, 0.5978139, 0.4666386, 0.0853227]),
    "cmmdl-lite": ({"dim": 8}, [0.4402401, 1.0000000, 0.6406331, 0.0297343, 0.3845432, 0.3408695]),
    "mlfuse": ({"dim": 8}, [0.0974041, 0.0990136, 0.1050632, 0.1868416, 0.1201246, 0.0292697]),
    "sfdfuse": ({"dim": 16, "heads": 4}, [0.3659426, 0.6694963, 0.7360760, 0.5635509, 0.5665216, 0.1470673]),
    "adasffuse": ({"dim": 32}, [0.1022972, 0.3464893, 0.0946314, 0.0240573, 0.1592601, 0.2077391]),
}


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("name", [name for name, method in net.METHODS.items() if method.learns])
def test_the_output_is_these_numbers(name, differentiable):
    assert name in NUMBERS, f"a new method: write here what {name} gives now, so that a later change is noticed"
    options, expected = NUMBERS[name]
    model = filled(net.build(name, **options).double())
    k = torch.arange(16 * 20, dtype=torch.float64).view(1, 1, 16, 20)
    with torch.set_grad_enabled(differentiable):  # without gradients CMMDL works by bands
        fused = model(0.5 + 0.4 * torch.cos(0.37 * k), 0.5 + 0.4 * torch.cos(0.003 * k * k))
    found = [*fused[0, 0, [0, 6, 8, 15], [1, 6, 10, 17]].tolist(), fused.mean().item(), fused.std().item()]
    assert found == pytest.approx(expected, abs=1e-6)
