"""Picture files for tests."""

import cv2


def save(path, image):
    """Write an image as it is, RGB or RGBA or one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    pixels = cv2.cvtColor(image, order[image.shape[2]]) if image.ndim == 3 else image
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
