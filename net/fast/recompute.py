"""Activation checkpointing: what a backward pass needs is computed anew instead of kept, for less memory or time."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from net.fast.layout import eager_on_cpu


def recomputed(function: Callable[..., Any], *inputs: Tensor, of: nn.Module, when: bool = True) -> Any:
    """`function(*inputs)`; only its inputs are kept for the backward pass, which calls it a second time.

    The function must give the same result twice, but for what it draws at random, which is drawn again.

    Args:
        of: the module whose weights the function reads. Autograd keeps them beside the inputs: the second call has the
            weights of the first, whatever the module has by then, and weights changed in place raise RuntimeError. It
            has copies of the buffers that the first one found, too: what a call leaves in them, as spectral
            normalisation and BatchNorm do, is left once.
    """
    if not (when and torch.is_grad_enabled()):
        return function(*inputs)
    if torch.compiler.is_compiling():
        return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
    weights = weights_of(of)
    names, count = list(weights), len(inputs)  # `with_weights` must keep no tensors that autograd does not see
    buffers = {name: buffer.clone() for name, buffer in of.named_buffers(remove_duplicate=False)}
    calls = itertools.count()

    def with_weights(*tensors: Tensor) -> Any:
        given, kept = tensors[:count], dict(zip(names, tensors[count:], strict=True))
        found = {name: buffer.clone() for name, buffer in buffers.items()} if next(calls) else {}
        if not found and all(kept.get(name) is weight for name, weight in weights_of(of).items()):
            return function(*given)  # the same without exchanging weights
        exchanged = {f"of.{name}": tensor for name, tensor in (kept | found).items()}
        # Where the function is the module itself, tied names would leave the exchanged weights in it.
        return functional_call(Bound(of, function), exchanged, given, tie_weights=False)

    return checkpoint(with_weights, *inputs, *weights.values(), use_reentrant=False)


def recomputed_on_cpu(function: Callable[..., Any], *inputs: Tensor, of: nn.Module) -> Any:
    """`recomputed` on a CPU, where wide intermediate tensors cost more time to keep in memory than to compute anew;
    elsewhere, and in graphs that are compiled or exported, just `function(*inputs)`."""
    return recomputed(function, *inputs, of=of, when=eager_on_cpu(inputs[0]))


def weights_of(module: nn.Module) -> Mapping[str, Tensor]:
    return dict(module.named_parameters(remove_duplicate=False))


class Bound(nn.Module):
    """A function that reads a module's weights, as a module that has them."""

    def __init__(self, of: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.of, self.function = of, function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)
