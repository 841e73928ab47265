"""A network as a person uses it: two 8-bit images in, one 8-bit image out."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from net.color import blend_chroma, rgb_to_ycbcr, ycbcr_to_rgb
from net.devices import exact_convolutions, pick_device
from net.methods import output_of

PRECISIONS = ("fp32", "bf16")
PERCENTILES = (0.1, 99.9)  # black and white of an image of more than 8 bits


class Fuser:
    """Fuses one pair of images at a time.

    Args:
        model: a network with `forward(vis, ir)` on (B, 1, H, W) luminance in [0, 1]; it is moved to the device and
            set to eval mode.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or any torch device.
        precision: "fp32", or "bf16" on a GPU (autocast; transforms stay in float32).
        stretch: spread each result over the full range 0..255, as the release does. False keeps the network's range,
            which does not flicker from frame to frame.
        tile: fuse in tiles of this many pixels on a side that overlap and blend, for images that do not fit in
            memory; 0 fuses the whole image at once. Attention and spectra then see a tile instead of the image, so
            the result differs from the untiled one.

    Raises:
        ValueError: for a device that is not there, an unknown precision, bf16 on a CPU, or a tile that is too small.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        device: str | torch.device = "auto",
        precision: Literal["fp32", "bf16"] = "fp32",
        stretch: bool = True,
        tile: int = 0,
    ) -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
        if tile and tile < 32:
            raise ValueError(f"tile is {tile}; expected 0 (whole images) or at least 32 pixels")
        self.device = pick_device(device)
        if precision == "bf16" and self.device.type == "cpu":
            raise ValueError("precision bf16 is for GPUs: on a CPU it is no faster and less exact; expected fp32")
        self.model = model.to(self.device).eval()
        self.precision, self.stretch, self.tile = precision, stretch, tile
        self.output = output_of(model)

    def __call__(self, vis: np.ndarray, ir: np.ndarray, *, colour_from: str = "vis") -> np.ndarray:
        """Fuse a pair.

        Args:
            vis: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, uint8, uint16 or float. All but uint8, floats in [0, 1]
                too, are spread between their 0.1 and 99.9 percentiles.
            ir: the same forms.
            colour_from: the input whose colour is kept; of the other only the luminance counts: "vis"; "ir", as of PET
                and SPECT; or "both", where both have the scene's colour (two exposures, two focus distances).

        Returns:
            uint8: (H, W) if no input that gives colour has colour channels, else (H, W, 3) RGB. Alpha is dropped.

        Raises:
            ValueError: unequal sizes or other forms, with what was found, or a network that gives NaN.
        """
        vis, ir = to_unit(vis, "visible"), to_unit(ir, "infrared")
        return to_uint8(self.picture(vis, ir, colour_from=colour_from), self.stretch)

    def picture(self, vis: Tensor, ir: Tensor, *, colour_from: str = "vis") -> Tensor:
        """The fused image of two as `to_unit` gives them, (1, 1 or 3, H, W) in [0, 1], before it is stretched."""
        sources = {"vis": (vis,), "ir": (ir,), "both": (vis, ir)}
        if colour_from not in sources:
            raise ValueError(f"colour_from is {colour_from!r}; expected one of {', '.join(sources)}")
        return self.colour(self.output(self.luminance(vis, ir)), *sources[colour_from])

    @torch.inference_mode()
    def luminance(self, vis: Tensor, ir: Tensor) -> Tensor:
        """What the network gives for two images as `to_unit` gives them, (1, 1, H, W) on the CPU.

        It is luminance in [0, 1], or of another range that the method's `output` brings to [0, 1].
        Raises ValueError for unequal sizes, or a network that gives NaN.
        """
        if vis.shape[-2:] != ir.shape[-2:]:
            raise ValueError(
                f"infrared {ir.shape[-1]}x{ir.shape[-2]}, visible {vis.shape[-1]}x{vis.shape[-2]}; "
                "a pair must have one size"
            )
        vis, ir = (luma(image).to(self.device) for image in (vis, ir))
        bf16 = self.precision == "bf16"
        with exact_convolutions(self.device), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            whole = not 0 < self.tile < max(vis.shape[-2:])
            fused = self.model(vis, ir) if whole else tiled(self.model, vis, ir, self.tile)
        fused = fused.float().cpu()
        if not fused.isfinite().all():
            raise ValueError("the network gives NaN or infinite values for this pair; expected trained weights")
        return fused

    @staticmethod
    def colour(fused: Tensor, *sources: Tensor) -> Tensor:
        """Fused luminance (1, 1, H, W) with the chroma of one or two images, (1, 3, H, W); as it is where all are grey.

        Of two in colour it is blended (`net.color.blend_chroma`); where one is grey, the other gives all of it.
        """
        chroma = [rgb_to_ycbcr(image)[1:] for image in sources if image.shape[1] == 3]
        if not chroma:
            return fused
        cb, cr = chroma[0] if len(chroma) == 1 else map(blend_chroma, *chroma)
        return ycbcr_to_rgb(fused, cb, cr)


def to_unit(image: np.ndarray, role: str = "given") -> Tensor:
    """An image as float32 in [0, 1], (1, C, H, W) with C = 1 or 3; alpha is dropped.

    8-bit values are divided by 255. Images of more bits have no agreed white (thermal counts, 12-bit sensors), so
    their 0.1 and 99.9 percentiles, over all channels together, become 0 and 1.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); uint8, uint16 or floating point, in either order
            of bytes.
        role: what error messages call the image.

    Raises:
        ValueError: for anything else, an empty array, or values that are NaN or infinite.
    """
    if not isinstance(image, np.ndarray):
        raise ValueError(f"the {role} image is a {type(image).__name__}; expected a numpy array")
    image = np.asarray(image)  # no np.matrix or masked array
    if image.size == 0:
        raise ValueError(f"the {role} image has shape {image.shape}, without pixels; expected some")
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise ValueError(f"the {role} image has shape {image.shape}; expected (H, W), (H, W, 3) or (H, W, 4)")
    image = image[..., :3]
    image = image.astype(image.dtype.newbyteorder("="), copy=False)  # some files have their bytes in the other order
    if image.dtype == np.uint8:
        unit = image.astype(np.float32) / 255
    elif image.dtype == np.uint16 or np.issubdtype(image.dtype, np.floating):
        if not np.isfinite(image).all():
            raise ValueError(f"the {role} image holds NaN or infinite values; expected finite ones")
        low, high = np.percentile(image, PERCENTILES)
        unit = ((image - low) / (high - low or 1e-12)).clip(0, 1).astype(np.float32)
    else:
        raise ValueError(f"the {role} image has dtype {image.dtype}; expected uint8, uint16 or floating point")
    return torch.from_numpy(unit).permute(2, 0, 1)[None].contiguous()


def luma(image: Tensor) -> Tensor:
    """(1, 1 or 3, H, W) -> luminance (1, 1, H, W)."""
    return image if image.shape[1] == 1 else rgb_to_ycbcr(image)[0]


def to_uint8(image: Tensor, stretch: bool) -> np.ndarray:
    """(1, C, H, W) in [0, 1] -> uint8 (H, W) or (H, W, 3).

    Stretched, minimum and maximum over all channels become 0 and 255 and the rest is truncated, as the release saves;
    a constant image stays as it is. Otherwise values are clipped and rounded.
    """
    pixels = image[0].permute(1, 2, 0).numpy()  # (H, W, C)
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    low, high = pixels.min(), pixels.max()
    if stretch and high > low:
        return ((pixels - low) / (high - low) * 255).astype(np.uint8)
    return (pixels.clip(0, 1) * 255).round().astype(np.uint8)


def tiled(model: nn.Module, vis: Tensor, ir: Tensor, tile: int) -> Tensor:
    """The model on square tiles that overlap by a quarter and blend into each other; no tile is stretched by itself."""
    height, width = vis.shape[-2:]
    ramp = blending(tile).to(vis.device)
    total, weights = torch.zeros_like(vis), torch.zeros_like(vis)
    for top in starts(height, tile):
        for left in starts(width, tile):
            area = (..., slice(top, top + tile), slice(left, left + tile))
            weight = (ramp[:, None] * ramp[None, :])[: height - top, : width - left]
            total[area] += model(vis[area], ir[area]) * weight
            weights[area] += weight
    return total.div_(weights)


def blending(tile: int) -> Tensor:
    """The blending weight of each row or column of a tile, (tile,), where tiles overlap by a quarter.

    It is almost 0 in the outer sixteenth, where a network sees the padding beyond the tile, and then rises smoothly; it
    and that of the next tile add up to 1. Where only one tile lies, its weight does not matter.
    """
    margin, overlap = tile // 16, tile // 4
    rise = ((torch.arange(tile) + 0.5 - margin) / (overlap - 2 * margin)).clamp(0, 1)
    rise = rise.minimum(rise.flip(0))
    return (rise**2 * (3 - 2 * rise)).clamp_min(1e-4)


def starts(length: int, tile: int) -> list[int]:
    """First pixels of tiles that cover `length`, at most three quarters of a tile apart, all of full size."""
    if length <= tile:
        return [0]
    count = -(-(length - tile) // (tile * 3 // 4)) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]
