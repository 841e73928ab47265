"""What judges are given, and what they refuse."""

import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.options import UsageError
from downstream import contrast, shrink
from downstream.boxes import boxes_folder, open_boxes
from downstream.material import CASES, cases, open_contenders, open_labels, open_material, time_of
from tests.pictures import save


def test_every_method_shows_every_pair_in_three_channels(labelled, fused):
    material = open_material(labelled)
    pictures = {c.name: material.pictures(c) for c in open_contenders([f"{fused}=mine"])}
    assert list(pictures) == ["infrared", "visible", "average", "max", "mine"]
    assert all(shown.shape == (6, 48, 64, 3) and shown.dtype == np.uint8 for shown in pictures.values())
    assert (pictures["infrared"] == pictures["mine"]).all() and (pictures["visible"][0] == material.vis[0]).all()


def test_the_first_pairs_are_read_and_of_several_sets_none(labelled, tmp_path):
    assert open_material(labelled, 2).stems == ["00001D", "00002D"]
    (labelled / "vi" / "00061N.png").unlink()
    with pytest.raises(UsageError, match="00061N.png: in ir but not in vi.*; a judge needs every image"):
        open_material(labelled, 2)
    shutil.copytree(labelled, tmp_path / "sets" / "one")
    shutil.copytree(labelled, tmp_path / "sets" / "two")
    with pytest.raises(UsageError, match="sets: 2 pair folders; expected one pair folder"):
        open_material(tmp_path / "sets")


def test_boxes_come_from_the_folder_that_is_named(labelled, tmp_path):
    shutil.copytree(labelled / "boxes", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "00001D.txt").write_text("1 0.5 0.5 0.1 0.2\n\n")
    material = open_material(labelled)
    own, other = open_boxes(material), open_boxes(material, tmp_path / "elsewhere")
    assert len(own[0]) == 2 and other[0].tolist() == [[1, *np.float32([0.5, 0.5, 0.1, 0.2])]]


def test_a_folder_of_boxes_that_cannot_be_examined_is_not_called_missing(labelled, monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda *_, **__: False)  # as Python 3.14 says of such a folder
    material = open_material(labelled)
    long = Path("x" * 300)
    with pytest.raises(OSError, match="File name too long"):
        open_boxes(material, long)
    with pytest.raises(OSError, match="File name too long"):
        boxes_folder(replace(material.pair_set, folder=long))


def test_names_tell_the_time_of_day():
    assert [time_of(stem) for stem in ("00012D", "00012N", "FLIR", "N", "12")] == ["day", "night", "", "", ""]
    assert cases(["1D", "2N"]) == CASES and cases(["1D", "street"]) == ["person", "car"]


def test_plain_masks_are_no_labels(labelled):
    (labelled / "Segmentation_labels").rename(labelled / "mask")
    with pytest.raises(UsageError, match=r"MSRS: no labels of 00001D \(6 missing\)"):
        open_labels(open_material(labelled))


def test_a_smaller_copy_keeps_classes_boxes_and_pairs(labelled, tmp_path, capsys):
    assert shrink.main(["--data", str(labelled), "--size", "16x12", "--out", str(tmp_path / "small")]) == 0
    assert capsys.readouterr().out == f"6 pairs at 16x12 with labels and boxes; {tmp_path / 'small'}\n"
    large, small = open_material(labelled), open_material(tmp_path / "small")
    assert small.stems == large.stems and small.shape == (12, 16)
    means = large.ir[0].reshape(12, 4, 16, 4).mean((1, 3))
    assert np.abs(small.ir[0] - means).max() <= 0.5
    assert (open_labels(small) == open_labels(large)[:, 2::4, 2::4]).mean() > 0.95
    assert set(np.unique(open_labels(small))) <= {0, 1, 2}
    assert all((a == b).all() for a, b in zip(open_boxes(small), open_boxes(large), strict=True))


def test_pairs_of_several_sizes_are_brought_to_one_and_never_all_in_memory(labelled, tmp_path, monkeypatch):
    for name, image in (("ir", np.zeros((30, 40), np.uint8)), ("vi", np.full((30, 40), 9, np.uint8))):
        save(labelled / name / "00002D.png", image)
    save(labelled / "Segmentation_labels" / "00002D.png", np.ones((30, 40), np.uint8))
    alive, read = [], shrink.read_pair

    def counting(pair):
        assert sum(reference() is not None for reference in alive) <= 2  # the pair before
        pair_read = read(pair)
        alive.extend(map(weakref.ref, pair_read))
        return pair_read

    monkeypatch.setattr(shrink, "read_pair", counting)
    assert shrink.main(["--data", str(labelled), "--size", "16x12", "--out", str(tmp_path / "small")]) == 0
    small = open_material(tmp_path / "small")
    assert len(alive) == 12 and (small.vis[1] == 9).all() and (open_labels(small)[1] == 1).all()


def test_a_set_that_cannot_be_read_to_its_end_leaves_no_part_of_a_copy(labelled, tmp_path, capsys):
    (labelled / "ir" / "00060N.png").write_bytes(b"no image")
    assert shrink.main(["--data", str(labelled), "--out", str(tmp_path / "small")]) == 2
    assert "00060N.png" in capsys.readouterr().err and not list((tmp_path / "small").iterdir())


def test_copies_are_of_320x240_and_8_bits_unless_another_size_is_named(labelled, tmp_path):
    for path in (labelled / "ir").iterdir():
        save(path, np.tile(np.arange(64, dtype=np.uint16) * 1000, (48, 1)))
    assert shrink.main(["--data", str(labelled), "--out", str(tmp_path / "small")]) == 0
    small = open_material(tmp_path / "small")
    assert small.shape == (240, 320) and small.ir[0].dtype == np.uint8 and np.ptp(small.ir[0]) > 250


def test_labels_of_a_smaller_copy_lie_where_their_images_do(labelled, tmp_path):
    rows, columns = np.mgrid[:48, :64]
    disc = (rows - 20) ** 2 + (columns - 30) ** 2 < 17**2
    for path in sorted(labelled.glob("*/*.png")):
        marked = path.parent.name == "Segmentation_labels"
        save(path, disc.astype(np.uint8) * (2 if marked else 255))
    assert shrink.main(["--data", str(labelled), "--size", "16x12", "--out", str(tmp_path / "small")]) == 0
    small = open_material(tmp_path / "small")
    axes, masses = np.indices((12, 16)), (open_labels(small)[0] / 2, small.ir[0] / 255)
    label, image = (np.array([np.average(axis, weights=mass) for axis in axes]) for mass in masses)
    assert np.abs(label - image).max() < 0.2  # pixels; a block's corner lies 0.375 away


def test_a_set_needs_labels_or_boxes_for_a_smaller_copy(labelled, tmp_path, capsys):
    command = ["--data", str(labelled), "--size", "32x24", "--out", str(tmp_path / "small")]
    labels, boxes = labelled / "Segmentation_labels", labelled / "boxes"
    labels.rename(tmp_path / "labels")
    assert shrink.main(command) == 0
    assert capsys.readouterr().out.startswith("6 pairs at 32x24 with boxes; ")
    assert sorted(path.name for path in (tmp_path / "small").iterdir()) == ["boxes", "ir", "vi"]
    boxes.rename(tmp_path / "boxes")
    command[-1] = str(tmp_path / "other")
    assert shrink.main(command) == 2
    assert "no labels of 00001D (6 missing)" in capsys.readouterr().err
    (tmp_path / "labels").rename(labels)
    assert shrink.main(command) == 0
    assert capsys.readouterr().out.startswith("6 pairs at 32x24 with labels; ")
    (tmp_path / "boxes").rename(boxes)
    (labels / "00001D.png").unlink()  # boxes are no excuse for that
    command[-1] = str(tmp_path / "third")
    assert shrink.main(command) == 2


def test_a_smaller_copy_takes_no_place_of_what_is_there(labelled, capsys):
    before = {path: path.read_bytes() for path in labelled.rglob("*.*")}
    assert shrink.main(["--data", str(labelled), "--size", "32x24", "--out", str(labelled)]) == 2
    assert "not empty; expected a new folder" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in labelled.rglob("*.*")} == before


def remove_label(folder):
    (folder / "Segmentation_labels" / "00001D.png").unlink()


def colour_label(folder):
    save(folder / "Segmentation_labels" / "00001D.png", np.full((48, 64), 200, np.uint8))


def second_label(folder):
    save(folder / "Segmentation_labels" / "00001D.bmp", np.zeros((48, 64), np.uint8))


def remove_ir(folder):
    (folder / "ir" / "00001D.png").unlink()


def other_size(folder):
    for name in ("ir", "vi"):
        save(folder / name / "00001D.png", np.zeros((50, 64), np.uint8))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_label, "no labels of 00001D (1 missing)"),
        (colour_label, "00001D.png: colours or values up to 200; expected class numbers 0 to 8"),
        (second_label, "Segmentation_labels holds 00001D.bmp and 00001D.png; a stem must name one image"),
        (remove_ir, "00001D.png: in vi but not in ir"),
        (other_size, "64x50 and 64x48 in one set; a judge needs one size"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_sentence(labelled, tmp_path, capsys, damage, message):
    damage(labelled)
    assert contrast.main(["--data", str(labelled), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert message in said and said.strip().count("\n") == 0 and not (tmp_path / "out").exists()


def test_two_labels_of_a_stem_in_a_folder_that_was_given_are_refused_with_both_names(labelled, tmp_path, capsys):
    folder = (labelled / "Segmentation_labels").rename(tmp_path / "elsewhere")
    assert (open_labels(open_material(labelled), folder) == 2).any()
    (folder / "00030D.tif").write_bytes((folder / "00030D.png").read_bytes())
    assert contrast.main(["--data", str(labelled), "--labels", str(folder)]) == 2
    assert "elsewhere holds 00030D.png and 00030D.tif; a stem must name one image" in capsys.readouterr().err


def test_what_one_run_of_one_method_wrote_is_judged_by_its_folder_or_by_its_set(labelled, fused, tmp_path, capsys):
    result = tmp_path / "result"
    result.mkdir()
    fused.rename(result / "MSRS")  # as CMMDL_test.py --out result
    contenders = open_contenders([f"{result}=CMMDL", f"{result / 'MSRS'}=same"])
    material = open_material(labelled)
    assert all((material.pictures(c)[..., 0] == np.stack(material.ir)).all() for c in contenders[-2:])
    command = ["--data", str(labelled), "--fused", f"{result / 'cmmdl'}=CMMDL"]
    assert contrast.main(command) == 2
    assert f"no such folder ({result} holds MSRS); expected the folder of fused images" in capsys.readouterr().err
    for i in range(6):
        (result / f"a{i}").mkdir()
    assert contrast.main(command) == 2
    assert "holds MSRS, a0, a1, a2, a3, ...)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "message"),
    [("nowhere", "no such folder"), ("/", "'' is empty or taken"), ("{}=a/b", "expected a name for each")],
)
def test_a_folder_of_fused_images_needs_a_place_and_a_name(labelled, fused, capsys, value, message):
    assert contrast.main(["--data", str(labelled), "--fused", value.format(fused)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["max", "maximum", "infrared"])
def test_a_folder_called_as_a_rule_or_a_source_is_judged_beside_it(fused, name):
    names = [contender.name for contender in open_contenders([f"{fused}={name}"])]
    assert names == ["infrared", "visible", "average", "max", f"{name} (given)"]


def test_a_fused_image_that_is_missing_is_named(labelled, fused, capsys):
    (fused / "00060N.png").unlink()
    assert contrast.main(["--data", str(labelled), "--fused", str(fused)]) == 2
    assert "expected one fused image called 00060N" in capsys.readouterr().err


@pytest.mark.parametrize("text", [
    "0 0.5 0.5", "3 0.5 0.5 0.1 0.1", "0.5 0.5 0.5 0.1 0.1", "0 0.5 0.5 1.5 0.1", "0 -0.1 0.5 0.1 0.1",
    "0 0.5 0.5 0 0.1", "0 0.5 0.5 0.1 0", "a b", "0 0.5 0.5 0.1 0.1 0 0.5 0.5 0.1 0.1",
])  # fmt: skip
def test_lines_that_are_no_objects_are_refused_by_file(labelled, text):
    (labelled / "boxes" / "00031N.txt").write_text("0 0.5 0.5 1 1\n")  # the whole image, which is one
    open_boxes(open_material(labelled))
    (labelled / "boxes" / "00031N.txt").write_text(text)
    with pytest.raises(ValueError, match=r"00031N\.txt: (lines that are no objects|a class or a box out of range)"):
        open_boxes(open_material(labelled))
