"""Training in bf16 follows training in fp32."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import CMMDL_train as script
from net.devices import is_emulated_bf16
from utils.training.board import Board

STEPS, WINDOW = 200, 40  # the loss of a step is that of a few crops: means over some steps compare
SEEDS = ("42", "43")  # and over some trainings, of which each drifts by itself


def smoothed_losses(out: Path, monkeypatch, precision: str, dim: int = 16) -> np.ndarray:
    """The mean loss of each `WINDOW` steps in a row, of the first `STEPS` on crops of rendered scenes, by `SEEDS`."""
    losses, after_step = [], Board.after_step

    def note(board: Board, terms: dict[str, float], patches: int) -> None:
        losses.append(terms["total"])
        after_step(board, terms, patches)

    options = ["--size", "32", "--epochs", "40", "--batch-size", "8", "--dim", dim, "--precision", precision]
    with monkeypatch.context() as patch:
        patch.setattr(Board, "after_step", note)
        for seed in SEEDS:
            assert script.main(["--demo", "--out", str(out), "--seed", seed, *map(str, options)]) == 0
    each = np.array(losses).reshape(len(SEEDS), -1)
    assert each.shape[1] >= STEPS
    return np.convolve(each[:, :STEPS].mean(0), np.full(WINDOW, 1 / WINDOW), mode="valid")


@pytest.mark.skipif(is_emulated_bf16(torch.device("cpu")), reason="bf16 would take tens of minutes on this processor")
@pytest.mark.slow
@pytest.mark.timeout(3600)  # five minutes of work; a busy machine takes longer
def test_bf16_follows_the_loss_of_fp32_to_two_percent(tmp_path, monkeypatch):
    exact, rough = (smoothed_losses(tmp_path, monkeypatch, precision) for precision in ("fp32", "bf16"))
    off = np.abs(rough / exact - 1)
    print(f"loss {exact[0]:.3f} to {exact[-1]:.3f}; bf16 off by {off.mean():.2%} on average, {off.max():.2%} at most")
    assert 0 < off.max() < 0.02  # measured 1.3 %
    assert exact[-1] < 0.9 * exact[0]


def test_bf16_trains_close_to_fp32(train_whole, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    for i, precision in enumerate(("fp32", "bf16")):
        assert train_whole("--epochs", 2, "--precision", precision) == 0
        log = (tmp_path / f"00{i}-cmmdl" / "log.txt").read_text()
        assert ("no instructions for bf16" in log) == (precision == "bf16")
    exact, rough = (list(csv.DictReader((tmp_path / f"00{i}-cmmdl" / "history.csv").open())) for i in range(2))
    assert float(rough[-1]["total"]) == pytest.approx(float(exact[-1]["total"]), rel=0.02)
    assert rough[-1]["total"] != exact[-1]["total"]
