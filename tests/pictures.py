"""Pictures and films for tests."""

import struct
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


def encoded(extension, image, options=()):
    """The file of an image as it is, RGB or RGBA or one channel."""
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    pixels = cv2.cvtColor(image, order[image.shape[2]]) if image.ndim == 3 else image
    return cv2.imencode(extension, pixels, list(options))[1].tobytes()


def written(path, data):
    """Write a file, and the folders it needs; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def save(path, image):
    """Write an image as it is; its path."""
    return written(path, encoded(path.suffix, image))


def fill(root, *names):
    """Put small images into a folder, under names of any extension or none; the folder."""
    for name in names:
        written(root / name, encoded(".png", picture()))
    return root


def exif(orientation, order="<"):
    """A block of Exif data that has nothing but an orientation."""
    return struct.pack(f"{order}2sHIHHHIHHI", b"II" if order == "<" else b"MM", 42, 8, 1, 274, 3, 1, orientation, 0, 0)


def jpeg_with_exif(jpeg, block):
    body = b"Exif\0\0" + block
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@cache
def rendered(seed: int, height: int, width: int, kind: str | None = None) -> Scene:
    """A scene of `data.scenes`, drawn once for all tests of a process, none of which can write into it."""
    scene = render(seed, height, width, kind)
    for image in (scene.vis, scene.ir, scene.mask):
        image.setflags(write=False)
    return scene


def film(path, frames, fps=10):
    """Write frames, RGB or grey, as a video; its path."""
    codec = cv2.VideoWriter_fourcc(*("mp4v" if path.suffix == ".mp4" else "MJPG"))
    video = cv2.VideoWriter(str(path), codec, fps, frames[0].shape[1::-1])
    for frame in frames:
        video.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR if frame.ndim == 3 else cv2.COLOR_GRAY2BGR))
    video.release()
    return path


def save_pair(folder, stem="1", seed=0, height=48, width=64):
    """Write a rendered scene as a pair of a pair folder."""
    scene = rendered(seed, height, width)
    save(folder / "vi" / f"{stem}.png", scene.vis)
    save(folder / "ir" / f"{stem}.png", scene.ir)
