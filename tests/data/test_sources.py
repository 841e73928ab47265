"""Sources of patches, and the order in which processes draw from them."""

import numpy as np
import pytest
import torch

from data.crops import CropDataset, Images
from data.patchfile import PatchFileError
from data.patchwriter import PatchWriter
from data.sources import CropSource, PatchSource, probe, rendered, shuffled_batches
from net.baselines.mlfuse_training import infrared_saliency, visual_saliency

MAPS = [torch.maximum, torch.minimum]


@pytest.fixture
def h5(tmp_path):
    """Ten patches of 8x8 pixels, each of one grey."""
    with PatchWriter(tmp_path / "patches.h5", size=8) as writer:
        for i in range(10):
            grey = np.full((8, 8), i / 10, np.float32)
            writer.add(grey, grey / 2, np.zeros((8, 8)))
    return tmp_path / "patches.h5"


def test_patches_of_a_file_are_the_same_in_every_epoch_and_of_one_size(h5):
    source = PatchSource(h5)
    assert source.size == 8 and str(source) == f"10 patches of {h5}"
    assert source.epoch(0, 128) is source.epoch(7, 64)
    assert not source.held_out and not source.refused


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(PatchFileError, match="nowhere.h5: no such file"):
        PatchSource(tmp_path / "nowhere.h5")


def test_the_probe_is_spread_over_the_patches_and_always_the_same(h5):
    vis, ir, mask = probe(PatchSource(h5).dataset)
    assert vis.shape == ir.shape == mask.shape == (4, 1, 8, 8)
    torch.testing.assert_close(vis[:, 0, 0, 0], torch.tensor([0.0, 0.3, 0.6, 0.9]))
    assert all(torch.equal(a, b) for a, b in zip(probe(PatchSource(h5).dataset), (vis, ir, mask), strict=True))
    assert len(probe(torch.utils.data.Subset(PatchSource(h5).dataset, [3, 4]))[0]) == 2


def test_crops_differ_from_epoch_to_epoch_and_have_the_size_asked_for():
    image = np.random.default_rng(0).integers(0, 256, (3, 40, 40), np.uint8)
    source = CropSource(Images([image], [], [], ["a"]), seed=1, name="one image")
    first, second = source.epoch(0, 16), source.epoch(1, 16)
    assert isinstance(first, CropDataset) and source.size is None
    assert first[0][0].shape == (1, 16, 16) and source.epoch(0, 20)[0][0].shape == (1, 20, 20)
    assert not torch.equal(first[0][0], second[0][0]) and torch.equal(first[0][0], source.epoch(0, 16)[0][0])


def test_a_source_says_what_it_has_and_what_it_lacks():
    image = np.zeros((3, 40, 40), np.uint8)
    one, two = Images([image], [image], [], ["a"]), Images([image], [], ["b", "c"], ["a"])
    assert str(CropSource(one, seed=1, name="x")) == "crops of 1 image of x, 1 more held out"
    assert str(CropSource(two, seed=1, name="x")).endswith(", 0 more held out, 2 refused")


def test_images_that_are_smaller_than_a_crop_are_told(h5):
    images = [tuple(np.zeros((3, *size), np.uint8)) for size in ((20, 16), (24, 24), (15, 40))]
    source = CropSource(Images(images, [], [], ["a", "b", "c"]), seed=0, name="here")
    assert (source.smaller_than(16), source.smaller_than(20)) == ("1 of 3 images, first c", "2 of 3 images, first a")
    assert source.smaller_than(15) == PatchSource(h5).smaller_than(999) == ""


def test_rendered_scenes_give_images_with_masks_of_which_some_are_held_out():
    source = rendered(seed=1, count=5, size=48)
    assert len(source.images) == 4 and len(source.held_out) == 1
    for vis, ir, mask in (*source.images, *source.held_out):
        assert vis.shape == ir.shape == mask.shape == (48, 48) and vis.dtype == ir.dtype == mask.dtype == np.uint8
    assert any(mask.any() for _, _, mask in source.images)
    again = rendered(seed=1, count=5, size=48)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(source.images, again.images, strict=True))


# The order of an epoch


@pytest.mark.parametrize("length, batch_size, ranks", [(10, 2, 1), (10, 3, 1), (23, 2, 3), (8, 4, 2)])
def test_processes_share_an_epoch_in_whole_batches_without_repetition(length, batch_size, ranks):
    shares = [shuffled_batches(length, batch_size, rank, ranks, 42, 0) for rank in range(ranks)]
    assert {len(share) for share in shares} == {length // (batch_size * ranks)}
    assert {len(batch) for share in shares for batch in share} == {batch_size}
    drawn = [index for share in shares for batch in share for index in batch]
    assert len(drawn) == len(set(drawn)) and set(drawn) <= set(range(length))


def test_the_order_depends_on_seed_and_epoch_alone():
    first = shuffled_batches(20, 2, 0, 1, 42, 3)
    assert first == shuffled_batches(20, 2, 0, 1, 42, 3)
    others = [shuffled_batches(20, 2, 0, 1, 42, 4), shuffled_batches(20, 2, 0, 1, 43, 3)]
    assert first not in others and others[0] != others[1]
    assert sum(first, []) != sorted(sum(first, []))


def test_what_an_epoch_leaves_out_comes_in_others():
    drawn = {index for epoch in range(20) for batch in shuffled_batches(7, 2, 0, 2, 42, epoch) for index in batch}
    assert drawn == set(range(7))


def test_with_any_number_of_processes_the_same_patches_have_been_drawn_after_as_many():
    def drawn(ranks: int, steps: int) -> set[int]:
        shares = [shuffled_batches(24, 2, rank, ranks, 42, 0)[:steps] for rank in range(ranks)]
        return {index for share in shares for batch in share for index in batch}

    assert drawn(1, 6) == drawn(2, 3) == drawn(3, 2)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    shuffled_batches(20, 2, 0, 1, 42, 3)
    assert torch.equal(before, torch.get_rng_state())


def test_too_few_patches_for_a_batch_each_are_refused():
    with pytest.raises(ValueError, match="7 patches; expected at least one batch of 4 for 2 process"):
        shuffled_batches(7, 4, 0, 2, 42, 0)


def test_a_map_is_made_of_whole_pairs_and_cropped_with_them():
    scenes = rendered(seed=1, count=5, size=48, image_maps=[infrared_saliency])
    ir, saliency = scenes.images[0][1], scenes.images[0][3]
    whole = visual_saliency(torch.from_numpy(ir)[None, None] / 255)[0, 0]
    assert (torch.from_numpy(saliency) / 255 - whole).abs().max() <= 0.5 / 255 + 1e-6
    _, ir, _, crop = scenes.epoch(0, 32)[0]
    assert crop.shape == (1, 32, 32) and not torch.allclose(crop, visual_saliency(ir[None])[0], atol=0.02)
    assert "infrared saliency of each whole pair" in str(scenes)


def test_of_a_patch_file_the_map_is_made_of_each_patch_and_the_description_says_so(h5):
    source = PatchSource(h5, [infrared_saliency])
    _, ir, _, saliency = source.epoch(0, 0)[1]
    assert torch.equal(saliency, visual_saliency(ir[None])[0])
    assert "infrared saliency of each patch, not of its whole image" in str(source)


def test_several_maps_are_planes_of_one_tensor_in_their_order(h5):
    for source, size in ((PatchSource(h5, MAPS), 0), (rendered(seed=1, count=5, size=48, image_maps=MAPS), 32)):
        vis, ir, mask, planes = source.epoch(0, size)[0]
        assert vis.shape == mask.shape == (1, *planes.shape[1:]) and len(planes) == 2
        assert torch.allclose(planes[0], torch.maximum(vis, ir)[0], atol=1 / 255)
        assert torch.allclose(planes[1], torch.minimum(vis, ir)[0], atol=1 / 255)
        assert "maximum and minimum of each" in str(source)
