"""A file is whole or not there, whatever happens while it is written."""

import os
import stat
from pathlib import Path

import pytest

from data.files import is_folder, mode_of, remove_parts, replacing, write_text


def test_a_new_file_appears_with_its_folder_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a" / "b" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert temporary.parent == path.parent and not path.exists()
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, kind):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(kind), replacing(path) as temporary:
        temporary.write_text("ha")
        raise kind
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_file_is_as_readable_as_any_other(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640


def test_text_is_written_as_utf_8(tmp_path):
    write_text(tmp_path / "file.txt", "größer\n")
    assert (tmp_path / "file.txt").read_bytes() == "größer\n".encode()


def test_a_file_where_the_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), replacing(tmp_path / "file" / "other"):
        pytest.fail("nothing is to be written")


def test_a_folder_in_the_files_place_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError, match=r"out: a folder; expected a file, or a new name$"), replacing(tmp_path / "out"):
        pytest.fail("nothing is to be written")
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    with pytest.raises(OSError, match=r"^\.: a folder; expected a file"), replacing(Path()):  # which has no name
        pytest.fail("nothing is to be written")


def test_what_is_no_regular_file_is_refused_and_stays(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="fifo: a pipe or device; expected a file"), replacing(tmp_path / "fifo"):
        pytest.fail("nothing is to be written")
    assert (tmp_path / "fifo").is_fifo() and list(tmp_path.iterdir()) == [tmp_path / "fifo"]


def test_a_name_may_be_as_long_as_any(tmp_path):
    write_text(tmp_path / ("a" * 255), "text")
    assert (tmp_path / ("a" * 255)).read_text() == "text"


def test_what_a_killed_process_left_is_found_among_files_of_others(tmp_path):
    def left(path):
        with replacing(path) as temporary:
            return temporary.name  # as a kill would leave it, once it is made anew

    others = [".notes.part", "0123abcd.part", ".0123abcd.part.txt", ".0123ABCD.part"]
    for name in (left(tmp_path / "file"), *others):
        (tmp_path / name).touch()
    remove_parts(tmp_path.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["file", *others])


def test_what_cannot_be_told_is_not_taken_for_nothing(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "file").touch()
    assert is_folder(tmp_path / "link") and not is_folder(tmp_path / "file")
    assert [mode_of(tmp_path / name) for name in ("none", "file/none", "circle", "nu\0ll")] == [None] * 4
    with pytest.raises(OSError, match="File name too long"):
        is_folder(tmp_path / ("x" * 300))
