"""The state-space scan of AdaSFFuse's mixer: a linear recurrence over the tokens, computed in chunks.

Per sample and head, with a state S of head size x state size that starts at zero:

    S_t = exp(delta_t a) S_(t-1) + delta_t x_t B_t^T
    y_t = S_t C_t + D x_t

Inside a chunk of tokens the recurrence unrolls to a masked product of small matrices; between chunks only the state
travels. Time and memory are linear in the number of tokens, and the result is the recurrence's up to rounding.

Source: Dao and Gu, "Transformers are SSMs", ICML 2024, section 6.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from net.devices import without_autocast
from net.fourier import at_least_float32

CHUNK = 64  # tokens in one masked product
CHUNKS_AT_ONCE = 64  # bounds the memory of the masked products


def scan(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Run the recurrence over all tokens, with `mamba_ssm`'s kernel where it is installed and the data are on CUDA.

    Args:
        x: the input, (batch, length, heads, head size).
        delta: positive step sizes, (batch, length, heads).
        a: negative decay rates, (heads,).
        b: input directions shared by all heads, (batch, length, state size).
        c: output directions shared by all heads, (batch, length, state size).
        d: weight of the input beside the state, (heads,).

    Returns:
        (batch, length, heads, head size). Half precision is computed in float32 and cast back.
    """
    x_ = at_least_float32(x)
    with without_autocast(x.device):
        delta, a, b, c, d = (t.to(x_.dtype) for t in (delta, a, b, c, d))
        kernel = _kernel() if x.is_cuda and x_.dtype == torch.float32 else None
        if kernel is None:
            y = chunked_scan(x_, delta, a, b, c, d)
        else:
            y = kernel(x_, delta, a, b.unsqueeze(2), c.unsqueeze(2), chunk_size=256, D=d)
    return y.to(x.dtype)


@functools.cache
def _kernel() -> Callable[..., Tensor] | None:
    """The fused scan of `mamba_ssm` 2.x, or None where that package is absent."""
    try:
        from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined
    except ImportError:
        return None
    return mamba_chunk_scan_combined


def chunked_scan(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """`scan` in plain PyTorch."""
    state = x.new_zeros(x.shape[0], x.shape[2], x.shape[3], b.shape[2])  # (batch, heads, head size, state size)
    outputs = []
    for x_, delta_, b_, c_ in zip(*(t.split(CHUNK * CHUNKS_AT_ONCE, dim=1) for t in (x, delta, b, c)), strict=True):
        pieces = map(_in_chunks, (x_ * delta_.unsqueeze(-1), delta_ * a, b_, c_))
        y, state = _scan_segment(*pieces, state)
        outputs.append(y.flatten(1, 2)[:, : x_.shape[1]] + d.unsqueeze(-1) * x_)  # (batch, tokens, heads, head size)
    return torch.cat(outputs, dim=1)


def _in_chunks(t: Tensor) -> Tensor:
    """(batch, tokens, ...) to (batch, chunks, CHUNK, ...): zeros fill the last chunk and leave the state as it is."""
    missing = -t.shape[1] % CHUNK
    t = F.pad(t, (0, 0) * (t.ndim - 2) + (0, missing))
    return t.unflatten(1, (-1, CHUNK))


def _decay(log_decay: Tensor) -> Tensor:
    """What is left at step t of what came in at step s: exp of the sum over s < k <= t of log_decay_k; 0 for s > t.

    Every sum is added up by itself; a difference of two long running sums would lose digits. (..., N) to (..., N, N).
    """
    steps = log_decay.shape[-1]
    later = torch.ones(steps, steps, dtype=torch.bool, device=log_decay.device).tril(-1)  # row t, column s: t > s
    sums = log_decay.unsqueeze(-1).expand(*log_decay.shape, steps).masked_fill(~later, 0).cumsum(dim=-2)
    # Masked before exp: what is above the diagonal is no decay, and its exp must not enter the gradients.
    return sums.masked_fill(later.T, -torch.inf).exp()


def _scan_segment(x: Tensor, log_decay: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Some chunks in a row: n chunks of q tokens, h heads of p channels, s state entries.

    Args:
        x: delta x, (batch, n, q, h, p).
        log_decay: delta a, (batch, n, q, h).
        b, c: (batch, n, q, s).
        state: before the first token, (batch, h, p, s).

    Returns:
        S_t C_t for every token, (batch, n, q, h, p), and the state after the last token.
    """
    log_decay = log_decay.movedim(3, 1)  # (batch, h, n, q)
    x = x.movedim(3, 1)  # (batch, h, n, q, p)
    b, c = b.unsqueeze(1), c.unsqueeze(1)  # (batch, 1, n, q, s)

    decay = _decay(log_decay)  # (batch, h, n, q, q)
    within = (c @ b.transpose(-2, -1) * decay) @ x  # (batch, h, n, q, p): from the tokens of the same chunk

    to_end = decay[..., -1, :].unsqueeze(-1)  # (batch, h, n, q, 1)
    gained = (x * to_end).transpose(-2, -1) @ b  # (batch, h, n, p, s): what each chunk adds to the state
    states = torch.cat((state.unsqueeze(2), gained), dim=2)  # (batch, h, 1 + n, p, s)
    over_chunks = _decay(F.pad(log_decay.sum(dim=-1), (1, 0)))  # (batch, h, 1 + n, 1 + n)
    states = (over_chunks @ states.flatten(3)).unflatten(3, states.shape[3:])  # after 0, 1, ..., n chunks

    from_start = log_decay.cumsum(dim=-1).exp().unsqueeze(-1)  # (batch, h, n, q, 1)
    before = (c @ states[:, :, :-1].transpose(-2, -1)) * from_start  # (batch, h, n, q, p): from the chunks before
    return (within + before).movedim(1, 3), states[:, :, -1]
