"""Image files in and out: 8-bit, 16-bit and float images as stored, and a clear refusal for every bad file."""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import cv2
import numpy as np

from data import headers, tiff
from data.decoder_messages import caught_messages
from data.files import instead_of_file, replacing

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 2**28  # 16384 x 16384; a header that claims more is refused before anything is decoded

_DTYPES = ("uint8", "uint16", "float32")
_TO_UPRIGHT = {  # EXIF orientation -> what turns the stored image upright
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image[::-1].swapaxes(0, 1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: image.swapaxes(0, 1)[::-1],
}
_jpeg_lock = threading.Lock()  # one file at a time, so that libjpeg's messages are about that one


class ImageError(ValueError):
    """An image that cannot be used; the message is one sentence with the file, what was found and what was expected."""


class TooManyPixels(ImageError):
    """An image whose header claims more pixels than are wanted."""


def read_image(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read one image, turned upright by its EXIF orientation.

    Returns (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA in the file's own dtype: uint8, uint16 or float32. A palette
    becomes RGB, grey with alpha becomes RGBA, one bit per pixel becomes 0 and 255. The content decides the format,
    not the extension. Raises ImageError for anything that is not one whole image, so also for several pages or an
    animation, TooManyPixels for one of more than `max_pixels`, before its pixels are decoded. MemoryError says nothing
    of the file.
    """
    path = Path(path)
    data = _read_bytes(path)
    kind, header = _recognise(path, data)
    try:
        width, height, exif = header(data)
        if width == 0 or height == 0:
            raise ValueError("no pixels")
    except headers.Several as found:
        raise ImageError(f"{path}: a {kind} with {found}; expected one picture") from None
    except (struct.error, IndexError, ValueError):
        raise ImageError(f"{path}: a damaged or cut-off {kind} header or chunk; expected a whole image") from None
    if width * height > max_pixels:
        raise TooManyPixels(f"{path}: {width}x{height}; expected at most {max_pixels} pixels")
    return _upright(_decode(path, data, kind), exif)


def write_image(path: str | Path, image: np.ndarray, *, small: bool = False) -> None:
    """Write a uint8 image, (H, W) grey or (H, W, 3) RGB, in the format its extension names.

    The file appears under its name only when it is complete; missing folders are made. `small` writes the smallest
    PNG, in several times the time. Raises ImageError for another shape or dtype, an unknown extension, or a place that
    cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in EXTENSIONS:
        raise ImageError(f"{path}: extension '{path.suffix}'; expected one of {', '.join(sorted(EXTENSIONS))}")
    if image.dtype != np.uint8 or not (image.ndim == 2 or image.ndim == 3 and image.shape[2] == 3):
        raise ImageError(f"{path}: {image.dtype} of shape {image.shape}; expected uint8 of shape (H, W) or (H, W, 3)")
    if 0 in image.shape:
        raise ImageError(f"{path}: an image of shape {image.shape}; expected at least one pixel")
    swapped = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9] if small else []
    encoded = cv2.imencode(path.suffix.lower(), swapped, options)[1]
    try:
        with replacing(path) as part:
            part.write_bytes(encoded.tobytes())
    except OSError as error:
        raise ImageError(f"{path}: cannot be written ({error.strerror})" if error.strerror else str(error)) from None


def _read_bytes(path: Path) -> bytes:
    if problem := instead_of_file(path):
        raise ImageError(f"{path}: {problem}; expected an image")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: not readable ({error.strerror}); expected an image") from None
    if not data:
        raise ImageError(f"{path}: an empty file; expected an image")
    return data


def _recognise(path: Path, data: bytes) -> tuple:
    """The format's name and the function that reads its header."""
    for magic, kind, header in headers.FORMATS:
        if data.startswith(magic) and (kind != "WebP" or data[8:12] == b"WEBP"):
            return kind, header
    if data.startswith((b"II+\0", b"MM\0+")):
        raise ImageError(f"{path}: a BigTIFF; expected a TIFF of the classic form, below 4 GB")
    names = ", ".join(dict.fromkeys(kind for _, kind, _ in headers.FORMATS))
    raise ImageError(f"{path}: no image data (it starts with {data[:8]!r}); expected one of {names}")


def _decode(path: Path, data: bytes, kind: str) -> np.ndarray:
    if kind == "TIFF":
        data = _checked_tiff(path, data)
    old_bmp = kind == "BMP" and headers.is_old_bmp(data)
    with _jpeg_lock if kind == "JPEG" else nullcontext():
        image, messages = _decode_natively(data, cv2.IMREAD_COLOR if old_bmp else cv2.IMREAD_UNCHANGED)
        if kind == "JPEG" and any("extraneous bytes before marker 0xd9" in message for message in messages):
            image, messages = _decode_natively(_without_padding(data))
    # libjpeg fills the rest of a damaged scan with grey and tells only stderr
    damaged = kind == "JPEG" and any(message.startswith(("Corrupt JPEG", "Premature end")) for message in messages)
    if image is None or damaged:
        or_other = f", or pixels that are not read ({tiff.Tiff(data).described()})" if kind == "TIFF" else ""
        raise ImageError(
            f"{path}: a damaged or cut-off {kind} of {len(data)} bytes{or_other}; expected a whole image"
        )
    if image.dtype.name not in _DTYPES:
        raise ImageError(f"{path}: {image.dtype} pixels; expected {', '.join(_DTYPES)}")
    if image.dtype == np.float32 and not np.isfinite(image).all():
        raise ImageError(f"{path}: pixels that are infinite or not a number; expected finite ones")
    if kind == "TIFF" and image.dtype != np.uint8 and tiff.tags(data).get(tiff.PHOTOMETRIC) == 0:  # cv2 inverts 8 bits
        if image.dtype == np.float32:
            raise ImageError(f"{path}: a float TIFF whose lowest value is white; expected the lowest to be black")
        image = 65535 - image
    if old_bmp and headers.has_palette(data) and (image == image[..., :1]).all():
        return np.ascontiguousarray(image[..., 0])  # a grey palette is grey, as under newer headers
    if image.ndim == 3:
        with _lack_of_memory():
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return image


def _checked_tiff(path: Path, data: bytes) -> bytes:
    """A TIFF file, changed where OpenCV would otherwise read other colours, or ImageError where it would read other
    pixels."""
    try:
        file = tiff.Tiff(data)
        if problem := file.problem():
            raise ImageError(f"{path}: a TIFF {problem}")
        if file.is_damaged():
            raise ImageError(f"{path}: a damaged TIFF of {len(data)} bytes; expected a whole image")
        return file.as_opencv_reads_it()
    except struct.error:  # tags that lie beyond the end
        raise ImageError(f"{path}: a damaged or cut-off TIFF of {len(data)} bytes; expected a whole image") from None


def _decode_natively(data: bytes, flags: int = cv2.IMREAD_UNCHANGED) -> tuple[np.ndarray | None, list[str]]:
    """The image in OpenCV's order of channels, None if there is none, and what the decoders said."""
    with caught_messages() as messages:
        try:
            with _lack_of_memory():
                return cv2.imdecode(np.frombuffer(data, np.uint8), flags), messages
        except cv2.error:
            return None, messages


@contextmanager
def _lack_of_memory() -> Iterator[None]:
    """Turn OpenCV's error for too little memory into MemoryError: the file is not to blame."""
    try:
        yield
    except cv2.error as error:
        if getattr(error, "code", 0) == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from None
        raise


def _without_padding(data: bytes) -> bytes:
    """A JPEG file without the equal bytes, two or more, that some cameras write between the scan and the end marker.

    Bytes of any other kind stay: a damaged scan, too, can end before its data do. If equal bytes are of the scan, it
    is not whole without them, and the decoder says so.
    """
    end = data.rfind(b"\xff\xd9")
    scan = data[:end].rstrip(data[end - 1 : end])
    scan += b"\0" * scan.endswith(b"\xff")  # in a scan a byte FF is written as FF 00
    return scan + data[end:] if end - len(scan) > 1 else data


def _upright(image: np.ndarray, exif: bytes) -> np.ndarray:
    try:
        orientation = tiff.tags(exif).get(tiff.ORIENTATION, 1)
    except struct.error:  # no EXIF, or a broken one: the image stays as it is stored
        return image
    turn = _TO_UPRIGHT.get(orientation)
    return image if turn is None else np.ascontiguousarray(turn(image))
