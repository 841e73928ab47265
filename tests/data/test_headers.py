"""What the header of an image file says: WebP in each of its forms, and what is refused before it is decoded."""

import struct

import cv2
import numpy as np
import pytest

from data.images import ImageError, read_image
from tests.pictures import encoded, exif, picture, written


def webp(image, quality):
    """A WebP file, without loss above a quality of 100."""
    return encoded(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])


@pytest.mark.parametrize("quality", [80, 101])
def test_the_size_of_a_webp_is_told_before_decoding_whether_it_is_lossy_or_not(tmp_path, quality):
    path = written(tmp_path / "a.webp", webp(picture(25, 41), quality))
    assert read_image(path, max_pixels=41 * 25).shape == (25, 41, 3)
    with pytest.raises(ImageError, match="41x25; expected at most 1024 pixels"):
        read_image(path, max_pixels=1024)


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_webp_is_turned_upright_by_its_exif(tmp_path, prefix):  # behind a chunk of an odd number of bytes
    frame = webp(picture(), 101)[12:]
    size = (39).to_bytes(3, "little") + (23).to_bytes(3, "little")
    block = prefix + exif(3)
    odd = b"XMP " + struct.pack("<I", 1) + b"x\0"
    chunks = b"VP8X" + struct.pack("<II", 10, 0x0C) + size + frame + odd
    chunks += b"EXIF" + struct.pack("<I", len(block)) + block
    path = written(tmp_path / "a.webp", b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks)
    np.testing.assert_array_equal(read_image(path), picture()[::-1, ::-1])


def test_jpeg_with_foreign_bytes_in_its_header_is_refused_before_decoding(tmp_path):
    data = encoded(".jpg", picture())
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:2] + b"\xff\xfe\0\2" + b"\0\0\0\2" + data[2:])  # a comment, then what is no segment
    with pytest.raises(ImageError, match="a damaged or cut-off JPEG header"):
        read_image(path)


def test_png_whose_last_chunk_claims_a_gigabyte_is_refused_before_decoding(tmp_path):
    data = encoded(".png", picture())
    path = written(tmp_path / "a.png", data[:-12] + struct.pack(">I", 2**30) + data[-8:])
    with pytest.raises(ImageError, match="a damaged or cut-off PNG header or chunk"):
        read_image(path)
