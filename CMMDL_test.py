"""Fuse pairs of images, score them, print and save the tables.

    python CMMDL_test.py --data DIR [DIR ...]                        # the weights that ship, the release's protocol
    python CMMDL_test.py --data DIR --weights CMMDL.pth --protocol cddfuse
    python CMMDL_test.py --data DIR --method cmmdl --method mlfuse --weights mlfuse=MLFuse.pth
    python CMMDL_test.py --data DIR --fused DIR --out DIR            # score what some other program fused
    python CMMDL_test.py --data DIR --method cmmdl --fused DIR=NAME  # and a method beside it
    python CMMDL_test.py --pairs pairs.csv                           # pairs that a file lists, two paths a line
    python CMMDL_test.py --pair VIS IR                               # one pair
    python CMMDL_test.py --video VIS IR --out fused.mp4              # two synchronised videos, frame by frame

Exit status: 0 all done, 1 some inputs were refused (each named on stderr) and the rest done, 2 usage, 130 interrupted.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while torch loads: no traceback

import argparse
import os
import shlex
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import net
from data.images import EXTENSIONS, MAX_PIXELS
from data.kinds import TASKS
from data.pairs import PairFolder
from net.fuser import PRECISIONS
from utils import report, tables
from utils.failures import INTERRUPTED, memory_in_plain_words, sentence
from utils.files import write_text
from utils.inputs import Reader
from utils.journal import Journal, digest_of
from utils.memory import keep_freed_memory
from utils.metrics import PROTOCOLS
from utils.options import UsageError, not_negative, positive, whole
from utils.published import known, published
from utils.scoring import Contender, Network, Result, floor, given, place, run_set
from utils.sets import describe, open_sets
from utils.shipped import open_model
from utils.streams import steady_streams
from utils.video import fuse_video

HOME = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status as the module's docstring says."""
    args = parse(argv)
    try:
        with steady_streams(), memory_in_plain_words():
            return carry_out(args)
    except MemoryError as error:  # where no pair can be refused for it
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; {what_is_left(args)}", file=sys.stderr)
        return INTERRUPTED


def what_is_left(args: argparse.Namespace) -> str:
    """What an interrupted run leaves, and how to go on, in words."""
    if args.video:
        return f"frames that were fused are in {args.out}"
    if not args.method:
        return f"sets that were scored have their metrics.csv in {args.out}; the same command scores all anew"
    return f"what was fused is in {args.out}, and --continue goes on from there"


def carry_out(args: argparse.Namespace) -> int:
    """Open what the command line names, then do the work; the exit status."""
    if args.tile:
        print(f"--tile {args.tile}: a network sees a tile instead of the image, so its result changes", file=sys.stderr)
    else:
        learnt = [net.METHODS[name] for name in args.method if net.METHODS[name].learns]
        keep_freed_memory(every_size=not all(method.by_bands for method in learnt))  # not where memory is short
    try:
        if args.video:
            return run_video(args)
        sets, refused = open_sets(args.data, args.pairs, args.pair, task=args.task, limit=args.limit)
        contenders = open_contenders(args, single=len(sets) == 1)
        check_places(contenders, sets)
        journal = open_journal(contenders, args)
    except (ValueError, OSError) as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        return 2
    for refusal in refused:
        print(f"refused: {refusal}", file=sys.stderr)
    try:
        refusals = run(sets, contenders, args)
        if journal:
            journal.close()
    except OSError as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        return 1
    return 1 if refused or refusals else 0


def run(sets: Sequence[PairFolder], contenders: Sequence[Contender], args: argparse.Namespace) -> int:
    """Fuse and score every set, print and save the tables; how many inputs were refused."""
    results, pictures, refusals = {}, {}, 0
    several = sum(not contender.is_floor for contender in contenders) > 1
    if not args.no_metrics:
        print(f"Scoring protocol: {args.protocol}")
    read = Reader(args.resize == "ir", not args.no_registration_check, args.max_pixels)
    for found in sets:
        if found.pairs:
            print(describe(found, args.protocol), flush=True)
            for line in notes(found, args):
                print(f"{found.name}: {line}", file=sys.stderr)
        result = run_set(
            found, contenders, protocol=args.protocol, metrics=not args.no_metrics, home=args.out, read=read
        )
        rows = [*result.rows, *(published(found.name, args.protocol) if args.published else [])]
        results[found.name], pictures[found.name] = rows, result.pictures
        refusals += len(result.refused)
        if args.no_metrics:  # scores of an earlier run's images would stay beside these
            for home in (args.out, *(contender.folder for contender in contenders)):
                if (file := home / found.name / "metrics.csv").is_file():
                    file.unlink()
        for line in result.remarks.lines():
            print(f"{found.name}: {line}", file=sys.stderr)
        for refusal in result.refused:
            print(f"refused: {found.name}: {refusal}", file=sys.stderr)
        if any(row.images for row in result.rows):
            print(tables.text(found.name, rows), flush=True)
            for contender, row in zip(contenders, result.rows, strict=True):
                if not contender.is_floor and row.images:
                    home = contender.folder or (args.out / contender.name if several else args.out)
                    tables.write_csv(home / found.name / "metrics.csv", row)
        print(f"{found.name}: {what_was_done(result)}", file=sys.stderr)
    if not any(pictures.values()):
        return refusals
    command = shlex.join([Path(__file__).name, *(word for word in args.words if word != "--continue")])
    title = "Fused by " + ", ".join(tables.label(c.name) for c in contenders if not c.is_floor)
    page = report.page(results, pictures, title=title, protocol=args.protocol, command=command)
    write_text(args.out / "index.html", page)
    for name, written in (("table.md", tables.markdown), ("table.tex", tables.latex)):
        if args.no_metrics:
            (args.out / name).unlink(missing_ok=True)
        else:
            write_text(args.out / name, written(results, args.protocol))
    print(f"pictures and tables: {args.out / 'index.html'}", file=sys.stderr)
    return refusals


def notes(found: PairFolder, args: argparse.Namespace) -> Iterator[str]:
    """What a reader of a set's scores should know beforehand."""
    known_weights = {name for name in args.method if net.METHODS[name].learns}
    if found.task != "ivf" and known_weights - weights_by_method(args.weights or [], args.method).keys():
        yield "the weights that ship were trained on infrared and visible pairs alone; --weights takes others"
    if args.published and not args.no_metrics and not published(found.name, args.protocol):
        sets = ", ".join(known(args.protocol)) or "none"
        yield f"no published figures of a set of this name in protocol {args.protocol} (there are: {sets})"


def what_was_done(result: Result) -> str:
    """How many pairs of a set were fused or scored, and the time that each network took."""
    count = len(result.pictures)
    times = (f"{tables.label(name)} {statistics.median(seconds):.2f} s" for name, seconds in result.seconds.items())
    took = ", ".join(times)
    return f"{count} pair{'s' * (count != 1)}" + (f"; {took} a pair (median)" if took else "")


def run_video(args: argparse.Namespace) -> int:
    """Fuse two videos into one; 1 if they ended before their time. ValueError if they cannot be used at all."""
    model = open_model(args.method[0], weights_by_method(args.weights or [], args.method).get(args.method[0]))
    fuser = net.Fuser(model, device=args.device, precision=args.precision, tile=args.tile)
    began = time.perf_counter()
    done = fuse_video(*args.video, args.out, fuser, resize_ir=args.resize == "ir", limit=args.limit)
    if done.problem:
        print(f"ended early: {done.problem}", file=sys.stderr)
    rate = done.frames / (time.perf_counter() - began)
    print(f"{args.out}: {done.frames} frames, {rate:.1f} a second", file=sys.stderr)
    return 1 if done.problem else 0


def open_contenders(args: argparse.Namespace, single: bool) -> list[Contender]:
    """The methods to compare, the folders of fused images (of a `single` set or several), and below them the floor.

    Raises:
        UsageError, WeightsError, FileNotFoundError: weights or a folder that are missing, wrong, or of another method.
    """
    rules = [] if args.no_metrics else floor(args.protocol, beside=args.method)
    options = {"device": args.device, "precision": args.precision, "tile": args.tile}
    contenders: list[Contender] = []
    files = weights_by_method(args.weights or [], args.method)
    for name in args.method:
        folder = args.out / name if args.fused or len(args.method) > 1 else args.out
        model = open_model(name, files.get(name))
        if args.compile:
            net.METHODS[name].compile_network(model, dynamic=True)  # images may be of any size
        contenders.append(Network(name, net.Fuser(model, **options), args.protocol, folder))
    contenders += given(args.fused, [*contenders, *rules], single)
    return contenders + rules


def check_places(contenders: Sequence[Contender], sets: Sequence[PairFolder]) -> None:
    """Raise UsageError where a fused image would take the place of one that is fused."""
    sources = {os.path.realpath(path) for found in sets for pair in found.pairs for path in (pair.vis, pair.ir)}
    for contender in contenders:
        for found in sets if contender.folder else ():
            for pair in found.pairs:
                if os.path.realpath(file := place(contender, found, pair)) in sources:
                    raise UsageError(f"--out: {file} is one of the images to fuse; expected another folder")


def open_journal(contenders: Sequence[Contender], args: argparse.Namespace) -> Journal | None:
    """The record of the images fused into the output folder, with --continue that of a run before; None if none are."""
    args.out.mkdir(parents=True, exist_ok=True)
    if not args.method:
        return None
    settings = {name: getattr(args, name) for name in ("protocol", "precision", "compile", "tile", "resize", "task")}
    networks = [contender for contender in contenders if contender.folder]
    settings["device"] = networks[0].fuser.device.type
    settings["methods"] = {network.name: digest_of(network.fuser.model) for network in networks}  # with their weights
    journal = Journal(args.out, settings, go_on=args.go_on)
    for network in networks:
        network.journal = journal
    return journal


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


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuse folders of pairs and score them")
    add = parser.add_argument
    add("--data", type=path, action="extend", nargs="+", metavar="DIR", default=[],
        help="pair folders, or folders of pair folders (test_img)")  # fmt: skip
    add("--pairs", type=path, nargs="+", metavar="CSV", default=[],
        help="files that list pairs, visible and infrared path on each line")  # fmt: skip
    add("--pair", type=path, nargs=2, metavar=("VIS", "IR"), help="the two files of one pair")
    add("--task", choices=TASKS, help="what the pairs are (guessed from the folders' names)")
    add("--resize", choices=["ir"], help="bring the infrared image to the visible's size instead of refusing the pair")
    add("--no-registration-check", action="store_true", help="do not look for misaligned pairs")
    add("--video", type=path, nargs=2, metavar=("VIS", "IR"), help="two synchronised videos; --out is then a video too")
    add("--out", type=path, help="where images, tables and index.html go (result; scores of --fused alone: scores), "
        "or the video (result/fused.mp4)")  # fmt: skip
    add("--method", choices=net.METHODS, action="append", help="repeat to compare several (cmmdl)")
    add("--weights", action="append", metavar="[NAME=]PATH", help="weights file (the one that ships in models/)")
    add("--fused", action="append", metavar="DIR[=NAME]", default=[],
        help="score the images of another program, alone or beside each --method; repeatable")  # fmt: skip
    add("--protocol", choices=PROTOCOLS, default="cmmdl", help="scoring convention (cmmdl, the release's)")
    add("--published", action="store_true",
        help="beside ours, the published figures of known sets (TNO, MSRS, ...) in the same protocol")  # fmt: skip
    add("--device", default="auto", help="auto, cpu or cuda (auto)")
    add("--precision", choices=PRECISIONS, default="fp32", help="bf16 is for GPUs alone (fp32)")
    add("--compile", action="store_true", help="torch.compile, for GPUs and many images: slow to start, then faster")
    add("--tile", type=not_negative, default=0, metavar="N",
        help="fuse in overlapping tiles of N pixels; for short memory, changes the result (0: no tiles)")  # fmt: skip
    add("--limit", type=positive, default=0, metavar="N", help="only the first N pairs of each set, or frames")
    add("--max-pixels", type=whole(1, 2**30), default=MAX_PIXELS, metavar="N",
        help="refuse larger images, which may be decompression bombs (%(default)s)")  # fmt: skip
    add("--no-metrics", action="store_true", help="fuse only")
    add("--continue", dest="go_on", action="store_true", help="go on with an interrupted run of the same command")
    args = parser.parse_args(argv)
    args.words = sys.argv[1:] if argv is None else list(argv)
    args.method = list(dict.fromkeys(args.method or ([] if args.fused else ["cmmdl"])))
    if args.fused and args.no_metrics:
        parser.error("--fused scores images as they are; it goes without --no-metrics")
    if args.fused and not args.method and (args.weights or args.go_on):
        parser.error("--fused alone fuses nothing; --weights and --continue need a --method beside it")
    if args.video and (args.data or args.pairs or args.pair or args.fused or args.go_on or len(args.method) > 1):
        parser.error("--video is one job by one method; without --data, --pairs, --pair, --fused and --continue")
    args.out = args.out or Path("result/fused.mp4" if args.video else "result" if args.method else "scores")
    try:
        check_out(args)
    except OSError as error:
        parser.error(f"--out {sentence(error)}")
    except UsageError as error:
        parser.error(f"--out {args.out}: {error}")
    if not (args.data or args.pairs or args.pair):
        args.data = [HOME / "test_img"]
    return args


def path(text: str) -> Path:
    """A path; an empty one, as of a shell's variable that is not set, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name; expected a path")
    return Path(text)


def check_out(args: argparse.Namespace) -> None:
    """Raise UsageError, or OSError, where the output cannot go."""
    if args.out.exists() and args.out.is_dir() is bool(args.video):
        found, expected = ("folder", "file") if args.video else ("file", "folder")
        raise UsageError(f"is a {found}; expected a {expected}")
    if not args.video and args.out.suffix.lower() in EXTENSIONS and not args.out.exists():
        raise UsageError("expected a folder, for images, tables and the page")
    if args.video and args.out.exists() and any(path.exists() and args.out.samefile(path) for path in args.video):
        raise UsageError("is one of the two videos to fuse; expected another file")


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # a scheduler's end is as Ctrl-C: what is done is kept
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
