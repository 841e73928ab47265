"""Training with less memory: what a backward pass needs is computed anew instead of kept."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[..., Any], *inputs: Tensor, when: bool = True) -> Any:
    """`function(*inputs)`; only its inputs are kept for the backward pass, which calls it a second time.

    The function must give the same result twice and leave nothing behind: no dropout, no BatchNorm.
    """
    if not (when and torch.is_grad_enabled()):
        return function(*inputs)
    return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)


def recomputed_on_cpu(function: Callable[..., Any], *inputs: Tensor) -> Any:
    """`recomputed` on a CPU, where wide intermediate tensors cost more time to keep in memory than to compute anew;
    elsewhere, and in graphs that are compiled or exported, just `function(*inputs)`."""
    return recomputed(function, *inputs, when=inputs[0].device.type == "cpu" and not torch.compiler.is_compiling())
