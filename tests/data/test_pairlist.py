"""Pairs named one by one: what a list file may look like, and which of its lines are refused by number."""

import os

import pytest

from data.pairlist import read_pairs, single_pair
from data.pairs import PairError
from tests.pictures import fill


def listed(root, text, encoding="utf-8", name="pairs.csv"):
    (root / name).write_text(text, encoding=encoding)
    return read_pairs(root / name)


@pytest.fixture
def files(tmp_path):
    return fill(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png", "b/Straße, Nacht.png")


def test_each_line_is_a_pair_relative_to_the_file(files, monkeypatch):
    monkeypatch.chdir(files.parent)
    found = listed(files, f"a/1.png,b/1.png\n\n# a comment\n  {files}/a/2.png , b/2.png\n")
    assert found.name == "pairs"
    assert [(p.name, p.vis.name, p.ir.parent.name) for p in found.pairs] == [("1", "1.png", "b"), ("2", "2.png", "b")]
    assert found.refused == ()
    assert found.task == "ivf"
    assert found.pairs[0].words == ("visible", "infrared")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_names_may_hold_commas_in_quotes_and_any_letter(files, encoding):
    found = listed(files, 'a/1.png, "b/Straße, Nacht.png"\n', encoding)
    assert found.pairs[0].ir.name == "Straße, Nacht.png"


@pytest.mark.parametrize(("header", "task", "words", "vis_first"), [
    ("visible,infrared", "ivf", ("visible", "infrared"), True),
    ("IR,VI", "ivf", ("visible", "infrared"), False),
    ("first,second", "ivf", ("visible", "infrared"), True),
    ("PET,MRI", "medical", ("MRI", "PET"), False),
    ("MRI,CT", "medical", ("MRI", "CT"), True),
    ("over,under", "mef", ("under", "over"), False),
])  # fmt: skip
def test_a_header_says_which_column_is_which(files, header, task, words, vis_first):
    found = listed(files, f"{header}\na/1.png,b/1.png\n")
    assert (found.task, found.pairs[0].words) == (task, words)
    assert found.pairs[0].vis.parent.name == ("a" if vis_first else "b")


def test_a_header_counts_more_than_the_names_of_folders(tmp_path):
    found = listed(fill(tmp_path, "ir/1.png", "vi/1.png"), "visible,infrared\nir/1.png,vi/1.png\n")
    assert [pair.vis.parent.name for pair in found.pairs] == ["ir"] and not found.refused


def test_the_folders_of_the_first_pair_tell_the_task(tmp_path):
    fill(tmp_path, "near/x/1.png", "far/x/1.png", "vi/2.png", "ir/2.png")
    found = listed(tmp_path, "near/x/1.png,far/x/1.png\nvi/2.png,ir/2.png\n")
    assert (found.task, found.pairs[0].words) == ("mff", ("near", "far"))


def test_fused_images_are_named_by_the_visible_path_below_what_all_share(tmp_path):
    fill(tmp_path, "vi/day/1.png", "vi/night/1.png", "ir/1.png", "ir/2.png")
    found = listed(tmp_path, "vi/day/1.png,ir/1.png\nvi/night/1.png,ir/2.png\n")
    assert [pair.name for pair in found.pairs] == ["day/1", "night/1"]


@pytest.mark.parametrize(("line", "reason"), [
    ("a/2.png", "1 field (a/2.png); expected two paths: visible, infrared"),
    ("a/2.png,b/2.png,c", "3 fields (a/2.png, b/2.png, c); expected two paths"),
    ("a/2.png,", "2 fields (a/2.png, ); expected two paths"),
    ("a/2.png,b/9.png", "no such file: b/9.png"),
    ("a,b/2.png", "a folder: a;"),
    ("a/1.png,b/2.png", "gives its fused image the name 1, which line 1 has"),
])  # fmt: skip
def test_a_bad_line_is_refused_by_its_number_and_the_rest_is_kept(files, line, reason):
    found = listed(files, f"a/1.png,b/1.png\n{line}\n")
    assert [pair.name for pair in found.pairs] == ["1"]
    (refusal,) = found.refused
    assert refusal.name == "pairs.csv line 2"
    assert reason in refusal.reason


def test_a_line_whose_folders_say_the_reverse_is_refused(tmp_path):
    found = listed(fill(tmp_path, "ir/1.png", "vi/1.png"), "ir/1.png,vi/1.png\n")
    assert found.pairs == ()
    assert "the first lies in ir, the second in vi; expected visible first, infrared second" in str(found.refused[0])
    (deeper,) = listed(fill(tmp_path, "set/ir/1.png", "vi/1.png"), "set/ir/1.png,vi/1.png\n").refused
    assert "the first lies in ir, the second in vi" in str(deeper), "whatever lies above these folders"


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "lists no pair"),
    (b"visible,infrared\n", "lists no pair"),
    (b"visible,depth\na/1.png,b/1.png\n", "the header visible,depth; expected the names of two inputs"),
    (b"\xff\xfe\x00a", "not a csv file in UTF-8"),
])  # fmt: skip
def test_a_file_that_lists_nothing_is_refused_as_a_whole(files, content, reason):
    (files / "pairs.csv").write_bytes(content)
    with pytest.raises(PairError, match=reason):
        read_pairs(files / "pairs.csv")


def test_a_link_counts_by_its_own_name_and_a_path_by_where_it_leads(files):
    for name in ("first", "second"):
        (files / "a" / f"{name}.png").symlink_to("1.png")
    found = listed(files, "a/first.png,b/1.png\nb/../a/second.png,b/2.png\n")
    assert [pair.name for pair in found.pairs] == ["first", "second"]


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(PairError, match="no such file"):
        read_pairs(tmp_path / "pairs.csv")


def test_two_files_are_one_pair(tmp_path):
    fill(tmp_path, "MRI/1.png", "PET/other.png")
    found = single_pair(tmp_path / "MRI" / "1.png", tmp_path / "PET" / "other.png")
    assert (found.name, found.task, found.pairs[0].name, found.pairs[0].words) == ("pair", "medical", "1",
                                                                                  ("MRI", "PET"))  # fmt: skip
    with pytest.raises(PairError, match="expected MRI first, PET second"):
        single_pair(tmp_path / "PET" / "other.png", tmp_path / "MRI" / "1.png")
    with pytest.raises(PairError, match="no such file"):
        single_pair(tmp_path / "MRI" / "1.png", tmp_path / "2.png")


# Names that look like something else: like a header, a comment, no name at all


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
    assert listed(tmp_path, "a/1.png,b/1.png\n", name=file).name == name


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
