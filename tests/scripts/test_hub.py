"""The repository as torch.hub sees it."""

import ast
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import hubconf
import net

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("name", "method"), [("cmmdl", "cmmdl"), ("cmmdl_lite", "cmmdl-lite")])
def test_the_hub_gives_the_shipped_network(name, method):
    model = torch.hub.load(str(ROOT), name, source="local")
    assert isinstance(model, net.METHODS[method].network) and not model.training
    with torch.inference_mode():
        assert model(torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)).shape == (1, 1, 16, 16)


def test_the_hub_gives_fresh_networks_of_any_width():
    model = torch.hub.load(str(ROOT), "cmmdl", source="local", pretrained=False, dim=16, depth=1)
    assert model.options["dim"] == 16 and not model.training


def test_options_do_not_go_with_the_shipped_weights():
    with pytest.raises(ValueError, match="dim"):
        torch.hub.load(str(ROOT), "cmmdl", source="local", dim=16)


def test_a_program_with_a_net_of_its_own_is_told_so(monkeypatch):
    own = ModuleType("net")
    own.__file__ = "/home/me/net.py"
    monkeypatch.setitem(sys.modules, "net", own)
    with pytest.raises(ImportError, match="another net, of /home/me/net.py, is imported already"):
        torch.hub.load(str(ROOT), "cmmdl_lite", source="local")


def test_the_hub_is_told_every_package_that_importing_net_needs():
    imported = set()
    for file in (ROOT / "net").rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:  # not those inside functions
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    assert set(hubconf.dependencies) == imported - sys.stdlib_module_names - {"net"}
