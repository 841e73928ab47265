"""What `make fuzz` once found is refused in one sentence, and what it starts from is read."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, Target

CORPUS = Path(__file__).with_name("corpus")


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in sorted(CORPUS.glob("*/*"))])
def test_a_file_that_broke_a_reader_is_refused(path, tmp_path):
    assert not TARGETS[path.parent.name].accepts(path.read_bytes(), tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_the_fuzzer_starts_from_good_files(name, tmp_path):
    target = TARGETS[name]
    assert True in [target.accepts(data, tmp_path) for data in target.originals()]


def test_the_fuzzer_tells_an_undocumented_error_from_a_refusal(tmp_path):
    with pytest.raises(AssertionError, match="names no file"):
        Target("", refuse_without_name, (ValueError,), list).accepts(b"", tmp_path)
    with pytest.raises(ValueError, match="no good"):
        Target("", refuse_without_name, (KeyError,), list).accepts(b"", tmp_path)


def refuse_without_name(_: Path) -> None:
    raise ValueError("no good")
