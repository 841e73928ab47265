"""Both sides are timed on the same weights, and what they give is compared."""

import re

import pytest
import torch

import net
from benchmarks import speed


def test_times_and_peaks_of_both_sides_and_how_far_they_are_apart(capsys):
    assert speed.main(["--height", "24", "--width", "16", "--repeats", "1"]) == 0
    output = capsys.readouterr().out
    assert re.match(r"inference, 16x24, batch 1, CPU .+ \(\w+\), \d+ threads?, allocator as-started, torch", output)
    for side in ("literal", "ours"):
        assert re.search(rf"{side} +median +[0-9.e-]+ s +peak +[0-9]+ MB +\((?:[0-9.e-]+ ?){{2}}\)", output)
    assert re.search(r"time ratio [0-9.]+\nmemory ratio [0-9.]+\nfloor", output)
    assert float(re.search("largest difference ([0-9.e-]+)", output)[1]) < 1e-5


@pytest.mark.parametrize(
    ("options", "apart", "status"),
    [([], 1e-5, 0), ([], 1e-3, 1), ([], float("nan"), 1), (["--train"], 1e-3, 0), (["--train"], 0.1, 1),
     (["--train", "--precision", "bf16"], 0.1, 0)],
)  # fmt: skip
def test_sides_that_compute_other_things_are_found(options, apart, status, monkeypatch, capsys):
    def child(args, sides, folder, **_):  # noqa: ARG001 - the form of the original
        for side in sides:
            torch.save(torch.full((1, 1, 4, 4), 1.0 + apart * (side == "ours")), f"{folder}/{side}.pt")
        one = {"literal": 3.0, "ours": 2.0}
        return {"times": {side: [one[side]] for side in sides}, "peaks": {side: 100 * one[side] for side in sides}}

    monkeypatch.setattr(speed, "child", child)
    monkeypatch.setattr(speed, "floor", lambda *_: 1.0)
    assert speed.main(["--allocator", "tuned", "--height", "16", "--width", "16", *options]) == status
    printed = capsys.readouterr().out
    assert f"{apart:.1e}" in printed and "time ratio 1.50\nmemory ratio 1.50\n" in printed


def test_weights_that_are_not_there_or_of_another_method_are_refused(tmp_path, capsys):
    torch.save({"method": "mlfuse", "model": net.build("mlfuse").state_dict()}, tmp_path / "mlfuse.pth")
    for name, words in (("none.pth", "no such weights file"), ("mlfuse.pth", "weights of another method")):
        assert speed.main(["--weights", str(tmp_path / name)]) == 2
        assert capsys.readouterr().err == f"error: {tmp_path / name}: {words}" + (
            "; expected those of CMMDL\n" if name == "mlfuse.pth" else "\n"
        )
