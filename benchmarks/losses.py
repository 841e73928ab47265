"""Show what each loss asks for, by fusing held-out images without any network.

    python -m benchmarks.losses --data DIR

Each loss is minimised over the pixels of the fused image themselves (Adam, from between the average and the maximum of
the sources), so that nothing but the loss decides. The table shows the scores of what it leads to, protocol cddfuse,
means over the centres of the images that a training on these folders holds out. A network comes closer to some of
these optima than to others, but it cannot score well where its loss does not.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data.crops import Planes, centre, read_images
from data.options import Parser, named_path, positive, whole
from data.progress import progress_bar
from data.sources import with_maps
from data.words import counted
from net.fuser import to_uint8
from net.training.cmmdl_losses import (
    edge_loss,
    fusion_loss,
    scd_loss,
    ssim_loss,
    stretched_maximum,
    structure_loss,
    with_contrast,
)
from net.training.sobel import gradient_loss
from utils.failures import command
from utils.metrics import MIN_SIDE, evaluate
from utils.shipped import load_checked
from utils.tables import Row, text

Loss = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]  # of vis, ir, fused, mask, stretched maximum
LEARNING_RATE = 0.02  # for grey values in [0, 1]


def brightness(vis: Tensor, ir: Tensor, fused: Tensor) -> Tensor:
    """How far from the brighter source the fused image is."""
    return (fused - torch.maximum(vis, ir)).abs().mean()


def earlier(intensity: float, edges: float, structure: float, differences: float, gain: float = 1.0) -> Loss:
    """What `best` was before it knew of an image's range: the weights of its terms, the gain in contrast and edges."""

    def loss(vis: Tensor, ir: Tensor, fused: Tensor, mask: Tensor, _: Tensor) -> Tensor:
        brighter = torch.where(mask > 0, ir, torch.maximum(vis, ir))
        return (
            intensity * (fused - with_contrast(brighter, gain)).abs().mean()
            + edges * edge_loss(vis, ir, fused, gain)
            + structure * ssim_loss(vis, ir, brighter, fused)
            + differences * scd_loss(vis, ir, fused).mean()
        )

    return loss


LOSSES: dict[str, Loss] = {
    "paper": lambda vis, ir, fused, mask, _: fusion_loss(vis, ir, fused, mask)["total"],
    "L1+10gradient": lambda vis, ir, fused, *_: brightness(vis, ir, fused) + 10 * gradient_loss(vis, ir, fused),
    "L1+edges": lambda vis, ir, fused, *_: brightness(vis, ir, fused) + edge_loss(vis, ir, fused),
    "lighter-edges": earlier(4, 3, 1, 0),  # the first three trainings of the weights that ship
    "few-differences": earlier(8, 8, 0.8, 0.3),  # their fourth to seventh
    "more-differences": earlier(10, 10, 0.8, 1, gain=1.1),  # their eighth
    "without-stretch": lambda vis, ir, fused, mask, _: (
        structure_loss(vis, ir, fused, mask, torch.maximum(vis, ir))["total"]
    ),
    "best": lambda *images: structure_loss(*images)["total"],
}


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m benchmarks.losses", __doc__)
    parser.add_argument("--data", type=named_path, action="append", required=True, metavar="DIR",
                        help="pair folder; repeatable")  # fmt: skip
    parser.add_argument("--limit", type=positive, default=4, help="held-out images of each folder to fuse")
    parser.add_argument("--size", type=whole(MIN_SIDE), default=192, help="side of the part that is fused, in pixels")
    parser.add_argument("--steps", type=positive, default=150, help="optimiser steps")
    parser.add_argument("--weights", type=named_path, action="append", default=[],
                        help="score this network beside the losses; repeatable")  # fmt: skip
    args = parser.parse_args(argv)
    networks = {str(path): load_checked(path) for path in args.weights}  # two files may have one name
    for folder in args.data:
        images = centres(folder, args.limit, args.size)
        rows = [Row(name) for name in ("average", "max", *LOSSES, *networks)]
        for number, (vis, ir, mask, stretched) in enumerate(progress_bar(images, desc=folder.name, unit="image")):
            fused = fused_by_all(*map(torch.from_numpy, (vis, ir, mask, stretched)), networks, args.steps)
            for row in rows:
                image = to_uint8(fused[row.method], stretch=True)
                row.images[str(number)] = evaluate(image, ir, vis, protocol="cddfuse")
        print(text(f"{folder.name}, {counted(len(images), 'held-out image')}", rows), flush=True)
    return 0


def fused_by_all(
    vis: Tensor, ir: Tensor, mask: Tensor, stretched: Tensor, networks: Mapping[str, nn.Module], steps: int
) -> dict[str, Tensor]:
    """The fused images (1, 1, H, W) in [0, 1] by the two rules, by each loss, minimised in so many steps, and by the
    networks, of one image's parts, uint8 (H, W)."""
    vis, ir, stretched = (part[None, None] / 255 for part in (vis, ir, stretched))
    images = vis, ir, mask[None, None].float(), stretched
    fused = {"average": (vis + ir) / 2, "max": torch.maximum(vis, ir)}
    fused |= {name: minimised(loss, *images, steps) for name, loss in LOSSES.items()}
    with torch.inference_mode():
        return fused | {name: network(vis, ir) for name, network in networks.items()}


def centres(folder: Path, limit: int, size: int = 192) -> list[Planes]:
    """The middles of the first images that a training on a folder holds out, each with that of its stretched maximum.

    Raises PairError for other folders, ValueError for one of which none is held out, or one too small to score.
    """
    held_out = read_images([folder], progress=False).held_out
    if not held_out:
        raise ValueError(f"{folder}: a training holds out none of its images; expected more of them")
    side = min(min(image[0].shape) for image in held_out[:limit])
    if side < MIN_SIDE:
        raise ValueError(f"{folder}: a held-out image has a side of {side} pixels; scores need {MIN_SIDE} or more")
    return [middle(image, size) for image in with_maps(held_out[:limit], [stretched_maximum], progress=False)]


def middle(image: Planes, size: int) -> Planes:
    """The middle of (vis, ir, mask) and of maps after them, at most `size` pixels on a side."""
    area = centre(*image[0].shape, size)
    return tuple(np.ascontiguousarray(part[area]) for part in image)


def minimised(loss: Loss, vis: Tensor, ir: Tensor, mask: Tensor, stretched: Tensor, steps: int) -> Tensor:
    """The image (1, 1, H, W) in [0, 1] at which the loss is small."""
    fused = ((torch.maximum(vis, ir) + (vis + ir) / 2) / 2).requires_grad_()
    optimizer = torch.optim.Adam([fused], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(vis, ir, fused, mask, stretched).backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            fused.clamp_(0, 1)
    return fused.detach()


if __name__ == "__main__":
    sys.exit(main())
