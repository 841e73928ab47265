"""Small pair folders, and a patch file cut from them."""

import numpy as np

from data.patches import main
from tests.pictures import save


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save_pair(folder, stem, shape=(40, 60), seed=0):
    """A colour visible and a grey infrared image full of contrast."""
    save(folder / "vi" / f"{stem}.png", noise((*shape, 3), seed))
    save(folder / "ir" / f"{stem}.png", noise(shape, seed + 1000))


def cut(tmp_path, *extra, root=None, size=16):
    out = tmp_path / "out.h5"
    root = root or tmp_path / "set"
    status = main(["--root", str(root), "--out", str(out), "--size", str(size), "--stride", "20", *extra])
    return status, out
