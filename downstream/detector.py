"""The detector that judges: transformers' RT-DETR (Zhao et al., CVPR 2024), trained from scratch.

Chosen because it runs on a CPU beside a torch without torchvision, needs no anchors or non-maximum suppression of our
own, and is maintained in a library that another judge uses already. Its matching needs scipy, which is here.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from downstream.boxes import KINDS
from downstream.training import Budget, Standardised, fit, missing, pretrained, to_tensor
from utils.checkpoints import seed_everything

BACKBONES = {  # options of transformers' RTDetrResNetConfig; `r50` is the paper's
    "small": {"embedding_size": 16, "hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 1, 1], "layer_type": "basic"},
    "r50": {"layer_type": "bottleneck"},
}
MODELS = {  # options of RTDetrConfig
    "small": {
        "d_model": 64, "encoder_hidden_dim": 64, "encoder_in_channels": [32, 64, 128], "encoder_ffn_dim": 128,
        "decoder_in_channels": [64, 64, 64], "decoder_ffn_dim": 128, "decoder_layers": 2, "num_queries": 60,
        "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_denoising": 20,
    },
    "r50": {},
}  # fmt: skip
BUDGET = Budget("small", epochs=60, batch=8, rate=5e-4)
STRIDE = 32  # sides are brought to the next multiple
CLIP = 0.1  # the largest norm of a gradient, as RT-DETR's
MOST = 100  # detections in an image


class Found(NamedTuple):
    """Detections in one image: class numbers (D,), scores (D,), and boxes (D, 4) as centre, width, height, 0 to 1."""

    kinds: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray


class Detector(nn.Module):
    """Pictures (B, 3, H, W), 0 to 255, to what RT-DETR says; with the objects of each, its loss too."""

    def __init__(self, network: nn.Module, standard: Standardised) -> None:
        super().__init__()
        self.network, self.standard = network, standard

    def forward(self, pictures: Tensor, objects: list[dict[str, Tensor]] | None = None) -> object:
        size = [-(-side // STRIDE) * STRIDE for side in pictures.shape[-2:]]
        images = functional.interpolate(self.standard(pictures), size=size, mode="bilinear")
        return self.network(pixel_values=images, labels=objects)


def build(budget: Budget) -> nn.Module:
    """An RT-DETR with fresh weights, or with pretrained ones below a fresh head.

    Raises:
        UsageError: transformers is not installed, or the pretrained weights cannot be used.
    """
    try:
        from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig
    except ImportError as error:
        raise missing(error) from None
    if budget.pretrained:
        return pretrained(RTDetrForObjectDetection, budget, len(KINDS))
    backbone = RTDetrResNetConfig(out_features=["stage2", "stage3", "stage4"], **BACKBONES[budget.model])
    config = RTDetrConfig(backbone_config=backbone, num_labels=len(KINDS), **MODELS[budget.model])
    return RTDetrForObjectDetection(config)


def train(pictures: np.ndarray, objects: Sequence[np.ndarray], budget: Budget, *, seed: int, device: torch.device,
          tick: Callable[[], object]) -> Detector:  # fmt: skip
    """A detector trained on these images, in eval mode.

    Args:
        pictures: uint8 (N, H, W, 3).
        objects: of each image, float32 (objects, 5) as `downstream.boxes` reads them.
        tick: called after each step.

    Raises:
        ValueError: the loss is not finite any more.
    """
    seed_everything(seed)
    model = Detector(build(budget), Standardised(pictures)).to(device)

    def loss_of(batch: np.ndarray, random: np.random.Generator) -> Tensor:
        images, truth = mirrored(pictures[batch], [objects[i] for i in batch], random)
        targets = [{"class_labels": torch.from_numpy(boxes[:, 0]).long().to(device),
                    "boxes": torch.from_numpy(boxes[:, 1:]).to(device)} for boxes in truth]  # fmt: skip
        return model(to_tensor(images, device), targets).loss

    fit(model, len(pictures), loss_of, budget, seed=seed, tick=tick, clip=CLIP)
    return model


def mirrored(
    pictures: np.ndarray, objects: Sequence[np.ndarray], random: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A batch and its objects, each image mirrored sideways or not."""
    turned = random.random(len(pictures)) < 0.5
    images, found = pictures.copy(), [boxes.copy() for boxes in objects]
    images[turned] = images[turned, :, ::-1]
    for i in np.flatnonzero(turned):
        found[i][:, 1] = 1 - found[i][:, 1]
    return images, found


@torch.inference_mode()
def predict(model: Detector, pictures: np.ndarray, batch: int) -> list[Found]:
    """What is detected in each picture of uint8 (N, H, W, 3): the MOST likeliest objects, best first."""
    device, found = model.standard.mean.device, []
    for start in range(0, len(pictures), batch):
        said = model(to_tensor(pictures[start : start + batch], device))
        scores = said.logits.sigmoid().flatten(1)  # (B, queries x classes)
        best = scores.topk(min(MOST, scores.shape[1]))
        for values, places, boxes in zip(best.values, best.indices, said.pred_boxes, strict=True):
            chosen = boxes[places // len(KINDS)]
            found.append(Found(*(x.cpu().numpy() for x in (places % len(KINDS), values, chosen))))
    return found
