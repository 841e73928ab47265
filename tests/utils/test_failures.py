"""A failure reaches a person as one sentence."""

import cv2
import pytest
import torch
import torch.distributed as dist

from utils.failures import (
    CannotCompile,
    DistributedParser,
    command,
    first_to_fail,
    in_plain_words,
    limits_in_plain_words,
    sentence,
)


@pytest.mark.parametrize(
    "error, kind, words",
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error"), ConnectionError, "another process"),
        (dist.DistBackendError("NCCL error"), ConnectionError, "another process"),
        (torch.OutOfMemoryError("CUDA full.\nMore"), MemoryError, r"^out of memory \(CUDA full.\); try a smaller"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."), MemoryError, "try a smaller --batch-size"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: ..."), MemoryError, "try a smaller --batch-size"),
        (MemoryError(), MemoryError, "^out of memory; try a smaller --batch-size"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), ChildProcessError, "fewer --workers"),
        (
            ValueError("Caught X in DataLoader worker process 0.\nOriginal Traceback:\n...\na.b.X: f.h5: bad: very"),
            ValueError,
            "^f.h5: bad: very$",
        ),
    ],
)
def test_trouble_around_the_program_becomes_a_sentence(error, kind, words):
    with pytest.raises(kind, match=words), in_plain_words():
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("bad"), OSError("bad"), KeyError("bad")])
def test_other_errors_pass_as_they_are(error):
    with pytest.raises(type(error)) as found, in_plain_words():
        raise error
    assert found.value is error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 728. TiB for an array with shape (100000000000000,)"),
        torch.OutOfMemoryError("CUDA full."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),  # on Windows
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        cv2.error("OpenCV(4.12.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 4 bytes"),
    ],
)
def test_every_way_to_lack_memory_is_known_and_told_with_advice_once(error):
    outer, inner = limits_in_plain_words(), limits_in_plain_words("use less")
    with pytest.raises(MemoryError, match="^out of memory; use less$"), outer, inner:
        raise error


@pytest.mark.parametrize("words", [in_plain_words, limits_in_plain_words])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("can't start new thread", "no thread can be started; it needs more memory or a higher limit"),
        ("Too many open files. Communication with the workers is no longer possible.", "fewer --workers, or a higher"),
    ],
)
def test_other_limits_of_the_system_are_told_with_what_helps(words, said, expected):
    with pytest.raises(MemoryError, match=expected), words():
        raise RuntimeError(said)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), cv2.error("bad"), ValueError("out of memory.png")])
def test_what_does_not_lack_memory_passes_as_it_is(error):
    with pytest.raises(type(error)) as found, limits_in_plain_words("use less"):
        raise error
    assert found.value is error


@pytest.mark.parametrize("words", [in_plain_words, limits_in_plain_words])
def test_a_missing_compiler_is_told_with_what_to_do(monkeypatch, tmp_path, words):
    from torch._inductor import config  # takes seconds

    monkeypatch.setattr(config.cpp, "cxx", (None, str(tmp_path / "g++")))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    with pytest.raises(CannotCompile, match=r"^--compile failed \(.*No working C.*\); it needs"), words():
        torch.compile(torch.sin)(torch.rand(8))
    torch.compiler.reset()


def test_what_the_system_reports_names_the_file_first(tmp_path):
    with pytest.raises(OSError) as error:
        (tmp_path / "missing").read_text()
    assert sentence(error.value) == f"{tmp_path / 'missing'}: No such file or directory"
    assert sentence(OSError("in own words")) == "in own words"
    assert sentence(OSError(28, "No space left")) == "[Errno 28] No space left", "of no file"


def test_alone_every_failure_is_the_first():
    assert first_to_fail() and first_to_fail()


@pytest.mark.usefixtures("torchrun")
def test_among_peers_one_is_the_first_and_so_again_after_a_restart(monkeypatch):
    assert [first_to_fail(), first_to_fail()] == [True, False]
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert [first_to_fail(), first_to_fail()] == [True, False]


@pytest.mark.usefixtures("torchrun")
def test_a_mistake_in_the_command_line_is_told_by_one_and_ends_all(capsys):
    for told in (True, False):
        with pytest.raises(SystemExit) as error:
            DistributedParser("CMMDL_train.py", "Train.").parse_args(["--what"])
        assert error.value.code == 2
        assert ("unrecognized arguments: --what" in capsys.readouterr().err) == told


@pytest.mark.parametrize(
    "error, status, words",
    [
        (ValueError("a.png: bad"), 2, "error: a.png: bad\n"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), 2, "error: a.csv: No such file or directory\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (KeyboardInterrupt("go on"), 130, "interrupted; go on\n"),
        (MemoryError(), 2, "error: out of memory\n"),
        (cv2.error("(-4:Insufficient memory) Failed to allocate 96000000 bytes"), 2, "error: out of memory\n"),
    ],
)
def test_a_command_ends_with_a_sentence_and_its_status(capsys, error, status, words):
    def main(argv):
        if argv:
            raise error
        return 0

    assert command(main)([]) == 0
    assert command(main)(["x"]) == status
    assert capsys.readouterr().err == words


def test_a_command_prints_names_that_no_terminal_can_show(capfd):
    assert command(lambda: print("night\udcff.png") or 0)() == 0
    assert capfd.readouterr().out == "night\\udcff.png\n"


def test_a_mistake_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError):
        command(lambda: {}["missing"])()
