"""TIFF files, and EXIF blocks, which are small ones: their tags, and what OpenCV would read wrongly without a word."""

import struct
import zlib
from collections.abc import Iterator

WIDTH, HEIGHT, ORIENTATION = 256, 257, 274
PHOTOMETRIC = 262  # 0 where the lowest value is white
KIND, OLD_KIND = 254, 255  # what one of several images is for; a smaller copy has bit 0, or in the old tag the value 2
BITS, COMPRESSION, CHANNELS, LAYOUT, ALPHA, NUMBERS = 258, 259, 277, 284, 338, 339
STRIPS, TILES = (273, 279), (324, 325)  # where the pieces of the image begin, and how long they are
READ = {1: "none", 2: "fax", 3: "fax", 4: "fax", 32771: "fax", 5: "LZW", 7: "JPEG", 8: "deflate", 32946: "deflate",
        32773: "PackBits", 34676: "LogLuv", 34677: "LogLuv"}  # fmt: skip
OTHERS = {6: "old JPEG", 34712: "JPEG 2000", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL"}
NUMBER = {1: "whole", 2: "signed", 3: "float"}  # what NUMBERS says of the pixels
APART = 2  # of LAYOUT: each channel by itself
STRAIGHT = 2  # of ALPHA: colours are not multiplied by it
_SHORT, _LONG = 3, 4
_LETTERS = {_SHORT: "H", _LONG: "I"}  # as struct has them
_PIECE = 2**20  # bytes that are inflated at a time


class Tiff:
    """The first directory of a TIFF file's bytes. Raises struct.error for one that is cut off."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tags, self.entries = next(directories(data), ({}, {}))

    def values(self, tag: int) -> list[int]:
        """All whole numbers of a tag, of which `tags` has the first if it is not elsewhere in the file."""
        if tag not in self.entries:
            return []
        at, order = self.entries[tag], order_of(self.data)
        kind, count = struct.unpack_from(f"{order}HI", self.data, at + 2)
        letter = _LETTERS[kind]
        if count * struct.calcsize(letter) > 4:
            at = struct.unpack_from(f"{order}I", self.data, at + 8)[0] - 8
        return list(struct.unpack_from(f"{order}{count}{letter}", self.data, at + 8))

    def problem(self) -> str:
        """Why OpenCV cannot read this, or would read something else than is there; "" if it reads it."""
        method = self.tags.get(COMPRESSION, 1)
        if method not in READ:
            name = OTHERS.get(method, f"method {method}")
            return f"compressed by {name}; expected {', '.join(dict.fromkeys(READ.values()))}"
        bits = self.bits()
        if self.tags.get(LAYOUT) == APART and self.tags.get(CHANNELS, 1) > 1 and bits > 8:
            return f"of {bits} bits with each channel by itself (planar); expected the channels of a pixel side by side"
        if self.tags.get(CHANNELS, 1) == 2 and bits > 8:  # OpenCV would give the upper 8 bits alone
            return f"of {bits} bits with two channels, as grey with alpha; expected one, three or four"
        return ""

    def bits(self) -> int:
        """Bits of a channel, the most of all."""
        return max(self.values(BITS), default=1)

    def described(self) -> str:
        """What a pixel is, in words."""
        try:
            number = next(iter(self.values(NUMBERS)), 1)
        except struct.error:  # a tag that lies beyond the end
            number = 0
        return f"{self.tags.get(CHANNELS, 1)} x {self.bits()} bits, {NUMBER.get(number, 'other')} numbers"

    def as_opencv_reads_it(self) -> bytes:
        """The file with two tags changed. Alpha gets a name that OpenCV leaves alone, because it would multiply 8-bit
        colours by it. The orientation is set to upright, because OpenCV would turn each tile of 8 bits by itself."""
        changes = {ALPHA: 0} if self.values(ALPHA) == [STRAIGHT] else {}
        changes |= {ORIENTATION: 1} if self.tags.get(ORIENTATION, 1) != 1 else {}
        if not changes:
            return self.data
        data, order = bytearray(self.data), order_of(self.data)
        for tag, value in changes.items():
            kind = struct.unpack_from(f"{order}H", data, self.entries[tag] + 2)[0]
            struct.pack_into(f"{order}{_LETTERS[kind]}", data, self.entries[tag] + 8, value)
        return bytes(data)

    def is_damaged(self) -> bool:
        """Whether a deflated strip or tile of up to 8 bits is damaged, which OpenCV would not notice."""
        if READ.get(self.tags.get(COMPRESSION, 1)) != "deflate" or self.bits() > 8:
            return False
        starts, sizes = (self.values(tag) for tag in (TILES if TILES[0] in self.entries else STRIPS))
        pieces = (self.data[start : start + size] for start, size in zip(starts, sizes, strict=False))
        most = self.tags.get(WIDTH, 0) * self.tags.get(HEIGHT, 0) * self.tags.get(CHANNELS, 1)
        return not all(inflates(piece, most) for piece in pieces)


def inflates(piece: bytes, most: int) -> bool:
    """Whether bytes are a deflated stream without damage, as far as `most` bytes go."""
    inflater = zlib.decompressobj()
    try:
        while piece and most > 0 and not inflater.eof:
            most -= len(inflater.decompress(piece, _PIECE))
            piece = inflater.unconsumed_tail
    except zlib.error:
        return False
    return True


def order_of(data: bytes) -> str:
    """The order of bytes, as struct has it."""
    return "<" if data[:2] == b"II" else ">"


def tags(data: bytes) -> dict[int, int]:
    """Whole-number tags of the first directory. Raises struct.error for one that is cut off."""
    return next(directories(data), ({}, {}))[0]


def directories(data: bytes) -> Iterator[tuple[dict[int, int], dict[int, int]]]:
    """Of each directory, one for an image, the whole-number tags and where in the file their entries are.

    Raises struct.error for a file that is cut off, ValueError for directories that overlap.
    """
    order = order_of(data)
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    left = len(data)
    while start:
        count = struct.unpack_from(f"{order}H", data, start)[0]
        end = start + 2 + 12 * count
        tags, entries = {}, {}
        for at in range(start + 2, end, 12):
            tag, kind = struct.unpack_from(f"{order}HH", data, at)
            if kind in _LETTERS and tag not in tags:  # of two, libtiff takes the first
                tags[tag], entries[tag] = struct.unpack_from(f"{order}{_LETTERS[kind]}", data, at + 8)[0], at
        yield tags, entries
        left -= end - start
        if left < 0:
            raise ValueError("directories that overlap, or lead back to one before")
        start = int.from_bytes(data[end : end + 4], "little" if order == "<" else "big")
