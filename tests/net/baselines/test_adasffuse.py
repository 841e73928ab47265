"""AdaSFFuse and its four task losses against the values of its release."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from net.baselines.adasffuse import AdaSFFuse, pad_like_release, read, recognises
from net.baselines.adasffuse_blocks import FrequencyFilter, LearnableDWT, LearnableIDWT, Mixer
from net.baselines.adasffuse_training import MEDICAL_WEIGHTS, METHOD, WEIGHTS, gradient_shares, task_loss
from net.baselines.wavelet import wavelet_kernels
from net.training.objective import Batch

TASKS = {"ivf": "vif", "mef": "mef", "mff": "mff", "medical": "med"}  # ours to the reference file's


@pytest.fixture
def released(release_file) -> AdaSFFuse:
    """The release's network without dropout, as its reference training values were made."""
    model = AdaSFFuse(dropout=0.0)
    model.load_state_dict(read(release_file("adasffuse"))[1])
    return model.eval()


@pytest.mark.parametrize("size", ["64", "96x112"])
@torch.no_grad()
def test_output_equals_the_release(released, vectors, size):
    reference = vectors("adasffuse")
    fused = released(reference[f"B_{size}"], reference[f"A_{size}"])  # A is infrared; either order gives the same
    torch.testing.assert_close(fused, reference[f"fused_{size}"], atol=1e-5, rtol=0)


@torch.no_grad()
def test_release_padding_gives_the_pictures_of_the_releases_test_script(released, vectors):
    reference = vectors("adasffuse")
    released.release_padding = True
    fused = released(reference["B_96x112"], reference["A_96x112"])
    torch.testing.assert_close(fused, reference["release_padded_fused_96x112"], atol=1e-5, rtol=0)
    stretched = (fused - fused.min()) / (fused.max() - fused.min())
    image = (stretched * 255).byte()[0, 0]
    difference = (image.int() - reference["release_uint8_96x112"].int()).abs()
    assert difference.max() <= 1  # truncation turns the last digit of a float into a grey level
    assert (difference > 0).sum() <= 5


@torch.no_grad()
def test_intermediates_equal_the_release(released, vectors, outputs_of, assert_recorded):
    reference = vectors("adasffuse")
    paths = {
        "low_level_feature_extraction": "stem",
        "HiFreqFusion": "high_stage",
        "LoFreqFusion": "low_stage",
        "idwt": "idwt",
        "conv_last1": "reconstruct.1",
        "conv_last2": "reconstruct.3",
        "conv_last3": "reconstruct.4",
    }
    seen = outputs_of(released, paths)
    released(reference["B_64"], reference["A_64"])  # the stem's last call is the recorded one, A's
    for name in ("HiFreqFusion", "LoFreqFusion"):
        seen[name] = seen[name].flatten(2).transpose(1, 2)  # (B, C, h, w) -> (B, h*w, C)
    seen["dwt.0"], seen["dwt.1"] = released.dwt(released.stem(reference["A_64"]))
    assert_recorded(seen, reference)


@pytest.mark.parametrize("task", TASKS)
@torch.no_grad()
def test_task_loss_equals_the_release(vectors, task):
    reference = vectors("adasffuse")
    weights = MEDICAL_WEIGHTS if task == "medical" else WEIGHTS
    batch = Batch(reference["train_B"], reference["train_A"], None)
    values = task_loss(reference["train_fused"], batch, task=task)
    for ours, theirs in {"intensity": "int", "gradient": "grad", "structure": "ssim"}.items():
        expected = reference[f"train_{TASKS[task]}_{theirs}"].item()
        assert weights[ours] * values[ours].item() == pytest.approx(expected, rel=1e-5), ours
    assert values["total"].item() == pytest.approx(reference[f"train_{TASKS[task]}_total"].item(), rel=1e-5)


def test_one_training_step_equals_the_release(released, vectors, gradient_norm):
    reference = vectors("adasffuse")
    vis, ir = reference["train_B"], reference["train_A"]
    fused = released.train()(vis, ir)
    torch.testing.assert_close(fused, reference["train_fused"], atol=1e-5, rtol=0)
    task_loss(fused, Batch(vis, ir, None))["total"].backward()
    assert gradient_norm(released) == pytest.approx(reference["train_vif_gradnorm"].item(), rel=1e-4)


@torch.no_grad()
def test_dropout_draws_as_the_release_does(release_file, vectors):
    reference = vectors("adasffuse")
    model = AdaSFFuse()
    model.load_state_dict(read(release_file("adasffuse"))[1])
    torch.manual_seed(5)
    pair = reference["train_A"], reference["train_B"]
    total = task_loss(model(*pair), Batch(*pair, None))
    assert total["total"].item() == pytest.approx(reference["train_vif_total_dropout_seed5"].item(), rel=1e-4)


@torch.no_grad()
def test_network_is_symmetric_in_its_inputs():
    model = AdaSFFuse(dim=32).eval()
    vis, ir = torch.rand(2, 1, 1, 12, 10)
    assert torch.equal(model(vis, ir), model(ir, vis))


@torch.no_grad()
def test_an_odd_size_gives_the_repeated_borders_result_cut_to_size_of_the_input():
    """Only the transform sees the repeated row, so the stem's map and not the image is what must be extended."""
    model = AdaSFFuse(dim=32).eval()
    vis, ir = torch.rand(2, 1, 1, 9, 13)
    extended = [F.pad(model.stem(x), (0, 1, 0, 1), mode="replicate") for x in (vis, ir)]
    bands = [model.dwt(x) for x in extended]
    high, low = (a + b for a, b in zip(*bands, strict=True))
    full = model.idwt(model.high_stage(high), model.low_stage(low))
    expected = model.reconstruct(model.full_stage(full))
    assert expected.shape == (1, 1, 10, 14)
    assert torch.equal(model(vis, ir), expected[..., :9, :13])


@torch.no_grad()
def test_release_padding_is_a_mirror_of_one_to_eight_rows():
    x = torch.arange(16.0).view(1, 1, 16, 1).expand(1, 1, 16, 13)
    padded = pad_like_release(x)
    assert padded.shape == (1, 1, 24, 16)
    assert padded[0, 0, 16:, 0].tolist() == [15, 14, 13, 12, 11, 10, 9, 8]
    y = torch.arange(13.0).expand(1, 1, 8, 13)
    assert pad_like_release(y)[0, 0, 0, 13:].tolist() == [12, 11, 10]
    assert pad_like_release(torch.rand(1, 1, 3, 5)).shape == (1, 1, 6, 8)


def test_untrained_transforms_are_inverse_to_each_other():
    """Haar analysis and synthesis, without the convolutions that stand between them."""
    dwt, idwt = LearnableDWT(dim=2), LearnableIDWT()
    x = torch.rand(1, 2, 8, 6)
    kernels = wavelet_kernels(dwt.low_taps, dwt.high_taps)
    bands = torch.stack([F.conv2d(x[:, c : c + 1], kernels, stride=2) for c in range(2)], dim=2)  # (B, 4, 2, h, w)
    torch.testing.assert_close(idwt(bands[:, 1:].flatten(1, 2), bands[:, 0]), x)


def test_second_band_differentiates_downwards_and_third_to_the_right():
    taps = LearnableDWT(dim=1)
    kernels = wavelet_kernels(taps.low_taps, taps.high_taps)[:, 0]
    assert torch.allclose(kernels[1], torch.tensor([[0.5, 0.5], [-0.5, -0.5]]))
    assert torch.allclose(kernels[2], torch.tensor([[0.5, -0.5], [0.5, -0.5]]))


@pytest.mark.parametrize("length", [1, 2, 9, 10])
def test_frequency_filter_equals_the_sum_over_frequencies(length):
    """The real part of a plain discrete Fourier sum in which both ends of the spectrum keep real weights only."""
    block = FrequencyFilter(channels=3).double()
    u = torch.randn(2, 3, length, dtype=torch.float64)
    real, imaginary = block.weight.detach().numpy().T[..., None]
    frequencies = np.fft.fftfreq(length)
    sign = np.sign(frequencies) * (np.abs(frequencies) < 0.5)
    expected = np.fft.ifft(np.fft.fft(u.numpy()) * (real + 1j * imaginary * sign)).real
    np.testing.assert_allclose(block(u).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("place", [
    lambda weight: torch.cat([torch.zeros(1), weight.flatten()])[1:].view(-1, 2),  # as in one vector of all weights
    lambda weight: weight.T.contiguous().T,
], ids=["odd offset", "transposed"])  # fmt: skip
def test_the_weight_of_the_frequency_filter_may_lie_anywhere_in_memory(place):
    block, u = FrequencyFilter(channels=3), torch.rand(1, 3, 10)
    expected = block(u)
    (gradient,) = torch.autograd.grad(expected.square().sum(), block.weight)
    block.weight.data = place(block.weight.data)
    torch.testing.assert_close(block(u), expected, rtol=0, atol=0)
    torch.testing.assert_close(torch.autograd.grad(block(u).square().sum(), block.weight), (gradient,))


def test_step_sizes_and_decays_start_in_their_ranges():
    mixer = Mixer(dim=192)
    steps, decays = F.softplus(mixer.dt_bias), mixer.A_log.exp()
    assert steps.min() * 1.001 >= 1e-3
    assert steps.max() <= 0.1 * 1.001
    assert decays.min() >= 1
    assert decays.max() <= 16
    assert mixer.frequency.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_both_names_of_a_wavelet_filter_must_hold_the_same_taps(release_file):
    state = release_file("adasffuse")
    state["dwt.wavedec.dec_hi"] = state["dwt.wavedec.dec_hi"] + 1
    with pytest.raises(ValueError, match=r"'dwt\.wavedec\.dec_hi' and 'dwt\.dec_hi' differ"):
        read(state)


def test_a_file_nested_under_params_loads(release_file):
    file = {"params": release_file("adasffuse")}
    AdaSFFuse().load_state_dict(read(file)[1])
    assert recognises(file["params"])


def test_parameter_count_is_the_releases_without_the_unused_norm():
    assert sum(p.numel() for p in AdaSFFuse().parameters()) == 1_351_825 - 2 * 64


def test_black_inputs_share_the_structure_term_equally():
    black = torch.zeros(1, 1, 16, 16)
    assert gradient_shares(black, black)[0] == 0.5
    assert torch.isfinite(task_loss(torch.rand(1, 1, 16, 16), Batch(black, black, None))["total"])


def test_the_image_with_more_edges_has_the_larger_share():
    strong, weak = torch.rand(1, 1, 16, 16), torch.full((1, 1, 16, 16), 0.5)
    of_strong, of_weak = gradient_shares(strong, weak)
    assert of_strong > of_weak
    assert (of_strong + of_weak).item() == pytest.approx(1)


def test_an_unknown_task_is_refused():
    with pytest.raises(ValueError, match="task is 'vif'; expected one of ivf, mef, mff, medical"):
        task_loss(torch.rand(1, 1, 16, 16), Batch(*torch.rand(3, 1, 1, 16, 16)), task="vif")


def test_a_width_that_fills_no_whole_head_is_refused():
    with pytest.raises(ValueError, match="dim is 48; expected a multiple of 32"):
        AdaSFFuse(dim=48)


@pytest.mark.parametrize("task, iterations", [("ivf", 60_000), ("mef", 64_000), ("mff", 96_000), ("medical", 50_000)])
def test_each_task_has_a_recipe_with_its_own_loss_and_length(task, iterations):
    recipe = METHOD.recipes[task]
    assert (recipe.iterations, recipe.epochs) == (iterations, None)
    assert (recipe.batch_size, recipe.ema_decay, recipe.crops.orientations) == (12, 0.999, 8)
    assert recipe.crops == (8, 8, 1, 0), "eight orientations, and as many crops of an image as most recipes take"
    assert recipe.in_epochs(steps=700).epochs == -(-iterations // 700)
    # gone on with by fewer processes, after 20 epochs of 350 steps, or in the next one after as many patches as in 400
    assert recipe.in_epochs(steps=700, epoch=20, done=7000).epochs == 20 + -(-(iterations - 7000) // 700)
    assert recipe.in_epochs(steps=700, epoch=20, step=400, done=7200).epochs == 21 + -(-(iterations - 7500) // 700)
    assert recipe.in_epochs(steps=700, epoch=20, step=699, done=iterations - 1).epochs == 21
    assert recipe.in_epochs(steps=700, epoch=20, done=iterations).epochs == 20
    assert recipe.lr_at(0, 0) == recipe.lr_at(10_000, 0.5) == 2e-5
    fused, *images = torch.rand(4, 1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert recipe.phases[0].loss(fused, Batch(*images)) == task_loss(fused, Batch(*images), task=task)


def test_a_length_in_epochs_stands_instead_of_the_iterations():
    assert METHOD.recipes["mef"].override(epochs=7).in_epochs(steps=700).epochs == 7
