"""Pictures in formats that are not read: named once for each input folder, and the rest is paired."""

import pytest

from data.listing import images_by_name
from data.pairs import PairSet, Refusal, find_sets
from tests.pictures import picture, save, written

EXPECTED = "expected .bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp files"


def only(root, *names) -> PairSet:
    """The one set of a folder of images (.png) and of files of a few bytes."""
    for name in names:
        save(root / name, picture()) if name.endswith(".png") else written(root / name, b"x")
    (found,) = find_sets(root)
    return found


@pytest.mark.parametrize(
    "extension", [".gif", ".jp2", ".pgm", ".PPM", ".exr", ".npy", ".heic", ".tga", ".raw", ".mat", ".avif", ".dng",
     ".dcm", ".hdr", ".npz", ".heif", ".j2k", ".jxl", ".pbm", ".pnm"]
)
def test_a_picture_in_a_format_that_is_not_read_is_named(tmp_path, extension):
    found = only(tmp_path, "vi/1.png", "ir/1.png", f"ir/2{extension}")
    assert [pair.name for pair in found.pairs] == ["1"]
    reason = f"files in formats that are not read: 1, first 2{extension}; {EXPECTED}"
    assert found.refused == (Refusal("ir", reason),)


def test_many_are_named_once_for_each_folder_with_their_number_and_the_first(tmp_path):
    names = [f"{side}/{place}.gif" for side in ("vi", "ir") for place in ("10", "9", "day/1")]
    found = only(tmp_path, "vi/1.png", "ir/1.png", *names, "ir/day/2.npy")
    assert [str(refusal) for refusal in found.refused] == [
        f"vi: files in formats that are not read: 3, first 9.gif; {EXPECTED}",
        f"ir: files in formats that are not read: 4, first 9.gif; {EXPECTED}",
    ]


def test_an_image_without_a_partner_is_told_beside_the_file_that_would_have_been_it(tmp_path):
    found = only(tmp_path, "vi/1.png", "ir/1.png", "vi/2.png", "ir/2.gif")
    assert [refusal.name for refusal in found.refused] == ["ir", "2.png"]


def test_a_folder_of_nothing_else_says_so(tmp_path):
    found = only(tmp_path, "vi/1.png", "ir/1.gif", "ir/2.gif")
    assert found.pairs == ()
    assert "no image in ir;" in found.refused[0].reason
    assert "first 1.gif" in found.refused[1].reason


def test_they_are_named_too_where_no_two_files_have_one_stem(tmp_path):
    found = only(tmp_path, "vi/1.png", "ir/2.png", "ir/1.gif")
    assert found.pairs == ()
    assert [refusal.name for refusal in found.refused] == [tmp_path.name, "ir"]


def test_other_files_and_hidden_ones_and_folders_of_such_names_are_not_named(tmp_path):
    others = ["vi/notes.txt", "vi/Thumbs.db", "vi/.2.gif", "ir/.hidden/2.gif", "ir/set.raw/3.png", "vi/set.raw/3.png",
              "labels/1.gif", "2.gif"]  # fmt: skip
    found = only(tmp_path, "vi/1.png", "ir/1.png", *others)
    assert found.refused == ()
    assert [pair.name for pair in found.pairs] == ["1", "set.raw/3"]


def test_they_are_no_images(tmp_path):
    only(tmp_path, "vi/1.png", "ir/1.png", "vi/2.gif")
    assert list(images_by_name(tmp_path / "vi")) == ["1"]
