"""Picture files for tests."""

from functools import cache

import cv2
import numpy as np

from data.scenes import Scene, render


def picture(height=24, width=40, channels=3, dtype=np.uint8):
    """A smooth image without any symmetry, so that every turn and every swapped channel shows."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x / width, (y / height) ** 2, (x * y) / (height * width), 0.3 + 0.5 * y / height][:channels]
    image = np.stack(planes, -1) * (1 if dtype == np.float32 else np.iinfo(dtype).max)
    return image.astype(dtype).squeeze()


def save(path, image):
    """Write an image as it is, RGB or RGBA or one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    pixels = cv2.cvtColor(image, order[image.shape[2]]) if image.ndim == 3 else image
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


@cache
def rendered(seed: int, height: int, width: int, kind: str | None = None) -> Scene:
    """A scene of `data.scenes`, drawn once for all tests of a process, none of which can write into it."""
    scene = render(seed, height, width, kind)
    for image in (scene.vis, scene.ir, scene.mask):
        image.setflags(write=False)
    return scene


def save_pair(folder, stem="1", seed=0, height=48, width=64):
    """Write a rendered scene as a pair of a pair folder."""
    scene = rendered(seed, height, width)
    save(folder / "vi" / f"{stem}.png", scene.vis)
    save(folder / "ir" / f"{stem}.png", scene.ir)
