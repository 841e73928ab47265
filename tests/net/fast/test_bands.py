"""Inference by bands against the literal network, and where bands are used at all."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode

import net
import net.fast.bands
import net.fast.parallel
import net.fast.products
import net.sfca
from benchmarks.literal import LiteralCMMDL
from net.fast.bands import expand_and_filter, from_planes, in_bands, put_planes, row_bands
from net.fast.layout import image, pixels
from net.fast.products import (
    by_onednn,
    mkl_uses_all_instructions,
    multiplied_by_onednn,
    projected,
    put_added,
    put_projected,
)
from net.fdlb import FDLB
from net.fourier import circular_convolution, convolve_in_place
from net.hdfab import HDFAB
from net.sdlb import SDLB
from tests.weight_files import filled

SIZES = [(3, 3), (4, 9), (5, 3), (23, 31), (32, 40), (41, 26)]


def bands_of(monkeypatch, size):
    """Makes bands, shares and products as small as they get, or one band of the whole image."""
    monkeypatch.setattr(net.fast.parallel, "MIN_ROWS", {"low": 4, "whole": 2**40}[size])
    monkeypatch.setattr(net.fast.bands, "BAND_BYTES", {"low": 1, "whole": 2**40}[size])
    monkeypatch.setattr(net.hdfab, "DENSE_BYTES", {"low": 1, "whole": 2**40}[size])
    monkeypatch.setattr(net.sfca, "MIN_WIDTH", {"low": 1, "whole": 2**40}[size])


def both(**options):
    ours = filled(net.build("cmmdl", dim=16, depth=2, **options))
    literal = LiteralCMMDL(dim=16, depth=2).eval()
    literal.load_state_dict(ours.state_dict())
    return ours, literal


def images(size, batch=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    return [torch.rand(batch, 1, *size, generator=generator).to(dtype) for _ in range(2)]


@pytest.fixture(params=["oneDNN", "MKL"])
def library(request, monkeypatch):
    """Products in bands by one of torch's two libraries, whichever this processor would have."""
    if request.param == "oneDNN" and not torch.backends.mkldnn.is_available():
        pytest.skip("torch has no oneDNN here")
    monkeypatch.setattr(net.fast.products, "mkl_uses_all_instructions", lambda: request.param == "MKL")
    return request.param


@pytest.mark.parametrize("bands", ["low", "whole"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("library")
def test_by_bands_the_network_equals_its_literal_form(monkeypatch, bands, size):
    bands_of(monkeypatch, bands)
    ours, literal = both()
    with torch.inference_mode():
        torch.testing.assert_close(ours(*images(size)), literal(*images(size)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(23, 31), (32, 40)])
def test_in_double_precision_bands_change_nothing(monkeypatch, size):
    bands_of(monkeypatch, "low")
    ours = both()[0].double()
    pair = images(size, dtype=torch.float64)
    whole = ours(*pair).detach()  # gradients are on: the whole-tensor form
    with torch.inference_mode():
        by_bands = ours(*pair)
    assert by_bands.std() > 0.01  # the weights do something
    torch.testing.assert_close(by_bands, whole, rtol=0, atol=1e-11)


BLOCKS = {
    "SDLB": lambda: (SDLB(8), 1),
    "affine SDLB": lambda: (SDLB(8, coupling="affine"), 1),
    "FDLB": lambda: (FDLB(8), 2),
    "HDFAB": lambda: (HDFAB(8), 4),
    "transformer": lambda: (net.build("cmmdl", dim=8, heads=2, depth=1).decoder.blocks, 1),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_by_bands_equals_its_whole_tensor_form(monkeypatch, name, size):
    bands_of(monkeypatch, "low")
    torch.manual_seed(1)
    block, inputs = BLOCKS[name]()
    block = filled(block).double()
    x = [torch.randn(2, 8, *size, dtype=torch.float64) for _ in range(inputs)]
    kept = [one.clone() for one in x]
    whole = block(*x)  # gradients are on: the whole-tensor form
    with torch.no_grad():
        by_bands = block(*x)
    torch.testing.assert_close(by_bands, whole if isinstance(whole, tuple) else whole.detach(), rtol=0, atol=1e-11)
    torch.testing.assert_close(x, kept, rtol=0, atol=0)  # inputs stay as they were


def test_hooks_on_every_module_and_counters_of_operations_see_the_layers():
    network, seen = net.build("cmmdl", dim=8, heads=2, depth=1).eval(), set()
    block, x = SDLB(8).eval(), torch.rand(1, 8, 8, 8)
    with torch.no_grad():
        for register in (register_module_forward_hook, register_module_forward_pre_hook):
            hook = register(lambda module, *_: seen.add(module))
            try:
                assert not in_bands(block, x)
                network(*images((8, 8)))
            finally:
                hook.remove()
            assert network.sdlb_vis.couplings[0].phi.expand in seen
            seen.clear()
        with FlopCounterMode(display=False) as counter:
            assert not in_bands(block, x)
            block(x)
        assert in_bands(block, x)
    places, products = 8 * 8, 3 * 3 * (4 * 8 + 8 * 4)  # of three couplings with three bottlenecks each
    assert counter.get_total_flops() > 2 * places * products


def test_a_layer_that_is_left_in_training_mode_trains():
    network = net.build("cmmdl", dim=8, heads=2, depth=1).eval()
    norm = network.hdfab.cbr_3[1].train()
    with torch.inference_mode():
        network(*images((20, 24)))
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_transformer_that_may_overwrite_its_input_computes_the_same(monkeypatch, layout):
    bands_of(monkeypatch, "low")
    blocks = filled(net.build("cmmdl", dim=8, heads=2, depth=2).decoder.blocks)
    x = torch.randn(1, 8, 23, 31).contiguous(memory_format=layout)
    with torch.no_grad():
        kept = blocks(x)
        overwritten = blocks(x, overwrite=True)
    torch.testing.assert_close(overwritten, kept, rtol=0, atol=0)
    # the image that has its channels side by side is where the result is; another one has to be copied first
    assert (overwritten.data_ptr() == x.data_ptr()) == (layout is torch.channels_last)


def test_features_that_a_hook_keeps_of_the_embedding_stay_as_they_were():
    network = net.build("cmmdl", dim=8, heads=2, depth=1).eval().to(memory_format=torch.channels_last)
    kept, pair = [], images((12, 14))
    network.encoder.embed.register_forward_hook(lambda *call: kept.append(call[2]))
    with torch.no_grad():
        network(*pair)
        torch.testing.assert_close(kept, [F.conv2d(x, network.encoder.embed.weight, padding=1) for x in pair])


@pytest.mark.parametrize("height", [3, 4, 5, 7, 8, 33, 480])
def test_bands_cover_each_row_once_with_two_rows_or_more(monkeypatch, height):
    monkeypatch.setattr(net.fast.bands, "BAND_BYTES", 1)
    bands = row_bands(slice(0, height), 640, 4)
    assert [row for band in bands for row in range(band.start, band.stop)] == list(range(height))
    assert all(2 <= band.stop - band.start <= 3 for band in bands)


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("part", [slice(0, 13), slice(0, 6), slice(3, 7), slice(9, 13)])
def test_a_filter_by_bands_of_a_part_of_an_image_is_that_part_of_the_filtered_image(monkeypatch, part, reflect):
    monkeypatch.setattr(net.fast.bands, "BAND_BYTES", 1)
    x, expand, depthwise = torch.randn(13, 6, 2), torch.randn(5, 2), torch.randn(5, 1, 3, 3)
    asked = []

    def source(rows):
        asked.extend(range(rows.start, rows.stop))
        return x[rows]

    bands = expand_and_filter(source, expand, depthwise, (13, 6), part, widths=[2, 3], reflect=reflect)
    found = [(rows, torch.cat(results, dim=-1)) for rows, results in bands]
    assert asked == list(range(max(0, part.start - 1), min(13, part.stop + 1)))  # each row once
    assert (found[0][0].start, found[-1][0].stop) == (part.start, part.stop)
    padded = F.pad(image(x @ expand.t()), (1, 1, 1, 1), mode="reflect" if reflect else "constant")
    expected = pixels(F.conv2d(padded, depthwise, groups=5))
    torch.testing.assert_close(torch.cat([y for _, y in found]), expected[part])


def test_planes_and_pixels_are_copies_of_each_other():
    x, planes = torch.randn(5, 7, 9)[:, :, 2:8], torch.empty(6, 8, 7)[:, 1:6]
    put_planes(x, planes)
    torch.testing.assert_close(planes, x.permute(2, 0, 1), rtol=0, atol=0)
    torch.testing.assert_close(from_planes(planes), x, rtol=0, atol=0)


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_convolution_in_place_is_the_circular_one(size):
    a, b = torch.randn(2, 6, *size, dtype=torch.float64)
    expected = circular_convolution(a[None], b[None])[0]
    convolve_in_place(a, b)
    torch.testing.assert_close(a, expected)


def test_bands_are_for_evaluation_without_gradients_on_a_cpu_and_in_no_graph(monkeypatch):
    block, x = SDLB(8).eval(), torch.rand(1, 8, 8, 8)
    assert not in_bands(block, x)
    with torch.no_grad():
        assert in_bands(block, x)
        assert not in_bands(block, x.bfloat16())
        assert not in_bands(block, x.to("meta"))
        assert not in_bands(block.train(), x)
        block.eval()
        with torch.autocast("cpu", torch.bfloat16):
            assert not in_bands(block, x)
        for place, graph in ((torch.jit, "is_tracing"), (torch.compiler, "is_compiling")):
            with monkeypatch.context() as patch:
                patch.setattr(place, graph, lambda: True)
                assert not in_bands(block, x)


def test_an_exported_network_is_one_graph_and_equals_the_banded_one(small, pair):
    with torch.no_grad():
        exported = torch.export.export(small, pair).module()
        torch.testing.assert_close(exported(*pair), small(*pair), rtol=0, atol=1e-5)
    assert "autocast" not in exported.code  # each part without it would be a graph in the graph


def test_bf16_autocast_stays_close_on_the_cpu(small, pair):
    with torch.inference_mode():
        expected = small(*pair)
        with torch.autocast("cpu", torch.bfloat16):
            found = small(*pair)
    assert (found.float() - expected).abs().max() < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.usefixtures("library")
def test_a_projection_is_a_1x1_convolution(dtype, bias):
    x, weight = torch.randn(3, 5, 8, dtype=dtype), torch.randn(6, 4, dtype=dtype)
    bias = torch.randn(6, dtype=dtype) if bias else None
    for half in x.chunk(2, dim=-1):
        torch.testing.assert_close(projected(half, weight, bias), F.linear(half, weight, bias))


def test_a_projection_is_put_or_added_where_it_shall_be(library):
    base, x, weight = torch.randn(5, 4, 6), torch.randn(3, 4, 8), torch.randn(6, 4)
    for half in x.chunk(2, dim=-1):
        expected, out = F.linear(half, weight), base.clone()
        put_projected(half, weight, out[1:4])
        torch.testing.assert_close(out, torch.cat([base[:1], expected, base[4:]]))
        put_added(base[1:4], half, weight, out[2:])
        torch.testing.assert_close(out, torch.cat([base[:1], expected[:1], base[1:4] + expected]))
        end = out[2:]
        put_added(end, half, weight, end)
        torch.testing.assert_close(out[2:], base[1:4] + 2 * expected)
    assert multiplied_by_onednn(x) == (library == "oneDNN")


@pytest.mark.parametrize(
    ("has_mkl", "known", "expected"),
    [
        (True, {"avx512_f": True, "cpu_name": "Intel Xeon"}, True),
        (True, {"avx512_f": True, "cpu_name": "AMD EPYC 9R14"}, False),
        (True, {"avx512_f": False, "cpu_name": "AMD EPYC 7R13"}, True),
        (False, {"avx512_f": True, "cpu_name": "Intel Xeon"}, False),
        (False, {"architecture": "arm64"}, False),
    ],
)
def test_mkl_multiplies_where_it_uses_all_of_a_processors_instructions(monkeypatch, has_mkl, known, expected):
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: has_mkl)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert mkl_uses_all_instructions.__wrapped__() == expected


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")
def test_onednn_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(net.fast.products, "mkl_uses_all_instructions", lambda: False)
    network, pair = net.build("cmmdl", dim=8, heads=2, depth=1).eval(), images((12, 14), batch=1)
    with torch.inference_mode():
        expected = network(*pair)
        assert by_onednn(pair[0])
        monkeypatch.setattr(torch, "mkldnn_convolution", lambda *_: pytest.fail("oneDNN is asked"))
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
        found = network(*pair)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
