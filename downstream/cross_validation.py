"""Trainings by method, fold and seed, each kept in a file when it is done, so that an interrupted command goes on."""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.files import write_text
from data.options import positive, positive_number, whole
from data.progress import progress_bar
from data.words import counted
from downstream.folds import folds, scenes
from downstream.material import Material, add_inputs, open_contenders
from downstream.training import Budget, digest_of_pretrained
from utils.contenders import Contender

Run = tuple[int, int]  # fold, seed
Judge = Callable[[np.ndarray, list[int], list[int], int, Callable[[], object]], Any]


@dataclass(frozen=True)
class Store:
    """The folder of finished trainings, `<method>-fold<K>-seed<S>.json` each.

    Attributes:
        settings: all that decides a training besides its images, as JSON holds it.
    """

    folder: Path
    settings: Mapping[str, Any]

    def get(self, method: str, fold: int, seed: int, images: str, train: Callable[[], Any]) -> Any:
        """What `train` gave of this method, fold and seed: as it is kept, or else now, and then kept.

        A file of other settings or of other images (`images` is their digest) counts as none.
        """
        path, key = self.folder / f"{method}-fold{fold}-seed{seed}.json", {**self.settings, "images": images}
        with suppress(FileNotFoundError, ValueError):
            kept = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(kept, dict) and kept.get("key") == key:
                return kept["outcome"]
        outcome = train()
        write_text(path, json.dumps({"key": key, "outcome": outcome}) + "\n")
        return outcome


def digest(*arrays: np.ndarray) -> str:
    """A digest of what a judge sees."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def cross_validate(
    args: argparse.Namespace, name: str, device: torch.device, material: Material, truth: Sequence[np.ndarray],
    judge: Judge,
) -> Iterator[tuple[Contender, np.ndarray, dict[Run, Any]]]:  # fmt: skip
    """Judge each method in turn: each fold by a training on the other folds, once for each seed.

    Args:
        args: what `add_options` adds.
        name: of the judge.
        device: where it is trained.
        truth: what the judge learns, for the digest of its images.
        judge: (pictures, images to train on, images to test on, seed, tick) to what is kept, as JSON holds it.

    Yields:
        the method, its pictures uint8 (N, H, W, 3), and what the judge said by fold and seed.
    """
    contenders, budget = open_contenders(args.fused), Budget.of(args)
    store = open_store(args, name, budget, device)
    for contender in contenders:
        material.check(contender)  # now, not after hours of training
    parts = folds(scenes(material), material.stems, args.folds)
    everything = range(len(material.stems))
    lengths = [budget.steps(len(material.stems) - len(part)) for part in parts]
    total = sum(lengths) * args.seeds * len(contenders)
    with kept_in(store.folder), progress_bar(total=total, unit="step") as bar:
        for contender in contenders:
            pictures = material.pictures(contender)
            images, outcomes = digest(pictures, *truth, *map(np.array, parts)), {}
            for seed in range(args.seeds):
                for fold, part in enumerate(parts):
                    bar.set_description(f"{contender.name} fold {fold} seed {seed}")
                    before = bar.n
                    others = sorted(set(everything) - set(part))
                    train = partial(judge, pictures, others, part, seed, bar.update)
                    outcomes[fold, seed] = store.get(contender.name, fold, seed, images, train)
                    bar.update(before + lengths[fold] - bar.n)  # counts the steps of a training that was kept
            yield contender, pictures, outcomes


def open_store(args: argparse.Namespace, judge: str, budget: Budget, device: torch.device) -> Store:
    """The finished trainings of a judge below `args.out`, those of these settings and pretrained weights."""
    settings = asdict(budget) | {"judge": judge, "folds": args.folds, "device": device.type}
    if digest := digest_of_pretrained(budget.pretrained):
        settings["weights"] = digest
    return Store(args.out / "runs", settings)


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Let an interrupt say that the trainings that are done are kept there."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on from {folder}") from None


def add_options(
    parser: argparse.ArgumentParser, out: Path, truth: str, models: Iterable[str], budget: Budget
) -> None:
    """The options of a judge: those of `add_inputs`, of the folds, and of a training, with the values of `budget`."""
    add_inputs(parser, out, truth)
    add = parser.add_argument
    add("--folds", type=whole(2, 100), default=3, help="parts that the scenes are divided into")
    add("--seeds", type=positive, default=1, help="trainings for each part")
    add("--device", default="auto", help="auto (a GPU if there is one), cpu or cuda")
    add("--model", choices=models, default=budget.model, help="size of the judge")
    add("--epochs", type=positive, default=budget.epochs, help="length of each training")
    add("--batch-size", type=positive, default=budget.batch, help="images in a step")
    add("--lr", type=positive_number, default=budget.rate, help="highest learning rate")
    add("--pretrained", default="", metavar="PATH|NAME", help="begin with these weights, which have their own network")


def conditions(args: argparse.Namespace, shape: tuple[int, int]) -> str:
    """What a title says of a run: folds, seeds, the size of images (H, W), and epochs."""
    folds, seeds, epochs = counted(args.folds, "fold"), counted(args.seeds, "seed"), counted(args.epochs, "epoch")
    return f"{folds}, {seeds}; {shape[1]}x{shape[0]}, {epochs}"
