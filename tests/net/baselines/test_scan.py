"""The chunked state-space scan against the recurrence that it stands for."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from net.baselines import scan as scan_module
from net.baselines.scan import CHUNK, CHUNKS_AT_ONCE, chunked_scan, scan

SEGMENT = CHUNK * CHUNKS_AT_ONCE


def recurrence(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """One token after the other."""
    state = x.new_zeros(x.shape[0], x.shape[2], x.shape[3], b.shape[2])
    outputs = []
    for t in range(x.shape[1]):
        entering = torch.einsum("bh,bhp,bs->bhps", delta[:, t], x[:, t], b[:, t])
        state = torch.exp(delta[:, t] * a)[..., None, None] * state + entering
        outputs.append(torch.einsum("bhps,bs->bhp", state, c[:, t]) + d[:, None] * x[:, t])
    return torch.stack(outputs, dim=1)


def inputs(length: int, *, batch: int = 2, heads: int = 2, size: int = 4, states: int = 5, dtype=torch.float64) -> list:
    g = torch.Generator().manual_seed(length)
    x = torch.randn(batch, length, heads, size, generator=g, dtype=dtype)
    delta = torch.rand(batch, length, heads, generator=g, dtype=dtype) * 0.5
    a = -torch.linspace(0.5, 8, heads, dtype=dtype)
    b, c = torch.randn(2, batch, length, states, generator=g, dtype=dtype)
    return [x, delta, a, b, c, torch.linspace(0.5, 1.5, heads, dtype=dtype)]


@pytest.mark.parametrize("length", [1, CHUNK - 1, CHUNK, CHUNK + 1, 679, SEGMENT, SEGMENT + 3])
def test_chunked_scan_equals_the_recurrence(length):
    arguments = inputs(length)
    torch.testing.assert_close(chunked_scan(*arguments), recurrence(*arguments), atol=1e-11, rtol=1e-11)


def test_chunked_scan_stays_exact_in_single_precision_at_the_networks_sizes():
    arguments = inputs(500, batch=1, size=64, states=64, dtype=torch.float32)
    found = chunked_scan(*arguments).double()
    expected = recurrence(*(t.double() for t in arguments))
    assert (found - expected).abs().max() < 1e-6 * expected.abs().max()


def test_gradients_equal_the_recurrences():
    chunked = [t.requires_grad_() for t in inputs(CHUNK + 9, batch=1)]
    literal = [t.detach().clone().requires_grad_() for t in chunked]
    weights = torch.randn(1, CHUNK + 9, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (chunked_scan(*chunked) * weights).sum().backward()
    (recurrence(*literal) * weights).sum().backward()
    for found, expected in zip(chunked, literal, strict=True):
        torch.testing.assert_close(found.grad, expected.grad, atol=1e-10, rtol=1e-10)


def test_strong_decay_gives_finite_values_and_gradients():
    arguments = inputs(200)
    arguments[1] = arguments[1] * 1000
    arguments = [t.requires_grad_() for t in arguments]
    y = chunked_scan(*arguments)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert all(torch.isfinite(t.grad).all() for t in arguments)


def test_no_token_sees_a_later_one():
    arguments = inputs(3 * CHUNK)
    before = chunked_scan(*arguments)
    arguments[0] = arguments[0].clone()
    arguments[0][:, 100:] += 1
    after = chunked_scan(*arguments)
    assert torch.equal(before[:, :100], after[:, :100])
    assert not torch.equal(before[:, 100:], after[:, 100:])


def test_half_precision_is_computed_in_single_and_cast_back():
    arguments = [t.bfloat16() for t in inputs(300)]
    found = scan(*arguments)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, chunked_scan(*(t.float() for t in arguments)).bfloat16())


def test_autocast_does_not_lower_the_precision_of_the_scan_nor_is_a_kernel_for_gpus_asked_for(monkeypatch):
    monkeypatch.setattr(scan_module, "_kernel", lambda: pytest.fail("on a CPU"))
    arguments = inputs(300, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = scan(*arguments)
    assert torch.equal(inside, scan(*arguments))


def test_shapes_can_be_traced_on_a_device_without_values():
    arguments = [t.to("meta") for t in inputs(SEGMENT + 3)]
    assert scan(*arguments).shape == arguments[0].shape


class _Written(TorchDispatchMode):
    """Counts the elements of what every operation returns: their sum, and the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.total = self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # torch calls it with all four
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.total += out.numel()
            self.largest = max(self.largest, out.numel())
        return out


@torch.no_grad()
def test_work_is_linear_in_the_length_and_working_memory_constant():
    written = {}
    for segments in (1, 2, 3):
        arguments = inputs(segments * SEGMENT, batch=1, size=2, states=2, dtype=torch.float32)
        with _Written() as written[segments]:
            chunked_scan(*arguments)
    per_segment = written[2].total - written[1].total
    assert written[3].total - written[2].total == per_segment > 0
    assert written[1].largest == written[3].largest == 2 * SEGMENT * CHUNK  # the masked products of one segment


def test_kernel_of_mamba_ssm_equals_the_chunked_form():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    pytest.importorskip("mamba_ssm", reason="mamba_ssm is not installed")
    arguments = [t.cuda() for t in inputs(679, heads=2, size=64, states=64, dtype=torch.float32)]
    assert scan_module._kernel() is not None
    expected = chunked_scan(*arguments)
    assert (scan(*arguments) - expected).abs().max() < 5e-3 * expected.abs().max()  # the kernel multiplies in TF32
