"""The segmenter that judges: transformers' SegFormer (Xie et al., NeurIPS 2021), trained from scratch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from data.masks import CLASSES
from downstream.training import Budget, Standardised, fit, missing, pretrained, to_tensor
from utils.training.checkpoints import seed_everything

MODELS = {  # options of transformers' SegformerConfig; `b0` is the paper's smallest
    "small": {"hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 2, 1], "decoder_hidden_size": 64},
    "b0": {},
}
BUDGET = Budget("small", epochs=120, batch=8, rate=1e-3)
CROP = 7 / 8  # of each side
SMALLEST = 48  # pixels a side
BALANCE = 0.5  # a class counts in the loss by its share of pixels to the power of minus this


class Segmenter(nn.Module):
    """Pictures (B, 3, H, W), 0 to 255, to a score for each class (B, 9, H, W)."""

    def __init__(self, network: nn.Module, standard: Standardised) -> None:
        super().__init__()
        self.network, self.standard = network, standard

    def forward(self, pictures: Tensor) -> Tensor:
        scores = self.network(self.standard(pictures)).logits  # (B, 9, H / 4, W / 4)
        return functional.interpolate(scores, size=pictures.shape[-2:], mode="bilinear")


def build(budget: Budget) -> nn.Module:
    """A SegFormer with fresh weights, or with pretrained ones below a fresh head.

    Raises UsageError where transformers is not installed, or the pretrained weights cannot be used.
    """
    try:
        from transformers import SegformerConfig, SegformerForSemanticSegmentation
    except ImportError as error:
        raise missing(error) from None
    if budget.pretrained:
        return pretrained(SegformerForSemanticSegmentation, budget, len(CLASSES))
    return SegformerForSemanticSegmentation(SegformerConfig(num_labels=len(CLASSES), **MODELS[budget.model]))


def train(pictures: np.ndarray, labels: np.ndarray, budget: Budget, *, seed: int, device: torch.device,
          tick: Callable[[], object]) -> Segmenter:  # fmt: skip
    """A segmenter trained by `fit` on pictures uint8 (N, H, W, 3) and their class numbers, uint8 (N, H, W).

    The seed decides fresh weights, the order of images, and how each is mirrored and cropped, so methods are shown the
    same places in the same order. The loss is cross entropy in which rare classes count more (`BALANCE`).
    """
    seed_everything(seed)
    model = Segmenter(build(budget), Standardised(pictures)).to(device)
    share = np.bincount(labels.ravel(), minlength=len(CLASSES)).clip(1) / labels.size
    weights = torch.from_numpy(share**-BALANCE).float().to(device)

    def loss_of(batch: np.ndarray, rng: np.random.Generator) -> Tensor:
        images, truth = augmented(pictures[batch], labels[batch], rng)
        scores = model(to_tensor(images, device))
        return functional.cross_entropy(scores, torch.from_numpy(truth).long().to(device), weights)

    fit(model, len(pictures), loss_of, budget, seed=seed, tick=tick)
    return model


def augmented(pictures: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A batch and its labels, each image cropped somewhere and mirrored or not: (B, h, w, 3) and (B, h, w)."""
    height, width = (round(CROP * side) for side in labels.shape[1:])
    crops = []
    for picture, label in zip(pictures, labels, strict=True):
        top, left = rng.integers(0, labels.shape[1] - height + 1), rng.integers(0, labels.shape[2] - width + 1)
        window = slice(top, top + height), slice(left, left + width)
        turn = slice(None, None, -1 if rng.random() < 0.5 else 1)
        crops.append((picture[window][:, turn], label[window][:, turn]))
    images, truth = (np.stack(parts) for parts in zip(*crops, strict=True))
    return images, truth


@torch.inference_mode()
def predict(model: Segmenter, pictures: np.ndarray, batch: int) -> np.ndarray:
    """The likeliest class of every pixel, uint8 (N, H, W), of pictures uint8 (N, H, W, 3)."""
    device = model.standard.mean.device
    batches = (to_tensor(pictures[start : start + batch], device) for start in range(0, len(pictures), batch))
    return np.concatenate([model(images).argmax(1).to(torch.uint8).cpu().numpy() for images in batches])
