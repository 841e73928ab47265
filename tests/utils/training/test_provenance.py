"""The digests by which the data of a training are known again."""

import hashlib
import shutil
import subprocess

import numpy as np
import pytest

from data.crops import Images
from data.patchwriter import PatchWriter
from data.sources import CropSource, PatchSource, rendered
from net.baselines.mlfuse_training import infrared_saliency
from utils.training import provenance
from utils.training.provenance import PACKAGES, digests, version

IMAGE = np.arange(3 * 4 * 6, dtype=np.uint8).reshape(3, 4, 6)


def digest(images: list, names: list[str]) -> str:
    return digests(CropSource(Images(images, [], [], names), seed=0, name="images"))["sha256"]


def test_a_patch_file_is_known_by_its_digest_and_size(tmp_path):
    path = tmp_path / "patches.h5"
    with PatchWriter(path, size=8) as writer:
        writer.add(*np.full((3, 8, 8), 0.5, np.float32))
    content = path.read_bytes()
    expected = {"patches": 1, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert digests(PatchSource(path)) == digests(PatchSource(path, infrared_saliency)) == expected


def test_images_are_known_by_names_sizes_and_pixels():
    other = IMAGE.copy()
    other[2, 3, 5] ^= 1  # the last pixel of the mask
    turned = [part.reshape(6, 4) for part in IMAGE]
    again, *changed = (
        digest(*given)
        for given in [([IMAGE], ["a"]), ([other], ["a"]), ([turned], ["a"]), ([IMAGE], ["b"]), ([IMAGE] * 2, ["a"] * 2)]
    )
    assert again == digest([tuple(IMAGE.copy())], ["a"]) and again not in changed and len(set(changed)) == 4
    assert again == hashlib.sha256(b"a\n4 6\n" + IMAGE.tobytes()).hexdigest()
    columns = [np.asfortranarray(part) for part in IMAGE]
    assert digest([columns], ["\udcff"]) == hashlib.sha256(b"\xff\n4 6\n" + IMAGE.tobytes()).hexdigest()


def test_a_map_that_follows_from_the_images_does_not_count():
    plain, mapped = (rendered(seed=1, count=3, size=32, image_maps=made) for made in ((), [infrared_saliency]))
    assert digests(plain) == digests(mapped)
    assert digests(plain)["images"] == 2 and digests(plain) != digests(rendered(seed=2, count=3, size=32))


def test_the_weights_that_a_training_uses_count(tmp_path):
    (tmp_path / "start.pth").write_bytes(b"weights")
    found = digests(rendered(seed=1, count=3, size=32), init=tmp_path / "start.pth", teacher=None)
    assert found["init_sha256"] == hashlib.sha256(b"weights").hexdigest() and "teacher_sha256" not in found


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_has_a_version(name):
    assert version(name)
    assert version("no-such-package") is None


def test_the_commit_is_that_of_this_tree_alone(tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    copy.mkdir()
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "another project"], check=True)
    monkeypatch.setattr(provenance, "ROOT", copy)
    assert provenance.commit() is None
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert len(provenance.commit()) == 12
    shutil.rmtree(tmp_path / ".git")
    assert provenance.commit() is None
    monkeypatch.setenv("PATH", "")  # without git
    assert provenance.commit() is None


@pytest.mark.parametrize("place", ["net/baselines/another.py", "data/more.py", "utils/training/more.py"])
def test_the_commit_is_marked_where_the_code_is_not_all_in_it(tmp_path, monkeypatch, place):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    code, added = tmp_path / "train.py", tmp_path / place
    code.write_text("1\n")
    for command in (["init", "-q"], ["add", "train.py"], ["commit", "-q", "-m", "code"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "TNO").mkdir()
    (tmp_path / "TNO" / "notes.txt").write_text("no code\n")
    clean = provenance.commit()
    added.parent.mkdir(parents=True)
    added.write_text("METHOD = 1\n")
    with_another = provenance.commit()
    code.write_text("2\n")
    assert len(clean) == 12 and with_another == provenance.commit() == f"{clean}-dirty"
    added.unlink()
    assert provenance.commit() == f"{clean}-dirty"
