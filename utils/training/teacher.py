"""The teacher of a distillation: what a trained network makes of training images, computed once and kept on disk."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from data.crops import centre
from data.files import replacing
from net.fuser import Fuser, to_uint8
from utils.shipped import digest_of_network

WINDOW = 128  # side of what the teacher sees of an image, its middle, in pixels


class Teacher:
    """Fuses the middle of training images by a trained network, whose results a smaller one learns to give.

    A teacher is slow, so every result is kept as an 8-bit picture, `<folder>/<digest of the network>/<digest of the
    pair>.png`: an interrupted run leaves what it has made to the next one, and other weights never find it.

    Args:
        network: the teacher with its weights.
        folder: where the results are kept.
        device: where it works.
    """

    def __init__(self, network: nn.Module, folder: Path, device: str = "cpu") -> None:
        self.fuser = Fuser(network, device=device)
        self.folder = folder / digest_of_network(network)[:16]
        self.__name__ = f"image fused by {type(network).__name__}"  # what the log calls it

    def __call__(self, vis: Tensor, ir: Tensor) -> Tensor:
        """The fused image of a pair (1, 1, H, W) of luminance in [0, 1], which has the same form.

        Its middle `WINDOW` x `WINDOW` pixels, which the teacher sees, are 1/255 to 1 in steps of 1/255, the others 0.
        """
        area = (..., *centre(*vis.shape[-2:], WINDOW))
        result = torch.zeros_like(vis)
        result[area] = torch.from_numpy(self.fused(vis[area], ir[area])) / 255
        return result

    def fused(self, vis: Tensor, ir: Tensor) -> np.ndarray:
        """The fused image of a pair (1, 1, H, W), uint8 (H, W) from 1 to 255, from disk where it is there."""
        pair = (torch.cat([vis, ir])[:, 0] * 255).round().byte().numpy()  # (2, H, W)
        path = self.folder / f"{hashlib.sha256(str(pair.shape).encode() + pair.tobytes()).hexdigest()[:32]}.png"
        kept = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.exists() else None
        if kept is not None and kept.shape == pair.shape[1:]:
            return kept
        image = to_uint8(self.fuser.output(self.fuser.luminance(vis, ir)), stretch=False).clip(1)
        with replacing(path) as temporary:
            temporary.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        return image
