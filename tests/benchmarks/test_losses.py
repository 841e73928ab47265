"""The comparison of losses without a network."""

from pathlib import Path

import pytest
import torch

import net
from benchmarks import losses
from benchmarks.losses import LOSSES, centres, minimised
from data.crops import read_images
from data.scenes import render
from net.training.cmmdl_losses import stretched_maximum
from tests.pictures import picture, save
from utils.metrics import evaluate
from utils.tables import PRINTED, label

NUMBERS = {
    "paper": 3.561383196,
    "L1+10gradient": 7.237266556,
    "L1+edges": 2.108196968,
    "lighter-edges": 7.671863875,
    "few-differences": 18.027629222,
    "more-differences": 24.105614830,
    "without-stretch": 26.700590697,
    "best": 31.543262476,
}


def test_every_loss_falls_below_its_start():
    scene = render(0, 48, 48)
    vis, ir = (torch.from_numpy(image).float()[None, None] / 255 for image in (scene.vis[..., 1], scene.ir))
    mask, start = torch.zeros_like(vis), (torch.maximum(vis, ir) + (vis + ir) / 2) / 2
    stretched = stretched_maximum(vis, ir)
    for name, loss in LOSSES.items():
        fused = minimised(loss, vis, ir, mask, stretched, steps=20)
        assert fused.shape == vis.shape and fused.min() >= 0 and fused.max() <= 1
        assert loss(vis, ir, fused, mask, stretched) < loss(vis, ir, start, mask, stretched), name
        assert (fused - start).abs().max() > 0.1, "it goes as far as from one grey to another"


def test_it_begins_between_average_and_maximum_with_steps_of_a_fiftieth_that_become_shorter():
    vis, ir = torch.full((2, 1, 1, 4, 4), 0.2)
    ir = ir + 0.4
    fused = minimised(lambda _vis, _ir, fused, *_: -fused.sum(), vis, ir, vis, vis, steps=2)
    torch.testing.assert_close(fused, torch.full_like(vis, 0.5 + 0.02 + 0.01))
    assert not fused.requires_grad


def test_the_losses_are_these_numbers():
    k = torch.arange(2 * 16 * 12, dtype=torch.float64).view(2, 1, 16, 12)
    vis, ir, fused = (0.5 + a * torch.cos(b * k) for a, b in ((0.25, 0.37), (0.3, 0.23), (0.4, 0.31)))
    images = vis, ir, fused, (k % 5 < 2).double(), stretched_maximum(vis, ir)
    assert {name: loss(*images).item() for name, loss in LOSSES.items()} == pytest.approx(NUMBERS, rel=1e-6)


def test_the_table_has_scores_of_the_middles_of_held_out_images(few_pairs, tmp_path, monkeypatch, capsys):
    def minimised(loss, vis, ir, mask, stretched, steps):
        asked.append((steps, mask.shape, stretched))
        return vis if loss is LOSSES["best"] else ir

    asked = []
    monkeypatch.chdir(tmp_path)
    networks = {name: net.build("cmmdl-lite", dim=8).eval() for name in ("0/a.pth", "1/a.pth")}
    for name, network in networks.items():
        Path(name).parent.mkdir()
        torch.save({"method": "cmmdl-lite", "options": network.options, "model": network.state_dict()}, name)
    monkeypatch.setattr(losses, "minimised", minimised)
    options = ["--data", few_pairs, "--limit", "1", "--size", "48", "--steps", "7"]
    options += [f"--weights={name}" for name in networks]
    assert losses.main(list(map(str, options))) == 0
    rows = {line[:16].strip(): line[16:].split() for line in capsys.readouterr().out.splitlines()}
    _, held_out, *_ = read_images([few_pairs], progress=False)
    vis, ir = (part[8:56, 12:60] for part in held_out[0][:2])
    fused = {name: net.Fuser(net.build(name))(vis, ir) for name in ("average", "max")}
    fused |= {name: net.Fuser(network)(vis, ir) for name, network in networks.items()}
    fused["best"] = net.Fuser(net.build("average"))(vis, vis)
    for name, image in fused.items():
        scores = evaluate(image, ir, vis, protocol="cddfuse")
        assert rows[label(name)] == [f"{scores[metric]:.2f}" for metric in PRINTED], name
    assert len(asked) == len(LOSSES) and all(steps == 7 and shape == (1, 1, 48, 48) for steps, shape, _ in asked)
    whole = stretched_maximum(*(torch.from_numpy(part)[None, None] / 255 for part in held_out[0][:2]))
    torch.testing.assert_close(asked[0][2], whole[..., 8:56, 12:60], rtol=0, atol=1 / 255)


def test_so_many_images_are_taken_of_a_folder(few_pairs):
    assert [len(centres(few_pairs, limit)) for limit in (1, 9)] == [1, 2]


def test_a_folder_of_which_nothing_is_held_out_is_refused(tmp_path):
    for kind in ("vi", "ir"):
        save(tmp_path / kind / "0.png", picture())
    with pytest.raises(ValueError, match="a training holds out none of its images; expected more of them"):
        centres(tmp_path, limit=6)
