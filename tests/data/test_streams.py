"""Streams that never end the work: what cannot be written is dropped, at once or when they are left."""

import sys
from io import StringIO
from pathlib import Path

import pytest

from data.streams import steady_streams


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize(("name", "buffering"), [("stdout", -1), ("stderr", 1)])  # as Python opens the two
def test_what_a_full_disk_does_not_take_is_dropped(name, buffering, flush, monkeypatch):
    with Path("/dev/full").open("w", buffering) as full:
        monkeypatch.setattr(sys, name, full)
        with steady_streams():
            for text in ("a table", "a name that is no text: \udcff"):
                print(text, flush=flush, file=getattr(sys, name))
        assert getattr(sys, name) is full
        full.flush()  # as Python does when it ends: nothing is left that could fail


def test_a_stream_that_is_no_file_as_in_a_notebook_is_written_to(monkeypatch):
    monkeypatch.setattr(sys, "stdout", StringIO())
    with steady_streams():
        print("a table")
    assert sys.stdout.getvalue() == "a table\n"


def test_what_is_written_arrives_with_letters_that_it_lacks_spelt_out(tmp_path, monkeypatch):
    with (tmp_path / "log").open("w", encoding="ascii") as log:
        monkeypatch.setattr(sys, "stdout", log)
        with steady_streams():
            print("Straße", end="")
    assert (tmp_path / "log").read_text() == "Stra\\xdfe"
