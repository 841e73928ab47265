"""The repository as torch.hub sees it."""

from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["cmmdl", "cmmdl_lite"])
def test_the_hub_gives_the_shipped_network(name):
    model = torch.hub.load(str(ROOT), name, source="local")
    assert not model.training
    with torch.inference_mode():
        assert model(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)).shape == (1, 1, 16, 16)


def test_the_hub_gives_fresh_networks_of_any_width():
    model = torch.hub.load(str(ROOT), "cmmdl", source="local", pretrained=False, dim=16, depth=1)
    assert model.options["dim"] == 16


def test_options_do_not_go_with_the_shipped_weights():
    with pytest.raises(ValueError, match="dim"):
        torch.hub.load(str(ROOT), "cmmdl", source="local", dim=16)
