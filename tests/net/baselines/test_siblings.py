"""What holds for every sibling network alike: inputs, sizes, batches, gradients, weight files."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from net.baselines import adasffuse, mlfuse, sfdfuse
from net.baselines.adasffuse_training import task_loss
from net.baselines.mlfuse_training import mlfuse_loss, visual_saliency
from net.baselines.sfdfuse_training import fusion_loss, reconstruction_loss
from net.training.objective import Batch


def _mlfuse_loss(model: mlfuse.MLFuse, vis: Tensor, ir: Tensor) -> Tensor:
    return mlfuse_loss(model.forward_training(vis, ir), Batch(vis, ir, None, visual_saliency(ir)))["total"]


def _sfdfuse_loss(model: sfdfuse.SFDFuse, vis: Tensor, ir: Tensor) -> Tensor:
    return fusion_loss(model.forward_training(vis, ir), Batch(vis, ir, None))["total"]


def _adasffuse_loss(model: adasffuse.AdaSFFuse, vis: Tensor, ir: Tensor) -> Tensor:
    return task_loss(model(vis, ir), Batch(vis, ir, None))["total"]


@dataclass(frozen=True)
class Sibling:
    module: ModuleType
    small: Callable[[], nn.Module]
    full: Callable[[], nn.Module]
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]


SIBLINGS = {
    "mlfuse": Sibling(mlfuse, lambda: mlfuse.MLFuse(dim=8), mlfuse.MLFuse, _mlfuse_loss),
    "sfdfuse": Sibling(sfdfuse, lambda: sfdfuse.SFDFuse(dim=16, heads=4), sfdfuse.SFDFuse, _sfdfuse_loss),
    "sfdfuse_shuffle": Sibling(
        sfdfuse,
        lambda: sfdfuse.SFDFuse(dim=16, heads=4, feed_forward="shuffle"),
        lambda: sfdfuse.SFDFuse(feed_forward="shuffle"),
        _sfdfuse_loss,
    ),
    "adasffuse": Sibling(adasffuse, lambda: adasffuse.AdaSFFuse(dim=32), adasffuse.AdaSFFuse, _adasffuse_loss),
}


@pytest.fixture(params=SIBLINGS)
def sibling(request) -> Sibling:
    return SIBLINGS[request.param]


def _pair(height: int, width: int, batch: int = 1) -> Tensor:
    return torch.rand(2, batch, 1, height, width, generator=torch.Generator().manual_seed(height * width))


@pytest.mark.parametrize("size", [(15, 15), (16, 24), (17, 22), (22, 17), (33, 19)])
@torch.no_grad()
def test_output_has_the_size_of_the_inputs(sibling, size):
    vis, ir = _pair(*size)
    fused = sibling.small().eval()(vis, ir)
    assert fused.shape == vis.shape
    assert torch.isfinite(fused).all()


@torch.no_grad()
def test_smallest_size_works_and_one_less_is_refused(sibling):
    model, minimum = sibling.small().eval(), sibling.module.MINIMUM_SIZE
    assert torch.isfinite(model(*_pair(minimum, minimum + 1))).all()
    if minimum > 1:
        with pytest.raises(ValueError, match=f"expected at least {minimum}x{minimum}"):
            model(*_pair(minimum - 1, minimum + 5))


REFUSED = {
    "three dimensions": (torch.rand(1, 16, 16), torch.rand(1, 16, 16), r"shape \(1, 16, 16\); expected \(B, 1, H, W\)"),
    "three channels": (torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16), r"vis has shape \(1, 3, 16, 16\)"),
    "integers": (torch.ones(1, 1, 16, 16).byte(), torch.ones(1, 1, 16, 16).byte(), "uint8; expected floating point"),
    "two sizes": (torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 18), "a pair must have one shape"),
    "not a number": (torch.rand(1, 1, 16, 16), torch.full((1, 1, 16, 16), torch.nan), "ir holds NaN"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_inputs_are_refused_with_what_was_found_and_expected(sibling, case):
    vis, ir, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        sibling.small()(vis, ir)


@torch.no_grad()
def test_a_batch_gives_what_its_pairs_give_alone(sibling):
    model = sibling.small().eval()
    vis, ir = _pair(18, 21, batch=3)
    together = model(vis, ir)
    alone = torch.cat([model(v, i) for v, i in zip(vis.split(1), ir.split(1), strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_memory_layout_and_precision_of_the_inputs_do_not_change_the_output(sibling):
    model = sibling.small().eval()
    vis, ir = _pair(16, 20)
    fused = model(vis, ir)
    transposed = [x.transpose(2, 3).contiguous().transpose(2, 3) for x in (vis, ir)]
    torch.testing.assert_close(model(*transposed), fused, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.double()(vis.double(), ir.double()).float(), fused, atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_change_of_either_input_changes_the_output(sibling):
    model = sibling.small().eval()
    vis, ir = _pair(16, 16)
    fused = model(vis, ir)
    assert not torch.allclose(model(1 - vis, ir), fused)
    assert not torch.allclose(model(vis, 1 - ir), fused)


def test_training_gives_every_parameter_a_gradient(sibling):
    model = sibling.small().train()
    sibling.loss(model, *_pair(32, 32, batch=2)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_phase_1_of_sfdfuse_gives_encoder_and_decoder_gradients():
    model = sfdfuse.SFDFuse(dim=16, heads=4)
    vis, ir = _pair(32, 32)
    reconstruction_loss(model.reconstruct(vis, ir), Batch(vis, ir, None))["total"].backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == name.startswith(("encoder.", "decoder.")), name


CONTENTS = {
    "black": torch.zeros(2, 1, 32, 32),
    "white": torch.ones(2, 1, 32, 32),
    "grey": torch.full((2, 1, 32, 32), 0.3),
    "noise": torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize("ir", CONTENTS)
@pytest.mark.parametrize("vis", ["black", "noise"])
def test_plain_images_give_finite_outputs_losses_and_gradients(sibling, vis, ir):
    model = sibling.small()
    with torch.no_grad():
        assert torch.isfinite(model.eval()(CONTENTS[vis], CONTENTS[ir])).all()
    loss = sibling.loss(model.train(), CONTENTS[vis], CONTENTS[ir])
    assert torch.isfinite(loss)
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_own_state_dict_comes_back_as_it_is(sibling):
    state = sibling.full().state_dict()
    back = sibling.module.read(state)[1]
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_own_names_are_recognised_by_their_method_alone(sibling):
    names = [f"module.{name}" for name in sibling.small().state_dict()]
    assert [m for m in (mlfuse, sfdfuse, adasffuse) if m.recognises(names)] == [sibling.module]


@pytest.mark.parametrize("method", ["mlfuse", "sfdfuse", "adasffuse"])
def test_release_files_are_recognised_by_their_method_and_refused_by_the_others(release_file, method):
    file = release_file(method)
    for name, module in {"mlfuse": mlfuse, "sfdfuse": sfdfuse, "adasffuse": adasffuse}.items():
        assert module.recognises(file) == (name == method)
        if name != method:
            with pytest.raises(ValueError, match="these are not .*'s weights; missing: .*; not expected: "):
                module.read(file)


@pytest.mark.parametrize("method", ["mlfuse", "adasffuse"])
def test_release_weights_fill_the_network_exactly(release_file, method):
    sibling = SIBLINGS[method]
    file = release_file(method)
    model = sibling.full()
    model.load_state_dict(sibling.module.read(file)[1], strict=True)
    stored = sum(value.double().sum() for name, value in file.items() if name not in _unread(sibling.module))
    assert sum(value.double().sum() for value in model.state_dict().values()).item() == pytest.approx(stored.item())


def _unread(module: ModuleType) -> set[str]:
    return module.UNUSED | getattr(module, "ALIASES", {}).keys()
