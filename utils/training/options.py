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


class WithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Shows each default that is a value; None and False are told in words, or by what the option is."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = action.default is None or action.default is False
        return action.help if told else super()._get_help_string(action)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of a training, all checked that can be checked without reading data; a wrong one ends the program."""
    methods = {name: method for name, method in net.METHODS.items() if method.learns}
    recipes = "; ".join(f"{name}: {', '.join(method.recipes)}" for name, method in methods.items())
    about = "Train CMMDL or one of its siblings"
    parser = failures.Parser(description=about, formatter_class=WithDefaults)
    parser.add_argument("--method", choices=methods, default="cmmdl", help="what to train")
    parser.add_argument("--recipe", "--task", help=f"one of the method's, by default its first ({recipes})")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--h5", type=named_path, default=DEFAULT_H5, help="patch file, see python -m data.patches")
    where.add_argument("--data", type=named_path, action="append", metavar="DIR",
                       help="pair folders to crop; repeatable")  # fmt: skip
    where.add_argument("--demo", action="store_true", help="crop from rendered scenes")
    parser.add_argument("--mask-classes", type=class_numbers, metavar="A,B", help="with --data: label classes that "
                        "count as thermal targets; default: car,person,bike")  # fmt: skip
    parser.add_argument("--no-held-out", action="store_true", help="with --data: train on every image, where one in "
                        "ten is otherwise kept apart and scored after each epoch")  # fmt: skip
    parser.add_argument("--out", type=run_folder, default=Path("runs"), help="where the numbered run folder goes")
    parser.add_argument("--epochs", type=positive, help="default: the recipe's")
    parser.add_argument("--batch-size", type=whole(2), help="per process; default: the recipe's")
    parser.add_argument("--lr", type=positive_number, help="default: the recipe's")
    parser.add_argument("--size", type=whole(3), help="side of random crops; default: the recipe's")
    parser.add_argument("--passes", type=positive, help="how often an epoch goes through all images, which a GPU has "
                        "done in seconds; default: the recipe's")  # fmt: skip
    parser.add_argument("--dim", type=whole(2, 1024), help="feature channels; default: as --init has, or the method")
    parser.add_argument("--without", action="append", metavar="PART", help="leave a part of the network out (CMMDL: " +
                        ", ".join(PARTS) + "); repeatable")  # fmt: skip
    parser.add_argument("--teacher", type=named_path, metavar="WEIGHTS",
                        help="whom a smaller network learns from; default: the weights that ship")  # fmt: skip
    parser.add_argument("--init", type=named_path, metavar="WEIGHTS", help="start from these weights")
    parser.add_argument("--keep-norms", action="store_true", help="BatchNorm keeps the statistics of --init")
    parser.add_argument("--resume", default="auto", help="auto: go on with the newest unfinished run of the same "
                        "arguments; none: start anew; or a checkpoint, to go on from in its run's folder or, where "
                        "that is finished, in a new one")  # fmt: skip
    parser.add_argument("--save-seconds", type=not_negative, default=300, help="between checkpoints within an epoch")
    parser.add_argument("--checkpoint-activations", action="store_true", help="less memory, more time")
    parser.add_argument("--compile", action="store_true", help="torch.compile, for GPUs: slow to start, then faster")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the forward pass")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--workers", type=whole(0, 256), default=0, help="loader processes; a GPU wants some 8")
    parser.add_argument("--seed", type=not_negative, default=42, help="of weights, crops and their order")
    args = parser.parse_args(argv)
    known = methods[args.method].recipes
    args.recipe = args.recipe or next(iter(known))
    if args.recipe not in known:
        parser.error(f"argument --recipe: invalid choice: {args.recipe!r}; {args.method} has {', '.join(known)}")
    refuse_what_would_be_ignored(parser, args)
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
