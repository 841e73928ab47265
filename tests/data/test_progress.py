"""Progress of long work: a bar on a terminal, a few whole lines in a file."""

import io

import pytest
from tqdm import tqdm

from data import progress
from data.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def now(monkeypatch):
    """The clock's time, in a list: it stands still, however slow the machine is."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def standard_error(monkeypatch, stream):
    """The stream, which is standard error until the test ends."""
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_a_terminal_shows_a_bar_that_moves(monkeypatch):
    terminal = standard_error(monkeypatch, Terminal())
    assert list(progress_bar(range(3), desc="set", mininterval=0)) == [0, 1, 2]
    assert "\rset:   0%" in terminal.getvalue() and "\rset: 100%" in terminal.getvalue()


def test_a_file_gets_whole_lines_and_few(monkeypatch):
    file = standard_error(monkeypatch, io.StringIO())
    monkeypatch.setattr(progress, "SECONDS", 0)
    with progress_bar(total=1000, desc="set", unit="pair", mininterval=0) as bar:
        for _ in range(1000):
            bar.update()
    lines = file.getvalue().splitlines()
    assert "\r" not in file.getvalue() and file.getvalue().endswith("\n")
    assert lines[0].startswith("set:   5% 50/1000 [") and lines[0].endswith("pair/s]")
    assert len(lines) == progress.LINES and lines[-1].startswith("set: 100%")


def test_a_line_waits_until_time_has_passed(monkeypatch, now):
    file = standard_error(monkeypatch, io.StringIO())
    with progress_bar(total=10, mininterval=0) as bar:
        for second in range(10):
            now[0] = 15.0 * second
            bar.update()
    assert [line.partition("/10")[0].split()[-1] for line in file.getvalue().splitlines()] == ["5", "9"]


def test_quick_work_and_disabled_work_write_nothing_to_a_file(monkeypatch):
    file = standard_error(monkeypatch, io.StringIO())
    list(progress_bar(range(100), mininterval=0))
    monkeypatch.setattr(progress, "SECONDS", 0)
    list(progress_bar(range(100), mininterval=0, disable=True))
    assert file.getvalue() == ""


def test_without_a_standard_error_the_work_goes_on(monkeypatch):
    standard_error(monkeypatch, None)
    assert list(progress_bar(range(3))) == [0, 1, 2]


def test_work_that_goes_on_counts_from_where_it_stopped(monkeypatch):
    file = standard_error(monkeypatch, io.StringIO())
    monkeypatch.setattr(progress, "SECONDS", 0)
    with progress_bar(initial=60, total=100, mininterval=0) as bar:
        bar.update()
        assert file.getvalue() == ""
        bar.update(4)
    assert "65/100" in file.getvalue()


def test_work_without_an_end_in_sight_is_counted(monkeypatch):
    file = standard_error(monkeypatch, io.StringIO())
    monkeypatch.setattr(progress, "SECONDS", 0)
    with progress_bar(total=None, unit="frame", mininterval=0) as bar:
        bar.update(7)
    assert file.getvalue().startswith("7frame [")


def test_messages_between_lines_stand_alone(monkeypatch):
    file = standard_error(monkeypatch, io.StringIO())
    with progress_bar(total=10, mininterval=0) as bar:
        bar.update()
        tqdm.write("refused: a", file=file)
    assert file.getvalue() == "refused: a\n"
