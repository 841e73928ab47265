"""The comparison of losses without a network."""

import pytest
import torch

from benchmarks.losses import LOSSES, centres, minimised
from data.scenes import render
from net.training.cmmdl_losses import stretched_maximum
from tests.pictures import picture, save


def test_every_loss_falls_below_its_start():
    scene = render(0, 48, 48)
    vis, ir = (torch.from_numpy(image).float()[None, None] / 255 for image in (scene.vis[..., 1], scene.ir))
    mask, start = torch.zeros_like(vis), (torch.maximum(vis, ir) + (vis + ir) / 2) / 2
    stretched = stretched_maximum(vis, ir)
    for name, loss in LOSSES.items():
        fused = minimised(loss, vis, ir, mask, stretched, steps=20)
        assert fused.shape == vis.shape and fused.min() >= 0 and fused.max() <= 1
        assert loss(vis, ir, fused, mask, stretched) < loss(vis, ir, start, mask, stretched), name


def test_a_folder_of_which_nothing_is_held_out_is_refused(tmp_path):
    for kind in ("vi", "ir"):
        save(tmp_path / kind / "0.png", picture())
    with pytest.raises(ValueError, match="a training holds out none of its images; expected more of them"):
        centres(tmp_path, limit=6)
