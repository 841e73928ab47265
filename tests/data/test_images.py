"""Image files: every accepted format comes back as stored, every bad file is refused with one clear sentence."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest

from data.images import EXTENSIONS, ImageError, read_image, write_image
from tests.pictures import encoded, exif, jpeg_with_exif, picture, written

STORED = [  # extension, channels and type that are kept without loss
    *((extension, 3, np.uint8) for extension in (".png", ".bmp", ".tif", ".tiff", ".webp")),
    *((extension, 1, np.uint8) for extension in (".png", ".bmp", ".tif")),
    *((extension, 4, np.uint8) for extension in (".png", ".tif", ".webp")),
    *((extension, channels, np.uint16) for extension in (".png", ".tif") for channels in (1, 3)),
]


def png_chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, depth, colour_type, rows, extra=()):
    """A PNG from its parts: `rows` are the packed rows without their filter byte."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, data) for name, data in chunks)


def old_bmp(width, height, bits, rows, palette=()):
    """A BMP with the header of OS/2, 12 bytes: `rows` are the packed rows from the top, `palette` has RGB."""
    body = b"".join(row + bytes(-len(row) % 4) for row in rows[::-1])
    colours = b"".join(bytes(colour[::-1]) for colour in palette)
    start = 26 + len(colours)
    head = b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start)
    return head + struct.pack("<IHHHH", 12, width, height, 1, bits) + colours + body


def refusal(path):
    with pytest.raises(ImageError) as caught:
        read_image(path)
    message = str(caught.value)
    assert path.name in message
    assert "expected" in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("extension", "channels", "dtype"), STORED)
def test_grey_rgb_and_alpha_of_8_or_16_bits_come_back_as_they_are_stored(tmp_path, extension, channels, dtype):
    image = picture(channels=channels, dtype=dtype)
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if extension == ".webp" else []
    found = read_image(written(tmp_path / f"a{extension}", encoded(extension, image, lossless)))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_comes_back_close_to_what_was_stored(tmp_path, channels):
    image = picture(channels=channels)
    path = written(tmp_path / "a.jpg", encoded(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100]))
    assert read_image(path).shape == image.shape
    assert np.abs(read_image(path).astype(int) - image).max() < 12


def test_float_tiff_keeps_its_values(tmp_path):
    image = picture(channels=3, dtype=np.float32) * 5
    path = written(tmp_path / "a.tif", encoded(".tif", image, [cv2.IMWRITE_TIFF_COMPRESSION, 1]))
    assert read_image(path).dtype == np.float32
    np.testing.assert_array_equal(read_image(path), image)


def test_palette_becomes_rgb(tmp_path):
    rows = [bytes([0, 1, 2]), bytes([2, 1, 0])]
    palette = bytes([255, 0, 0, 0, 200, 0, 0, 0, 100])
    path = written(tmp_path / "a.png", png(3, 2, 8, 3, rows, [(b"PLTE", palette)]))
    colours = [[255, 0, 0], [0, 200, 0], [0, 0, 100]]
    np.testing.assert_array_equal(read_image(path), [colours, colours[::-1]])


def test_grey_with_alpha_becomes_rgba(tmp_path):
    path = written(tmp_path / "a.png", png(2, 1, 8, 4, [bytes([10, 255, 200, 7])]))
    np.testing.assert_array_equal(read_image(path), [[[10, 10, 10, 255], [200, 200, 200, 7]]])


def test_one_bit_becomes_black_and_white(tmp_path):
    path = written(tmp_path / "a.png", png(4, 1, 1, 0, [bytes([0b10100000])]))
    np.testing.assert_array_equal(read_image(path), [[255, 0, 255, 0]])


@pytest.mark.parametrize("image", [picture(6, 9), np.zeros((6, 9, 3), np.uint8)], ids=["colours", "black"])
def test_a_bmp_with_the_header_of_os2_is_read_in_its_size_and_colours(tmp_path, image):
    path = written(tmp_path / "a.bmp", old_bmp(9, 6, 24, [row[:, ::-1].tobytes() for row in image]))
    np.testing.assert_array_equal(read_image(path), image)


@pytest.mark.parametrize("palette", [[(9, 0, 0), (0, 200, 0), (0, 0, 100)], [(0, 0, 0), (90, 90, 90), (255, 255, 255)]])
def test_a_palette_under_the_header_of_os2_is_rgb_or_grey(tmp_path, palette):
    data = old_bmp(3, 2, 8, [bytes([0, 1, 2]), bytes([2, 1, 0])], palette + [(0, 0, 0)] * 253)
    expected = [palette, palette[::-1]] if palette[0][0] else [[0, 90, 255], [255, 90, 0]]
    np.testing.assert_array_equal(read_image(written(tmp_path / "a.bmp", data)), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_is_turned_upright_by_its_exif(tmp_path, orientation, order):
    data = jpeg_with_exif(encoded(".jpg", picture()), exif(orientation, order))
    path = written(tmp_path / "a.jpg", data)
    upright = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)  # OpenCV's own turn is the oracle
    np.testing.assert_array_equal(read_image(path), upright)


def test_jpeg_is_turned_by_its_exif_whatever_else_stands_in_a_block_of_that_kind(tmp_path):
    data = jpeg_with_exif(encoded(".jpg", picture()), exif(6))
    end = 4 + struct.unpack_from(">H", data, 4)[0]
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"
    path = written(tmp_path / "a.jpg", data[:end] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + data[end:])
    assert read_image(path).shape == (40, 24, 3)


@pytest.mark.parametrize("marker", ["ff", "ffff", "ff01", "ffd0", "ffd7"])
def test_jpeg_with_fill_bytes_or_markers_without_a_body_in_its_header_is_read(tmp_path, marker):
    data = encoded(".jpg", picture())
    path = written(tmp_path / "a.jpg", data[:2] + bytes.fromhex(marker) + data[2:])
    np.testing.assert_array_equal(read_image(path), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))


def test_orientation_6_brings_the_left_column_to_the_top(tmp_path):
    image = np.zeros((16, 32), np.uint8)
    image[:, :8] = 255
    path = written(tmp_path / "a.jpg", jpeg_with_exif(encoded(".jpg", image), exif(6)))
    upright = read_image(path)
    assert upright.shape == (32, 16)
    assert upright[:8].min() > 200
    assert upright[8:].max() < 50


def test_png_with_alpha_is_turned_upright_by_its_exif(tmp_path):
    data = encoded(".png", picture(channels=4))
    path = written(tmp_path / "a.png", data[:33] + png_chunk(b"eXIf", exif(8)) + data[33:])
    np.testing.assert_array_equal(read_image(path), np.rot90(picture(channels=4)))


def test_broken_exif_leaves_the_image_as_stored(tmp_path):
    path = written(tmp_path / "a.jpg", jpeg_with_exif(encoded(".jpg", picture()), exif(6)[:15]))
    assert read_image(path).shape == (24, 40, 3)


@pytest.mark.parametrize("name", ["夜景 001.png", "été.png", "a b#%.png"])
def test_names_in_any_script_are_written_and_read(tmp_path, name):
    write_image(tmp_path / name, picture())
    np.testing.assert_array_equal(read_image(tmp_path / name), picture())


def test_content_decides_the_format_not_the_extension(tmp_path):
    path = written(tmp_path / "a.jpg", encoded(".png", picture()))
    np.testing.assert_array_equal(read_image(path), picture())


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95, 0.99999])  # the last is all but one byte
@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_cut_off_file_is_refused(tmp_path, capfd, extension, keep):
    data = encoded(extension, np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    path = written(tmp_path / f"a{extension}", data[: int(len(data) * keep)])
    refusal(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("missing", [1, 2, 40])
def test_jpeg_without_its_end_is_refused(tmp_path, progressive, missing):
    data = encoded(".jpg", picture(200, 300), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
    path = written(tmp_path / "a.jpg", data[:-missing])
    assert "JPEG" in refusal(path)


def test_png_with_a_changed_byte_is_refused(tmp_path, capfd):
    data = bytearray(encoded(".png", np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)))
    data[len(data) // 2] ^= 0x10
    path = written(tmp_path / "a.png", data)
    assert "damaged" in refusal(path)
    assert capfd.readouterr().err == ""


def test_harmless_decoder_warning_is_neither_printed_nor_refused(tmp_path, capfd):
    data = encoded(".png", picture())
    profile = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))
    path = written(tmp_path / "a.png", data[:33] + profile + data[33:])
    np.testing.assert_array_equal(read_image(path), picture())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", "empty file"), (b"I am text", "no image data"), (b"\x89PNG\r\n\x1a\n", "header"), (b"GIF89a", "GIF89a"),
     (b"RIFF\4\0\0\0WEBP", "header")],
)
def test_file_that_is_no_image_is_refused(tmp_path, content, found):
    path = written(tmp_path / "a.png", content)
    assert found in refusal(path)


def test_missing_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.png")


def test_folder_named_like_an_image_is_refused(tmp_path):
    (tmp_path / "a.png").mkdir()
    assert "a folder" in refusal(tmp_path / "a.png")


def test_file_without_permission_is_refused(tmp_path):
    path = written(tmp_path / "a.png", encoded(".png", picture()))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    assert "not readable" in refusal(path)


def claims(extension):
    """The start of a file of each format that claims 20000x20000 pixels."""
    side = 20000
    if extension == ".png":
        return png(side, side, 8, 0, [])
    if extension == ".jpg":
        data = bytearray(encoded(".jpg", picture()))
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", side, side)
        return bytes(data)
    if extension == ".bmp":
        data = bytearray(encoded(".bmp", picture()))
        data[18:26] = struct.pack("<ii", side, -side)
        return bytes(data)
    if extension == ".webp":
        size = (side - 1).to_bytes(3, "little") * 2
        return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + size
    return struct.pack("<2sHIHHHIIHHII", b"II", 42, 8, 2, 256, 4, 1, side, 257, 4, 1, side)


@pytest.mark.parametrize("extension", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_image_that_claims_too_many_pixels_is_refused_before_decoding(tmp_path, monkeypatch, extension):
    path = written(tmp_path / f"a{extension}", claims(extension))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    assert "20000x20000" in refusal(path)


def test_float64_tiff_is_refused(tmp_path):
    path = written(tmp_path / "a.tif", encoded(".tif", np.eye(8), [cv2.IMWRITE_TIFF_COMPRESSION, 1]))
    assert "float64" in refusal(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_float_tiff_with_one_pixel_that_is_no_finite_number_is_refused(tmp_path, value):
    image = np.zeros((8, 8), np.float32)
    image[3, 5] = value
    path = written(tmp_path / "a.tif", encoded(".tif", image, [cv2.IMWRITE_TIFF_COMPRESSION, 1]))
    assert "infinite or not a number" in refusal(path)


def test_one_image_of_every_real_set_is_read_quietly(shared, capfd):
    folders = sorted(path for path in (shared / "data").glob("*/*/*") if path.is_dir() and path.name != "boxes")
    assert len(folders) > 20
    for folder in folders:
        image = read_image(min(folder.iterdir()))
        assert image.dtype == np.uint8
        assert image.ndim in (2, 3)
    assert capfd.readouterr().err == ""
