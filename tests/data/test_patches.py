"""The training file: what is cut from pair folders, how it is stored, and what a data set makes of any h5 file."""

import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader

from data import patchfile
from data.patches import grey, is_low_in_contrast, main, windows
from data.patchfile import GROUPS, PatchDataset, PatchFileError, PatchWriter
from net.fuser import luma, to_unit

SHARED = Path(os.environ.get("CMMDL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
REPOSITORY = Path(__file__).resolve().parents[2]


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image if image.ndim == 2 else image[..., ::-1])


def save_pair(folder, stem, shape=(40, 60), seed=0):
    """A colour visible and a grey infrared image full of contrast."""
    save(folder / "vi" / f"{stem}.png", noise((*shape, 3), seed))
    save(folder / "ir" / f"{stem}.png", noise(shape, seed + 1000))


def cut(tmp_path, *extra, root=None, size=16):
    out = tmp_path / "out.h5"
    root = root or tmp_path / "set"
    status = main(["--root", str(root), "--out", str(out), "--size", str(size), "--stride", "20", *extra])
    return status, out


def stored(path, count=4, size=8, dtype="float32"):
    """A patch file whose patch i is filled with i / 255, and whose mask is its upper half."""
    mask = np.zeros((size, size))
    mask[: size // 2] = 1
    with PatchWriter(path, size=size, dtype=dtype) as writer:
        for i in range(count):
            writer.add(np.full((size, size), i / 255), np.full((size, size), 1 - i / 255), mask)
    return path


def authors_file(path, groups=GROUPS, names=("0", "1", "2"), shape=(1, 8, 8), dtype=np.float32):
    """A file made as the authors make theirs, without the code under test; patch "7" is filled with 0.07."""
    with h5py.File(path, "w") as file:
        for group in groups:
            for name in names:
                file.create_group(group) if group not in file else None
                file[group].create_dataset(name, data=np.full(shape, int(name) / 100, dtype))
    return path


def refusal(path):
    with pytest.raises(PatchFileError) as caught:
        PatchDataset(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "expected" in message
    assert "\n" not in message
    return message


# --- the rules of cutting


@pytest.mark.parametrize(
    ("shape", "corners"),
    [
        ((480, 640), [(0, 0), (0, 200), (0, 400), (200, 0), (200, 200), (200, 400)]),
        ((128, 128), [(0, 0)]),
        ((127, 600), []),
        ((328, 328), [(0, 0), (0, 200), (200, 0), (200, 200)]),
    ],
)
def test_patches_lie_at_multiples_of_the_stride(shape, corners):
    found = list(windows(shape, 128, 200))
    assert [(rows.start, columns.start) for rows, columns in found] == corners
    assert all((rows.stop - rows.start, columns.stop - columns.start) == (128, 128) for rows, columns in found)


def test_contrast_is_measured_between_the_10th_and_90th_percentile():
    ramp = np.linspace(0.5, 1, 101)  # p10 = 0.55, p90 = 0.95: contrast 0.421
    assert not is_low_in_contrast(ramp, 0.42)
    assert is_low_in_contrast(ramp, 0.43)
    assert is_low_in_contrast(np.full(10, 0.5))
    outliers = np.full(101, 0.5)
    outliers[:9], outliers[-9:] = 0, 1
    assert is_low_in_contrast(outliers)


def test_black_patch_is_low_in_contrast():
    assert is_low_in_contrast(np.zeros((4, 4)))


def test_grey_is_the_luminance_in_0_to_1():
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(grey(rgb), [[0.299, 0.587, 0.114, 1]], atol=1e-6)
    np.testing.assert_allclose(grey(np.array([[0, 51, 255]], np.uint8)), [[0, 0.2, 1]], atol=1e-7)


def test_grey_of_three_equal_channels_is_that_channel():
    channel = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_allclose(grey(np.dstack([channel] * 3)), channel / 255, atol=1e-6)


def test_grey_of_16_bits_fills_0_to_1():
    image = (np.arange(10000, dtype=np.uint16) + 20000).reshape(100, 100)
    assert (grey(image).min(), grey(image).max()) == (0, 1)
    assert abs(grey(image)[50, 50] - 0.5) < 0.01


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_training_sees_images_as_fusing_does(dtype, channels):
    image = noise((20, 30, *channels)).astype(dtype) * dtype(1 if dtype == np.uint8 else 3)
    expected = luma(to_unit(image, "visible"))[0, 0].numpy()
    assert grey(image).dtype == np.float32
    np.testing.assert_allclose(grey(image), expected, atol=1e-6)


def test_patches_are_what_lies_in_the_images(tmp_path):
    save_pair(tmp_path / "set", "1")
    status, out = cut(tmp_path)
    assert status == 0
    patches = PatchDataset(out)
    assert len(patches) == 6
    vis = cv2.imread(str(tmp_path / "set/vi/1.png"), cv2.IMREAD_COLOR_RGB) @ np.array([0.299, 0.587, 0.114]) / 255
    ir = cv2.imread(str(tmp_path / "set/ir/1.png"), cv2.IMREAD_GRAYSCALE) / 255
    for i, (y, x) in enumerate([(0, 0), (0, 20), (0, 40), (20, 0), (20, 20), (20, 40)]):
        np.testing.assert_allclose(patches[i][0][0], vis[y : y + 16, x : x + 16], atol=1e-6)
        np.testing.assert_allclose(patches[i][1][0], ir[y : y + 16, x : x + 16], atol=1e-6)


@pytest.mark.parametrize("side", ["vi", "ir"])
def test_patch_is_dropped_if_either_image_is_low_in_contrast(tmp_path, side, capsys):
    save_pair(tmp_path / "set", "1")
    flat = noise((40, 60))
    flat[:20] = 128
    save(tmp_path / "set" / side / "1.png", flat)
    status, out = cut(tmp_path)
    assert status == 0
    assert len(PatchDataset(out)) == 3
    assert "3 patches kept, 3 dropped for low contrast; 1 images" in capsys.readouterr().out
    cut(tmp_path, "--no-contrast-filter")
    assert len(PatchDataset(out)) == 6


def test_min_contrast_moves_the_limit(tmp_path):
    save_pair(tmp_path / "set", "1")
    save(tmp_path / "set/ir/1.png", np.tile(np.arange(100, 160, dtype=np.uint8), (40, 1)))
    _, out = cut(tmp_path, "--min-contrast", "0.02")
    assert len(PatchDataset(out)) == 6
    assert cut(tmp_path, "--min-contrast", "0.5")[0] == 1


# --- masks


def test_labels_become_masks_of_the_chosen_classes(tmp_path):
    save_pair(tmp_path / "set", "1")
    labels = np.tile(np.arange(60, dtype=np.uint8) % 9, (40, 1))
    save(tmp_path / "set" / "Segmentation_labels" / "1.png", labels)
    _, out = cut(tmp_path)
    first = PatchDataset(out)[0][2][0]
    np.testing.assert_array_equal(first, np.isin(labels[:16, :16], [1, 2, 3]))
    cut(tmp_path, "--mask-classes", "bump, Car-Stop")
    np.testing.assert_array_equal(PatchDataset(out)[0][2][0], np.isin(labels[:16, :16], [5, 8]))


def test_labels_with_three_equal_channels_are_understood(tmp_path):
    save_pair(tmp_path / "set", "1")
    save(tmp_path / "set" / "labels" / "1.png", np.full((40, 60, 3), 2, np.uint8))
    _, out = cut(tmp_path)
    assert PatchDataset(out)[0][2].min() == 1


def test_mask_folder_is_salient_where_not_zero(tmp_path, capsys):
    save_pair(tmp_path / "set", "1")
    save_pair(tmp_path / "set", "2", seed=7)
    mask = np.zeros((40, 60), np.uint8)
    mask[:8] = 1
    save(tmp_path / "set" / "mask" / "1.png", mask)
    status, out = cut(tmp_path)
    assert status == 0
    patches = PatchDataset(out)
    np.testing.assert_array_equal(patches[0][2][0], mask[:16, :16])
    assert patches[6][2].max() == 0  # image 2 has no mask
    assert "2 images (1 with a mask)" in capsys.readouterr().out


def test_label_folder_of_text_files_does_not_hide_the_mask_folder(tmp_path):
    save_pair(tmp_path / "set", "1")
    save(tmp_path / "set" / "mask" / "1.png", np.full((40, 60), 255, np.uint8))
    (tmp_path / "set" / "labels").mkdir()
    (tmp_path / "set" / "labels" / "1.txt").write_text("0 0.5 0.5 0.1 0.1")
    _, out = cut(tmp_path)
    assert PatchDataset(out)[0][2].min() == 1


def test_without_labels_the_mask_is_zero(tmp_path):
    save_pair(tmp_path / "set", "1")
    _, out = cut(tmp_path)
    assert PatchDataset(out).has_masks
    assert all(mask.max() == 0 for _, _, mask in PatchDataset(out))


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (np.zeros((20, 20), np.uint8), "20x20"),
        (np.full((40, 60), 255, np.uint8), "up to 255"),
        (np.full((40, 60, 3), (1, 2, 3), np.uint8), "colours"),
    ],
    ids=["size", "values", "colours"],
)
def test_labels_that_do_not_fit_refuse_their_pair(tmp_path, capsys, labels, reason):
    save_pair(tmp_path / "set", "1")
    save_pair(tmp_path / "set", "2")
    save(tmp_path / "set" / "labels" / "1.png", labels)
    status, out = cut(tmp_path)
    assert status == 1
    assert len(PatchDataset(out)) == 6
    error = capsys.readouterr().err
    assert "labels/1.png" in error
    assert reason in error


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
        assert file.attrs["sources"] == "a (1 pairs), b (1 pairs), one (1 pairs)"
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
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
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


# --- what is stored


def test_float32_form_is_the_authors_layout(tmp_path):
    stored(tmp_path / "a.h5", count=12)
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"ir_patchs", "vis_patchs", "mask_patches"}
        for group in file.values():
            assert set(group) == {str(i) for i in range(12)}
            for patch in group.values():
                assert patch.dtype == np.float32
                assert patch.shape == (1, 8, 8)
        assert file["vis_patchs/11"][0, 0, 0] == np.float32(11 / 255)
        assert file["ir_patchs/11"][0, 0, 0] == np.float32(1 - 11 / 255)
        assert file["mask_patches/11"][0, :, 0].tolist() == [1] * 4 + [0] * 4
        assert file.attrs["form"] == "float32"


def test_uint8_form_takes_at_most_a_quarter_and_gives_the_same_patches(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 2, 128, 128)) / 255
    masks = rng.integers(0, 2, (30, 128, 128))  # the worst case for compression
    for dtype in ("float32", "uint8"):
        with PatchWriter(tmp_path / f"{dtype}.h5", dtype=dtype) as writer:
            for (vis, ir), mask in zip(images, masks, strict=True):
                writer.add(vis, ir, mask)
    assert 4 * (tmp_path / "uint8.h5").stat().st_size <= (tmp_path / "float32.h5").stat().st_size
    with h5py.File(tmp_path / "uint8.h5") as file:
        assert file.attrs["form"] == "uint8"
        assert file["vis_patchs/patches"].dtype == np.uint8
    exact, small = PatchDataset(tmp_path / "float32.h5"), PatchDataset(tmp_path / "uint8.h5")
    assert len(exact) == len(small) == 30
    for a, b in zip(exact, small, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_uint8_form_rounds_to_the_nearest_level(tmp_path):
    values = np.linspace(0, 1, 64).reshape(8, 8)
    with PatchWriter(tmp_path / "a.h5", size=8, dtype="uint8") as writer:
        writer.add(values, values, values)
    vis = PatchDataset(tmp_path / "a.h5")[0][0]
    assert np.abs(vis[0].numpy() - values).max() <= 0.5 / 255 + 1e-6


def test_writer_that_is_interrupted_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(*[np.zeros((8, 8))] * 3)
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_writer_that_fails_keeps_the_old_file(tmp_path):
    stored(tmp_path / "a.h5", count=3)
    expected = r"shape.*expected \(8, 8\)"
    with pytest.raises(PatchFileError, match=expected), PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(np.zeros((8, 8)), np.zeros((8, 9)), np.zeros((8, 8)))
    assert list(tmp_path.iterdir()) == [tmp_path / "a.h5"]
    assert len(PatchDataset(tmp_path / "a.h5")) == 3


def test_writer_replaces_an_old_file_only_at_the_end_and_in_one_step(tmp_path):
    stored(tmp_path / "a.h5", count=3)
    (tmp_path / "link.h5").hardlink_to(tmp_path / "a.h5")
    with PatchWriter(tmp_path / "a.h5", size=8) as writer:
        writer.add(*[np.zeros((8, 8))] * 3)
        assert len(PatchDataset(tmp_path / "a.h5")) == 3
    assert len(PatchDataset(tmp_path / "a.h5")) == 1
    assert len(PatchDataset(tmp_path / "link.h5")) == 3  # the old file was not written into


def test_writer_refuses_an_unknown_dtype(tmp_path):
    with pytest.raises(PatchFileError, match="float32 or uint8"):
        PatchWriter(tmp_path / "a.h5", dtype="int8")


def test_writer_refuses_a_folder_as_its_target(tmp_path):
    with pytest.raises(PatchFileError, match="a folder"), PatchWriter(tmp_path):
        pass


FULL_DISK = """
import resource, sys
import numpy as np
from data.patchfile import PatchFileError, PatchWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
patch = np.random.default_rng(0).random((128, 128))
for dtype in ("float32", "uint8"):
    try:
        with PatchWriter(sys.argv[1], dtype=dtype) as writer:
            for _ in range(100):
                writer.add(patch, patch, patch)
    except PatchFileError as error:
        print(error)
"""

PEAK = """
import resource, sys
from data.patches import main
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
assert main(sys.argv[1:]) == 0
print(peak() - before)
"""


def python(code, *arguments):
    """Run code in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_full_disk_is_an_error_that_leaves_nothing(tmp_path):
    done = python(FULL_DISK, tmp_path / "a.h5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("cannot be written (File too large)") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in kB on Linux only")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (1024, 1280, 3), np.uint8)
    for side in ("vi", "ir"):
        save(tmp_path / "set" / side / "0.bmp", image)
        for i in range(1, 20):
            (tmp_path / "set" / side / f"{i}.bmp").hardlink_to(tmp_path / "set" / side / "0.bmp")
    done = python(PEAK, "--root", tmp_path / "set", "--out", tmp_path / "a.h5", "--stride", "200")
    assert (tmp_path / "a.h5").stat().st_size > 110e6
    assert float(done.stdout.splitlines()[-1]) < 150


# --- what a data set reads


def test_authors_file_is_read_unchanged_in_numeric_order(tmp_path):
    path = authors_file(tmp_path / "a.h5", names=[str(i) for i in range(12)])
    before = path.read_bytes()
    patches = PatchDataset(path)
    assert (len(patches), patches.patch_size, patches.has_masks) == (12, 8, True)
    assert [round(100 * vis.mean().item()) for vis, _, _ in patches] == list(range(12))
    vis, ir, mask = patches[10]
    assert [x.shape for x in (vis, ir, mask)] == [(1, 8, 8)] * 3
    assert [x.dtype for x in (vis, ir, mask)] == [torch.float32] * 3
    assert mask.unique().tolist() == [1]
    assert patches[0][2].unique().tolist() == [0]
    assert path.read_bytes() == before


def test_file_without_masks_has_zero_masks(tmp_path):
    patches = PatchDataset(authors_file(tmp_path / "a.h5", groups=GROUPS[:2]))
    assert not patches.has_masks
    assert patches[1][2].shape == (1, 8, 8)
    assert patches[1][2].max() == 0


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_index_beyond_the_end_is_an_index_error(tmp_path, dtype):
    patches = PatchDataset(stored(tmp_path / "a.h5", dtype=dtype))
    assert torch.equal(patches[-1][0], patches[3][0])
    with pytest.raises(IndexError):
        patches[4]


def test_rounding_above_1_is_clamped(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["vis_patchs/0"][...] = 1.0001
    assert PatchDataset(path)[0][0].max() == 1


@pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "fork"), (2, "spawn")])
def test_every_way_of_loading_gives_the_same_patches(tmp_path, workers, start):
    if start and start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"{start} does not exist here")
    files = [PatchDataset(stored(tmp_path / f"{dtype}.h5", count=9, dtype=dtype)) for dtype in ("float32", "uint8")]
    expected = [patches[i] for patches in files for i in range(9)]  # the parent has both open before workers start
    loader = DataLoader(ConcatDataset(files), batch_size=2, num_workers=workers, multiprocessing_context=start)
    batches = list(loader)
    for part in range(3):
        assert torch.equal(torch.cat([batch[part] for batch in batches]), torch.stack([e[part] for e in expected]))
    assert torch.equal(files[0][8][0], expected[8][0])


def test_each_process_opens_the_file_once_and_for_itself(tmp_path, monkeypatch):
    patches = PatchDataset(stored(tmp_path / "a.h5"))
    opened = []
    monkeypatch.setattr(patchfile, "_open", lambda path: opened.append(path) or h5py.File(path, "r"))
    for process in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        assert torch.equal(patches[1][0], torch.full((1, 8, 8), 1 / 255))
        assert torch.equal(patches[3][0], torch.full((1, 8, 8), 3 / 255))
        assert len(opened) == process


def test_data_set_with_an_open_file_can_be_pickled(tmp_path):
    patches = PatchDataset(stored(tmp_path / "a.h5"))
    first = patches[0][0]
    assert torch.equal(pickle.loads(pickle.dumps(patches))[0][0], first)


def test_missing_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.h5")


def test_folder_is_refused(tmp_path):
    assert "a folder" in refusal(tmp_path)


@pytest.mark.parametrize(("content", "found"), [(b"", "an empty file"), (b"some text", "not an h5 file")])
def test_file_that_is_no_h5_is_refused(tmp_path, content, found):
    (tmp_path / "a.h5").write_bytes(content)
    assert found in refusal(tmp_path / "a.h5")


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_cut_off_file_is_refused(tmp_path, dtype, keep):
    data = stored(tmp_path / "whole.h5", count=20, dtype=dtype).read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: int(len(data) * keep)])
    assert "cut-off" in refusal(tmp_path / "a.h5")


def test_foreign_h5_is_refused_with_what_it_has(tmp_path):
    authors_file(tmp_path / "a.h5", groups=["lr", "hr"])
    message = refusal(tmp_path / "a.h5")
    assert "hr, lr" in message
    assert all(group in message for group in GROUPS)


def test_missing_group_is_refused(tmp_path):
    assert "no group ir_patchs" in refusal(authors_file(tmp_path / "a.h5", groups=["vis_patchs", "mask_patches"]))


def test_array_in_place_of_a_group_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in GROUPS:
            file[name] = np.zeros((3, 1, 8, 8), np.float32)
    assert "no group vis_patchs" in refusal(tmp_path / "a.h5")


def test_unequal_counts_are_refused_with_each_count(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["ir_patchs/2"]
    message = refusal(path)
    assert "3 in vis_patchs" in message
    assert "2 in ir_patchs" in message


def test_unequal_arrays_are_refused(tmp_path):
    path = stored(tmp_path / "a.h5", dtype="uint8")
    with h5py.File(path, "r+") as file:
        file["mask_patches/patches"].resize(2, axis=0)
    assert "2 in mask_patches" in refusal(path)


@pytest.mark.parametrize("group", ["vis_patchs", "mask_patches"])
def test_names_that_do_not_match_are_refused(tmp_path, group):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file[group].move("2", "5")
    assert '"2"' in refusal(path)


def test_names_that_are_no_numbers_are_refused(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        for group in file.values():
            group.move("1", "one")
    assert '"one"' in refusal(path)


def test_file_with_empty_groups_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in GROUPS:
            file.create_group(name)
    assert "0 in vis_patchs" in refusal(tmp_path / "a.h5")


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8), (1, 8, 9), (1, 0, 0), ()])
def test_wrong_shape_is_refused(tmp_path, shape):
    assert "vis_patchs/0 is float32" in refusal(authors_file(tmp_path / "a.h5", shape=shape))


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint16, bool])
def test_wrong_dtype_is_refused(tmp_path, dtype):
    assert np.dtype(dtype).name in refusal(authors_file(tmp_path / "a.h5", dtype=dtype))


def test_array_of_wrong_rank_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in GROUPS:
            file.create_group(name)["patches"] = np.zeros((3, 8, 8), np.uint8)
    assert "(3, 8, 8)" in refusal(tmp_path / "a.h5")


def test_group_in_place_of_a_patch_is_refused(tmp_path):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["vis_patchs/0"]
        file["vis_patchs"].create_group("0")
    assert "vis_patchs/0 cannot be read" in refusal(path)


@pytest.mark.parametrize("value", [255, -1, np.nan])
def test_values_outside_0_to_1_are_refused(tmp_path, value):
    path = authors_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["ir_patchs/2"][0, 3, 3] = value
    assert "ir_patchs/2 has values" in refusal(path)


def test_bad_patch_in_the_middle_is_an_error_when_it_is_read(tmp_path):
    path = authors_file(tmp_path / "a.h5", names=[str(i) for i in range(5)])
    with h5py.File(path, "r+") as file:
        del file["ir_patchs/2"]
        file["ir_patchs/2"] = np.zeros((1, 4, 4), np.float32)
    patches = PatchDataset(path)
    with pytest.raises(PatchFileError, match=r"ir_patchs/2 is float32 \(1, 4, 4\)"):
        patches[2]


# --- real images


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the development images are not here")
def test_real_msrs_images_give_their_patches(tmp_path, capsys):
    out = tmp_path / "out.h5"
    assert main(["--root", str(SHARED / "data" / "train" / "MSRS"), "--out", str(out), "--dtype", "uint8"]) == 0
    assert "204 patches kept, 0 dropped for low contrast; 34 images (8 with a mask)" in capsys.readouterr().out
    patches = PatchDataset(out)
    assert (len(patches), patches.patch_size) == (204, 128)
    assert any(mask.max() == 1 for _, _, mask in patches)
