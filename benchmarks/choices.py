"""Measure what each choice in the recipe `best` and each of CMMDL's parts is worth.

    python -m benchmarks.choices --data DIR

Small networks are trained from the same seed on the same crops for as many steps, each with one thing changed: the
loss, black parts of crops, BatchNorm's statistics, the moving average, the schedule, the limit of the gradients, or
one of the paper's four parts left out. The table has the scores on images that no training saw, protocol cddfuse,
means over the centres of those that a training on these folders holds out. One training of each says little about
small differences: repeat it with another `--seed`.

Each training is a run of CMMDL_train.py in a folder of its own below `--out`; options that this program does not know
are passed on to it. The same command given again resumes. It trains anew if images, labels, options, or the code of
losses and recipes have changed; after a change of the networks give another `--out`. On a GPU the network may have its
full width:

    python -m benchmarks.choices --data DIR --dim 64 --epochs 4 --passes 4 --batch-size 32 --precision bf16 --workers 8
"""

import argparse
import hashlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

import CMMDL_train
import net
from benchmarks import losses
from benchmarks.losses import LOSSES, Loss, centres
from data.files import sha256
from data.masks import find_masks
from data.options import Parser, named_path, not_negative, positive, whole
from data.pairs import PairError, find_sets
from data.words import counted
from net.ablation import PARTS
from net.fuser import to_uint8
from net.training import cmmdl_losses, cmmdl_training, objective, recipe, sobel, ssim
from net.training.cmmdl_training import BEST
from net.training.objective import Phase
from net.training.recipe import Crops, Recipe, constant
from utils.failures import command
from utils.metrics import evaluate
from utils.shipped import load_checked
from utils.tables import Row, text


def with_loss(loss: Loss) -> Recipe:
    """`BEST` with another loss."""
    return replace(BEST, phases=(Phase(lambda fused, b: {"total": loss(b.vis, b.ir, fused, b.mask, b.image_map)}),))


LOSS_NAMES = "paper", "lighter-edges", "few-differences", "more-differences", "without-stretch"
RECIPES = {
    "best": BEST,
    **{f"loss-{name}": with_loss(LOSSES[name]) for name in LOSS_NAMES},
    "no-black": replace(BEST, crops=Crops()),
    "batch-norms": replace(BEST, norms_until=1.0),
    "no-average": replace(BEST, ema_decay=None),
    "constant-rate": replace(BEST, schedule=constant),
    "no-clipping": replace(BEST, clip_norm=torch.inf),
}
VARIANTS = [*RECIPES, *(f"without-{part}" for part in PARTS)]


@command
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("python -m benchmarks.choices", __doc__)
    parser.add_argument("--data", type=named_path, action="append", required=True, metavar="DIR",
                        help="pair folder; repeatable")  # fmt: skip
    parser.add_argument("--variant", action="append", choices=VARIANTS, metavar="NAME",
                        help=f"{', '.join(VARIANTS)}; repeatable (default: all)")  # fmt: skip
    parser.add_argument("--out", type=named_path, default=Path("result/choices"), metavar="DIR",
                        help="where the trainings go")  # fmt: skip
    parser.add_argument("--dim", type=whole(2), default=16, help="feature channels; the network that ships has 64")
    parser.add_argument("--epochs", type=positive, default=2, help="length of each training")
    parser.add_argument("--size", type=whole(16), default=64, help="side of the crops in pixels")
    parser.add_argument("--limit", type=positive, default=6, help="held-out images of each folder to score")
    parser.add_argument("--seed", type=not_negative, default=42, help="of weights, crops and their order")
    args, args.options = parser.parse_known_args(argv)
    if "--no-held-out" in args.options:
        parser.error("--no-held-out: what the trainings hold out is scored")
    args.home = args.out / f"dim{args.dim}-epochs{args.epochs}-size{args.size}-seed{args.seed}-{digest(args)}"
    rows = {folder: [] for folder in args.data}
    for folder in args.data:
        centres(folder, args.limit)  # what cannot be scored is told before anything is trained
    for variant in args.variant or VARIANTS:
        weights = train(args, variant)
        if isinstance(weights, int):
            return weights
        model = load_checked(weights)
        for folder in args.data:
            rows[folder].append(score(variant, model, folder, args.limit))
    for folder in args.data:
        print(text(f"{folder.name}, {counted(len(rows[folder][0].images), 'held-out image')}", rows[folder]))
    return 0


def train(args: argparse.Namespace, variant: str) -> Path | int:
    """The weights of a variant, trained unless they are there; the exit status of a training that was stopped."""
    out, weights = args.home / variant, "*-cmmdl/CMMDL.pth"
    if done := next(out.glob(weights), None):
        return done
    name, part = (variant, []) if variant in RECIPES else ("best", ["--without", variant.removeprefix("without-")])
    command = ["--recipe", name, *part, *(f"--data={folder}" for folder in args.data), f"--out={out}"]
    command += [f"--{name}={getattr(args, name)}" for name in ("dim", "epochs", "size", "seed")] + args.options
    with mock.patch.dict(net.METHODS["cmmdl"].recipes, RECIPES):
        status = CMMDL_train.main(command)
    return status or next(out.glob(weights))


def digest(args: argparse.Namespace) -> str:
    """Eight characters that change with the folders, what a training reads of them, its other options, and the code of
    losses and recipes."""
    modules = losses, cmmdl_losses, cmmdl_training, objective, recipe, sobel, ssim, sys.modules[__name__]
    folders = sorted({folder.resolve() for folder in args.data})
    content = [f"{file} {sha256(file)}" for folder in folders for file in files(folder)]
    told = "\n".join([*map(str, folders), *content, *args.options, *map(inspect.getsource, modules)])
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def files(root: Path) -> Iterator[Path]:
    """The images and labels that a training reads of a folder; none of one that it refuses."""
    try:
        sets = [(pair_set, find_masks(pair_set.folder)) for pair_set in find_sets(root) if pair_set.pairs]
    except PairError:
        return
    for pair_set, masks in sets:
        for pair in pair_set.pairs:
            yield from (path for path in (pair.vis, pair.ir, *masks.files.get(pair.name, ())) if path.is_file())


@torch.inference_mode()
def score(name: str, model: torch.nn.Module, folder: Path, limit: int) -> Row:
    """The scores of a network on held-out images of a folder."""
    row = Row(name)
    for number, (vis, ir, *_) in enumerate(centres(folder, limit)):
        fused = model(*(torch.from_numpy(image)[None, None] / 255 for image in (vis, ir)))
        row.images[str(number)] = evaluate(to_uint8(fused, stretch=True), ir, vis, protocol="cddfuse")
    return row


if __name__ == "__main__":
    sys.exit(main())
