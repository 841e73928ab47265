"""The command line of the script that fuses and scores."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import net
from data.files import instead_of_file
from data.images import EXTENSIONS, MAX_PIXELS
from data.kinds import TASKS
from data.options import Parser, UsageError, named_path, not_negative, positive, whole
from net.fuser import PRECISIONS
from utils.failures import sentence
from utils.metrics import PROTOCOLS

ROOT = Path(__file__).resolve().parents[1]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of a run, all checked that can be checked without reading data; a wrong one ends the program."""
    parser = Parser("CMMDL_test.py", "Fuse pairs of images and score the results.")
    add = parser.add_argument
    add("--data", type=named_path, action="extend", nargs="+", metavar="DIR", default=[],
        help="pair folders, or folders of pair folders (default: test_img)")  # fmt: skip
    add("--pairs", type=named_path, action="extend", nargs="+", metavar="CSV", default=[],
        help="files that list pairs, on each line the paths of a visible and an infrared image")  # fmt: skip
    add("--pair", type=named_path, nargs=2, metavar=("VIS", "IR"), help="the two files of one pair")
    add("--task", choices=TASKS, help="what the pairs are (default: as the folders' names say)")
    add("--resize", choices=["ir"], help="bring the infrared image to the visible's size instead of refusing the pair")
    add("--no-registration-check", action="store_true", help="do not look for misaligned pairs")
    add("--video", type=named_path, nargs=2, metavar=("VIS", "IR"),
        help="two synchronised videos; --out is then a video too")  # fmt: skip
    add("--out", type=named_path, help="folder for images, tables and index.html (default: result, or scores for "
        "--fused alone), or the video file (default: result/fused.mp4)")  # fmt: skip
    add("--method", choices=net.METHODS, action="append", help="what fuses; repeatable (default: cmmdl)")
    add("--weights", action="append", metavar="[NAME=]PATH", default=[],
        help="weights file; repeatable (default: the one that ships in models/)")  # fmt: skip
    add("--fused", action="append", metavar="DIR[=NAME]", default=[],
        help="score the images of another program, alone or beside each --method; repeatable")  # fmt: skip
    add("--protocol", choices=PROTOCOLS, default="cmmdl", help="scoring convention; cmmdl is the release's")
    add("--published", action="store_true",
        help="beside ours, the published figures of known sets (TNO, MSRS, ...) in the same protocol")  # fmt: skip
    add("--device", default="auto", help="auto (a GPU if there is one), cpu or cuda")
    add("--precision", choices=PRECISIONS, default="fp32", help="bf16 is for GPUs alone")
    add("--compile", action="store_true", help="torch.compile, for GPUs and many images: slow to start, then faster")
    add("--tile", type=not_negative, default=0,
        help="fuse in overlapping tiles of N pixels: less memory, other results (default: whole images)")  # fmt: skip
    add("--limit", type=positive, default=0, help="only the first N pairs of each set, or frames (default: all)")
    add("--max-pixels", type=whole(1, 2**30), default=MAX_PIXELS,
        help="refuse larger images, which may be decompression bombs")  # fmt: skip
    add("--no-metrics", action="store_true", help="fuse only")
    add("--continue", dest="go_on", action="store_true", help="go on with an interrupted run of the same command")
    args = parser.parse_args(argv)
    args.words = sys.argv[1:] if argv is None else list(argv)
    args.method = list(dict.fromkeys(args.method or ([] if args.fused else ["cmmdl"])))
    if args.fused and args.no_metrics:
        parser.error("--fused scores images as they are; it goes without --no-metrics")
    refuse_what_would_be_ignored(parser, args)
    args.out = args.out or Path("result/fused.mp4" if args.video else "result" if args.method else "scores")
    try:
        check_out(args)
    except OSError as error:
        parser.error(f"--out {sentence(error)}")
    except UsageError as error:
        parser.error(f"--out {args.out}: {error}")
    if not (args.data or args.pairs or args.pair):
        args.data = [ROOT / "test_img"]
    return args


def refuse_what_would_be_ignored(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End the program where options were given that do nothing in a run of this kind."""

    def given(*options: str) -> list[str]:
        names = {option: "go_on" if option == "continue" else option.replace("-", "_") for option in options}
        return [f"--{option}" for option, name in names.items() if getattr(args, name) != parser.get_default(name)]

    of_networks = given("weights", "device", "precision", "compile", "tile", "continue")
    if args.fused and not args.method and of_networks:
        parser.error(f"--fused alone fuses nothing; give a --method, or leave out {' and '.join(of_networks)}")
    if args.no_metrics and args.published:
        parser.error("--published stands beside scores, which --no-metrics leaves out")
    of_images = given("data", "pairs", "pair", "task", "no-registration-check", "max-pixels", "continue")
    of_images += given("fused", "protocol", "published", "no-metrics")
    if args.video and (of_images or len(args.method) > 1):
        unused = " and ".join(of_images or ["the second --method"])
        parser.error(f"--video takes one method and gives no scores: leave out {unused}")


def check_out(args: argparse.Namespace) -> None:
    """Raise UsageError, or OSError, where the output cannot go."""
    there = args.out.exists()
    if not args.video:
        if there and not args.out.is_dir():
            raise UsageError("is a file; expected a folder")
        if not there and args.out.suffix.lower() in EXTENSIONS:
            raise UsageError("expected a folder, for images, tables and the page")
    elif there:
        if found := instead_of_file(args.out):
            raise UsageError(f"is {found}; expected a file")
        if any(path.exists() and args.out.samefile(path) for path in args.video):
            raise UsageError("is one of the two videos to fuse; expected another file")


def weights_by_method(given: Sequence[str], methods: Sequence[str]) -> dict[str, Path]:
    """The values of --weights, PATH or NAME=PATH, by method."""
    files = {}
    for value in given:
        name, separator, path = value.partition("=")
        if not separator or name not in net.METHODS:
            name, path = methods[0], value
            if len(methods) > 1:
                raise UsageError(f"--weights {value}: expected NAME=PATH, with NAME one of {', '.join(methods)}")
        if name in files:
            raise UsageError(f"--weights {value}: the second of {name}; expected one file for each method")
        if name not in methods:
            raise UsageError(f"--weights {value}: {name} is not among the methods asked for ({', '.join(methods)})")
        files[name] = Path(path)
    return files
