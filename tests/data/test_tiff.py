"""TIFF files that OpenCV reads otherwise than they are meant: read right, or refused with what they are."""

import struct
import zlib

import numpy as np
import pytest
import tifffile

from data.images import ImageError, TooManyPixels, read_image
from tests.pictures import picture, written

LETTERS = {3: "H", 4: "I"}


def tiff(pixels, order="<", compress=None, **more):
    """A TIFF of (H, W), (H, W, C) or, with `apart`, planes (C, H, W) in one strip; `more` has tags as t259=8."""
    planes = pixels.transpose(2, 0, 1) if more.pop("apart", False) else pixels
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    stored = planes.astype(pixels.dtype.newbyteorder(order)).tobytes()
    size = len(stored) // channels if "t284" in more else len(stored)
    strips = [stored[i : i + size] for i in range(0, len(stored), size)]
    strips = [compress(strip) if compress else strip for strip in strips]
    starts = [8 + sum(map(len, strips[:i])) for i in range(len(strips))]
    tags = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * channels, 259: [1],
            262: [2 if channels > 2 else 1], 273: starts, 277: [channels], 278: [height], 279: list(map(len, strips)),
            339: [3 if pixels.dtype.kind == "f" else 1] * channels}  # fmt: skip
    tags |= {int(name[1:]): [value] for name, value in more.items()}
    body = b"".join(strips)
    directory_at = 8 + len(body)
    entries, beyond = b"", b""
    beyond_at = directory_at + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        kind = 4 if tag in (273, 279) else 3
        data = struct.pack(f"{order}{len(values)}{LETTERS[kind]}", *values)
        if len(data) > 4:
            data, beyond = struct.pack(f"{order}I", beyond_at + len(beyond)), beyond + data
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + data.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", directory_at)
    return head + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + beyond


def of_one_tile(data):
    """A TIFF of one strip and sides that are equal multiples of 16 as one of a single tile of that size."""
    begin = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, begin)[0]
    entries = {struct.unpack_from("<H", data, at)[0]: data[at + 2 : at + 12]
               for at in range(begin + 2, begin + 2 + 12 * count, 12)}  # fmt: skip
    strips, rows, lengths = entries.pop(273), entries.pop(278), entries.pop(279)
    entries |= {322: rows, 323: rows, 324: strips, 325: lengths}
    packed = b"".join(struct.pack("<H", tag) + entry for tag, entry in sorted(entries.items()))
    return data[:begin] + struct.pack("<H", len(entries)) + packed + bytes(4)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", [0, 1, 2])
def test_colours_are_what_they_are_beside_any_alpha(tmp_path, order, dtype, alpha):
    image = picture(channels=4, dtype=dtype)
    path = written(tmp_path / "a.tif", tiff(image, order, t338=alpha))
    np.testing.assert_array_equal(read_image(path), image)


@pytest.mark.parametrize("method", [8, 32946])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_deflated_picture_is_read_by_the_new_or_the_old_number_of_its_method(tmp_path, dtype, channels, method):
    image = picture(channels=channels, dtype=dtype)
    path = written(tmp_path / "a.tif", tiff(image, compress=zlib.compress, t259=method))
    np.testing.assert_array_equal(read_image(path), image)


def damaged(piece):
    packed = bytearray(zlib.compress(piece))
    packed[len(packed) // 2 : len(packed) // 2 + 8] = bytes(8)
    return bytes(packed)


@pytest.mark.parametrize("channels", [1, 3])
def test_damage_in_a_deflated_strip_is_noticed(tmp_path, channels):
    noise = np.random.default_rng(0).integers(0, 256, (24, 40, channels), dtype=np.uint8).squeeze()
    path = written(tmp_path / "a.tif", tiff(noise, compress=damaged, t259=8))
    with pytest.raises(ImageError, match=r"a\.tif: a damaged TIFF of \d+ bytes; expected a whole image"):
        read_image(path)


def test_damage_in_a_deflated_tile_is_noticed(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    whole, broken = (of_one_tile(tiff(noise, compress=compress, t259=8)) for compress in (zlib.compress, damaged))
    np.testing.assert_array_equal(read_image(written(tmp_path / "a.tif", whole)), noise)
    with pytest.raises(ImageError, match=r"a\.tif: a damaged TIFF of \d+ bytes; expected a whole image"):
        read_image(written(tmp_path / "a.tif", broken))


def test_of_a_tag_that_is_there_twice_the_first_counts(tmp_path):
    data = tiff(picture(channels=1))
    begin = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, begin)[0]
    entries = data[begin + 2 : begin + 2 + 12 * count]
    again = struct.pack("<H", count + 1) + entries + struct.pack("<HHII", 256, 4, 1, 1) + bytes(4)
    path = written(tmp_path / "a.tif", data[:begin] + again)
    np.testing.assert_array_equal(read_image(path), picture(channels=1))
    with pytest.raises(TooManyPixels, match="a.tif: 40x24; expected at most 100 pixels"):
        read_image(path, max_pixels=100)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_channels_apart_are_refused(tmp_path, dtype):
    image = picture(channels=3, dtype=dtype)
    path = written(tmp_path / "a.tif", tiff(image, apart=True, t284=2))
    bits = 8 * image.itemsize
    with pytest.raises(ImageError, match=rf"a TIFF of {bits} bits with each channel by itself \(planar\)"):
        read_image(path)


def test_channels_apart_of_8_bits_are_read(tmp_path):
    image = picture(channels=3)
    np.testing.assert_array_equal(read_image(written(tmp_path / "a.tif", tiff(image, apart=True, t284=2))), image)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_two_deep_channels_are_refused(tmp_path, dtype):
    image = picture(channels=4, dtype=dtype)[..., :2]
    bits = 8 * image.itemsize
    with pytest.raises(ImageError, match=f"a TIFF of {bits} bits with two channels, as grey with alpha; expected one"):
        read_image(written(tmp_path / "a.tif", tiff(image, t338=2)))


UPRIGHT = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose, 6: lambda a: np.rot90(a, 3),
           7: lambda a: np.rot90(a, 2).T, 8: np.rot90}  # fmt: skip


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_in_tiles_is_turned_upright_as_a_whole(tmp_path, orientation, dtype, order):
    image, how = picture(channels=1, dtype=dtype), [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", image, byteorder=order, tile=(16, 16), compression="zlib", extratags=how)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), UPRIGHT[orientation](image))


@pytest.mark.parametrize(("method", "name"), [(34712, "JPEG 2000"), (50000, "Zstandard"), (1234, "method 1234")])
def test_another_compression_is_refused_by_its_name(tmp_path, method, name):
    path = written(tmp_path / "a.tif", tiff(picture(channels=1), t259=method))
    with pytest.raises(ImageError, match=rf"a TIFF compressed by {name}; expected none, fax, LZW, JPEG, deflate"):
        read_image(path)


def test_pixels_that_are_not_read_are_described(tmp_path):
    path = written(tmp_path / "a.tif", tiff(np.arange(960, dtype=np.uint32).reshape(24, 40)))
    with pytest.raises(ImageError, match=r"pixels that are not read \(1 x 32 bits, whole numbers\); expected a whole"):
        read_image(path)


@pytest.mark.parametrize("magic", [b"II+\0", b"MM\0+"])
def test_a_big_tiff_is_called_so(tmp_path, magic):
    with pytest.raises(ImageError, match="a BigTIFF; expected a TIFF of the classic form"):
        read_image(written(tmp_path / "a.tif", magic + bytes(100)))


def test_a_tag_that_lies_beyond_the_end_is_damage(tmp_path):
    data = tiff(picture(channels=3))
    with pytest.raises(ImageError, match="damaged or cut-off TIFF"):
        read_image(written(tmp_path / "a.tif", data[:-12]))  # the bits of the three channels


def test_pixels_that_are_not_read_are_described_although_a_tag_lies_beyond_the_end(tmp_path):
    data = tiff(np.arange(24 * 40 * 3, dtype=np.uint32).reshape(24, 40, 3))
    with pytest.raises(ImageError, match=r"pixels that are not read \(3 x 32 bits, whole numbers\)"):
        read_image(written(tmp_path / "a.tif", data))
    with pytest.raises(ImageError, match=r"pixels that are not read \(3 x 32 bits, other numbers\)"):
        read_image(written(tmp_path / "a.tif", data[:-2]))  # what numbers they are


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_whose_lowest_value_is_white_is_turned_right(tmp_path, dtype, order):
    image = picture(channels=1, dtype=dtype) // 2 + 7
    for stored, photometric in ((np.iinfo(dtype).max - image, 0), (image, 1)):
        found = read_image(written(tmp_path / "a.tif", tiff(stored, order, t262=photometric)))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, image)


def test_a_float_picture_whose_lowest_value_is_white_is_refused(tmp_path):
    image = picture(channels=1, dtype=np.float32)
    with pytest.raises(ImageError, match=r"a\.tif: a float TIFF whose lowest value is white; expected"):
        read_image(written(tmp_path / "a.tif", tiff(image, t262=0)))
    np.testing.assert_array_equal(read_image(written(tmp_path / "a.tif", tiff(image, t262=1))), image)
