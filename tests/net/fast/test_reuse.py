"""Memory that serves again: never while a tensor uses it, and never more of it than tensors needed at a time."""

import threading

import pytest
import torch

import net
from net.fast import reuse
from net.fast.reuse import empty, reused_memory
from tests.net.fast.test_bands import both, images

LIKE = torch.empty(0)
MB = 2**18  # float32 numbers


def test_a_tensor_takes_the_memory_of_one_that_is_gone():
    with reused_memory():
        place = empty(LIKE, 4, MB).data_ptr()
        assert empty(LIKE, 2, 2, MB).data_ptr() == place
        assert empty(LIKE, MB, dtype=torch.complex64).data_ptr() == place  # a part of the block


@pytest.mark.parametrize("use", [lambda x: x, lambda x: x[1:3].t(), lambda x: x.view(torch.int32), lambda x: x.numpy()])
def test_memory_that_a_tensor_uses_is_not_taken(use):
    with reused_memory():
        user = use(empty(LIKE, 4, MB).fill_(7))
        others = [empty(LIKE, 4, MB).zero_() for _ in range(3)]
        assert (user != 0).all()
        assert len({x.data_ptr() for x in others}) == 3


def test_what_outlives_the_context_keeps_its_memory():
    with reused_memory():
        x = empty(LIKE, 4, MB).fill_(7)
    with reused_memory():
        empty(LIKE, 4, MB).zero_()
    assert (x == 7).all()


def test_the_smallest_block_that_is_large_enough_serves():
    with reused_memory():
        blocks = [empty(LIKE, size, MB) for size in (6, 2, 4)]
        places = [block.data_ptr() for block in blocks]
        del blocks
        assert empty(LIKE, 3, MB).data_ptr() == places[2]


def test_kept_memory_does_not_add_to_the_peak():
    blocks = reuse.Blocks()

    def kept():
        return round(sum(map(len, blocks._free)) / reuse.SPARE)

    first = [blocks.lend(2000) for _ in range(4)]
    assert kept() == 0
    del first
    assert kept() == 8000
    more = [blocks.lend(3000)]  # none is large enough: two go
    assert kept() == 4000
    more.append(blocks.lend(9000))  # all go
    assert kept() == 0
    del more
    assert kept() == 12000


def test_small_tensors_and_those_outside_are_the_c_librarys(monkeypatch):
    monkeypatch.setattr(reuse.Blocks, "lend", None)  # would fail if it were called
    empty(LIKE, 4, MB)
    with reused_memory():
        empty(LIKE, 100)


def test_each_thread_has_its_own():
    found = []
    with reused_memory():
        x = empty(LIKE, 4, MB)
        place = x.data_ptr()
        del x
        thread = threading.Thread(target=lambda: found.append(reuse._blocks.get()))
        thread.start()
        thread.join()
        assert found == [None]
        assert empty(LIKE, 4, MB).data_ptr() == place


def test_the_network_reads_nothing_that_it_has_not_written(monkeypatch):
    """Also what a block holds beyond the border of an image, or from the tensor before, would show as NaN."""
    lend, lent = reuse.Blocks.lend, []

    def spoilt(self, count):
        lent.append(count)
        return lend(self, count).fill_(255)  # NaN in every floating type

    monkeypatch.setattr(reuse.Blocks, "lend", spoilt)
    monkeypatch.setattr(reuse, "MIN_BYTES", 1)
    ours, literal = both()
    for size in ((23, 31), (32, 40), (3, 3)):
        with torch.inference_mode():
            expected = literal(*images(size))
            assert (ours(*images(size)) - expected).abs().max() < 1e-5
    assert len(lent) > 100


def test_an_image_needs_few_blocks(monkeypatch):
    made, lent = [], []
    give_up, lend = reuse.Blocks._give_up, reuse.Blocks.lend
    monkeypatch.setattr(reuse.Blocks, "_give_up", lambda self, count: (made.append(count), give_up(self, count)))
    monkeypatch.setattr(reuse.Blocks, "lend", lambda self, count: (lent.append(count), lend(self, count))[1])
    monkeypatch.setattr(reuse, "MIN_BYTES", 96 * 64 * 8 * 4)  # of half a tensor of features
    network = net.build("cmmdl", dim=16).eval()
    with torch.inference_mode():
        network(*images((96, 64), batch=1))
    assert (len(made), len(lent)) == (6, 32)
