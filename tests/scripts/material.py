"""Bad files of every kind, for the tests of what the scripts refuse."""

import os
import pickle
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import torch

import net
from tests.pictures import rendered, written
from tests.scripts.trainings import write_patches

FORMATS = ("png", "jpg", "bmp", "tif", "webp")
FLIPS = {"png": 60, "jpg": 3, "bmp": 0, "tif": 4, "webp": 12}  # a byte that is not a pixel's, or has a checksum


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def make(folder: Path) -> Path:
    """Fill a folder with `sets/<name>` (a good pair `good` and a bad image `vi/bad.*`), `weights`, `h5` and `lists`."""
    for kind in FORMATS:
        image = encoded(kind)
        flipped = bytearray(image)
        flipped[FLIPS[kind]] ^= 0x40
        damages = {"cut": image[: len(image) // 2], "flipped": flipped, "empty": b"", "zeros": bytes(len(image)),
                   "head": image[:20], "text": b"not an image at all"}  # fmt: skip
        for damage, data in damages.items():
            written(folder / "sets" / f"{kind}_{damage}" / "vi" / f"bad.{kind}", bytes(data))
    written(folder / "sets" / "bomb" / "vi" / "bad.png", bomb(60_000))
    written(folder / "sets" / "gif" / "vi" / "bad.png", b"GIF89a" + bytes(30))
    written(folder / "sets" / "size" / "vi" / "bad.png", encoded("png", 40))
    (folder / "sets" / "folder" / "vi" / "bad.png").mkdir(parents=True)
    for name, target in (("loop", "bad.png"), ("dangling", "nowhere.png")):
        (folder / "sets" / name / "vi").mkdir(parents=True)
        (folder / "sets" / name / "vi" / "bad.png").symlink_to(target)
    for name in (folder / "sets").iterdir():
        for side in ("vi", "ir"):
            written(name / side / "good.png", encoded("png"))
        written(name / "ir" / "bad.png", encoded("png"))
    for name in ("good/vi/good.png", "good/ir/good.png", "half/vi/1.png", "loose/1.png", "two/vi/1.png", "two/ir/1.png",
                 "two/rgb/1.png", "strangers/vi/1.png", "strangers/ir/2.png"):  # fmt: skip
        written(folder / "other" / name, encoded("png"))
    (folder / "other" / "empty" / "vi").mkdir(parents=True)
    (folder / "other" / "empty" / "ir").mkdir()
    (folder / "other" / "nothing").mkdir()
    written(folder / "other" / "file", b"a file")
    make_weights(folder / "weights")
    make_h5(folder / "h5")
    lists = {"empty": b"", "binary": os.urandom(64) + b"\xff", "header": b"visible,infrared\n",
             "roles": b"vi,depth\na,b\n", "missing": b"a.png,b.png\n", "fields": b"a.png\n",
             "nul": b"a\0.png,b.png\n"}  # fmt: skip
    for name, data in lists.items():
        written(folder / "lists" / f"{name}.csv", data)
    return folder


def make_weights(folder: Path) -> None:
    folder.mkdir()
    torch.manual_seed(0)
    state = net.build("cmmdl", dim=16, depth=1).state_dict()
    torch.save(state, folder / "good.pth")
    whole = (folder / "good.pth").read_bytes()
    with zipfile.ZipFile(folder / "good.pth") as file:
        part = next(entry for entry in file.infolist() if entry.filename.endswith("data/4"))
    flipped = bytearray(whole)
    flipped[part.header_offset + 200] ^= 4
    files = {"empty": b"", "text": b"these are weights", "half": whole[: len(whole) // 2], "end": whole[:-30],
             "flipped": bytes(flipped), "png": encoded("png"),
             "trap": pickle.dumps({"model": Trap(folder / "ran")})}  # fmt: skip
    for name, data in files.items():
        written(folder / f"{name}.pth", data)
    with zipfile.ZipFile(folder / "zip.pth", "w") as file:
        file.writestr("readme.txt", "a zip file of something else")
    torch.save({"model": Trap(folder / "ran")}, folder / "trap_zip.pth")
    torch.save({"model": {"fc.weight": torch.ones(3)}}, folder / "foreign.pth")
    torch.save(state | {"encoder.embed.weight": torch.full((16, 1, 3, 3), torch.nan)}, folder / "nan.pth")
    torch.save({"method": "mlfuse", "model": net.build("mlfuse").state_dict()}, folder / "mlfuse.pth")
    torch.save({key: value for key, value in state.items() if "fdlb" not in key}, folder / "part.pth")
    torch.save([1, 2, 3], folder / "list.pth")


def make_h5(folder: Path) -> None:
    folder.mkdir()
    whole = write_patches(folder / "good.h5", 8).read_bytes()
    flipped = bytearray(whole)
    flipped[8] ^= 0x40  # the version of the superblock
    files = {"empty": b"", "text": b"patches", "cut": whole[: len(whole) // 2], "flipped": bytes(flipped)}
    for name, data in files.items():
        written(folder / f"{name}.h5", data)
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["images"] = np.zeros(3)
    with h5py.File(folder / "huge.h5", "w") as file:
        for group in ("vis_patchs", "ir_patchs", "mask_patches"):
            file.create_dataset(f"{group}/0", (1, 10**5, 10**5), np.float32, chunks=(1, 64, 64))


def encoded(kind: str, height: int = 48) -> bytes:
    return cv2.imencode(f".{kind}", rendered(0, height, 64).vis)[1].tobytes()


def bomb(side: int) -> bytes:
    """The start of a PNG that claims very many pixels, and is whole as far as its chunks go."""
    data = bytearray(encoded("png"))
    data[16:24] = side.to_bytes(4, "big") * 2
    return bytes(data)
