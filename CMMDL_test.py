"""Fuse pairs of images, score them, print and save the tables.

    python CMMDL_test.py --data DIR [DIR ...]                        # the weights that ship, the release's protocol
    python CMMDL_test.py --data DIR --weights CMMDL.pth --protocol cddfuse
    python CMMDL_test.py --data DIR --method cmmdl --method mlfuse --weights mlfuse=MLFuse.pth
    python CMMDL_test.py --data DIR --fused DIR --out DIR            # score what some other program fused
    python CMMDL_test.py --data DIR --method cmmdl --fused DIR=NAME  # and a method beside it
    python CMMDL_test.py --pairs pairs.csv                           # pairs that a file lists, two paths a line
    python CMMDL_test.py --pair VIS IR                               # one pair
    python CMMDL_test.py --video VIS IR --out fused.mp4              # two synchronised videos, frame by frame

Exit status: 0 all done, 1 some inputs were refused and the rest done, or something stopped the run (each named on
stderr), 2 usage, 130 interrupted.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while torch loads: no traceback
    import utils.idle_threads  # noqa: F401 - before torch

import argparse
import os
import shlex
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import net
from data.files import write_text
from data.images import ImageError
from data.interrupt import INTERRUPTED, SIGNALS, end_at_once
from data.options import UsageError
from data.pairs import PairSet
from data.streams import steady_streams
from data.words import counted
from utils import report, tables
from utils.contenders import Contender, Folder, Network, given_folders, place, reference_rules
from utils.failures import limits_in_plain_words, sentence
from utils.fusing_options import parse, weights_by_method
from utils.inputs import read_inputs
from utils.journal import Journal
from utils.memory import keep_freed_memory
from utils.published import published, published_sets, usual_name
from utils.scoring import Result, run_set
from utils.sets import describe, open_sets
from utils.shipped import digest_of_network, open_model
from utils.video import fuse_video

TABLES = {"table.md": tables.markdown, "table.tex": tables.latex}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status as the module's docstring says."""
    args = parse(argv)
    try:
        with steady_streams(), limits_in_plain_words():
            return carry_out(args)
    except MemoryError as error:  # outside the work on a single pair
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; {what_is_left(args)}", file=sys.stderr)
        return INTERRUPTED


def what_is_left(args: argparse.Namespace) -> str:
    """What an interrupted run leaves, and how to go on, in words."""
    if args.video:
        return f"the frames that were fused, if there were any, are in {args.out}"
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


def run(sets: Sequence[PairSet], contenders: Sequence[Contender], args: argparse.Namespace) -> int:
    """Fuse and score every set, print and save the tables; how many inputs were refused."""
    results, pictures, refusals = {}, {}, 0
    if not args.no_metrics:
        print(f"Scoring protocol: {args.protocol}")
    read = partial(
        read_inputs, resize_ir=args.resize == "ir", check=not args.no_registration_check, max_pixels=args.max_pixels
    )
    shown = 2 + sum(not contender.is_reference for contender in contenders)  # pictures of a pair
    width = report.width_for(shown * sum(len(pair_set.pairs) for pair_set in sets))
    for pair_set in sets:
        if pair_set.pairs:
            print(describe(pair_set, args.protocol), flush=True)
            for line in notes(pair_set, args):
                print(f"{pair_set.name}: {line}", file=sys.stderr)
        protocol = None if args.no_metrics else args.protocol
        result = run_set(pair_set, contenders, protocol=protocol, home=args.out, read=read, width=width)
        others = published(usual_name(pair_set), args.protocol) if args.published else []
        rows = [*result.rows, *others]
        results[pair_set.name], pictures[pair_set.name] = rows, result.pictures
        refusals += len(result.refused)
        for line in result.remarks.lines():
            print(f"{pair_set.name}: {line}", file=sys.stderr)
        for refusal in result.refused:
            print(f"refused: {pair_set.name}: {refusal}", file=sys.stderr)
        if any(row.images for row in result.rows):
            print(tables.text(pair_set.name, rows), flush=True)
        write_scores(pair_set, result, contenders, args.out)
        print(f"{pair_set.name}: {what_was_done(result)}", file=sys.stderr)
    write_report(results, pictures, contenders, args)
    return refusals


def write_scores(pair_set: PairSet, result: Result, contenders: Sequence[Contender], out: Path) -> None:
    """Write each method's scores of a set; where there are none, remove those of an earlier run."""
    several = sum(not contender.is_reference for contender in contenders) > 1
    for contender, row in zip(contenders, result.rows, strict=True):
        if contender.is_reference:
            continue
        home = contender.folder or (out / contender.name if several else out)
        file = home / pair_set.name / "metrics.csv"
        if row.images:
            tables.write_csv(file, row)
        elif file.is_file():
            file.unlink()


def write_report(
    results: Mapping[str, Sequence[tables.Row]],
    pictures: Mapping[str, Mapping[str, report.Pictures]],
    contenders: Sequence[Contender],
    args: argparse.Namespace,
) -> None:
    """Write the page and the tables of all sets; where there is nothing to show, remove those of an earlier run."""
    if args.no_metrics or not any(pictures.values()):
        for name in TABLES:
            (args.out / name).unlink(missing_ok=True)
    if not any(pictures.values()):
        (args.out / "index.html").unlink(missing_ok=True)
        return
    command = shlex.join([Path(__file__).name, *(word for word in args.words if word != "--continue")])
    title = "Fused by " + ", ".join(tables.label(c.name) for c in contenders if not c.is_reference)
    page = report.page(results, pictures, title=title, protocol=args.protocol, command=command)
    write_text(args.out / "index.html", page)
    for name, written in TABLES.items() if not args.no_metrics else ():
        write_text(args.out / name, written(results, args.protocol))
    print(f"pictures{'' if args.no_metrics else ' and tables'}: {args.out / 'index.html'}", file=sys.stderr)


def notes(pair_set: PairSet, args: argparse.Namespace) -> Iterator[str]:
    """What a reader of a set's scores should know beforehand."""
    learnt = {name for name in args.method if net.METHODS[name].learns}
    if pair_set.task != "ivf" and learnt - weights_by_method(args.weights, args.method).keys():
        yield "the weights that ship were trained on infrared and visible pairs alone; --weights takes others"
    if args.published and not published(usual_name(pair_set), args.protocol):
        if sets := ", ".join(published_sets(args.protocol)):
            yield f"no published figures of a set of this name in protocol {args.protocol} (there are: {sets})"
        else:
            yield f"no published figures in protocol {args.protocol}"


def what_was_done(result: Result) -> str:
    """How many pairs of a set were fused or scored, and the time that each network took."""
    methods = {row.method for row in result.rows if not row.is_reference}
    count = sum(not methods.isdisjoint(shown.thumbnails) for shown in result.pictures.values())
    times = [f"{tables.label(name)} {statistics.median(seconds):.2f} s" for name, seconds in result.seconds.items()]
    return counted(count, "pair") + (f"; {', '.join(times)} a pair (median)" if times else "")


def run_video(args: argparse.Namespace) -> int:
    """Fuse two videos into one; 1 if they ended before their time. ValueError if they cannot be used at all."""
    (fuser,) = open_fusers(args).values()
    began = time.perf_counter()
    done = fuse_video(*args.video, args.out, fuser, resize_ir=args.resize == "ir", limit=args.limit)
    if done.warning:
        print(f"warning: {done.warning}", file=sys.stderr)
    if done.problem:
        print(f"ended early: {done.problem}", file=sys.stderr)
    rate = done.frames / (time.perf_counter() - began)
    print(f"{args.out}: {counted(done.frames, 'frame')}, {rate:.1f} a second", file=sys.stderr)
    return 1 if done.problem else 0


def open_contenders(args: argparse.Namespace, single: bool) -> list[Contender]:
    """The methods to compare, the folders of fused images (of a `single` set or several), and the rules for reference.

    Raises what `open_fusers` and `given_folders` raise.
    """
    rules = [] if args.no_metrics else reference_rules(args.protocol, beside=args.method)
    contenders: list[Contender] = []
    for name, fuser in open_fusers(args).items():
        folder = args.out / name if args.fused or len(args.method) > 1 else args.out
        contenders.append(Network(name, fuser, args.protocol, folder))
    contenders += given_folders(args.fused, [*contenders, *rules], single)
    return contenders + rules


def open_fusers(args: argparse.Namespace) -> dict[str, net.Fuser]:
    """Each method that --method names, with its weights, as the options ask for it.

    Raises UsageError, WeightsError or FileNotFoundError for weights that are missing, wrong, or of another method.
    """
    fusers, files = {}, weights_by_method(args.weights, args.method)
    for name in args.method:
        model = open_model(name, files.get(name), f"--weights {name}=PATH")
        if args.compile:
            net.METHODS[name].compile_network(model, dynamic=not args.video)  # images may be of any size
        fusers[name] = net.Fuser(model, device=args.device, precision=args.precision, tile=args.tile)
    return fusers


def check_places(contenders: Sequence[Contender], sets: Sequence[PairSet]) -> None:
    """Raise UsageError where a fused image would overwrite one that is to be fused or scored."""
    jobs = [(pair_set, pair) for pair_set in sets for pair in pair_set.pairs]
    sources = {os.path.realpath(path) for _, pair in jobs for path in (pair.vis, pair.ir)}
    for folder in contenders:
        if isinstance(folder, Folder):
            with suppress(ImageError):  # told where the pair is refused
                sources |= {os.path.realpath(path) for job in jobs for path in folder.files(*job)}
    for contender in contenders:
        for job in jobs if contender.folder else ():
            if os.path.realpath(file := place(contender, *job)) in sources:
                raise UsageError(f"--out: {file} is one of the images to fuse or to score; expected another folder")


def open_journal(contenders: Sequence[Contender], args: argparse.Namespace) -> Journal | None:
    """The journal of the images that are fused, with --continue that of the earlier run; None where none are."""
    args.out.mkdir(parents=True, exist_ok=True)
    if not args.method:
        return None
    settings = {name: getattr(args, name) for name in ("protocol", "precision", "compile", "tile", "resize", "task")}
    networks = [contender for contender in contenders if contender.folder]
    settings["device"] = networks[0].fuser.device.type
    settings["methods"] = {network.name: digest_of_network(network.fuser.model) for network in networks}
    journal = Journal(args.out, settings, go_on=args.go_on)
    for network in networks:
        network.journal = journal
    return journal


if __name__ == "__main__":
    for number in SIGNALS:  # a scheduler's end, or a closed terminal, is as Ctrl-C: what is done is kept
        signal.signal(number, signal.default_int_handler)
    status = main()
    if status == INTERRUPTED:  # an image may still be on its way
        end_at_once(status)
    sys.exit(status)
