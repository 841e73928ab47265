"""Train CMMDL or one of its siblings.

    python CMMDL_train.py --h5 data/MSRS_train_imgsize_128_stride_200.h5             # one CPU or GPU
    torchrun --nnodes=1 --nproc_per_node 2 CMMDL_train.py --h5 ...                   # one process per GPU, or gloo
    python CMMDL_train.py --recipe best --data DIR --data DIR                        # random crops of whole images
    python CMMDL_train.py --method adasffuse --task mef --data DIR                   # a sibling by its own recipe
    python CMMDL_train.py --demo --dim 16 --epochs 3                                 # rendered scenes, to see it run

The same command, given again after an interruption, goes on where it was (`--resume auto`). Exit status: 0 done, 1 it
could not go on, 2 usage, 130 interrupted with everything saved (torchrun itself then ends with 1). Images that were
refused are named on standard error.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while torch loads or data are read: no traceback
    import utils.idle_threads  # noqa: F401 - before torch

import argparse
import logging
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

import net
from data import sources
from data.interrupt import INTERRUPTED, StopRequest, leave_signals_to_parent
from data.progress import progress_bar
from data.streams import steady_streams
from data.words import counted
from net.devices import is_emulated_bf16, pick_device
from net.method import Method
from net.training.objective import Batch, Objective
from net.training.recipe import Recipe, Stage
from utils import distributed, failures
from utils.distributed import World
from utils.memory import keep_freed_memory
from utils.shipped import shipped
from utils.training import provenance, runs
from utils.training.board import Board
from utils.training.checkpoints import Training, seed_everything
from utils.training.divergence import diverged
from utils.training.ema import MovingAverage
from utils.training.options import parse
from utils.training.runs import FINISHED, LAST, log
from utils.training.setup import open_network, open_source

KEEP_EVERY = 10  # epochs between checkpoints that stay
KEPT = 100  # at most: with few images there may be tens of thousands of epochs


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line says; the exit status."""
    with steady_streams():
        return carry_out(parse(argv))


def carry_out(args: argparse.Namespace) -> int:
    """Train, and say in one sentence what ends it early; the exit status."""
    if not args.checkpoint_activations:  # else memory counts more than time
        keep_freed_memory(every_size=True)
    runs.open_log()
    try:
        with failures.in_plain_words():
            world = distributed.join(pick_device(args.device))
            log.setLevel(logging.INFO if world.is_main else logging.ERROR)
            return 0 if train(args, world) else INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ValueError, OSError, MemoryError) as error:
        with StopRequest():  # torchrun terminates whom a dead process leaves behind, and would cut the sentence off
            log.error("error: %s", failures.sentence(error), extra={"silent": not failures.first_to_fail()})
        return 1
    finally:
        runs.close_log()
        distributed.leave()


def train(args: argparse.Namespace, world: World) -> bool:
    """Train to the end. False if it was asked to stop before."""
    method = net.METHODS[args.method]
    recipe = method.recipes[args.recipe].override(
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        passes=args.passes,
        norms_until=0.0 if args.keep_norms else None,
    )
    source = open_source(args, recipe, world)
    recipe = recipe.override(size=args.size or source.size)
    check_patches(method, recipe, source, world)
    steps = steps_per_epoch(recipe, recipe.stages[-1], source, world)

    training = begin(args, method, recipe, world)
    checkpoint = runs.find(args, world)
    recipe = resume(args, source, recipe, steps, training, checkpoint) if checkpoint else recipe.in_epochs(steps)
    weight_files = {"init": args.init, "teacher": recipe.teacher and (args.teacher or shipped(recipe.teacher))}
    folder = runs.enter(args, checkpoint, world, data=lambda: provenance.digests(source, **weight_files))
    announce(args, folder, source, recipe, world)
    if checkpoint:
        runs.go_on(checkpoint, folder, training)

    probe = sources.probe(source.epoch(0, recipe.stages[-1].size))
    with StopRequest() as stop, Board(folder, training, recipe.epochs, probe, source.held_out) as board:
        try:
            done = train_epochs(args, source, recipe, training, board, stop)
        except RuntimeError as error:
            if stop.requested and failures.of_compiler(error):  # the signal reached the compiler too, and ended it
                raise KeyboardInterrupt from error
            raise
    if not done:
        way_on = "the same command" if args.resume == "auto" else f"--resume {folder / LAST}"
        log.info("stopped in epoch %d; %s goes on from here", training.epoch + 1, way_on)
    elif world.is_main:
        finish(method, training, folder)
    return done


def finish(method: Method, training: Training, folder: Path) -> None:
    """Write the weights to fuse with, mark the run as ended, and say how to go on from there."""
    weights = folder / f"{method.label}.pth"
    training.save_weights(weights)
    (folder / FINISHED).touch()
    log.info("done: %s", weights)
    log.info("to fuse with it: python CMMDL_test.py --method %s --weights %s --data DIR", method.name, weights)


def begin(args: argparse.Namespace, method: Method, recipe: Recipe, world: World) -> Training:
    """The network with its optimiser and its moving average, as they are before the first step."""
    seed_everything(args.seed)
    network = open_network(args, method).to(world.device)
    options = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "fused": world.device.type == "cuda"}
    optimizer = torch.optim.Adam(recipe.groups(network), **options)
    average = MovingAverage(network, recipe.ema_decay) if recipe.ema_decay else None
    if args.compile:
        # The average was copied before: only an epoch's scores run it. Crops have few sizes, and each gets a graph of
        # its own, because Inductor fails at one for all.
        method.compile_network(network, dynamic=False)
    seed_everything(args.seed + world.rank)  # from now on each process draws its own numbers
    return Training(args.method, network, optimizer, average, world)


def announce(args: argparse.Namespace, folder: Path, source: sources.Source, recipe: Recipe, world: World) -> None:
    """Say in the log what will be trained, and what about it is unusual."""
    processes = counted(world.size, "process", "processes")
    log.info("%s: recipe %s, %s, %s on %s", folder, args.recipe, source, processes, world.device.type)
    if recipe.iterations and not args.epochs:
        log.info("%d iterations are %d epochs of this data", recipe.iterations, recipe.epochs)
    for size in sorted({stage.size for stage in recipe.stages}):
        if small := source.smaller_than(size):
            log.warning("crops of %dx%d: %s, are smaller and left out", size, size, small)
    if args.precision == "bf16" and is_emulated_bf16(world.device):
        log.warning("this processor has no instructions for bf16: a step takes many times as long as in fp32")


def resume(
    args: argparse.Namespace, source: sources.Source, recipe: Recipe, steps: int, training: Training, checkpoint: Path
) -> Recipe:
    """Go back to a checkpoint; the recipe with its length in epochs.

    Args:
        steps: in an epoch now, by which the rest of a recipe's iterations is counted in epochs.

    Raises ValueError where it is damaged or does not fit; of one that `--resume auto` found it says what else to do.
    """
    try:
        training.restore(checkpoint)
        if not recipe.epochs:
            training.count_in(recipe.batch_of(recipe.stages[0]))
            recipe = recipe.in_epochs(steps, epoch=training.epoch, step=training.step, done=training.steps)
        if (training.epoch, training.step) > (recipe.epochs, 0):
            more = " and a part of the next one" if training.step else ""
            done = counted(training.epoch, "epoch") + more
            raise ValueError(f"{checkpoint}: holds {done}; expected --epochs of no fewer")
        if training.epoch < recipe.epochs:
            open_loader(args, source, recipe, training)  # now rather than after something is written
    except ValueError as error:
        if args.resume == "auto":
            raise ValueError(f"{error}; {runs.way_out(checkpoint)}") from error
        raise
    return recipe


def train_epochs(
    args: argparse.Namespace, source: sources.Source, recipe: Recipe, training: Training, board: Board,
    stop: StopRequest,
) -> bool:  # fmt: skip
    """All epochs that are not done yet, each with its checkpoint. False if it was asked to stop amid one."""
    phase = objective = None
    every = KEEP_EVERY * math.ceil(recipe.epochs / (KEEP_EVERY * KEPT))
    while training.epoch < recipe.epochs:
        if recipe.phase(training.epoch) is not phase:
            phase = recipe.phase(training.epoch)
            objective = training.world.wrap(Objective(training.model, phase))  # another phase trains other parts
        loader = open_loader(args, source, recipe, training)
        if not train_one_epoch(args, objective, loader, recipe, training, board, stop):
            training.save(board.folder / LAST)
            return False
        training.end_epoch()
        board.after_epoch()
        if training.epoch % every == 0:
            training.save(board.folder / f"epoch_{training.epoch:03d}.pth")
        training.save(board.folder / LAST)
        board.write_history()
    return True


def train_one_epoch(
    args: argparse.Namespace, objective: nn.Module, loader: DataLoader, recipe: Recipe, training: Training,
    board: Board, stop: StopRequest,
) -> bool:  # fmt: skip
    """The steps of one epoch that `loader` still has. False if it was asked to stop after one of them.

    Raises ValueError where a loss or gradient was not finite in some process; the weights are from before that step.
    """
    world, epoch, steps = training.world, training.epoch, training.step + len(loader)
    saved = time.monotonic()
    recipe.set_mode(objective, epoch)
    bar = progress_bar(
        loader, desc=f"epoch {epoch + 1}/{recipe.epochs}", initial=training.step, total=steps, unit="step",
        leave=False, disable=not world.is_main,
    )  # fmt: skip
    for indices, batch in zip(loader.batch_sampler, bar, strict=True):
        training.lr = [recipe.lr_at(epoch, training.step / steps, part) for part in recipe.parts(training.model)]
        batch = Batch(*(x.to(world.device, non_blocking=True) for x in batch))  # (B, 1, S, S) each
        loss = objective(batch, args.precision)
        training.optimizer.zero_grad(set_to_none=True)
        loss["total"].backward()
        norm = recipe.clip(training.model)

        # one exchange a step: the processes agree on what they log, on whether to go on, and on when to save
        wishes = stop.requested, world.is_main and time.monotonic() - saved > args.save_seconds
        shared = world.mean(torch.stack([*loss.values(), norm, *norm.new_tensor(wishes)]).detach()).tolist()
        *values, norm, stop_now, save_now = shared
        terms = dict(zip(loss, values, strict=True))
        if not all(map(math.isfinite, shared)):
            patches = {index: loader.dataset.origin(index) for index in indices}
            raise diverged(terms | {"gradient norm": norm}, loss, batch, patches, training, board.folder)
        training.end_step(terms)

        board.after_step(terms, len(batch.vis) * world.size)
        left = board.time_for(steps * (recipe.epochs - epoch) - training.step)
        bar.set_postfix(loss=f"{terms['total']:.4f}", all_epochs=left, refresh=False)
        if stop_now:
            return False
        if save_now:
            training.save(board.folder / LAST)
            saved = time.monotonic()
    return True


def check_patches(method: Method, recipe: Recipe, source: sources.Source, world: World) -> None:
    """Raise ValueError now rather than hours later: patches of some stage are smaller than the method takes, or too few
    for one batch."""
    smallest = max(method.minimum_size, recipe.smallest)
    for stage in recipe.stages:
        if stage.size < smallest:
            expected = f"expected at least {smallest}x{smallest} for {method.label}"
            raise ValueError(f"patches of {stage.size}x{stage.size} pixels; {expected}")
        steps_per_epoch(recipe, stage, source, world)


def steps_per_epoch(recipe: Recipe, stage: Stage, source: sources.Source, world: World) -> int:
    """Optimiser steps in an epoch of a stage. Raises ValueError where its patches are too few for one."""
    return sources.full_batches(len(source.epoch(0, stage.size)), recipe.batch_of(stage), world.size)


def open_loader(args: argparse.Namespace, source: sources.Source, recipe: Recipe, training: Training) -> DataLoader:
    """What is left of this process's share of the present epoch. Raises ValueError where more than that is done."""
    world, epoch, stage = training.world, training.epoch, recipe.stage(training.epoch)
    patches = source.epoch(epoch, stage.size)
    training.count_in(recipe.batch_of(stage))
    batches = sources.shuffled_batches(len(patches), training.batch, world.rank, world.size, args.seed, epoch)
    if training.step > len(batches):
        expected = "expected a checkpoint of this data and --batch-size, or of the end of an epoch"
        raise ValueError(f"step {training.step} of epoch {epoch + 1}, which has {len(batches)}; {expected}")
    # Forked loader processes share the images in memory; Python 3.14 by itself would give each a copy in every epoch.
    begun_by = "fork" if args.workers and sys.platform == "linux" else None
    return DataLoader(
        patches,
        batch_sampler=batches[training.step :],
        num_workers=args.workers,
        multiprocessing_context=begun_by,
        pin_memory=world.device.type == "cuda",
        worker_init_fn=leave_signals_to_parent,
        generator=torch.Generator(),  # its own, so that one more loader after a resume changes no other random number
    )


if __name__ == "__main__":
    sys.exit(main())
