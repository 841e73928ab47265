"""One pair as a page takes it: two files in, everything to show out, one sentence for whatever is wrong."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.images import ImageError, TooManyPixels, read_image
from data.pairlist import single_pair
from data.pairs import check_sizes
from net.fuser import Fuser
from utils import tables
from utils.contenders import Network, reference_rules
from utils.inputs import eight_bit, read_inputs
from utils.metrics import grey
from utils.scoring import run_set

MAX_PIXELS = 2**21  # a little more than 1920x1080, where CMMDL takes some 4 GB of memory


@dataclass(frozen=True)
class Shown:
    """What a fused pair looks like: 8-bit images of one size, and text."""

    vis: np.ndarray
    ir: np.ndarray
    fused: np.ndarray
    file: Path  # the fused image as PNG
    scores: str  # a table in Markdown; empty for images too small to score
    remarks: list[str]

    def difference(self, source: np.ndarray) -> np.ndarray:
        """|fused - source| in grey levels, (H, W) uint8."""
        return np.abs(grey(self.fused).astype(np.int16) - grey(source)).astype(np.uint8)


def preview(file: str | Path) -> np.ndarray:
    """An image file as it can be shown, uint8 (H, W) or (H, W, 3); more than 8 bits as for fusing.

    Raises:
        ImageError: not an image, or more than MAX_PIXELS, which is seen before it is decoded.
    """
    try:
        return eight_bit(read_image(file, max_pixels=MAX_PIXELS))
    except TooManyPixels as error:
        raise ImageError(f"{error}, a little more than 1920x1080 (CMMDL_test.py takes any size)") from None


def fuse(
    vis: str | Path, ir: str | Path, *, name: str, fuser: Fuser, resize_ir: bool, protocol: str, folder: Path
) -> Shown:
    """Fuse and score two image files as `CMMDL_test.py --pair` does.

    Args:
        name, fuser: the method and its network.
        resize_ir: bring the infrared image to the visible one's size; False refuses two sizes.
        protocol: scoring convention.
        folder: where the fused image is written, a folder of this pair alone.

    Raises:
        ValueError: one sentence on what cannot be used.
    """
    images = [preview(file) for file in (vis, ir)]
    pair_set = single_pair(vis, ir)
    try:
        check_sizes(pair_set.pairs[0], *images)
    except ImageError as error:
        if not resize_ir:
            raise ImageError(f"{error}, or the box for two sizes ticked") from None
    inputs = read_inputs(pair_set.pairs[0], resize_ir=resize_ir)
    contenders = [Network(name, fuser, protocol, folder), *reference_rules(protocol, beside=[name])]
    result = run_set(pair_set, contenders, protocol=protocol, home=folder, read=lambda _: inputs)
    files = list(folder.rglob("*.png"))
    reasons = [refusal.reason for refusal in result.refused]
    if not files:
        raise ValueError("; ".join(reasons))
    file = files[0].rename(files[0].with_stem(f"{files[0].stem}_fused"))  # unlike the visible image's name
    scored = any(row.images for row in result.rows)
    return Shown(
        vis=eight_bit(inputs.vis),
        ir=eight_bit(inputs.ir),
        fused=read_image(file),
        file=file,
        scores=tables.markdown({pair_set.name: result.rows}, protocol) if scored else "",
        remarks=result.remarks.lines() + reasons[:1],
    )
