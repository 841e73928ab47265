"""Fusing in tiles: no seam is seen, no tile is stretched by itself, and memory does not grow with the image."""

import numpy as np
import pytest
import torch

import net
from net.fuser import starts, tiled


@pytest.fixture
def smooth():
    """A smooth pair (1, 1, 150, 200) each: slow waves, and one warm spot."""
    rows, columns = np.mgrid[:150, :200] / 200
    vis = 0.5 + 0.3 * np.sin(3 * rows + 2 * columns) * np.cos(2 * columns)
    ir = 0.2 + 0.6 * np.exp(-((rows - 0.4) ** 2 + (columns - 0.5) ** 2) / 0.03)
    return tuple(torch.from_numpy(image.astype(np.float32))[None, None] for image in (vis, ir))


def roughness(image):
    """The largest second difference along rows and columns: what an eye sees as a seam on a smooth image.

    The network's own border, six pixels, is left out."""
    image = image[0, 0, 6:-6, 6:-6]
    return max(image.diff(n=2, dim=dim).abs().max().item() for dim in (0, 1))


def butted(model, vis, ir, tile):
    """The same tiles without blending: each overwrites what it covers."""
    fused = torch.zeros_like(vis)
    for top in starts(vis.shape[-2], tile):
        for left in starts(vis.shape[-1], tile):
            area = (..., slice(top, top + tile), slice(left, left + tile))
            fused[area] = model(vis[area], ir[area])
    return fused


@torch.inference_mode()
def test_a_seam_is_invisible_on_a_smooth_image(small, smooth):
    whole, blended, hard = (small(*smooth), tiled(small, *smooth, 64), butted(small, *smooth, 64))
    assert roughness(blended) < 1.5 * roughness(whole) + 1 / 255
    assert roughness(hard) > 2 * roughness(blended), "without blending the seams are seen"


class Own(torch.nn.Module):
    """A rule that depends on the whole of what it sees: the visible image less its mean."""

    def forward(self, vis, ir):
        return vis - vis.mean() + 0.5 + 0 * ir


def test_tiles_are_neither_stretched_nor_levelled_by_the_fuser():
    bright = np.tile(np.linspace(40, 200, 200), (150, 1)).astype(np.uint8)
    average = torch.nn.Module()
    average.forward = lambda vis, ir: (vis + ir) / 2
    whole, parts = (net.Fuser(average, device="cpu", tile=tile)(bright, bright) for tile in (0, 64))
    np.testing.assert_allclose(whole.astype(int), parts, atol=1)


def test_a_rule_that_sees_the_whole_image_changes_with_tiles(smooth):
    assert (tiled(Own(), *smooth, 64) - Own()(*smooth)).abs().max() > 0.02


def test_a_network_never_sees_more_than_one_tile(smooth):
    seen = []

    class Watch(torch.nn.Module):
        def forward(self, vis, ir):
            seen.append(vis.shape[-2:])
            return (vis + ir) / 2

    tiled(Watch(), *smooth, 64)
    assert set(seen) == {(64, 64)}
    seen.clear()
    tiled(Watch(), *(image[..., :40, :] for image in smooth), 64)
    assert set(seen) == {(40, 64)}
