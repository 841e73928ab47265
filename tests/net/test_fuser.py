"""A network as a person uses it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import net
from net.color import blend_chroma, rgb_to_ycbcr, ycbcr_to_rgb
from net.devices import exact_convolutions, is_emulated_bf16
from net.fuser import blending, starts, to_uint8, to_unit


@pytest.fixture
def fuser(small):
    return net.Fuser(small, device="cpu")


class Average(torch.nn.Module):
    def forward(self, vis, ir):
        return (vis + ir) / 2


def test_fused_image_keeps_visible_chroma(images):
    vis, ir = images
    fused = net.Fuser(Average(), device="cpu", stretch=False)(vis, ir)
    assert fused.shape == vis.shape
    assert fused.dtype == np.uint8

    def chroma(image):
        return [c.numpy() for c in rgb_to_ycbcr(torch.from_numpy(image / 255.0).permute(2, 0, 1)[None])[1:]]

    inside = ((fused > 0) & (fused < 255)).all(-1)  # where no channel was clamped
    assert inside.mean() > 0.5
    for before, after in zip(chroma(vis), chroma(fused), strict=True):
        assert np.abs(before - after)[0, 0][inside].max() < 0.01


def test_grey_visible_gives_a_grey_image(fuser, images):
    assert fuser(images[0][..., 0], images[1]).shape == images[1].shape


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_of_either_input_may_be_one_three_or_four(fuser, images, channels):
    ir = np.repeat(images[1][..., None], channels, axis=2)
    assert fuser(images[0], ir).shape == images[0].shape
    vis = np.repeat(images[0][..., :1], channels, axis=2)
    assert fuser(vis, images[1]).shape == (images[1].shape if channels == 1 else images[0].shape)


def test_three_equal_channels_are_the_same_as_one(images):
    fuser = net.Fuser(Average(), device="cpu", stretch=False)
    grey = images[1]
    np.testing.assert_array_equal(fuser(grey, grey), fuser(grey, np.dstack([grey] * 3)))


def test_stretch_uses_the_full_range_and_its_absence_keeps_the_networks(images):
    stretched = net.Fuser(Average(), device="cpu")(*images)
    assert (stretched.min(), stretched.max()) == (0, 255)
    grey = images[1]
    kept = net.Fuser(Average(), device="cpu", stretch=False)(grey, grey)
    np.testing.assert_array_equal(kept, grey)


def test_sixteen_bit_thermal_counts_are_spread_between_their_percentiles(images):
    counts = (images[1].astype(np.uint16) * 8 + 21000).astype(np.uint16)
    fused = net.Fuser(Average(), device="cpu", stretch=False)(np.zeros_like(images[1]), counts)
    assert fused.max() > 120  # half of white: the other image is black
    assert np.corrcoef(fused.ravel(), images[1].ravel())[0, 1] > 0.999


def test_floats_are_spread_between_their_percentiles_over_all_channels():
    dim = np.linspace(0, 0.5, 1001, dtype=np.float32).reshape(7, 143)
    spread = ((dim - 0.0005) / 0.499).clip(0, 1)  # 0.1 and 99.9 percent of 0.5
    np.testing.assert_allclose(to_unit(dim)[0, 0].numpy(), spread, atol=1e-5)
    red, green, blue = to_unit(np.dstack([np.full_like(dim, 0.25), dim, dim]))[0].numpy()
    assert np.ptp(red) == 0 and red[0, 0] == pytest.approx(0.5, abs=1e-3) and np.array_equal(green, blue)
    assert (blue.min(), blue.max()) == (0, 1)
    np.testing.assert_allclose(to_unit(1e-15 * dim.astype(float))[0, 0].numpy(), spread, atol=1e-5)
    spot = np.float32(0.3) * np.eye(40, 40, 39, dtype=np.float32)  # one of 1600 pixels, the rest of one value
    assert np.array_equal(to_unit(spot)[0, 0].numpy(), spot > 0)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_the_order_of_bytes_changes_nothing(dtype):
    little = np.arange(1001, dtype=dtype).reshape(7, 143)
    big = little.astype(little.dtype.newbyteorder(">"))
    assert torch.equal(to_unit(big), to_unit(little))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("kind", [np.matrix, np.ma.masked_equal], ids=["matrix", "masked"])
def test_other_kinds_of_arrays_are_images_of_their_values(images, kind):
    grey = images[1]
    image = kind(grey) if kind is np.matrix else kind(grey, grey.max())
    assert torch.equal(to_unit(image), to_unit(grey))


def test_a_constant_pair_stays_constant(images):
    flat = np.full_like(images[1], 100)
    assert (net.Fuser(Average(), device="cpu")(flat, flat) == 100).all()


@pytest.mark.parametrize(
    ("vis", "ir", "message"),
    [
        (np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8), "infrared 9x8, visible 8x8; a pair must have one"),
        (np.zeros((8, 8, 2), np.uint8), np.zeros((8, 8), np.uint8), "visible image has shape"),
        (np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.int32), "infrared image has dtype int32"),
        (np.zeros((0, 8), np.uint8), np.zeros((0, 8), np.uint8), r"has shape \(0, 8\), without pixels"),
        (np.full((8, 8), np.nan, np.float32), np.zeros((8, 8), np.uint8), "NaN"),
        ([[1, 2]], np.zeros((8, 8), np.uint8), "visible image is a list; expected a numpy array"),
        (torch.rand(8, 8), np.zeros((8, 8), np.uint8), "visible image is a Tensor; expected a numpy array"),
    ],
)
def test_other_images_are_refused(fuser, vis, ir, message):
    with pytest.raises(ValueError, match=message):
        fuser(vis, ir)


@pytest.mark.parametrize(("options", "words"), [
    ({"precision": "fp8"}, "precision is 'fp8'; expected one of fp32, bf16"),
    ({"precision": "bf16"}, "precision bf16 is for GPUs: .*; expected fp32"),
    *(({"tile": tile}, rf"tile is {tile}; expected 0 \(whole images\) or at least 32 pixels") for tile in (31, -64)),
])  # fmt: skip
def test_impossible_options_are_refused(small, options, words):
    with pytest.raises(ValueError, match=words):
        net.Fuser(small, device="cpu", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_cuda_device_is_refused(small):
    with pytest.raises(ValueError, match="no CUDA device"):
        net.Fuser(small, device="cuda")


def test_a_gpu_keeps_all_digits_of_float32_while_it_fuses_and_only_then(monkeypatch):
    convolutions, gpu = torch.backends.cudnn.conv, torch.device("cuda")
    monkeypatch.setattr(convolutions, "fp32_precision", "tf32")
    with exact_convolutions(gpu), exact_convolutions(gpu):
        assert convolutions.fp32_precision == "ieee"
    assert convolutions.fp32_precision == "tf32" and torch.backends.cudnn.allow_tf32
    with pytest.raises(RuntimeError), exact_convolutions(gpu):
        raise RuntimeError
    assert convolutions.fp32_precision == "tf32"
    with exact_convolutions(torch.device("cpu")):
        assert convolutions.fp32_precision == "tf32"


def test_threads_that_share_a_fuser_get_the_images_of_one_thread(fuser):
    generator = np.random.default_rng(5)
    sizes = [(20 + 3 * i, 40 - 4 * i) for i in range(4)]
    pairs = [generator.integers(0, 256, (2, *size), dtype=np.uint8) for size in sizes]
    alone = [fuser(*pair) for pair in pairs]
    with ThreadPoolExecutor(2) as pool:
        for one, other in zip(alone, pool.map(lambda pair: fuser(*pair), pairs), strict=True):
            np.testing.assert_array_equal(one, other)


def test_threads_that_fuse_at_a_time_leave_the_setting_as_it_was(monkeypatch):
    convolutions, inside, go_on = torch.backends.cudnn.conv, threading.Event(), threading.Event()
    monkeypatch.setattr(convolutions, "fp32_precision", "tf32")

    def first():
        with exact_convolutions(torch.device("cuda")):
            inside.set()
            go_on.wait()

    def second():
        with exact_convolutions(torch.device("cuda")):
            go_on.set()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait()
    threads[1].start()  # would begin within the first and end after it
    assert not go_on.wait(0.2), "it waits"
    go_on.set()
    for thread in threads:
        thread.join()
    assert convolutions.fp32_precision == "tf32"


def test_a_network_that_gives_no_numbers_is_refused(images):
    class Broken(Average):
        def forward(self, vis, ir):
            return super().forward(vis, ir) * torch.nan

    with pytest.raises(ValueError, match="NaN or infinite values for this pair"):
        net.Fuser(Broken(), device="cpu")(*images)


def test_a_network_in_training_mode_fuses_in_eval_mode_and_may_give_half_precision(images):
    class Half(Average):
        def forward(self, vis, ir):
            assert not self.training
            return super().forward(vis, ir).bfloat16()

    grey = images[0][..., 0], images[1]
    fused = [net.Fuser(network, device="cpu", stretch=False)(*grey).astype(int) for network in (Average(), Half())]
    np.testing.assert_allclose(*fused, atol=1)


def test_without_a_stretch_what_is_beyond_black_and_white_is_clipped():
    beyond = torch.tensor([[-0.003, 0.5], [1.004, 7.0]])[None, None]
    assert to_uint8(beyond, stretch=False).tolist() == [[0, 128], [255, 255]]


def test_a_stretch_is_of_all_channels_together_and_truncates():
    grey = torch.tensor([[0.2, 0.35, 0.5, 0.6]])  # 0, 95.6, 191.2 and 255
    assert to_uint8(grey[None, None], stretch=True).tolist() == [[0, 95, 191, 255]]
    rgb = torch.tensor([[0.2, 0.3], [0.4, 0.5], [0.3, 0.6]]).view(1, 3, 1, 2)
    assert to_uint8(rgb, stretch=True).tolist() == [[[0, 127, 63], [63, 191, 255]]]
    assert to_uint8(torch.full((1, 1, 1, 2), 0.6), stretch=True).tolist() == [[153, 153]]


@pytest.mark.parametrize("size", [(100, 90), (64, 64), (65, 130), (40, 33)])
def test_tiles_of_a_local_rule_show_no_seam(size):
    rng = np.random.default_rng(0)
    vis, ir = (rng.integers(0, 256, size, dtype=np.uint8) for _ in range(2))
    whole = net.Fuser(Average(), device="cpu")(vis, ir)
    tiled = net.Fuser(Average(), device="cpu", tile=64)(vis, ir)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.mark.parametrize("size", [(40, 100), (100, 40)])
def test_an_image_that_is_longer_than_a_tile_in_one_direction_is_fused_in_tiles(size):
    class Watched(Average):
        def forward(self, vis, ir):
            seen.append(tuple(vis.shape[-2:]))
            return super().forward(vis, ir)

    seen, image = [], np.zeros(size, np.uint8)
    net.Fuser(Watched(), device="cpu", tile=64)(image, image)
    assert len(seen) == 2 and set(seen) == {tuple(min(side, 64) for side in size)}


@pytest.mark.parametrize("length", [10, 64, 65, 100, 112, 113, 1000])
def test_tiles_cover_everything_and_overlap(length):
    first = starts(length, 64)
    assert first[0] == 0
    assert first[-1] + 64 >= length
    assert all(0 < b - a <= 48 for a, b in zip(first, first[1:], strict=False))


def test_the_outer_sixteenth_of_a_tile_counts_next_to_nothing_then_it_rises_smoothly_to_one():
    counts, x = blending(64), (torch.arange(8) + 0.5) / 8
    torch.testing.assert_close(counts[:12], torch.cat([torch.full((4,), 1e-4), x * x * (3 - 2 * x)]))
    assert torch.equal(counts, counts.flip(0)) and (counts[12:52] == 1).all()
    torch.testing.assert_close(counts[-16:] + counts[:16], torch.ones(16), rtol=0, atol=2e-4)


def test_colours_are_those_of_the_release_and_cut_where_there_are_none():
    red, dark = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.1, 0.3, 0.2])
    y, cb, cr = (plane.flatten() for plane in rgb_to_ycbcr(torch.stack([red, dark]).view(2, 3, 1, 1)))
    torch.testing.assert_close(y, torch.tensor([0.299, 0.2288]), rtol=0, atol=1e-6)
    torch.testing.assert_close(cb, torch.tensor([0.331364, 0.4837568]), rtol=0, atol=1e-6)
    torch.testing.assert_close(cr, torch.tensor([0.999813, 0.4081656]), rtol=0, atol=1e-6)
    rgb = ycbcr_to_rgb(*torch.tensor([[0.4, 0.9, 0.1], [0.6, 0.5, 0.5], [0.4, 0.9, 0.9]]).view(3, 3, 1, 1, 1)[:, :, 0])
    expected = [[0.2597, 0.437, 0.5773], [1, 0.6144, 0.9], [0.6612, 0, 0.1]]
    torch.testing.assert_close(rgb.view(3, 3), torch.tensor(expected), rtol=0, atol=1e-6)


def test_colour_conversion_goes_back_and_forth():
    rgb = torch.rand(1, 3, 20, 20) * 0.5 + 0.25
    torch.testing.assert_close(ycbcr_to_rgb(*rgb_to_ycbcr(rgb)), rgb, atol=2e-3, rtol=0)


def test_blended_chroma_is_the_mean_weighted_by_the_distance_from_neutral():
    first = torch.tensor([0.5, 0.7, 0.5, 0.3, 0.6, 0.9, 0.504])
    second = torch.tensor([0.5, 0.5, 0.2, 0.7, 0.8, 0.9, 0.5])
    expected = [0.5, 0.7, 0.2, 0.5, (0.6 * 0.1 + 0.8 * 0.3) / 0.4, 0.9, 0.504]
    torch.testing.assert_close(blend_chroma(first, second), torch.tensor(expected), atol=1e-4, rtol=0)
    torch.testing.assert_close(blend_chroma(second, first), blend_chroma(first, second))


def test_blending_takes_colour_from_whichever_image_has_it(images):
    fuser = net.Fuser(Average(), device="cpu", stretch=False)
    colour, grey = images[0], np.dstack([images[0][..., 1]] * 3)
    np.testing.assert_array_equal(fuser(grey, colour, colour_from="both"), fuser(colour, grey, colour_from="both"))
    kept = fuser(grey[..., 0], colour, colour_from="both")
    assert kept.shape == colour.shape
    assert np.ptp(kept.astype(int), axis=2).mean() > 30
    assert np.ptp(fuser(grey, colour).astype(int), axis=2).max() <= 1, "by itself vis alone gives colour"
    np.testing.assert_array_equal(fuser(grey, colour, colour_from="ir"), fuser(colour, grey))
    with pytest.raises(ValueError, match="colour_from is 'pet'; expected one of vis, ir, both"):
        fuser(grey, colour, colour_from="pet")
    assert fuser(grey[..., 0], grey[..., 0], colour_from="both").ndim == 2


@pytest.mark.parametrize(("capability", "emulated"), [("AVX2", True), ("AVX512", False)])
def test_bf16_is_emulated_on_processors_without_avx_512(monkeypatch, capability, emulated):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert is_emulated_bf16(torch.device("cpu")) == emulated
    assert not is_emulated_bf16(torch.device("cuda"))
