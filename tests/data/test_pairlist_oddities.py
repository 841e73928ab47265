"""Lists whose names look like something else: like a header, a comment, no name at all."""

import os

import pytest

from data.pairlist import read_pairs, single_pair
from data.pairs import PairError, find_sets
from tests.pictures import picture, save


def fill(root, *names):
    """Images under names that need not have an extension."""
    for name in names:
        save(root / "image.png", picture())
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "image.png").rename(root / name)
    return root


def listed(root, text, name="pairs.csv"):
    (root / name).write_text(text, encoding="utf-8")
    return read_pairs(root / name)


def test_a_first_line_of_two_files_without_extension_is_no_header(tmp_path):
    fill(tmp_path, "a/1", "b/1", "a/2", "b/2")
    assert [pair.name for pair in listed(tmp_path, "a/1,b/1\na/2,b/2\n").pairs] == ["1", "2"]


def test_a_first_line_of_three_names_is_a_bad_line_and_no_header(tmp_path):
    found = listed(fill(tmp_path, "vi/1.png", "ir/1.png"), "name,vi,ir\nvi/1.png,ir/1.png\n")
    assert [refusal.name for refusal in found.refused] == ["pairs.csv line 1"] and len(found.pairs) == 1


@pytest.mark.parametrize("header", ["visible,infrared", "VIS,IR", "left,right"])
def test_a_header_remains_one_beside_folders_or_one_file_of_its_names(tmp_path, header):
    fill(tmp_path, "visible/1.png", "infrared/1.png", "left")
    found = listed(tmp_path, f"{header}\nvisible/1.png,infrared/1.png\n")
    assert len(found.pairs) == 1 and not found.refused


def test_a_line_of_two_files_of_which_the_first_begins_with_a_hash_is_no_comment(tmp_path):
    fill(tmp_path, "#1.png", "b/1.png", "a/2.png", "b/2.png")
    found = listed(tmp_path, "#1.png,b/1.png\n# a/2.png,b/2.png\n#none.png,b/2.png\n#\na/2.png,b/2.png\n")
    assert [pair.vis.name for pair in found.pairs] == ["#1.png", "2.png"]
    assert found.refused == ()


@pytest.mark.parametrize(("file", "name"), [("..csv", "..csv"), ("...csv", "...csv"), ("....csv", "....csv"),
                                            (".csv", ".csv"), ("a.b.csv", "a.b")])  # fmt: skip
def test_a_set_is_never_called_as_the_folder_it_is_in_or_the_one_above(tmp_path, file, name):
    fill(tmp_path, "a/1.png", "b/1.png")
    assert listed(tmp_path, "a/1.png,b/1.png\n", file).name == name


def test_the_pair_folder_that_has_no_name_gives_its_set_one(tmp_path, monkeypatch):
    fill(tmp_path, "vi/1.png", "ir/1.png")
    absolute = os.path.abspath
    monkeypatch.setattr(os.path, "abspath", lambda path: "/" if path == tmp_path else absolute(path))
    assert find_sets(tmp_path)[0].name == "root"


@pytest.mark.parametrize("line", ["{long},b/2.png", "a/2.png,{long}.png", "a/2.png,{long}/{long}/1.png"])
def test_a_line_with_a_name_too_long_for_a_file_is_refused_and_the_others_are_kept(tmp_path, line):
    fill(tmp_path, "a/1.png", "b/1.png", "a/2.png", "b/2.png")
    found = listed(tmp_path, f"a/1.png,b/1.png\n{line.format(long='x' * 300)}\n")
    assert [pair.name for pair in found.pairs] == ["1"]
    (refusal,) = found.refused
    assert refusal.name == "pairs.csv line 2"
    assert refusal.reason.startswith("not readable (File name too long): ")


def test_a_first_line_with_a_name_too_long_is_no_reason_to_fail(tmp_path):
    fill(tmp_path, "a/1.png", "b/1.png")
    assert len(listed(tmp_path, f"{'x' * 300},{'y' * 300}\na/1.png,b/1.png\n").pairs) == 1


@pytest.mark.parametrize(("line", "reason"), [
    ("1.png,2.png", "no such file: 1.png, 2.png;"),
    ("1.png,a", "no such file: 1.png, a folder: a;"),
])  # fmt: skip
def test_two_names_of_no_file_are_told_together(tmp_path, line, reason):
    fill(tmp_path, "a/1.png", "b/1.png")
    assert listed(tmp_path, f"a/1.png,b/1.png\n{line}\n").refused[0].reason.startswith(reason)


def test_a_pipe_in_a_list_or_of_a_pair_is_told_as_one(tmp_path):
    fill(tmp_path, "a/1.png", "b/1.png")
    os.mkfifo(tmp_path / "pipe")
    found = listed(tmp_path, "a/1.png,b/1.png\na/1.png,pipe\n")
    assert "a pipe or device: pipe;" in found.refused[0].reason
    with pytest.raises(PairError, match="pipe: a pipe or device; expected an image"):
        single_pair(tmp_path / "pipe", tmp_path / "b" / "1.png")


def test_a_pair_of_a_name_too_long_is_refused(tmp_path):
    fill(tmp_path, "a/1.png")
    with pytest.raises(PairError, match=r"not readable \(File name too long\); expected an image"):
        single_pair(tmp_path / "a" / "1.png", tmp_path / ("x" * 300))
