"""Dense 3x3 convolutions by rows, in both forms, against torch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import net.fast.bands
import net.fast.dense
import net.fast.parallel
import net.hdfab
from net.fast.bands import convolved
from net.fast.dense import Direct, Winograd, dense
from net.fast.layout import image, pixels
from net.hdfab import HDFAB, dense_stages

FORMS = [Direct, Winograd]


def result(form, x, weight, bias):
    """(H, W, C) -> (H, W, K), with zeros around the image."""
    out = x.new_full((*x.shape[:2], len(weight)), torch.nan)
    convolution = form(weight, bias)
    convolution.put(convolution.prepared(F.pad(x, (0, 0, 0, 0, 1, 1))), out)
    return out


def expected(x, weight, bias):
    return pixels(F.conv2d(image(x), weight, bias, padding=1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 7, 8, 13])
def test_both_forms_are_the_convolution(form, has_bias, width):
    x, weight = torch.randn(4, width, 3).double(), torch.randn(5, 3, 3, 3).double()
    bias = torch.randn(5).double() if has_bias else None
    torch.testing.assert_close(result(form, x, weight, bias), expected(x, weight, bias), rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_weight_and_bias_may_be_views_of_other_tensors(form):
    x, stacked = torch.randn(4, 8, 3), torch.randn(5, 28, 2)  # two convolutions' weights and biases side by side
    weight, bias = stacked[:, :27, 1].unflatten(1, (3, 3, 3)), stacked[:, 27, 1]
    for bias_ in (bias, bias[:1].expand(5)):
        torch.testing.assert_close(result(form, x, weight, bias_), expected(x, weight, bias_), rtol=0, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_prepared_into_a_part_of_a_wider_tensor(form):
    x = torch.randn(3, 6, 4).double()
    room = torch.full((form.points, 5, form.columns(6), 9), torch.nan).double()
    form.prepare(x, room[:, 1:4, :, 2:6])
    assert torch.equal(room[:, 1:4, :, 2:6], form.prepared(x))
    assert room.shape[2] == {Direct: 6, Winograd: 2}[form]
    untouched = torch.ones_like(room, dtype=torch.bool)
    untouched[:, 1:4, :, 2:6] = False
    assert room[untouched].isnan().all()


def test_round_off_of_winograd_is_small_in_float32():
    x, weight = torch.randn(32, 64, 256), torch.randn(64, 256, 3, 3)
    exact = expected(x.double(), weight.double(), None)
    errors = [(result(form, x, weight, None) - exact).abs().max() / exact.std() for form in FORMS]
    assert errors[1] < 3e-5
    assert errors[0] < errors[1], "the direct form is the more precise one"


def test_wide_convolutions_take_winograds_form(monkeypatch):
    monkeypatch.setattr(net.fast.dense, "MIN_CHANNELS", 8)
    kinds = {size: type(dense(torch.randn(*size, 3, 3), None)) for size in [(8, 8), (8, 7), (7, 8), (16, 8)]}
    assert kinds == {(8, 8): Winograd, (8, 7): Direct, (7, 8): Direct, (16, 8): Winograd}


def test_the_published_width_is_wide():
    assert type(dense(net.build("cmmdl").fdlb.post_vis.weight, None)) is Winograd


@pytest.fixture(params=[1, 2**40], ids=["Winograd", "direct"])
def form(request, monkeypatch):
    monkeypatch.setattr(net.fast.dense, "MIN_CHANNELS", request.param)
    return Winograd if request.param == 1 else Direct


@pytest.fixture(params=[1, 2000, 2**40], ids=["low", "middle", "whole"])
def bands(request, monkeypatch):
    monkeypatch.setattr(net.fast.parallel, "MIN_ROWS", 4 if request.param < 2**40 else 2**40)
    monkeypatch.setattr(net.fast.bands, "BAND_BYTES", request.param)
    monkeypatch.setattr(net.hdfab, "DENSE_BYTES", request.param)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 3), (7, 4), (23, 31), (40, 26)])
@pytest.mark.usefixtures("form", "bands")
def test_a_convolution_by_bands_is_the_convolution(size):
    convolution, x = nn.Conv2d(3, 5, 3, padding=1).double(), torch.randn(2, 3, *size).double()
    with torch.no_grad():
        torch.testing.assert_close(convolved(convolution, x), convolution(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(3, 3), (4, 9), (23, 31), (40, 26)])
@pytest.mark.usefixtures("form", "bands")
def test_dense_stages_by_bands_equal_the_whole_tensor_form(size):
    torch.manual_seed(3)
    block, pair = HDFAB(8).double().eval(), [torch.randn(2, 8, *size).double() for _ in range(2)]
    for stage in block.dense:
        stage[1].running_mean.normal_()
    whole = block.join(*pair).detach()  # gradients are on: the whole-tensor form
    with torch.no_grad():
        torch.testing.assert_close(block.join(*pair), whole, rtol=0, atol=1e-11)


@pytest.mark.parametrize("part", [slice(0, 12), slice(5, 17), slice(20, 30)])
@pytest.mark.usefixtures("bands")
def test_dense_stages_ask_for_each_row_once(form, part):
    x, asked, found = torch.randn(30, 5, 2).double(), [], []
    weights = [torch.randn(2, 2 * k, 3, 3).double() for k in (1, 2, 3)]
    source = lambda rows: (asked.extend(range(rows.start, rows.stop)), x[rows])[1]  # noqa: E731
    for rows, y in dense_stages(source, [form(weight, None) for weight in weights], x, part):
        found.append(y.clone())
        assert len(y) == rows.stop - rows.start
    assert asked == list(range(max(0, part.start - 3), min(30, part.stop + 3)))
    known = y = image(x)
    for weight in weights:
        y = F.relu(F.conv2d(known, weight, padding=1))
        known = torch.cat([known, y], dim=1)
    torch.testing.assert_close(torch.cat(found), pixels(y)[part], rtol=0, atol=1e-12)
