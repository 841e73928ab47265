"""The twelve metrics: the release's values, independent implementations, limits and refusals."""

import cv2
import numpy as np
import pytest
import torch
from sewar.full_ref import vifp
from skimage.measure import shannon_entropy
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks import literal_metrics
from benchmarks.metrics import texture
from utils import metrics
from utils.metrics import METRICS, PROTOCOLS, Sources, evaluate, grey

RELEASE = {  # as its evaluator printed them, in the order of METRICS
    "01": "7.159593 48.970512 12.675971 2.083276 1.753291 0.695527 "
          "0.577154 1.309767 5.012959 2949.1599 0.325579 13.433821",
    "03": "7.331757 47.986603 14.469980 2.446796 1.761106 0.741535 "
          "0.638918 1.368110 4.981977 2597.1809 0.407076 13.985783",
}
SIZES = [(41, 41), (48, 73), (97, 64), (130, 131)]
SHAPE = (44, 51)


def textures(height, width, seed=0):
    """A fused image and its two sources, all different, the fused one short of full range."""
    rng = np.random.default_rng(seed)
    ir, vis = texture(rng, height, width), texture(rng, height, width)
    fused = np.uint8(0.5 * ir + 0.3 * vis + rng.integers(3, 20, (height, width)))
    return fused, ir, vis


def flat(level):
    return np.full(SHAPE, level, np.uint8)


def white_at(*place, beside=0):
    image = flat(beside)
    image[place] = 255
    return image


def half():
    return np.hstack([flat(0)[:, :25], flat(255)[:, 25:]])


def noise():
    return np.random.default_rng(5).integers(0, 256, SHAPE, dtype=np.uint8)


PICTURES = {"black": flat(0), "grey": flat(77), "white": flat(255), "dot": white_at(20, 30),
            "corner": white_at(-1, -1, beside=254), "half": half(), "noise": noise()}  # fmt: skip


@pytest.fixture
def short_bands(monkeypatch):
    """Bands of 16 rows, as few as there are, where these images fit into one of the usual size."""
    monkeypatch.setattr(metrics, "BAND_PIXELS", 1)


@pytest.mark.parametrize("stem", RELEASE)
def test_values_are_those_of_the_release(shared, stem):
    files = [shared / "data" / "metrics_fixture" / folder / f"{stem}.png" for folder in ("fused", "ir", "vi")]
    scores = evaluate(*(grey(cv2.imread(str(file))[..., ::-1]) for file in files))
    for name, printed in zip(METRICS, RELEASE[stem].split(), strict=True):
        half_digit = 0.5 * 10.0 ** -len(printed.split(".")[1])
        assert scores[name] == pytest.approx(float(printed), rel=0, abs=half_digit + 1e-6 * float(printed)), name


@pytest.mark.usefixtures("short_bands")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", SIZES)
def test_values_equal_the_literal_formulas(size, protocol):
    images = textures(*size)
    ours, literal = evaluate(*images, protocol), literal_metrics.evaluate(*images, protocol)
    assert tuple(ours) == METRICS
    assert ours == pytest.approx(literal, rel=1e-9)


def test_values_equal_the_literal_formulas_on_pictures_with_flat_areas():
    fused, ir, vis = textures(90, 70)
    ir[:45], vis[:, :35], fused[:50, :40] = 0, 255, 128
    assert evaluate(fused, ir, vis) == pytest.approx(literal_metrics.evaluate(fused, ir, vis), rel=1e-9)


def test_vif_leaves_out_windows_where_the_reference_hardly_varies_however_much_the_fused_image_does():
    fused, source = textures(97, 97)[0], np.zeros((97, 97), np.uint8)
    source[48:52, 48:52] = 255  # far around it, blurred scales hold variances about 1e-10, which the formula cuts off
    assert evaluate(fused, source, source)["VIF"] == pytest.approx(2 * vifp(source, fused), rel=1e-9)


@pytest.mark.usefixtures("short_bands")
@pytest.mark.parametrize("size", SIZES)
def test_vif_is_the_sum_of_sewar_vifp_with_each_source_as_reference(size):
    fused, ir, vis = textures(*size)
    assert evaluate(fused, ir, vis)["VIF"] == pytest.approx(vifp(ir, fused) + vifp(vis, fused), rel=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_vif_is_the_sum_of_torchmetrics_vif_with_each_source_as_target(size):
    from torchmetrics.functional.image import visual_information_fidelity  # here: it takes seconds

    fused, ir, vis = (torch.from_numpy(image).double()[None, None] for image in textures(*size))
    expected = visual_information_fidelity(fused, ir) + visual_information_fidelity(fused, vis)
    assert evaluate(*textures(*size))["VIF"] == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.usefixtures("short_bands")
@pytest.mark.parametrize(("protocol", "fixed_range"), [("cmmdl", None), ("cddfuse", 2)])
@pytest.mark.parametrize("size", SIZES)
def test_ssim_is_scikit_image_with_the_data_range_of_the_protocol(size, protocol, fixed_range):
    fused, ir, vis = (image.astype(float) for image in textures(*size))
    data_range = fixed_range or fused.max() - fused.min()
    expected = sum(structural_similarity(fused, source, data_range=data_range) for source in (ir, vis))
    assert evaluate(*textures(*size), protocol)["SSIM"] == pytest.approx(expected, rel=1e-9)


def test_protocols_differ_in_ssim_only():
    images = textures(*SHAPE)
    cmmdl, cddfuse = (evaluate(*images, protocol) for protocol in PROTOCOLS)
    assert [name for name in METRICS if cmmdl[name] != cddfuse[name]] == ["SSIM"]
    assert evaluate(*images) == cmmdl


@pytest.mark.parametrize("size", SIZES)
def test_histogram_metrics_equal_scikit_image_and_scikit_learn(size):
    from sklearn.metrics import mutual_info_score  # here: it takes a second

    fused, ir, vis = textures(*size)
    scores = evaluate(fused, ir, vis)
    assert scores["EN"] == pytest.approx(shannon_entropy(fused, base=2), rel=1e-9)
    expected = sum(mutual_info_score(fused.ravel(), source.ravel()) for source in (ir, vis))
    assert scores["MI"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_moment_metrics_equal_numpy_and_scikit_image(size):
    scores = evaluate(*textures(*size))
    f, a, b = (image.astype(float).ravel() for image in textures(*size))
    r = np.corrcoef([f, a, b, f - b, f - a])
    error = np.concatenate([f - a, f - b])
    assert scores["SD"] == pytest.approx(np.sqrt(np.mean(f**2) - np.mean(f) ** 2), rel=1e-9)
    assert scores["CC"] == pytest.approx((r[0, 1] + r[0, 2]) / 2, rel=1e-9)
    assert scores["SCD"] == pytest.approx(r[1, 3] + r[2, 4], rel=1e-9)
    assert scores["MSE"] == pytest.approx(np.mean(error**2), rel=1e-9)
    both = peak_signal_noise_ratio(np.concatenate([a, b]), np.concatenate([f, f]), data_range=f.max())
    assert scores["PSNR"] == pytest.approx(both, rel=1e-9)


def test_sf_and_ag_of_a_ramp_follow_from_its_slopes():
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ramp = np.uint8(3 * rows + 2 * columns)
    scores = evaluate(ramp, ramp, ramp)
    assert scores["SF"] == pytest.approx(np.sqrt(3**2 + 2**2))
    assert scores["AG"] == pytest.approx(np.sqrt((3**2 + 2**2) / 2))


def test_a_fused_image_equal_to_both_sources_reaches_each_limit():
    image = textures(*SHAPE)[1]
    scores = evaluate(image, image, image)
    assert scores["MI"] == pytest.approx(2 * np.log(2) * scores["EN"])  # MI(F, F) is the entropy, in nats
    assert scores["VIF"] == pytest.approx(2, rel=1e-6)
    assert scores["SSIM"] == pytest.approx(2)
    assert scores["CC"] == pytest.approx(1)
    assert scores["SCD"] == scores["MSE"] == 0
    assert 0.97 < scores["Qabf"] < 0.9754
    one_level_off = image.copy()
    one_level_off[0, 0] ^= 1
    assert scores["PSNR"] == pytest.approx(10 * np.log10(float(image.max()) ** 2 * 2 * image.size))
    assert scores["PSNR"] >= evaluate(image, one_level_off, image)["PSNR"]


def test_exchanging_the_sources_changes_nothing():
    fused, ir, vis = textures(*SHAPE)
    assert evaluate(fused, ir, vis) == pytest.approx(evaluate(fused, vis, ir), rel=1e-12)


def test_mirroring_all_three_images_keeps_all_but_the_lattice_of_vif_and_the_signed_angles_of_qabf():
    images = textures(*SHAPE)
    scores, mirrored = evaluate(*images), evaluate(*(image[:, ::-1] for image in images))
    for name in set(METRICS) - {"VIF", "Qabf"}:
        assert scores[name] == pytest.approx(mirrored[name], rel=1e-12), name


def test_a_blurred_fused_image_loses_sharpness_and_fidelity():
    fused, ir, vis = textures(*SHAPE)
    sharp, blurred = evaluate(fused, ir, vis), evaluate(cv2.GaussianBlur(fused, (0, 0), 2), ir, vis)
    assert all(blurred[name] < sharp[name] for name in ("SD", "SF", "AG", "VIF", "Qabf"))


@pytest.mark.parametrize("fused", PICTURES)
@pytest.mark.parametrize("vis", PICTURES)
@pytest.mark.parametrize("ir", PICTURES)
@pytest.mark.filterwarnings("error")
def test_degenerate_images_give_finite_values_without_a_warning(ir, vis, fused):
    for protocol in PROTOCOLS:
        with np.errstate(divide="raise", over="raise", invalid="raise"):
            scores = evaluate(PICTURES[fused], PICTURES[ir], PICTURES[vis], protocol)
        assert np.isfinite(list(scores.values())).all(), scores
        assert all(type(score) is float for score in scores.values())
        assert min(scores["EN"], scores["SD"], scores["SF"], scores["AG"], scores["MSE"]) >= 0
        assert 0 <= scores["Qabf"] <= 0.9754
        assert abs(scores["CC"]) <= 1 + 1e-12
        assert max(abs(scores["SCD"]), abs(scores["SSIM"])) <= 2 + 1e-12


@pytest.mark.parametrize("level", [0, 1, 77, 200, 255])
def test_a_constant_fused_image_has_no_content(level):
    scores = evaluate(flat(level), noise(), half())
    for name in ("EN", "SD", "SF", "MI", "VIF", "SSIM", "AG", "CC"):
        assert scores[name] == 0, name
    assert evaluate(flat(level), noise(), noise(), "cddfuse")["SSIM"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("level", [0, 1, 77, 200, 255])
def test_a_constant_source_counts_as_fully_kept_in_vif_and_as_nothing_in_mi_and_correlation(level):
    image = noise()
    scores = evaluate(image, flat(level), image)
    assert scores["VIF"] == pytest.approx(2, rel=1e-6)
    assert scores["MI"] == pytest.approx(np.log(2) * scores["EN"])
    assert scores["CC"] == pytest.approx(0.5)


def test_black_images_have_no_edges_to_keep_and_the_lowest_peak():
    scores = evaluate(flat(0), flat(0), flat(0))
    assert scores["Qabf"] == 0
    assert scores["SSIM"] == scores["VIF"] == 2
    assert scores["PSNR"] == pytest.approx(10 * np.log10(2 * flat(0).size))
    assert evaluate(flat(0), flat(255), flat(255))["PSNR"] == pytest.approx(-20 * np.log10(255))


def test_ssim_of_constant_images_counts_the_sources_that_are_equal():
    assert evaluate(flat(9), flat(9), flat(10))["SSIM"] == 1
    assert evaluate(flat(9), flat(8), flat(10))["SSIM"] == 0


def test_sources_score_several_fused_images_as_evaluate_does():
    fused, ir, vis = textures(*SHAPE)
    sources = Sources(ir, vis)
    for candidate in (fused, np.maximum(ir, vis), fused):
        assert sources.evaluate(candidate, "cddfuse") == evaluate(candidate, ir, vis, "cddfuse")


def test_sources_keep_their_pixels_when_the_caller_reuses_the_array():
    fused, ir, vis = textures(*SHAPE)
    expected, buffer = evaluate(fused, ir, vis), ir.copy()
    sources = Sources(buffer, vis)
    buffer[:] = 0
    assert sources.evaluate(fused) == expected


def test_inputs_stay_unchanged_and_need_not_be_contiguous():
    images = textures(*SHAPE)
    copies = [image.copy() for image in images]
    strided = [np.repeat(image, 2, axis=1)[:, ::2] for image in images]
    assert evaluate(*strided) == evaluate(*images)
    assert all(np.array_equal(image, copy) for image, copy in zip(images, copies, strict=True))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_other_kinds_of_arrays_are_images_of_their_values():
    images = textures(*SHAPE)
    assert evaluate(*map(np.matrix, images)) == evaluate(*images)
    assert evaluate(*(np.ma.masked_greater(image, 99) for image in images)) == evaluate(*images)


def test_41_pixels_are_the_least_side_that_every_scale_of_vif_fits():
    evaluate(*textures(41, 60))
    for size, found in (((40, 60), "60x40"), ((60, 40), "40x60"), ((1, 1), "1x1")):
        with pytest.raises(ValueError, match=rf"infrared: {found}; .* need 41x41 or more"):
            evaluate(*(np.zeros(size, np.uint8),) * 3)


@pytest.mark.parametrize("wrong", [np.float64, np.float32, np.int16, np.uint16, bool])
def test_other_types_than_uint8_are_refused_by_name(wrong):
    image = noise()
    with pytest.raises(ValueError, match=rf"fused: {np.dtype(wrong)} array .* expected a uint8 grey array"):
        evaluate(image.astype(wrong), image, image)


@pytest.mark.parametrize("wrong", [None, [[1, 2]], np.zeros((44, 51, 3), np.uint8), np.zeros(99, np.uint8)])
def test_anything_but_a_grey_array_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match="visible: .* expected a uint8 grey array"):
        evaluate(noise(), noise(), wrong)


def test_images_of_different_sizes_are_refused_with_both_sizes():
    small, large = np.zeros((44, 51), np.uint8), np.zeros((45, 51), np.uint8)
    with pytest.raises(ValueError, match="infrared 51x44, visible 51x45"):
        evaluate(small, small, large)
    with pytest.raises(ValueError, match="fused 51x45, infrared 51x44"):
        evaluate(large, small, small)


def test_an_unknown_protocol_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'vifb'; expected one of cmmdl, cddfuse"):
        evaluate(*textures(*SHAPE), "vifb")


def test_grey_returns_equal_channels_unchanged():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    alpha = np.full_like(levels, 3)
    for image in (levels, levels[..., None], np.dstack([levels] * 3), np.dstack([levels] * 3 + [alpha])):
        assert grey(image).dtype == np.uint8
        assert np.array_equal(grey(image), levels)


def test_grey_is_rounded_luma_of_rgb_whatever_the_layout_and_alpha():
    rgba = np.random.default_rng(1).integers(0, 256, (50, 60, 4), dtype=np.uint8)
    luma = rgba[..., :3] @ [0.299, 0.587, 0.114]
    clear = np.abs(luma % 1 - 0.5) > 1e-3
    for found in (grey(rgba), grey(rgba[..., :3]), grey(rgba.transpose(1, 0, 2)).T):
        assert np.array_equal(found[clear], np.rint(luma)[clear])


def test_grey_rounds_the_exact_luma_where_fixed_point_conversion_does_not():
    colour = np.array([[[115, 0, 1]]], np.uint8)  # luma 34.499
    assert cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY) == 35
    assert grey(colour) == 34


def test_grey_adds_up_in_the_releases_order_which_decides_ties():
    assert grey(np.array([[[1, 87, 238]]], np.uint8)) == 79  # luma 78.5; as R, G, B in float32 it comes to less


@pytest.mark.parametrize("shape", [(9,), (9, 9, 2), (9, 9, 5), (2, 9, 9, 3), (0, 9, 3)])
def test_grey_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="expected a uint8 array"):
        grey(np.zeros(shape, np.uint8))


def test_grey_refuses_other_types():
    with pytest.raises(ValueError, match="float32 array"):
        grey(np.zeros((9, 9), np.float32))
    with pytest.raises(ValueError, match="str; expected"):
        grey("01.png")
