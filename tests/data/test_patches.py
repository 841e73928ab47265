"""What is cut from pair folders for training, and the command that does it."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from data import patches
from data.luminance import luminance
from data.patches import main
from data.patchfile import PatchDataset
from tests.commands import status_of
from tests.data.cut_sets import cut, noise, save_pair
from tests.pictures import save

CORNERS = [(0, 0), (0, 20), (0, 40), (20, 0), (20, 20), (20, 40)]  # of the patches of a 60x40 image
REPOSITORY = Path(__file__).resolve().parents[2]


def test_patches_are_what_lies_in_the_images(tmp_path):
    save_pair(tmp_path / "set", "1")
    status, out = cut(tmp_path)
    assert status == 0
    patches = PatchDataset(out)
    assert len(patches) == 6
    vis = cv2.imread(str(tmp_path / "set/vi/1.png"), cv2.IMREAD_COLOR_RGB) @ np.array([0.299, 0.587, 0.114]) / 255
    ir = cv2.imread(str(tmp_path / "set/ir/1.png"), cv2.IMREAD_GRAYSCALE) / 255
    for i, (y, x) in enumerate(CORNERS):
        np.testing.assert_allclose(patches[i][0][0], vis[y : y + 16, x : x + 16], atol=1e-6)
        np.testing.assert_allclose(patches[i][1][0], ir[y : y + 16, x : x + 16], atol=1e-6)


@pytest.mark.parametrize("side", ["vi", "ir"])
def test_a_patch_of_16_bits_is_stretched_as_its_whole_image_is(tmp_path, side):
    save_pair(tmp_path / "set", "1")
    ramp = (300 + 40 * np.arange(40)[:, None] + 10 * np.arange(60)).astype(np.uint16)
    save(tmp_path / "set" / side / "1.png", ramp)
    status, out = cut(tmp_path, "--no-contrast-filter")
    assert status == 0
    whole = luminance(ramp)
    assert whole.min() == 0 and whole.max() == 1
    found = [patch[0 if side == "vi" else 1][0].numpy() for patch in PatchDataset(out)]
    for patch, (y, x) in zip(found, CORNERS, strict=True):
        np.testing.assert_allclose(patch, whole[y : y + 16, x : x + 16], atol=1e-6)
    assert found[0].max() < 0.5 < found[-1].min()


@pytest.mark.parametrize("side", ["vi", "ir"])
def test_patch_is_dropped_if_either_image_is_low_in_contrast(tmp_path, side, capsys):
    save_pair(tmp_path / "set", "1")
    flat = noise((40, 60))
    flat[:20] = 128
    save(tmp_path / "set" / side / "1.png", flat)
    status, out = cut(tmp_path)
    assert status == 0
    assert len(PatchDataset(out)) == 3
    assert "3 patches kept, 3 dropped for low contrast; 1 image " in capsys.readouterr().out
    cut(tmp_path, "--no-contrast-filter")
    assert len(PatchDataset(out)) == 6


def test_min_contrast_moves_the_limit(tmp_path):
    save_pair(tmp_path / "set", "1")
    save(tmp_path / "set/ir/1.png", np.tile(np.arange(100, 160, dtype=np.uint8), (40, 1)))
    _, out = cut(tmp_path, "--min-contrast", "0.02")
    assert len(PatchDataset(out)) == 6
    assert cut(tmp_path, "--min-contrast", "0.5")[0] == 1


@pytest.mark.parametrize("step", ["read_pair", "span_of", "luminance", "is_low_in_contrast"])
def test_a_pair_for_which_memory_is_too_small_is_refused_and_the_rest_is_done(tmp_path, capsys, monkeypatch, step):
    for stem in "123":
        save_pair(tmp_path / "set", stem)
    work, read = getattr(patches, step), patches.read_pair
    current = threading.local()  # pairs are cut in threads

    def reading(pair):
        current.stem = pair.name
        return short(pair) if step == "read_pair" else read(pair)

    def short(*args):
        if current.stem == "2":
            raise MemoryError
        return work(*args)

    monkeypatch.setattr(patches, step, short)
    monkeypatch.setattr(patches, "read_pair", reading)
    status, out = cut(tmp_path)
    assert status == 1 and len(PatchDataset(out)) == 12
    assert capsys.readouterr().err == "refused: set: 2.png: out of memory\n"


# --- the command line


def test_several_roots_go_to_one_file(tmp_path, capsys):
    save_pair(tmp_path / "many" / "a", "1")
    save_pair(tmp_path / "many" / "b", "1", seed=1)
    save_pair(tmp_path / "one", "1", seed=2)
    status, out = cut(tmp_path, "--root", str(tmp_path / "one"), root=tmp_path / "many")
    assert status == 0
    assert len(PatchDataset(out)) == 18
    assert capsys.readouterr().out.count("\n") == 1
    with h5py.File(out) as file:
        assert file.attrs["sources"] == "a (1 pair), b (1 pair), one (1 pair)"
        assert (file.attrs["patch_size"], file.attrs["stride"], file.attrs["form"]) == (16, 20, "float32")


def test_refused_inputs_are_named_and_the_rest_is_done(tmp_path, capsys):
    folder = tmp_path / "set"
    save_pair(folder, "good")
    save_pair(folder, "small", (10, 60))
    save_pair(folder, "uneven")
    save(folder / "ir" / "uneven.png", noise((41, 60)))
    save(folder / "vi" / "alone.png", noise((40, 60)))
    save_pair(folder, "broken")
    (folder / "ir" / "broken.png").write_bytes((folder / "ir" / "broken.png").read_bytes()[:200])
    status, out = cut(tmp_path, "--root", str(tmp_path / "nowhere"))
    assert status == 1
    assert len(PatchDataset(out)) == 6
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    text = "\n".join(lines)
    assert "set: small.png: 60x10; a patch is 16x16" in text
    assert "set: uneven.png: infrared 60x41, visible 60x40; a pair must have one size" in text
    assert "set: alone.png: in vi but not in ir" in text
    assert "broken.png: a damaged or cut-off PNG" in text
    assert "nowhere: no such folder" in text


@pytest.mark.parametrize("old", [None, b"precious"])
def test_nothing_usable_is_an_error_that_touches_no_file(tmp_path, capsys, old):
    save_pair(tmp_path / "set", "1", (10, 10))
    if old:
        (tmp_path / "out.h5").write_bytes(old)
    status, out = cut(tmp_path)
    assert status == 1
    assert "no patch to write" in capsys.readouterr().err
    assert (out.read_bytes() if out.exists() else None) == old
    assert not list(tmp_path.glob("*.part"))


def test_no_pair_at_all_is_a_usage_error(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    status, out = cut(tmp_path)
    assert status == 2
    assert "no pair folder" in capsys.readouterr().err
    assert not out.exists()


def test_the_defaults_are_the_papers_patches_of_cars_people_and_bikes():
    args = patches.parse(["--root", "x", "--out", "x.h5"])
    assert (args.size, args.stride, args.min_contrast, args.dtype) == (128, 200, 0.1, "float32")
    assert args.mask_classes == (1, 2, 3)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--root", "x"], "--out"),
        (["--out", "x.h5"], "--root"),
        (["--root", "x", "--out", "."], "a folder"),
        (["--root", "x", "--out", "x.h5", "--size", "0"], "whole number from 1 to 4096"),
        (["--root", "x", "--out", "x.h5", "--stride", "-5"], "whole number from 1"),
        (["--root", "x", "--out", "x.h5", "--stride", "2.5"], "whole number from 1"),
        (["--root", "x", "--out", "x.h5", "--dtype", "float16"], "float16"),
        (["--root", "x", "--out", "x.h5", "--min-contrast", "nan"], "from 0 to 1"),
        (["--root", "x", "--out", "x.h5", "--min-contrast", "high"], "from 0 to 1"),
        (["--root", "x", "--out", "x.h5", "--mask-classes", "car,lorry"], "'lorry'; expected names of unlabelled, car"),
        (["--root", "x", "--out", "x.h5", "--min-contrast", "0.1", "--no-contrast-filter"], "not allowed with"),
    ],
)
def test_usage_errors_end_with_status_2_and_say_what_is_wrong(capsys, arguments, found):
    assert status_of(main, *arguments) == 2
    assert found in capsys.readouterr().err


def test_missing_folder_of_the_output_is_made(tmp_path):
    save_pair(tmp_path / "set", "1")
    out = tmp_path / "new" / "deep" / "out.h5"
    assert main(["--root", str(tmp_path / "set"), "--out", str(out), "--size", "16"]) == 0
    assert len(PatchDataset(out)) == 1


def test_output_that_cannot_be_made_is_an_error_without_traceback(tmp_path, capsys):
    save_pair(tmp_path / "set", "1")
    out = tmp_path / "set" / "vi" / "1.png" / "out.h5"
    assert main(["--root", str(tmp_path / "set"), "--out", str(out), "--size", "16"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_an_interruption_is_answered_before_the_next_pair_also_where_pairs_are_refused(tmp_path, monkeypatch):
    refused = []
    for i in range(3):
        save_pair(tmp_path / "set", str(i))
    monkeypatch.setattr("data.patches._refuse", lambda *_: (refused.append(1), signal.raise_signal(signal.SIGTERM)))
    assert main(["--root", str(tmp_path / "set"), "--out", str(tmp_path / "a.h5"), "--size", "4000"]) == 130
    assert len(refused) == 1


PEAK = """
import sys
from data.patches import main
from utils.memory import peak_memory
before = peak_memory()
assert main(sys.argv[1:]) == 0
print(peak_memory() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a program alone is known on Linux only")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (1024, 1280, 3), np.uint8)
    for side in ("vi", "ir"):
        save(tmp_path / "set" / side / "0.bmp", image)
        for i in range(1, 40):
            (tmp_path / "set" / side / f"{i}.bmp").hardlink_to(tmp_path / "set" / side / "0.bmp")
    options = ["--root", tmp_path / "set", "--out", tmp_path / "a.h5", "--stride", "200"]
    command = [sys.executable, "-c", PEAK, *map(str, options)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert (tmp_path / "a.h5").stat().st_size > 150e6
    assert float(done.stdout.splitlines()[-1]) < 250  # MB; all images at once, as luminance alone, would be 420


def test_real_msrs_images_give_their_patches(shared, tmp_path, capsys):
    out = tmp_path / "out.h5"
    assert main(["--root", str(shared / "data" / "train" / "MSRS"), "--out", str(out), "--dtype", "uint8"]) == 0
    assert "204 patches kept, 0 dropped for low contrast; 34 images (8 with a mask)" in capsys.readouterr().out
    patches = PatchDataset(out)
    assert (len(patches), patches.patch_size) == (204, 128)
    assert any(mask.max() == 1 for _, _, mask in patches)
