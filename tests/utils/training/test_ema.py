"""The moving average follows the weights by its formula and never disturbs them."""

import torch

from utils.training.ema import MovingAverage


def test_the_average_follows_its_formula_on_weights_and_buffers(small):
    average, decay = MovingAverage(small, 0.9), 0.9
    generator = torch.Generator().manual_seed(3)
    expected = {name: tensor.double() for name, tensor in small.state_dict().items()}
    for step in range(1, 120):
        with torch.no_grad():
            for tensor in small.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape, generator=generator))
        average.update(small, step)
        share = min(decay, (1 + step) / (10 + step))
        for name, tensor in small.state_dict().items():
            expected[name] = share * expected[name] + (1 - share) * tensor.double()
    found = average.model.state_dict()
    for name, tensor in small.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(found[name].double(), expected[name], rtol=1e-5, atol=1e-6)
    assert "hdfab.cbr_1.1.running_mean" in expected  # a buffer is among them


def test_counters_are_taken_over_as_they_are(small):
    average = MovingAverage(small, 0.9)
    small.hdfab.cbr_1[1].num_batches_tracked.fill_(7)
    average.update(small, 1)
    assert average.model.hdfab.cbr_1[1].num_batches_tracked == 7


def test_the_average_is_apart_from_the_model_fixed_and_in_eval_mode(small):
    small.train()
    average = MovingAverage(small, 0.5)
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    with torch.no_grad():
        for tensor in average.model.parameters():
            tensor.zero_()
    average.update(small, 1)
    assert all(torch.equal(before[name], tensor) for name, tensor in small.state_dict().items())
    assert not average.model.training and small.training
    assert not any(tensor.requires_grad for tensor in average.model.parameters())


def test_the_first_steps_are_soon_forgotten(small):
    average = MovingAverage(small, 0.999)
    with torch.no_grad():
        for tensor in small.parameters():
            tensor.fill_(1)
    for step in range(1, 31):
        average.update(small, step)
    assert all((tensor - 1).abs().max() < 0.01 for tensor in average.model.parameters())
