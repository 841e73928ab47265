"""What reads files that others made, and what it promises: a result, or the documented error, for whatever bytes."""

import io
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

import net
from data.images import ImageError, read_image
from data.pairlist import read_pairs
from data.pairs import PairError, find_sets
from data.patchfile import PatchDataset, PatchFileError
from data.patchwriter import PatchWriter
from net.files.weights import WeightsError
from utils.distributed import World
from utils.training.checkpoints import Training

MAX_PIXELS = 2**16  # so that a reader that keeps to it needs little memory


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        suffix: of the file that it gets.
        read: reads a file to its end.
        refusals: the errors that it may raise.
        originals: makes some good files, for a fuzzer to damage.
    """

    suffix: str
    read: Callable[[Path], object]
    refusals: tuple[type[Exception], ...]
    originals: Callable[[], list[bytes]]

    def accepts(self, data: bytes, folder: Path) -> bool:
        """Whether these bytes are read or refused; any other exception passes."""
        path = folder / f"input{self.suffix}"
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a library thinks of odd tensors is no matter here
            try:
                self.read(path)
            except self.refusals as error:
                assert "input" in str(error), f"the message names no file: {error}"
                assert "\n" not in str(error), f"the message has several lines: {error}"
                return False
        return True


def images() -> list[bytes]:
    """One image of each form that OpenCV writes."""
    grey = (np.add.outer(np.arange(9), np.arange(13)) * 12).astype(np.uint8)
    colour = np.dstack([grey, grey[::-1], 255 - grey])
    alpha = np.dstack([colour, grey])
    forms = [
        (".png", grey, ()), (".png", alpha, ()), (".png", colour.astype(np.uint16) * 256, ()),
        (".png", grey, (cv2.IMWRITE_PNG_BILEVEL, 1)), (".jpg", colour, ()),
        (".jpg", grey, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)), (".bmp", grey, ()), (".bmp", colour, ()),
        (".tif", grey, (cv2.IMWRITE_TIFF_COMPRESSION, 1)), (".tif", colour, (cv2.IMWRITE_TIFF_COMPRESSION, 5)),
        (".tif", colour.astype(np.float32), (cv2.IMWRITE_TIFF_COMPRESSION, 8)), (".webp", colour, ()),
        (".webp", alpha, (cv2.IMWRITE_WEBP_QUALITY, 101)),
    ]  # fmt: skip
    return [cv2.imencode(kind, image, options)[1].tobytes() for kind, image, options in forms]


def patch_files() -> list[bytes]:
    """A patch file of each form."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for dtype in ("float32", "uint8"):
            with PatchWriter(Path(folder) / dtype, size=4, dtype=dtype) as writer:
                for patch in np.random.default_rng(0).random((2, 4, 4), np.float32):
                    writer.add(patch, patch, patch > 0.5)
            files.append((Path(folder) / dtype).read_bytes())
        return files


def read_patches(path: Path) -> None:
    patches = PatchDataset(path)
    for index in range(min(len(patches), 8)):
        patches[index]


def weights() -> list[bytes]:
    """Files of torch's two formats, with a network's tensors and with hardly anything."""
    state = net.build("cmmdl", dim=8, heads=2, depth=1).state_dict()
    few = {"method": "cmmdl", "options": {"dim": 8}, "model": {"encoder.embed.weight": torch.ones(8, 1, 3, 3)}}
    contents = [(state, True), (few, True), (few, False), ({"module.conv.weight": torch.ones(2)}, False)]
    return [saved(content, zipped) for content, zipped in contents]


def checkpoints() -> list[bytes]:
    """The state of a small training."""
    training = small_training()
    with tempfile.TemporaryDirectory() as folder:
        training.save(Path(folder) / "last.pth")
        return [saved(torch.load(Path(folder) / "last.pth"), zipped) for zipped in (True, False)]


def small_training() -> Training:
    model = net.build("cmmdl", dim=8, heads=2, depth=1)
    return Training("cmmdl", model, torch.optim.Adam(model.parameters()), None, World(0, 1, torch.device("cpu")))


def saved(content: object, zipped: bool = True) -> bytes:
    """What `torch.save` makes of something."""
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def read_tree(path: Path) -> None:
    """Look for pairs in a folder that a text file describes: on each line a file, a folder/ or a link -> target."""
    root = path.with_suffix("")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, target = line.partition(" -> ")
        place = root / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if target:
                place.symlink_to(target)
            elif line.endswith("/"):
                place.mkdir(exist_ok=True)
            else:
                place.touch()
        except (OSError, ValueError):  # a name that cannot be, or is a file already
            continue
    for found in find_sets(root):
        for pair in found.pairs:
            assert pair.vis.stem == pair.ir.stem


def trees() -> list[bytes]:
    return [b"vi/1.png\nir/1.tif\nir/2.png\n", b"A/visible/train/1.jpg\nA/infrared/train/1.jpg\nB/vi/x.bmp\n",
            b"MRI/a.png\nPET/a.png\nvi/\nvi/loop -> ..\nlabels -> MRI\n"]  # fmt: skip


def lists() -> list[bytes]:
    return [b"visible,infrared\nvi/1.png,ir/1.png\n", b"# none\nir,vi\n,\n\"a\nb\",c.png,\n",
            b"PET,MRI\ninput.csv,input.csv\n"]  # fmt: skip


TARGETS = {
    "images": Target("", lambda path: read_image(path, max_pixels=MAX_PIXELS), (ImageError,), images),
    "trees": Target(".txt", read_tree, (PairError,), trees),
    "lists": Target(".csv", read_pairs, (PairError,), lists),
    "patches": Target(".h5", read_patches, (PatchFileError,), patch_files),
    "weights": Target(".pth", net.load, (WeightsError,), weights),
    "checkpoints": Target(".pth", lambda path: small_training().restore(path), (WeightsError,), checkpoints),
}
