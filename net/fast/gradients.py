"""What all functions have in common whose gradients are written out here instead of left to autograd."""

import torch


def refuse_second_derivatives() -> None:
    """Called first in a `backward` that autograd cannot differentiate, or could only with parts left out.

    Raises RuntimeError where this backward pass is to be differentiated, `create_graph=True`.
    """
    # compilers trace the backward pass with gradients on, and refuse second derivatives themselves
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError(
            "create_graph=True, but this network has no second derivatives: its gradients are written out for speed; "
            "expected first ones, or benchmarks.literal.LiteralCMMDL, which takes CMMDL's weights and has both"
        )
