"""The rules without learning."""

import pytest
import torch

import net

RULES = ("average", "max", "laplacian", "dwt")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 16), (37, 50), (64, 1)])
def test_two_equal_images_of_any_size_fuse_to_themselves(rule, size):
    image = torch.rand(2, 1, *size)
    for x, rounding in ((image, 1e-5), (image.bfloat16(), 1e-2)):
        torch.testing.assert_close(net.build(rule)(x, x), x, atol=rounding, rtol=0)


@pytest.mark.parametrize("rule", ("laplacian", "dwt"))
def test_pyramid_rules_keep_the_texture_of_either_image(rule):
    flat = torch.full((1, 1, 64, 64), 0.5)
    texture = 0.5 + 0.2 * torch.rand(1, 1, 64, 64) * torch.tensor([1.0, -1.0]).repeat(32)
    left, right = flat.clone(), flat.clone()
    left[..., :32], right[..., 32:] = texture[..., :32], texture[..., 32:]
    fused = net.build(rule)(left, right)
    for half in (slice(0, 28), slice(36, 64)):
        strength = fused[..., half].diff().abs().mean() / texture[..., half].diff().abs().mean()
        assert 0.8 < strength < 1.2


NUMBERS = {  # four pixels, mean and standard deviation
    "laplacian": [1.0, 0.627629, 0.863252, 1.0, 0.502666, 0.409797],
    "dwt": [1.0, 0.753423, 0.623570, 0.939078, 0.499264, 0.365589],
}


@pytest.mark.parametrize("rule", NUMBERS)
def test_pyramid_rules_give_these_numbers_in_range_and_in_the_precision_of_their_images(rule):
    k = torch.arange(70 * 80, dtype=torch.float64).view(1, 1, 70, 80).requires_grad_()
    fused = net.build(rule)(0.5 + 0.5 * torch.cos(0.37 * k), 0.5 + 0.5 * torch.cos(0.003 * k * k))
    found = [*fused[0, 0, [0, 9, 35, 69], [0, 40, 21, 79]].tolist(), fused.mean().item(), fused.std().item()]
    assert found == pytest.approx(NUMBERS[rule], abs=1e-5)
    assert (fused.min(), fused.max(), fused.dtype) == (0, 1, torch.float64)


def test_average_and_maximum_are_what_they_say():
    vis, ir = torch.rand(1, 1, 5, 6), torch.rand(1, 1, 5, 6)
    torch.testing.assert_close(net.build("average")(vis, ir), vis / 2 + ir / 2)
    assert torch.equal(net.build("max")(vis, ir), torch.where(vis > ir, vis, ir))


@pytest.mark.parametrize("rule", RULES)
def test_images_of_two_sizes_are_refused(rule):
    with pytest.raises(ValueError, match="one shape"):
        net.build(rule)(torch.rand(1, 1, 5, 6), torch.rand(1, 1, 5, 7))
