"""Training state on disk: written whole or not at all, and complete enough to go on as if nothing had happened."""

import errno
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data.files import replacing
from data.words import counted
from net.files.states import check_values, compare
from net.files.weights import WeightsError, read
from utils.distributed import World
from utils.training.ema import MovingAverage

COUNTS = ("epoch", "step", "steps", "sums", "history")
MAX_STEPS = 10**12
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what the system says of a disk, a quota or a file that is full


class Training:
    """What changes in the course of a training, and what a checkpoint therefore holds.

    Attributes:
        epoch, step: how many epochs, and steps of the present one, are done.
        steps: all steps done.
        sums: of each loss term over the steps of the present epoch.
        history: a line of figures for each epoch done.
    """

    def __init__(
        self,
        method: str,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: MovingAverage | None,
        world: World,
    ) -> None:
        self.method, self.model, self.optimizer, self.average, self.world = method, model, optimizer, average, world
        self.epoch = self.step = self.steps = 0
        self.processes = world.size  # at the checkpoint where there is one
        self.batch = 0  # patches of each process in a step of this epoch; 0: not known
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, float]] = []

    @property
    def result(self) -> nn.Module:
        """The network to fuse with: the average of the weights where there is one, else the weights."""
        return self.average.model if self.average else self.model

    @property
    def lr(self) -> list[float]:
        """Each parameter group's learning rate in the last step, or in the next one where it was set already."""
        return [group["lr"] for group in self.optimizer.param_groups]

    @lr.setter
    def lr(self, values: list[float]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            group["lr"] = value

    def end_step(self, terms: dict[str, float]) -> None:
        """Change the weights by the gradients at hand, and count the step with its loss terms."""
        self.optimizer.step()
        self.step, self.steps = self.step + 1, self.steps + 1
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in terms.items()}
        if self.average:
            self.average.update(self.model, self.steps)

    def end_epoch(self) -> None:
        """Count the epoch, and give it a line in the history, with the mean of each loss term."""
        means = {name: total / self.step for name, total in self.sums.items()}
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
        self.history.append({"epoch": self.epoch, "steps": self.steps, "lr": self.lr[0], **means})

    def save(self, path: Path) -> None:
        """Write a checkpoint in the main process; every process has to call this.

        Raises OSError where the disk is full or the folder cannot be written; the checkpoint before it is intact.
        """
        random_states = self.world.gather(get_random_states())
        if not self.world.is_main:
            return
        state = self.weights() | {name: getattr(self, name) for name in COUNTS}
        state |= {"optimizer": self.optimizer.state_dict(), "lr": self.lr, "random": random_states, "batch": self.batch}
        if self.average:
            state["trained"] = self.model.state_dict()
        write(path, state)

    def save_weights(self, path: Path) -> None:
        """Write only what fusing needs."""
        write(path, self.weights())

    def weights(self) -> dict[str, Any]:
        """What fusing needs, as `net.load` reads it."""
        state = {name: tensor.cpu().contiguous() for name, tensor in self.result.state_dict().items()}
        return {"method": self.method, "options": self.model.options, "model": state}

    def restore(self, path: Path) -> None:
        """Go back to where `save` was called.

        With another number of processes now, the epoch goes on after as many patches, but its random states are new.

        Raises:
            FileNotFoundError, WeightsError: there is none, or it is something else, or of another network or recipe.
        """
        state = read(path)
        if not isinstance(state, dict) or not {"model", "optimizer", "lr", "random", *COUNTS} <= state.keys():
            raise WeightsError(f"{path}: holds no training state; expected a checkpoint of CMMDL_train.py")
        if (method := state.get("method", self.method)) != self.method:
            raise WeightsError(f"{path}: holds a training of {method!s:.40}; expected one of {self.method}")
        if bool(self.average) != ("trained" in state):
            found = "no moving average" if self.average else "a moving average"
            raise WeightsError(f"{path}: holds {found}, unlike this recipe; expected a checkpoint of the same --recipe")
        try:
            self._check(state, path.stat().st_size)
            self._load(state)
        except Exception as error:  # a file may hold anything anywhere
            problem = " ".join(str(error).split())
            raise WeightsError(f"{path}: does not fit this network and recipe ({problem})") from error

    def _check(self, state: dict[str, Any], size: int) -> None:
        """Raise ValueError or TypeError for the state, in a file of so many bytes, of another training or of none."""
        for weights in (state["model"], state.get("trained", state["model"])):
            if problems := compare(self.model.state_dict(), weights):
                raise ValueError(problems[0])
            check_values(weights, size)
        if odd := [name for name in (*COUNTS, "lr") if type(state[name]) is not type(getattr(self, name))]:
            raise TypeError(f"{odd[0]} is {state[odd[0]]!r:.40}")
        check_counts(state)
        if state.get("options", self.model.options) != self.model.options:
            raise ValueError(f"it is of a network with {state['options']}; here are {self.model.options}")

    def _load(self, state: dict[str, Any]) -> None:
        """Take over a state. Raises ValueError for moments that do not fit, which the optimiser itself would take."""
        self.result.load_state_dict(state["model"])
        self.model.load_state_dict(state.get("trained", state["model"]))
        # the optimiser's options stay this run's, because some depend on the device
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state["optimizer"]["state"], "param_groups": groups})
        check_moments(self.optimizer)
        self.lr = state["lr"]
        for name in COUNTS:
            setattr(self, name, state[name])
        self.processes = len(state["random"])
        if self.processes == self.world.size:
            set_random_states(state["random"][self.world.rank])
        else:
            self._rescale(self.processes, self.world.size)
        self.batch = state.get("batch", 0)

    def count_in(self, batch: int) -> None:
        """Set the batch per process; the steps done in this epoch are counted anew in steps of that size."""
        if self.batch:
            self._rescale(self.batch, batch)
        self.batch = batch

    def _rescale(self, before: int, now: int) -> None:
        """Count the steps of this epoch as if each had had `now` patches, where it had `before`."""
        done, self.step = self.step, self.step * before // now
        self.sums = {name: total * self.step / done for name, total in self.sums.items()} if self.step else {}


def check_counts(state: dict[str, Any]) -> None:
    """Raise ValueError for counts, learning rates, loss terms or a history that no training comes to."""
    epoch, step, steps, history = (state[name] for name in ("epoch", "step", "steps", "history"))
    if not (0 <= epoch <= steps <= MAX_STEPS and 0 <= step <= MAX_STEPS):
        raise ValueError(f"epoch {epoch}, step {step}, {steps} steps in all; expected counts of a training")
    if type(batch := state.get("batch", 0)) is not int or not 0 <= batch <= MAX_STEPS:
        raise ValueError(f"{batch!r:.40} patches in a step; expected a count")
    if len(history) != epoch or not all(is_line(line) for line in history):
        raise ValueError(f"its history does not have {counted(epoch, 'line')} of figures, one for each epoch")
    if not all(is_finite(value) and value >= 0 for value in state["lr"]):
        raise ValueError(f"its learning rate is {state['lr']!r:.40}; expected numbers from 0")
    if not all(isinstance(name, str) and is_finite(value) for name, value in state["sums"].items()):
        raise ValueError(f"its loss terms are {state['sums']!r:.40}; expected finite numbers by name")
    if not isinstance(state["random"], list) or not state["random"]:
        raise ValueError("it has no random states; expected those of each process")


def is_line(line: Any) -> bool:
    """Whether something is the line of an epoch in a history: numbers by name, those that every epoch has among them.

    A score may be NaN, where an image is of one grey."""
    names = {"epoch", "steps", "lr"}
    return isinstance(line, dict) and names <= line.keys() and all(type(x) in (int, float) for x in line.values())


def is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def check_moments(optimizer: torch.optim.Optimizer) -> None:
    """Raise ValueError for moments that are not of Adam's, of the shapes of its parameters, and finite."""
    for parameter, moments in optimizer.state.items():
        shapes = {"step": (), "exp_avg": tuple(parameter.shape), "exp_avg_sq": tuple(parameter.shape)}
        if {name: tuple(value.shape) for name, value in moments.items()} != shapes:
            raise ValueError("its optimiser's state is not of the weights' shapes")
        if not all(value.isfinite().all() for value in moments.values()):
            raise ValueError("its optimiser's state has NaN or infinite values")
        if moments["step"] < 0 or (moments["exp_avg_sq"] < 0).any():
            raise ValueError("its optimiser's state has negative steps or squares")


def write(path: Path, state: dict[str, Any]) -> None:
    """Save tensors and plain containers, atomically. Raises OSError, with the previous file intact."""
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:  # given a path, torch hides the disk's error
            torch.save(state, file)
    except (OSError, RuntimeError) as failure:  # torch's zip writer may raise its own error after the disk's
        error = failure if isinstance(failure, OSError) else failure.__context__
        if not isinstance(error, OSError):
            raise
        intact = "; an earlier checkpoint is intact" if path.is_file() else ""
        advice = "; make room there and give the same command again" if error.errno in FULL else ""
        raise OSError(f"{path}: could not be written ({error.strerror or error}){intact}{advice}") from failure


def get_random_states() -> dict[str, Any]:
    """The states of this process's random generators, as tensors and plain numbers."""
    version, words, gauss = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002 - of the global generator, which other libraries draw from
    states = {
        "python": (version, torch.tensor(words), gauss),
        "numpy": [torch.from_numpy(x.astype(np.int64)) if isinstance(x, np.ndarray) else x for x in numpy_state],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_random_states(states: dict[str, Any]) -> None:
    """Put the generators back where `get_random_states` found them."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    np.random.set_state(tuple(x.numpy() if isinstance(x, Tensor) else x for x in states["numpy"]))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"])


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators, torch's on every device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
