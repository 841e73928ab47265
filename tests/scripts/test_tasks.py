"""CMMDL_test.py on medical, exposure and focus pairs: roles, colour, and the real sets from end to end."""

import csv
from functools import partial

import cv2
import numpy as np
import pytest
import torch

import CMMDL_test
from data.images import read_image
from net.color import rgb_to_ycbcr
from tests.commands import status_of
from tests.pictures import rendered, save
from utils.metrics import METRICS
from utils.shipped import shipped

run = partial(status_of, CMMDL_test.main, "--method", "average")


def tint(image):
    """How far the pixels are from grey, on average."""
    return float(np.ptp(image.astype(int), axis=2).mean()) if image.ndim == 3 else 0.0


@pytest.fixture
def colourful():
    """A strongly coloured picture and a grey one of the same scene."""
    vis = rendered(0, 48, 64).vis
    return cv2.applyColorMap(vis[..., 1], cv2.COLORMAP_JET)[..., ::-1].copy(), np.dstack([vis[..., 1]] * 3)


@pytest.mark.parametrize(("coloured", "grey", "task"), [("PET", "MRI", "medical"), ("SPECT", "MRI", "medical"),
                                                        ("under", "over", "mef"), ("far", "near", "mff")])  # fmt: skip
def test_colour_is_kept_wherever_it_lies(tmp_path, capsys, colourful, coloured, grey, task):
    save(tmp_path / "set" / coloured / "1.png", colourful[0])
    save(tmp_path / "set" / grey / "1.png", colourful[1])
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert f"Task of set: {task} (" in printed
    vis, ir = (coloured, grey) if coloured == "under" else (grey, coloured)
    colour = f"of {coloured}" if task == "medical" else "blended from both"
    assert f"vis = {vis}, ir = {ir}, colour {colour}\n" in printed
    assert tint(read_image(tmp_path / "out" / "set" / "1.png")) > 40


def test_two_colour_exposures_share_their_chroma(tmp_path):
    red, blue = (np.full((48, 64, 3), colour, np.uint8) for colour in ((150, 90, 90), (80, 80, 170)))
    for image, kind in ((red, "under"), (blue, "over")):
        image[:24] = 120  # the upper half is neutral
        image[0, 0], image[0, 1] = 0, 255  # the full range, so that nothing is stretched
        save(tmp_path / "set" / kind / "1.png", image)
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out") == 0
    fused = read_image(tmp_path / "out" / "set" / "1.png")
    assert tint(fused[2:20]) < 2, "neutral in both stays neutral"
    red_cb, blue_cb, cb = (chroma(image[40, 40])[0] for image in (red, blue, fused))
    weights = abs(red_cb - 0.5), abs(blue_cb - 0.5)
    assert cb == pytest.approx((red_cb * weights[0] + blue_cb * weights[1]) / sum(weights), abs=0.01)


def chroma(colour):
    return [float(c) for c in rgb_to_ycbcr(torch.tensor(colour / 255.0).reshape(1, 3, 1, 1))[1:]]


def test_the_task_can_be_said(tmp_path, capsys, colourful):
    save(tmp_path / "set" / "vi" / "1.png", colourful[1])
    save(tmp_path / "set" / "ir" / "1.png", colourful[0])
    assert run("--data", tmp_path / "set", "--out", tmp_path / "ivf") == 0
    assert run("--data", tmp_path / "set", "--out", tmp_path / "mff", "--task", "mff") == 0
    assert "Task of set: mff" in capsys.readouterr().out
    assert tint(read_image(tmp_path / "ivf" / "set" / "1.png")) < 2
    assert tint(read_image(tmp_path / "mff" / "set" / "1.png")) > 40


def test_a_run_says_what_the_weights_that_ship_have_not_seen_and_that_a_protocol_is_grey(tmp_path, capsys, colourful):
    for kind, name in (("under", "brackets"), ("over", "brackets"), ("vi", "camera"), ("ir", "camera")):
        save(tmp_path / "sets" / name / kind / "1.png", colourful[0])
    command = ["--data", tmp_path / "sets", "--method", "cmmdl-lite", "--protocol", "cddfuse", "--no-metrics"]
    assert run(*command, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr()
    said = [line for line in printed.err.splitlines() if "the weights that ship were trained on infrared" in line]
    assert len(said) == 1 and said[0].startswith("brackets: ")
    assert printed.out.count("grey, as protocol cddfuse scores") == 2
    for options in (["--method", "cmmdl-lite", "--weights", f"cmmdl-lite={shipped('cmmdl-lite')}"], []):
        assert run("--data", tmp_path / "sets", *options, "--no-metrics", "--out", tmp_path / "other") == 0
        assert "the weights that ship" not in capsys.readouterr().err, "they are given, or there are none"
    assert read_image(tmp_path / "out" / "cmmdl-lite" / "camera" / "1.png").ndim == 2


def test_pairs_of_two_medical_scans_name_both_on_the_page(tmp_path, colourful):
    save(tmp_path / "set" / "SPECT" / "1.png", colourful[0])
    save(tmp_path / "set" / "MRI" / "1.png", colourful[1])
    assert run("--data", tmp_path / "set", "--out", tmp_path / "out") == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.index("MRI") < page.index("SPECT")
    assert "infrared" not in page


@pytest.mark.parametrize(("name", "task", "colour"), [
    ("MRI_CT", "medical", False), ("MRI_PET", "medical", True), ("MRI_SPECT", "medical", True),
    ("MEF", "mef", True), ("Lytro", "mff", True),
])  # fmt: skip
def test_the_real_sets_run_and_score(shared, tmp_path, capsys, name, task, colour):
    status = run("--data", shared / "data" / "test" / name, "--out", tmp_path, "--limit", 4)
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert f"Task of {name}: {task} " in printed.out
    assert "warning" not in printed.err
    lines = list(csv.reader((tmp_path / name / "metrics.csv").open()))
    assert len(lines) == 6
    scores = np.array([[float(value) for value in line[1:]] for line in lines[1:]])
    assert scores.shape == (5, len(METRICS))
    assert np.isfinite(scores).all()
    images = [read_image(file) for file in (tmp_path / name).glob("*.png")]
    assert (max(map(tint, images)) > 5) is colour
