"""What the header of an image file says: its format, its width and height, and its EXIF block.

The functions of `FORMATS` take the file's bytes and return (width, height, EXIF bytes or b""). They raise struct.error,
IndexError or ValueError for a header that is damaged or cut off, `Several` for more than one picture.
"""

import struct

from data import tiff


class Several(Exception):
    """More than one picture in a file; the message says of what kind."""


def _png_header(data: bytes) -> tuple[int, int, bytes]:
    width, height = struct.unpack_from(">II", data, 16)
    at, exif, name = 8, b"", b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):  # OpenCV would allocate the length that it claims
            raise ValueError("a chunk that is cut off")
        if name == b"acTL":
            raise Several("an animation")
        if name == b"eXIf":
            exif = data[at + 8 : at + 8 + length]
        at += 12 + length
    return width, height, exif


def _jpeg_header(data: bytes) -> tuple[int, int, bytes]:
    at, exif = 2, b""
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        if marker < 0xFF00:
            raise ValueError("no marker")
        body = data[at + 4 : at + 2 + length]
        if marker == 0xFFFF:  # a fill byte
            at += 1
            continue
        if marker == 0xFF01 or 0xFFD0 <= marker <= 0xFFD7:  # a marker without a body
            at += 2
            continue
        if marker == 0xFFE1 and body.startswith(b"Exif\0\0"):
            exif = body[6:]
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):  # a start of frame
            height, width = struct.unpack_from(">HH", body, 1)
            return width, height, exif
        at += 2 + length


def _bmp_header(data: bytes) -> tuple[int, int, bytes]:
    width, height = struct.unpack_from("<HH" if is_old_bmp(data) else "<ii", data, 18)
    return abs(width), abs(height), b""  # a negative height means rows from the top


def is_old_bmp(data: bytes) -> bool:
    """Whether the header is OS/2's, of 12 bytes; OpenCV by itself reads such an image as grey, whatever its colours."""
    return struct.unpack_from("<I", data, 14)[0] == 12


def has_palette(data: bytes) -> bool:
    """Whether the pixels of a BMP with the old header are places in a palette: 8 bits or fewer."""
    return struct.unpack_from("<H", data, 24)[0] <= 8


def _webp_header(data: bytes) -> tuple[int, int, bytes]:
    size, at, exif = None, 12, b""
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + length]
        if name == b"VP8X":
            size = (int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1)
        elif name == b"VP8 " and size is None:
            width, height = struct.unpack_from("<HH", body, 6)
            size = (width & 0x3FFF, height & 0x3FFF)
        elif name == b"VP8L" and size is None:
            bits = struct.unpack_from("<I", body, 1)[0]
            size = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        elif name == b"ANIM":
            raise Several("an animation")
        elif name == b"EXIF":
            exif = body.removeprefix(b"Exif\0\0")
        at += 8 + length + length % 2
    if size is None:
        raise ValueError("no image chunk")
    return (*size, exif)


def _tiff_header(data: bytes) -> tuple[int, int, bytes]:
    first, *others = (tags for tags, _ in tiff.directories(data))
    if not all(tags.get(tiff.KIND, 0) & 1 or tags.get(tiff.OLD_KIND) == 2 for tags in others):
        raise Several("several pages")
    return first.get(tiff.WIDTH, 0), first.get(tiff.HEIGHT, 0), data  # TIFF tags are what an EXIF block has, too


FORMATS = (
    (b"\x89PNG\r\n\x1a\n", "PNG", _png_header),
    (b"\xff\xd8\xff", "JPEG", _jpeg_header),
    (b"BM", "BMP", _bmp_header),
    (b"II*\0", "TIFF", _tiff_header),
    (b"MM\0*", "TIFF", _tiff_header),
    (b"RIFF", "WebP", _webp_header),
)
