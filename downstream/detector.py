"""The detector that judges: transformers' RT-DETR (Zhao et al., CVPR 2024), trained from scratch.

Chosen because it runs on a CPU beside a torch without torchvision, needs no anchors or non-maximum suppression of our
own, and is maintained in a library that another judge uses already. Its matching needs scipy, which is here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from data.options import UsageError
from downstream.boxes import KINDS
from downstream.training import Budget, Standardised, fit, missing, pretrained, to_tensor
from utils.training.checkpoints import seed_everything

BACKBONES = {  # options of transformers' RTDetrResNetConfig; `r50` is the paper's
    "small": {
        "embedding_size": 16, "hidden_sizes": [16, 32, 64], "depths": [1, 1, 1], "layer_type": "basic",
        "out_features": ["stage1", "stage2", "stage3"],  # strides 4, 8, 16: people in small images are 5 pixels wide
    },
    "r50": {"layer_type": "bottleneck", "out_features": ["stage2", "stage3", "stage4"]},
}  # fmt: skip
MODELS = {  # options of RTDetrConfig
    "small": {
        "d_model": 64, "encoder_hidden_dim": 64, "encoder_in_channels": [16, 32, 64], "feat_strides": [4, 8, 16],
        "encoder_ffn_dim": 128, "decoder_in_channels": [64, 64, 64], "decoder_ffn_dim": 128, "decoder_layers": 2,
        "hidden_expansion": 0.5, "num_queries": 60, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "num_denoising": 20,
    },
    "r50": {},
}  # fmt: skip
BUDGET = Budget("small", epochs=45, batch=4, rate=1e-3)
STRIDE = 32  # sides are enlarged to a multiple of it
ZOOM = 0.7  # the smallest part of each side that an image in training is cut to
CLIP = 0.1  # the largest norm of a gradient, as RT-DETR's
MAX_DETECTIONS = 100  # detections in an image


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
        images = functional.interpolate(self.standard(pictures), size=shown(pictures.shape[-2:]), mode="bilinear")
        return self.network(pixel_values=images, labels=objects)


def shown(shape: Sequence[int]) -> list[int]:
    """Height and width at which the network sees images of this height and width."""
    return [-(-side // STRIDE) * STRIDE for side in shape]


def check_size(network: nn.Module, shape: Sequence[int], data: Path) -> None:
    """Raise UsageError for images (H, W) that have fewer places to look at than an RT-DETR looks for objects."""
    height, width = shown(shape)
    places = sum((height // stride) * (width // stride) for stride in network.config.feat_strides)
    if places < network.config.num_queries:
        wanted = f"this RT-DETR looks for {network.config.num_queries} objects and sees {places} places"
        raise UsageError(f"{data}: images of {shape[1]}x{shape[0]}; {wanted}, so it needs larger ones")


def build(budget: Budget) -> nn.Module:
    """An RT-DETR with fresh weights, or with pretrained ones below a fresh head.

    Raises UsageError where transformers is not installed, or the pretrained weights cannot be used.
    """
    try:
        from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig
    except ImportError as error:
        raise missing(error) from None
    if budget.pretrained:
        return pretrained(RTDetrForObjectDetection, budget, len(KINDS))
    backbone = RTDetrResNetConfig(**BACKBONES[budget.model])
    options = MODELS[budget.model] | {"freeze_backbone_batch_norms": False}  # they are not pretrained
    return RTDetrForObjectDetection(RTDetrConfig(backbone_config=backbone, num_labels=len(KINDS), **options))


def train(pictures: np.ndarray, objects: Sequence[np.ndarray], budget: Budget, *, seed: int, device: torch.device,
          tick: Callable[[], object]) -> Detector:  # fmt: skip
    """A detector trained by `fit` on pictures uint8 (N, H, W, 3) and the objects of each, as `open_boxes` gives them.

    The seed decides fresh weights, the order of images, and which part of each is shown and if it is mirrored.
    """
    seed_everything(seed)
    model = Detector(build(budget), Standardised(pictures)).to(device)

    def loss_of(batch: np.ndarray, rng: np.random.Generator) -> Tensor:
        images, truth = augmented(pictures[batch], [objects[i] for i in batch], rng)
        targets = [{"class_labels": torch.from_numpy(boxes[:, 0]).long().to(device),
                    "boxes": torch.from_numpy(boxes[:, 1:]).to(device)} for boxes in truth]  # fmt: skip
        return model(to_tensor(images, device), targets).loss

    fit(model, len(pictures), loss_of, budget, seed=seed, tick=tick, clip=CLIP)
    return model


def augmented(
    pictures: np.ndarray, objects: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """A batch and its objects, a part of each image brought to the size of the whole, mirrored sideways or not."""
    images, found = np.empty_like(pictures), []
    for i, (picture, boxes) in enumerate(zip(pictures, objects, strict=True)):
        images[i], left = zoomed(picture, boxes, rng)
        if rng.random() < 0.5:
            images[i] = images[i, :, ::-1].copy()
            left[:, 1] = 1 - left[:, 1]
        found.append(left)
    return images, found


def zoomed(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random part of an image at the size of the whole; of its objects those whose centres lie within, cut at its
    border."""
    size = np.array(picture.shape[1::-1])  # width, height
    part = np.rint(rng.uniform(ZOOM, 1) * size).astype(int)
    start = rng.integers(0, size - part + 1)
    (left, top), (right, bottom) = start, start + part
    image = cv2.resize(picture[top:bottom, left:right], size.tolist(), interpolation=cv2.INTER_LINEAR)
    centres = (boxes[:, 1:3] * size - start) / part
    halves = boxes[:, 3:] * size / part / 2
    low, high = (centres - halves).clip(0, 1), (centres + halves).clip(0, 1)
    within = ((centres >= 0) & (centres <= 1)).all(1)
    parts = np.column_stack([boxes[:, 0], (low + high) / 2, high - low])
    return image, parts[within].astype(np.float32)


@torch.inference_mode()
def predict(model: Detector, pictures: np.ndarray, batch: int) -> list[Found]:
    """What is detected in each picture of uint8 (N, H, W, 3): the MAX_DETECTIONS likeliest objects, best first."""
    device, found = model.standard.mean.device, []
    for start in range(0, len(pictures), batch):
        said = model(to_tensor(pictures[start : start + batch], device))
        scores = said.logits.sigmoid().flatten(1)  # (B, queries x classes)
        best = scores.topk(min(MAX_DETECTIONS, scores.shape[1]))
        for values, places, boxes in zip(best.values, best.indices, said.pred_boxes, strict=True):
            chosen = boxes[places // len(KINDS)]
            found.append(Found(*(x.cpu().numpy() for x in (places % len(KINDS), values, chosen))))
    return found
