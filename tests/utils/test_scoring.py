"""A set through its contenders: what is refused, and what goes on."""

import time
from concurrent.futures import Executor, Future
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import CMMDL_test
import net
from data.pairs import Pair, PairSet, find_sets
from tests.pictures import save_pair
from utils import inputs, metrics, scoring
from utils.contenders import Network
from utils.inputs import Inputs
from utils.report import Pictures
from utils.scoring import Result, run_set
from utils.tables import Row

TORCH = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to ..."


@pytest.fixture
def found(tmp_path):
    """A set of three pairs, of which `2` is a row higher."""
    for i in (1, 2, 3):
        save_pair(tmp_path / "set", i, seed=i, height=49 if i == 2 else 48)
    return find_sets(tmp_path / "set")[0]


@pytest.fixture
def score(found, tmp_path):
    """Fuse and score the set by the average, and by the maximum as a rule beside it."""

    def run(tile=0):
        average = Network("average", net.Fuser(net.build("average"), tile=tile), "cmmdl", tmp_path / "out")
        maximum = Network("max", net.Fuser(net.build("max")), "cmmdl", is_reference=True)
        return run_set(found, [average, maximum], protocol="cmmdl", home=tmp_path / "out")

    return run


def fail_at(monkeypatch, place, name, error, wanted):
    """Have a function raise an error on the arguments that are wanted."""
    original = getattr(place, name)

    def function(*args, **options):
        if wanted(args):
            raise error
        return original(*args, **options)

    monkeypatch.setattr(place, name, function)


def rows_of(args):
    """How many rows the images among the arguments have: 49 in pair `2`."""
    return [arg.shape[-2] for arg in args if isinstance(arg, (np.ndarray, torch.Tensor))]


@pytest.mark.parametrize("error", [RuntimeError(TORCH), torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
@pytest.mark.parametrize(("tile", "advice"), [(0, "CMMDL_test.py --tile N fuses in tiles"), (64, "a smaller --tile N")])
def test_a_pair_that_memory_is_too_small_to_fuse_is_refused_and_the_rest_done(monkeypatch, score, error, tile, advice):
    fail_at(monkeypatch, net.METHODS["average"].network, "forward", error, lambda args: 49 in rows_of(args))
    result = score(tile)
    (refusal,) = map(str, result.refused)
    assert refusal.startswith(f"2: average: out of memory; {advice}")
    assert [list(row.images) for row in result.rows] == [["1", "3"], ["1", "2", "3"]]


def test_advice_is_given_where_it_helps(monkeypatch, score):
    fail_at(monkeypatch, net.METHODS["max"].network, "forward", RuntimeError(TORCH), lambda args: 49 in rows_of(args))
    assert list(map(str, score().refused)) == ["2: max: out of memory"]  # a rule beside the methods has no tiles


def test_a_pair_that_memory_is_too_small_to_score_is_fused_all_the_same(monkeypatch, score, tmp_path):
    fail_at(monkeypatch, scoring.Sources, "evaluate", MemoryError("Unable"), lambda args: 49 in rows_of(args))
    result = score()
    assert sorted(map(str, result.refused)) == ["2: average: out of memory", "2: max: out of memory"]
    assert (tmp_path / "out" / "set" / "2.png").exists()
    assert [list(row.images) for row in result.rows] == [["1", "3"]] * 2


@pytest.mark.parametrize(("place", "name"), [(inputs, "check_sizes"), (scoring, "finish")])
def test_a_pair_that_memory_is_too_small_to_read_or_to_show_is_refused(monkeypatch, score, place, name):
    wanted = lambda args: any(getattr(arg, "name", "") == "2" for arg in args)  # noqa: E731
    fail_at(monkeypatch, place, name, MemoryError(), wanted)
    result = score()
    assert list(map(str, result.refused)) == ["2: out of memory"]
    assert list(result.pictures) == ["1", "3"]


def test_a_pair_too_small_to_score_is_called_fused_if_a_method_fused_it(monkeypatch, score):
    monkeypatch.setattr(metrics, "MIN_SIDE", 49)
    assert [refusal.reason[:21] for refusal in score().refused] == ["fused, but not scored"] * 2
    fail_at(monkeypatch, net.METHODS["average"].network, "forward", MemoryError(), lambda args: 48 in rows_of(args))
    assert sum(refusal.reason.startswith("not scored") for refusal in score().refused) == 2


def test_the_times_of_a_set_are_its_own_and_of_methods_alone(found, tmp_path):
    average = Network("average", net.Fuser(net.build("average")), "cmmdl", tmp_path)
    rule = Network("max", net.Fuser(net.build("max")), "cmmdl", is_reference=True)
    for _ in range(2):
        began = time.monotonic()
        result = run_set(found, [average, rule], protocol=None, home=tmp_path)
        assert len(result.seconds["average"]) == 3 and len(result.seconds) == 1
        assert 0 < sum(result.seconds["average"]) <= time.monotonic() - began


def test_a_set_ends_with_its_number_of_pairs_and_the_median_time_of_each_network():
    failed = {"visible": "", "infrared": ""}
    fused = failed | {"mine": ""}
    pictures = {name: SimpleNamespace(thumbnails=shown) for name, shown in (("1", fused), ("2", failed), ("3", fused))}
    seconds = {"cmmdl-lite": [1.0, 9.0, 2.0], "mlfuse": [0.5]}
    rows = [Row("mine"), Row("max", is_reference=True)]
    said = CMMDL_test.what_was_done(Result(rows, pictures, seconds=seconds))
    assert said == "2 pairs; CMMDL-lite 2.00 s, MLFuse 0.50 s a pair (median)"
    assert CMMDL_test.what_was_done(Result(rows, {"1": pictures["1"]})) == "1 pair"


def test_the_bar_counts_the_pairs_of_a_set_refused_ones_too(monkeypatch, score):
    bars, progress_bar = [], scoring.progress_bar
    monkeypatch.setattr(scoring, "progress_bar", lambda **options: bars.append(progress_bar(**options)) or bars[-1])
    fail_at(monkeypatch, inputs, "check_sizes", MemoryError(), lambda args: args[0].name == "2")
    score()
    assert str(bars[0]).startswith("set: 100% 3/3 [")


def test_a_mistake_of_the_program_is_no_refusal(monkeypatch, score):
    fail_at(monkeypatch, scoring.Sources, "evaluate", RuntimeError("shapes differ"), lambda args: 49 in rows_of(args))
    with pytest.raises(RuntimeError, match="shapes differ"):
        score()


def test_scores_are_outstanding_of_so_many_pairs_and_of_so_many_pixels(monkeypatch):
    monkeypatch.setattr(scoring, "PENDING", 4)
    monkeypatch.setattr(scoring, "PENDING_PIXELS", 100)
    done = Future()
    done.set_result(None)

    def too_many(*pixels, more):
        jobs = [(None, 99, done), *((None, count, Future()) for count in pixels)]
        return scoring.too_many(jobs, more)

    assert not (too_many(more=100) or too_many(50, more=50) or too_many(1, 1, 1, more=1))
    assert too_many(more=101) and too_many(50, more=51) and too_many(1, 1, 1, 1, more=1)


def test_large_pairs_are_scored_one_at_a_time(monkeypatch, score):
    running, seen, finish = [], [], scoring.finish

    def slow(*given):
        running.append(given)
        time.sleep(0.2)
        seen.append(len(running))
        running.pop()
        return finish(*given)

    monkeypatch.setattr(scoring, "finish", slow)
    monkeypatch.setattr(scoring, "PENDING_PIXELS", 2 * 48 * 64)  # of the three pairs, the second is larger
    result = score()
    assert seen == [1, 1, 1]
    assert list(result.pictures) == ["1", "2", "3"]


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(scoring.os, "sched_getaffinity", lambda _: {2, 5, 7}, raising=False)
    assert scoring.usable_cores() == 3
    monkeypatch.delattr(scoring.os, "sched_getaffinity")  # as on macOS and Windows
    monkeypatch.setattr(scoring.os, "cpu_count", lambda: 6)
    assert scoring.usable_cores() == 6


class AtOnce(Executor):
    """A pool that has done each job when it is given."""

    def __init__(self, max_workers: int) -> None:  # noqa: ARG002
        pass

    def submit(self, function, *given):
        job = Future()
        job.set_result(function(*given))
        return job


def test_pairs_that_are_scored_do_not_wait_to_be_collected(monkeypatch, tmp_path):
    waiting, too_many = [], scoring.too_many
    monkeypatch.setattr(scoring, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(scoring, "too_many", lambda jobs, pixels: waiting.append(len(jobs)) or too_many(jobs, pixels))
    monkeypatch.setattr(scoring, "finish", lambda *_: (Pictures(), {}, []))
    pairs = tuple(Pair(str(i), tmp_path, tmp_path) for i in range(9))
    images = Inputs(*np.zeros((2, 8, 8), np.uint8))
    result = run_set(PairSet("set", None, pairs, ()), [], protocol=None, home=tmp_path, read=lambda _: images)
    assert list(result.pictures) == [pair.name for pair in pairs]
    assert max(waiting, default=0) <= 1
