"""Pair folders: which folders and files are pairs, in which order, and what is refused by name."""

import os

import numpy as np
import pytest

from data.images import ImageError
from data.listing import list_images
from data.pairs import Pair, PairError, Refusal, find_sets, read_pair
from tests.pictures import fill, save


def only(root):
    (found,) = find_sets(root)
    return found


@pytest.mark.parametrize(
    ("vis", "ir"),
    [
        *[(vis, ir) for vis in ("vi", "vis", "visible", "rgb") for ir in ("ir", "infrared", "thermal", "lwir")],
        *[("MRI", "PET"), ("MRI", "SPECT"), ("MRI", "CT"), ("under", "over"), ("low", "over"), ("near", "far")],
    ],
)
def test_accepted_names_become_vis_and_ir(tmp_path, vis, ir):
    fill(tmp_path, f"{vis}/1.png", f"{ir}/1.png")
    found = only(tmp_path)
    assert found.pairs == (Pair("1", tmp_path / vis / "1.png", tmp_path / ir / "1.png"),)
    assert (found.name, found.folder) == (tmp_path.name, tmp_path)
    assert found.refused == ()


@pytest.mark.parametrize(("vis", "ir"), [("Vis", "IR"), ("RGB", "Thermal"), ("mri", "pet"), ("Near", "FAR")])
def test_case_of_folder_names_does_not_matter(tmp_path, vis, ir):
    found = only(fill(tmp_path, f"{vis}/1.png", f"{ir}/1.png"))
    assert found.pairs[0].vis.parent.name == vis
    assert found.pairs[0].ir.parent.name == ir


def test_files_pair_by_stem_whatever_their_extension(tmp_path):
    found = only(fill(tmp_path, "vi/a.JPG", "ir/a.png", "vi/b.v1.bmp", "ir/b.v1.tiff"))
    assert [(pair.name, pair.vis.name, pair.ir.name) for pair in found.pairs] == [
        ("a", "a.JPG", "a.png"),
        ("b.v1", "b.v1.bmp", "b.v1.tiff"),
    ]


def test_pairs_are_in_natural_order(tmp_path):
    names = ["2", "10", "1", "img10", "img9", "B", "a"]
    fill(tmp_path, *[f"{side}/{name}.png" for side in ("vi", "ir") for name in names])
    assert [pair.name for pair in only(tmp_path).pairs] == ["1", "2", "10", "a", "B", "img9", "img10"]


def test_hidden_files_and_other_files_are_ignored(tmp_path):
    fill(tmp_path, "vi/1.png", "ir/1.png", "vi/.2.png", "ir/._1.png")
    (tmp_path / "vi" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "ir" / "notes.txt").write_bytes(b"x")
    found = only(tmp_path)
    assert [pair.name for pair in found.pairs] == ["1"]
    assert found.refused == ()
    assert list_images(tmp_path / "vi") == [tmp_path / "vi" / "1.png"]


def test_other_sub_folders_of_a_pair_folder_are_ignored(tmp_path):
    fill(tmp_path, "vi/1.png", "ir/1.png", "Segmentation_labels/1.png", "mask/1.png", "boxes/1.png", "fused/9.png")
    assert only(tmp_path).refused == ()


def test_missing_partner_is_refused_by_name_and_the_rest_is_kept(tmp_path):
    found = only(fill(tmp_path, "vi/1.png", "ir/1.png", "vi/2.png", "ir/3.jpg"))
    assert [pair.name for pair in found.pairs] == ["1"]
    assert [str(refusal) for refusal in found.refused] == [
        "2.png: in vi but not in ir; a pair needs an image of one stem in both",
        "3.jpg: in ir but not in vi; a pair needs an image of one stem in both",
    ]


def test_two_files_of_one_stem_are_refused_by_name(tmp_path):
    fill(tmp_path, "vi/1.png", "ir/1.png", "ir/1.jpg", "vi/2.png", "ir/2.png", "vi/3.png", "vi/3.bmp", "ir/3.png")
    found = only(tmp_path)
    assert [pair.name for pair in found.pairs] == ["2"]
    assert found.refused == (
        Refusal("1.png", "ir holds 1.jpg and 1.png; a stem must name one image"),
        Refusal("3.bmp", "vi holds 3.bmp and 3.png; a stem must name one image"),
    )


@pytest.mark.parametrize(("full", "empty"), [("vi", "ir"), ("ir", "vi")])
def test_folder_without_images_is_refused_once(tmp_path, full, empty):
    fill(tmp_path, f"{full}/1.png", f"{full}/2.png")
    (tmp_path / empty / "train").mkdir(parents=True)
    found = only(tmp_path)
    assert found.pairs == ()
    (refusal,) = found.refused
    assert f"no image in {empty};" in refusal.reason


def test_nested_folders_pair_by_relative_path(tmp_path):
    fill(tmp_path, "infrared/train/1.jpg", "infrared/test/1.jpg", "visible/train/1.png", "visible/test/1.png",
         "infrared/z.png", "visible/z.png", "visible/train/2.png", "visible/.thumbs/1.png",
         "infrared/a/b/1.png", "visible/a/b/1.png")  # fmt: skip
    found = only(tmp_path)
    assert [pair.name for pair in found.pairs] == ["z", "a/b/1", "test/1", "train/1"]
    assert found.pairs[3].vis == tmp_path / "visible" / "train" / "1.png"
    assert found.pairs[3].ir == tmp_path / "infrared" / "train" / "1.jpg"
    assert [refusal.name for refusal in found.refused] == ["train/2.png"]


def test_a_link_back_to_a_folder_above_is_not_followed_in_circles(tmp_path):
    fill(tmp_path, "vi/a/1.png", "ir/a/1.png")
    (tmp_path / "vi" / "a" / "again").symlink_to(tmp_path / "vi", target_is_directory=True)
    assert [pair.name for pair in only(tmp_path).pairs] == ["a/1"] and not only(tmp_path).refused


@pytest.mark.parametrize(("vis", "ir", "task", "words"), [
    ("rgb", "Thermal", "ivf", ("visible", "infrared")),
    ("mri", "pet", "medical", ("MRI", "PET")),
    ("MRI", "CT", "medical", ("MRI", "CT")),
    ("Under", "over", "mef", ("under", "over")),
    ("low", "over", "mef", ("low", "over")),
    ("near", "far", "mff", ("near", "far")),
])  # fmt: skip
def test_the_names_of_the_folders_tell_the_task_and_the_roles(tmp_path, vis, ir, task, words):
    found = only(fill(tmp_path, f"{vis}/1.png", f"{ir}/1.png"))
    assert found.task == task
    assert found.pairs[0].words == words


def test_two_folders_without_a_common_stem_are_refused_once(tmp_path):
    found = only(fill(tmp_path, "vi/1_vis.png", "vi/2_vis.png", "ir/1_ir.png", "ir/2_ir.png"))
    assert found.pairs == ()
    (refusal,) = found.refused
    assert "1_vis.png" in refusal.reason
    assert "1_ir.png" in refusal.reason


def test_folder_of_pair_folders_gives_one_set_each_in_natural_order(tmp_path):
    fill(tmp_path, "set10/vi/1.png", "set10/ir/1.png", "set2/MRI/1.png", "set2/CT/1.png", ".hidden/vi/1.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "readme.txt").write_bytes(b"x")
    assert [found.name for found in find_sets(tmp_path)] == ["set2", "set10"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["bad/ir/1.png"], "ir without a partner"),
        (["bad/mri/1.png"], "mri without a partner"),
        (["bad/ir/1.png", "bad/thermal/1.png", "bad/vi/1.png"], "vi, ir, thermal could be more than one pair"),
        (["bad/1.png"], "images that lie in no pair folder"),
    ],
)
def test_bad_folder_beside_a_good_one_is_refused_by_name(tmp_path, files, reason):
    fill(tmp_path, "good/vi/1.png", "good/ir/1.png", *files)
    bad, good = find_sets(tmp_path)
    assert len(good.pairs) == 1
    assert (bad.name, bad.folder, bad.pairs) == ("bad", None, ())
    (refusal,) = bad.refused
    assert refusal.name == "bad"
    assert refusal.reason.startswith(reason)
    assert "ir|infrared|thermal|lwir with vi|vis|visible|rgb" in refusal.reason


def test_folder_named_like_an_input_may_hold_a_pair(tmp_path):
    fill(tmp_path, "MRI/MRI/1.png", "MRI/CT/1.png")
    assert only(tmp_path).name == "MRI"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "no pair folder"),
        (["1.png"], "no pair folder"),
        (["a/b/vi/1.png", "a/b/ir/1.png"], "no pair folder"),
        (["pictures/1.png"], "pictures: images that lie in no pair folder"),
        (["ir/1.png"], "ir without a partner"),
        (["vi/1.png", "ir/1.png", "thermal/1.png"], "more than one pair"),
        (["vi/1.png", "rgb/1.png", "ir/1.png"], "more than one pair"),
        (["MRI/1.png", "CT/1.png", "PET/1.png"], "more than one pair"),
        (["near/1.png", "far/1.png", "vi/1.png", "ir/1.png"], "more than one pair"),
    ],
)
def test_root_that_is_no_pair_folder_is_refused_with_the_accepted_names(tmp_path, files, found):
    fill(tmp_path, *files)
    with pytest.raises(PairError) as caught:
        find_sets(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: ")
    assert found in message
    assert "ir|infrared|thermal|lwir with vi|vis|visible|rgb; CT|PET|SPECT with MRI" in message
    assert "\n" not in message


@pytest.mark.parametrize(("name", "found"), [("nowhere", "no such folder"), ("1.png", "a file")])
def test_a_root_that_is_no_folder_is_refused(tmp_path, name, found):
    with pytest.raises(PairError, match=found):
        find_sets(fill(tmp_path, "1.png") / name)


def test_folder_without_permission_is_refused(tmp_path):
    fill(tmp_path, "vi/1.png", "ir/1.png")
    (tmp_path / "ir").chmod(0)
    try:
        if os.access(tmp_path / "ir", os.R_OK):
            pytest.skip("this user may read every folder")
        with pytest.raises(PairError, match="not readable"):
            find_sets(tmp_path)
    finally:
        (tmp_path / "ir").chmod(0o700)


def test_root_given_as_a_dot_has_the_name_of_its_folder(tmp_path, monkeypatch):
    fill(tmp_path / "TNO", "vi/1.png", "ir/1.png")
    monkeypatch.chdir(tmp_path / "TNO")
    assert only(".").name == "TNO"


def test_pair_is_read_in_the_networks_order(tmp_path):
    save(tmp_path / "vi" / "1.png", np.full((4, 6, 3), (30, 20, 10), np.uint8))
    save(tmp_path / "ir" / "1.png", np.full((4, 6), 100, np.uint8))
    vis, ir = read_pair(only(tmp_path).pairs[0])
    assert vis.shape == (4, 6, 3)
    assert vis[0, 0].tolist() == [30, 20, 10]
    assert ir.shape == (4, 6)


@pytest.mark.parametrize(
    ("vis", "ir", "message"),
    [
        ("rgb", "lwir", "00123.png: infrared 640x480, visible 1280x1024; a pair must have one size"),
        ("MRI", "PET", "00123.png: PET 640x480, MRI 1280x1024; a pair must have one size"),
    ],
)
def test_two_sizes_are_refused_with_both(tmp_path, vis, ir, message):
    save(tmp_path / vis / "00123.png", np.zeros((1024, 1280), np.uint8))
    save(tmp_path / ir / "00123.png", np.zeros((480, 640), np.uint8))
    with pytest.raises(ImageError) as caught:
        read_pair(only(tmp_path).pairs[0])
    assert str(caught.value) == message


def test_folder_named_like_an_image_is_refused_when_read(tmp_path):
    fill(tmp_path, "vi/1.png")
    (tmp_path / "ir" / "1.png").mkdir(parents=True)
    with pytest.raises(ImageError, match="a folder"):
        read_pair(only(tmp_path).pairs[0])


def test_a_folder_named_like_an_image_is_not_entered(tmp_path):
    found = only(fill(tmp_path, "vi/1.png/a.png", "ir/1.PNG/a.png", "vi/2.png", "ir/2.png"))
    assert [pair.name for pair in found.pairs] == ["1", "2"] and not found.refused


def test_real_sets_are_found_complete(shared):
    test, train = (find_sets(shared / "data" / part) for part in ("test", "train"))
    assert not any(found.refused for found in test)
    counts, for_training = ({found.name: len(found.pairs) for found in sets} for sets in (test, train))
    scans, others = {"MRI_CT": 21, "MRI_PET": 42, "MRI_SPECT": 73}, {"Lytro": 20, "MEF": 30}
    assert counts == {"MSRS": 361, "RoadScene": 50, "TNO": 25, **scans, **others}
    assert for_training == {"LLVIP": 42, "MSRS": 34, "MSRS_128": 1083, "RoadScene": 171}


def test_a_linked_folder_has_the_name_of_the_link(tmp_path):
    fill(tmp_path / "25_pairs", "ir/1.png", "vi/1.png")
    (tmp_path / "TNO").symlink_to(tmp_path / "25_pairs")
    assert only(tmp_path / "TNO").name == "TNO"


def test_names_pair_in_either_form_of_their_accents(tmp_path):
    fill(tmp_path, "ir/e\u0301.png", "vi/\u00e9.png")
    assert [pair.name for pair in only(tmp_path).pairs] == ["\u00e9"]


def test_the_pair_folder_that_has_no_name_gives_its_set_one(tmp_path, monkeypatch):
    fill(tmp_path, "vi/1.png", "ir/1.png")
    absolute = os.path.abspath
    monkeypatch.setattr(os.path, "abspath", lambda path: "/" if path == tmp_path else absolute(path))
    assert only(tmp_path).name == "root"
