"""What can be watched during a training: TensorBoard, and after each epoch a line in the log and in a table."""

import csv
import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from data.crops import centre
from data.files import write_text
from net.devices import exact_convolutions
from net.fuser import to_uint8
from net.methods import METHODS
from utils.metrics import MIN_SIDE, evaluate
from utils.training.checkpoints import Training
from utils.training.runs import log

EVERY = 10  # steps between points of a curve
CHECKED = 12  # held-out images scored after an epoch
CHECK_SIZE = 128  # pixels, the centre of each
SCORES = ("VIF", "Qabf")


class Curves:
    """TensorBoard's curves and pictures in a folder. Where they cannot be written, as on a full disk, they end with a
    warning, and the training goes on.

    Args:
        folder: where they go.
        purge: what an interrupted run drew from this step on is not shown.
    """

    def __init__(self, folder: Path, purge: int | None) -> None:
        self.folder, self.writer = folder, None
        self._hook, threading.excepthook = threading.excepthook, self._of_thread
        with self._or_end():
            self.writer = SummaryWriter(str(folder), purge_step=purge)

    def scalar(self, name: str, value: float, step: int) -> None:
        """Add a point to the curve of this name."""
        with self._or_end():
            if self.writer:
                self.writer.add_scalar(name, value, step)

    def image(self, name: str, image: Tensor, step: int) -> None:
        """Show an image (C, H, W) in [0, 1]."""
        with self._or_end():
            if self.writer:
                self.writer.add_image(name, image, step)

    def close(self) -> None:
        """Write what is left."""
        with self._or_end():
            if self.writer:
                self.writer.close()
        threading.excepthook = self._hook

    @contextmanager
    def _or_end(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.writer = None
            for thread in threading.enumerate():
                if getattr(thread, "exception", None) is error:  # TensorBoard's own; `_of_thread` hears its last words
                    thread.join()
            log.warning("%s: its curves for TensorBoard end here (%s)", self.folder, error.strerror or error)

    def _of_thread(self, args: threading.ExceptHookArgs) -> None:
        """Print nothing where a disk error ends TensorBoard's own thread: the next point that is added raises it."""
        if not (isinstance(args.exc_value, OSError) and type(args.thread).__module__.startswith("tensorboard.")):
            self._hook(args)


class Board:
    """Curves, pictures and figures of a training. Only the main process writes; in the others nothing happens.

    TensorBoard: each loss term, the learning rate (of the first group of parameters) and patches per second every
    `EVERY` steps; after each epoch visible, infrared and fused images of a fixed probe batch, and VIF and Qabf on
    held-out images where there are some. `history.csv` has one line for each epoch, and the log a sentence with the
    time that is left.

    Args:
        folder: where all of this goes.
        training: what is watched; the curves and the table go on from its steps and its history.
        epochs: how many there will be.
        probe: a batch that begins with vis and ir, each (N, 1, S, S).
        held_out: images (vis, ir, ...), uint8 (H, W), that are not trained on.
    """

    def __init__(
        self,
        folder: Path,
        training: Training,
        epochs: int,
        probe: Sequence[Tensor],
        held_out: Sequence[tuple[np.ndarray, ...]] = (),
    ) -> None:
        self.folder, self.training, self.epochs, self.probe = folder, training, epochs, probe
        self.held_out = [image for image in held_out if min(image[0].shape) >= MIN_SIDE]
        self.curves = None
        if training.world.is_main:
            purge = training.steps + 1 if training.steps else None  # what an interrupted run drew beyond its checkpoint
            self.curves = Curves(folder, purge)
            self.write_history()
        self.restart()

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *_: object) -> None:
        if self.curves:
            self.curves.close()

    def restart(self) -> None:
        """Start to measure anew: the time, patches and steps of an epoch."""
        self.began = self.before = time.monotonic()
        self.patches = self.steps = 0

    def after_step(self, terms: dict[str, float], patches: int) -> None:
        """Show one step: loss terms averaged over the processes, and how many patches all of them took."""
        now, steps = time.monotonic(), self.training.steps
        self.patches, self.steps = self.patches + patches, self.steps + 1
        if self.curves and steps % EVERY == 0:
            for name, value in terms.items():
                self.curves.scalar(f"loss/{name}", value, steps)
            self.curves.scalar("learning rate", self.training.lr[0], steps)
            self.curves.scalar("patches per second", patches / (now - self.before), steps)
        self.before = now

    def after_epoch(self) -> None:
        """Show the probe batch, score held-out images and add that to the epoch's line of the history."""
        if not self.curves:
            return
        line, steps, model = self.training.history[-1], self.training.steps, self.training.result
        was_training = model.training
        model.eval()
        vis, ir = self.probe[:2]
        rows = torch.cat([vis, ir, self.fuse(vis, ir)], dim=3)  # (N, 1, S, 3S)
        self.curves.image("visible, infrared, fused", rows.flatten(0, 2)[None], steps)  # (1, N S, 3S)
        for name, value in self.score().items():
            self.curves.scalar(f"held out/{name}", value, steps)
            line[name] = value
        model.train(was_training)
        log.info("epoch %d/%d: %s", line["epoch"], self.epochs, self.sentence(line))
        self.restart()

    def score(self) -> dict[str, float]:
        """Mean scores, protocol cddfuse, of the centres of a few held-out images spread over all of them."""
        scores = []
        for i in np.linspace(0, len(self.held_out) - 1, min(CHECKED, len(self.held_out))).astype(int):
            vis, ir = (image[centre(*image.shape, CHECK_SIZE)] for image in self.held_out[i][:2])
            fused = self.fuse(*(torch.tensor(image)[None, None] / 255 for image in (vis, ir)))
            scores.append(evaluate(to_uint8(fused, stretch=True), ir, vis, protocol="cddfuse"))
        return {name: float(np.mean([score[name] for score in scores])) for name in SCORES if scores}

    @torch.no_grad()
    def fuse(self, vis: Tensor, ir: Tensor) -> Tensor:
        """A batch (N, 1, H, W) through the network to luminance in [0, 1], back on the CPU."""
        device, method = self.training.world.device, METHODS[self.training.method]
        with exact_convolutions(device):  # like `net.Fuser`
            return method.output(self.training.result(vis.to(device), ir.to(device)).float()).cpu()

    def time_for(self, steps: int) -> str:
        """How long so many more steps take at the speed of this epoch."""
        return tqdm.format_interval((self.before - self.began) / max(1, self.steps) * steps)

    def sentence(self, line: dict[str, float]) -> str:
        """An epoch's figures for the log, with the time that the epochs to come will take."""
        parts = [f"{name} {value:.4g}" for name, value in line.items() if name not in ("epoch", "steps")]
        if self.steps:
            steps = line["steps"] - sum(before["steps"] for before in self.training.history[-2:-1])
            speed = self.patches / (self.before - self.began)
            parts += [f"{speed:.3g} patches/s", f"{self.time_for(steps * (self.epochs - line['epoch']))} left"]
        return ", ".join(parts)

    def write_history(self) -> None:
        """Write what is known of each epoch to `history.csv`, in the main process."""
        lines = self.training.history
        if not self.curves or not lines:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, dict.fromkeys(name for line in lines for name in line), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        write_text(self.folder / "history.csv", text.getvalue())
