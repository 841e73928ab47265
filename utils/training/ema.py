"""An exponential moving average (EMA) of a model's weights."""

from copy import deepcopy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MovingAverage:
    """Follows a model: `average = decay * average + (1 - decay) * model` after every step, buffers included.

    The decay starts small and grows to its value, so that the first steps are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, steps: int) -> None:
        """Take in the model after its `steps`-th step."""
        decay = min(self.decay, (1 + steps) / (10 + steps))
        current = model.state_dict()
        averages = self.model.state_dict()
        floating = [name for name, average in averages.items() if average.is_floating_point()]
        update = get_ema_multi_avg_fn(decay)  # all weights in one go
        update([averages[name] for name in floating], [current[name] for name in floating], steps)
        for name in averages.keys() - floating:
            averages[name].copy_(current[name])
