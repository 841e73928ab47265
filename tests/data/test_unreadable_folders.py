"""Folders that may not be read: each is refused by itself, and the rest is found."""

import pytest

from data.listing import images_by_name
from data.pairs import PairError, Refusal, find_sets
from tests.pictures import fill


@pytest.mark.parametrize("place", ["bad", "bad/ir", "bad/vi"])
def test_a_folder_that_cannot_be_read_is_refused_and_the_others_are_kept(tmp_path, lock, place):
    fill(tmp_path, "bad/vi/1.png", "bad/ir/1.png", "good/vi/1.png", "good/ir/1.png")
    lock(tmp_path / place)
    bad, good = find_sets(tmp_path)
    assert [pair.name for pair in good.pairs] == ["1"] and not good.refused
    assert (bad.pairs, bad.folder) == ((), None)
    reason = f"{tmp_path / place}: not readable (Permission denied); expected a folder of pairs"
    assert bad.refused == (Refusal("bad", reason),)


def test_a_sub_folder_of_an_input_that_cannot_be_read_is_refused_and_the_rest_is_paired(tmp_path, lock):
    fill(tmp_path, "vi/1.png", "ir/1.png", "vi/day/2.png", "ir/day/2.png", "vi/night/3.png", "ir/night/3.png")
    lock(tmp_path / "ir" / "night")
    (found,) = find_sets(tmp_path)
    assert [pair.name for pair in found.pairs] == ["1", "day/2"]
    assert [str(refusal) for refusal in found.refused] == [
        "ir/night: not readable (Permission denied); expected a folder of images",
        "night/3.png: in vi but not in ir; a pair needs an image of one stem in both",
    ]


def test_a_sub_folder_that_cannot_be_read_is_told_where_nothing_else_is_found(tmp_path, lock):
    fill(tmp_path, "vi/night/3.png", "ir/night/3.png")
    lock(tmp_path / "ir" / "night")
    assert "ir/night" in [refusal.name for refusal in find_sets(tmp_path)[0].refused]


def test_a_link_into_a_folder_that_cannot_be_read_is_refused_by_itself(tmp_path, lock):
    fill(tmp_path, "sets/good/vi/1.png", "sets/good/ir/1.png", "locked/bad/vi/1.png")
    (tmp_path / "sets" / "bad").symlink_to(tmp_path / "locked" / "bad")
    lock(tmp_path / "locked")
    bad, good = find_sets(tmp_path / "sets")
    assert good.pairs and "not readable" in bad.refused[0].reason


def test_a_root_that_cannot_be_examined_is_refused(tmp_path, lock):
    fill(tmp_path, "locked/set/vi/1.png", "locked/set/ir/1.png")
    lock(tmp_path / "locked")
    with pytest.raises(PairError, match=r"set: not readable \(Permission denied\); expected a folder of pairs"):
        find_sets(tmp_path / "locked" / "set")
    with pytest.raises(PairError, match=r"xxx: not readable \(File name too long\); expected a folder of pairs"):
        find_sets(tmp_path / ("x" * 300))


def test_masks_in_a_sub_folder_that_cannot_be_read_are_not_taken_for_none(tmp_path, lock):
    fill(tmp_path, "labels/1.png", "labels/night/3.png")
    lock(tmp_path / "labels" / "night")
    with pytest.raises(PermissionError):
        images_by_name(tmp_path / "labels")
