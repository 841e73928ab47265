"""Streams that never end the work: what cannot be written is dropped, at once or when they are left."""

import sys
from pathlib import Path

import pytest

from data.streams import steady_streams


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("flush", [False, True])
def test_what_a_full_disk_does_not_take_is_dropped(flush, monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with steady_streams():
            print("a table", flush=flush)
        assert sys.stdout is full
        full.flush()  # as Python does when it ends: nothing is left that could fail


def test_what_is_written_arrives_with_letters_that_it_lacks_spelt_out(tmp_path, monkeypatch):
    with (tmp_path / "log").open("w", encoding="ascii") as log:
        monkeypatch.setattr(sys, "stdout", log)
        with steady_streams():
            print("Straße", end="")
    assert (tmp_path / "log").read_text() == "Stra\\xdfe"
