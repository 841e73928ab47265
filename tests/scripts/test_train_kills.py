"""A training of two processes that is killed again and again, at any moment, ends as if undisturbed."""

import random
import time
from pathlib import Path

import pytest

from tests.kills import freeze_amid_writing
from tests.scripts.launches import Launch, finish
from tests.scripts.trainings import assert_same_training, checkpoint

SEED, ROUNDS = 0, 7
RECIPE = ("--recipe", "best", "--epochs", "4")  # 108 steps


def kill_amid_a_checkpoint(launch: Launch, moments: random.Random) -> str:
    """Kill it while a checkpoint is half on the disk, which the kill leaves there."""
    launch.at(checkpoint(launch.last)["steps"] + moments.randint(1, 2), lambda: None)
    freeze_amid_writing(launch.workers()["0"], launch.last.parent)
    launch.kill()
    assert list(launch.last.parent.glob(".*.part"))
    return "amid a checkpoint"


def kill_after_a_step(launch: Launch, moments: random.Random) -> str:
    """Kill it up to a quarter of a second after a checkpoint: amid a step, or between two."""
    done = checkpoint(launch.last)["steps"] if launch.last.exists() else 0
    seconds = moments.uniform(0, 0.25)
    launch.at(done + 1, lambda: time.sleep(seconds))
    launch.kill()
    return f"{seconds:.3f} s after a step"


def kill_soon(launch: Launch, moments: random.Random) -> str:
    """Kill it while it starts, or on an idle machine amid its first steps."""
    seconds = moments.uniform(0, 6)
    time.sleep(seconds)
    launch.kill()
    return f"{seconds:.3f} s after its launch"


@pytest.mark.slow
@pytest.mark.timeout(7200)  # a launch has limits of its own
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in Linux's /proc")
def test_killed_twenty_one_times_it_ends_as_if_undisturbed(tmp_path):
    began = time.monotonic()
    undisturbed = finish(None, tmp_path / "undisturbed", *RECIPE)
    moments = random.Random(SEED)
    print(f"undisturbed: {time.monotonic() - began:.0f} s; moments of seed {SEED}:", flush=True)
    steps = 0
    for kill in (kill_after_a_step, kill_amid_a_checkpoint, kill_soon) * ROUNDS:
        held = () if kill is kill_amid_a_checkpoint else (steps + 4,)  # or a fast machine would be done before the last
        with Launch(None, tmp_path / "killed", *RECIPE, held=held) as launch:
            moment = kill(launch, moments)
        steps = checkpoint(launch.last)["steps"]
        print(f"{time.monotonic() - began:.0f} s: killed {moment}, {steps} steps saved", flush=True)
    assert steps < checkpoint(undisturbed / "last.pth")["steps"]
    assert_same_training(finish(None, tmp_path / "killed", *RECIPE), undisturbed)
    print(f"in all {time.monotonic() - began:.0f} s")
