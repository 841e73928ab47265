"""The command line of the training script."""

import argparse
import inspect
from collections.abc import Sequence
from pathlib import Path

import net
from data.masks import class_numbers
from data.options import named_path, not_negative, positive, positive_number, whole
from net.ablation import PARTS
from net.fuser import PRECISIONS
from utils import failures

DEFAULT_H5 = Path("data/MSRS_train_imgsize_128_stride_200.h5")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of a training, with the recipe's numbers where none were given. All are checked that can be checked
    without reading data; a wrong one ends the program."""
    methods = {name: method for name, method in net.METHODS.items() if method.learns}
    recipes = "; ".join(f"{name}: {', '.join(method.recipes)}" for name, method in methods.items())
    parser = failures.DistributedParser("CMMDL_train.py", "Train CMMDL or one of its siblings.")
    add = parser.add_argument
    add("--method", choices=methods, default="cmmdl", help="what to train")
    add("--recipe", "--task", metavar="NAME", help=f"{recipes} (default: the method's first)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--h5", type=named_path, default=DEFAULT_H5, metavar="FILE",
        help="patch file, see python -m data.patches")  # fmt: skip
    where.add_argument("--data", type=named_path, action="append", metavar="DIR", help="pairs to crop; repeatable")
    where.add_argument("--demo", action="store_true", help="crop from rendered scenes")
    add("--mask-classes", type=class_numbers, metavar="A,B",
        help="with --data: label classes that count as thermal targets (default: car,person,bike)")  # fmt: skip
    add("--no-held-out", action="store_true", help="with --data: train on every image; otherwise one in ten is kept "
        "apart and scored after each epoch")  # fmt: skip
    add("--out", type=run_folder, default=Path("runs"), metavar="DIR", help="where the numbered run folder goes")
    add("--epochs", type=positive, help="length of the training (default: the recipe's)")
    add("--batch-size", type=whole(2), help="patches in a step of each process (default: the recipe's)")
    add("--lr", type=positive_number, help="learning rate (default: the recipe's)")
    add("--size", type=whole(3), help="side of random crops in pixels (default: the recipe's)")
    add("--passes", type=positive, help="how often an epoch goes through all images; more than once where that takes "
        "a GPU only seconds (default: the recipe's)")  # fmt: skip
    add("--dim", type=whole(2, 1024), help="feature channels (default: those of --init, or the method's)")
    add("--without", action="append", metavar="PART",
        help=f"leave a part of the network out (CMMDL: {', '.join(PARTS)}); repeatable")  # fmt: skip
    add("--teacher", type=named_path, metavar="WEIGHTS",
        help="weights of the network that a smaller one learns from (default: those that ship)")  # fmt: skip
    add("--init", type=named_path, metavar="WEIGHTS", help="start from these weights")
    add("--keep-norms", action="store_true", help="keep the BatchNorm statistics of --init")
    add("--resume", default="auto", metavar="auto|none|PATH", help="auto: go on with the newest unfinished run of the "
        "same arguments; none: start anew; PATH: go on from this checkpoint, in its run's folder or, if that run is "
        "finished, in a new one")  # fmt: skip
    add("--save-seconds", type=not_negative, default=300, help="seconds between checkpoints within an epoch")
    add("--checkpoint-activations", action="store_true", help="use less memory and more time")
    add("--compile", action="store_true", help="torch.compile, for GPUs: slow to start, then faster")
    add("--precision", choices=PRECISIONS, default="fp32", help="of the forward pass")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto takes a GPU if there is one")
    add("--workers", type=whole(0, 256), default=0, help="loader processes; about 8 keep a GPU busy")
    add("--seed", type=not_negative, default=42, help="of weights, crops and their order")
    args = parser.parse_args(argv)
    known = methods[args.method].recipes
    args.recipe = args.recipe or next(iter(known))
    if args.recipe not in known:
        parser.error(f"argument --recipe: invalid choice: {args.recipe!r}; {args.method} has {', '.join(known)}")
    refuse_what_would_be_ignored(parser, args)
    for name in ("epochs", "batch_size", "lr"):
        setattr(args, name, getattr(args, name) or getattr(known[args.recipe], name))
    return args


def refuse_what_would_be_ignored(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End the program where options were given that do nothing in a training of this kind."""
    method, crops = net.METHODS[args.method], args.data or args.demo
    has_parts = "without" in inspect.signature(method.network).parameters
    has_teacher = method.recipes[args.recipe].teacher
    for option, ignored, why in (
        ("without", args.without and not has_parts, f"{args.method} has no parts that can be left out"),
        ("without", args.without and args.init, "builds a new network; it does not go with --init"),
        ("teacher", args.teacher and not has_teacher, f"recipe {args.recipe} of {args.method} has none"),
        ("keep-norms", args.keep_norms and not args.init, "keeps the statistics of given weights; it goes with --init"),
        ("size", args.size and not crops, "goes with --data or --demo; the patches of a file have their size"),
        ("passes", args.passes and not crops, "goes with --data or --demo; an epoch is one pass through a file"),
        ("mask-classes", args.mask_classes and not args.data, "goes with --data"),
        ("no-held-out", args.no_held_out and not args.data, "goes with --data"),
    ):
        if ignored:
            parser.error(f"argument --{option}: {why}")


def run_folder(text: str) -> Path:
    """A folder whose name TensorBoard can write down."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!a}; expected a name in UTF-8, as TensorBoard needs it") from None
    return named_path(text)
