"""What is needed to repeat a training: arguments, versions, the commit, and digests of what it was given."""

import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data.files import sha256, write_text
from data.sources import PatchSource, Source
from utils.distributed import World

PACKAGES = ("numpy", "h5py", "opencv-python-headless")  # what pixels and weights pass through, besides torch
ROOT = Path(__file__).resolve().parents[2]  # of this source tree
PARTS = 3  # of an image in its digest: vis, ir and mask; maps are computed from them


def describe(path: Path, arguments: dict[str, Any], world: World, data: Mapping[str, Any]) -> None:
    """Write it all to a JSON file. Raises OSError if it cannot be written."""
    content = {
        "arguments": arguments,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "data": data,
        "processes": world.size,
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES} | {"torch": torch.__version__},  # as 2.13.0+cu130
        "machine": torch.cuda.get_device_name() if world.device.type == "cuda" else platform.machine(),
    }
    write_text(path, json.dumps(content, indent=2) + "\n")


def digests(source: Source, **weights: Path | None) -> dict[str, Any]:
    """What tells the data of a training, and the weights that it uses, from any others: the SHA-256 of a patch file,
    `digest_of_images` of images, and that of each file of `weights` under what it is for, as `init_sha256`."""
    if isinstance(source, PatchSource):
        found = {"patches": len(source.dataset), "bytes": source.path.stat().st_size, "sha256": sha256(source.path)}
    else:
        found = {"images": len(source.images), "sha256": digest_of_images(source.names, source.images)}
    return found | {f"{purpose}_sha256": sha256(path) for purpose, path in weights.items() if path}


def digest_of_images(names: list[str], images: list[tuple[np.ndarray, ...]]) -> str:
    """The SHA-256 over each image's name, height and width, and its pixels of vis, ir and mask, uint8, in order."""
    digest = hashlib.sha256()
    for name, image in zip(names, images, strict=True):
        height, width = image[0].shape
        digest.update(f"{name}\n{height} {width}\n".encode("utf-8", "surrogateescape"))
        for part in image[:PARTS]:
            digest.update(np.ascontiguousarray(part))
    return digest.hexdigest()


def version(package: str) -> str | None:
    """The installed version of a package, None if it was not installed as one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The commit of this source tree, marked as dirty if files differ from it or if code for trainings, such as another
    method, is not in it; None outside a git checkout."""
    try:
        if not ROOT.samefile(_git("rev-parse", "--show-toplevel")):  # a copy within another checkout
            return None
        name = _git("describe", "--always", "--dirty", "--abbrev=12")
        added = _git("ls-files", "--others", "--exclude-standard", "--", "net/*.py", "data/*.py", "utils/*.py")
        return f"{name}-dirty" if added and not name.endswith("-dirty") else name
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
