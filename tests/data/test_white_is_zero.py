"""TIFF files in which the lowest value is white."""

import struct

import numpy as np
import pytest

from data.images import ImageError, read_image
from tests.pictures import picture


def tiff(pixels, order="<", photometric=0):
    """A grey TIFF of 8, 16 or 32 (float) bits."""
    height, width = pixels.shape
    stored = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    tags = [(256, width), (257, height), (258, 8 * pixels.itemsize), (259, 1), (262, photometric), (273, 8), (277, 1),
            (278, height), (279, len(stored)), (339, 3 if pixels.dtype.kind == "f" else 1)]  # fmt: skip
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(stored)) + stored
    directory = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags)
    return start + struct.pack(f"{order}H", len(tags)) + directory + bytes(4)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_lowest_value_is_white_is_turned_right(tmp_path, dtype, order):
    image = picture(channels=1, dtype=dtype) // 2 + 7
    white = np.iinfo(dtype).max
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(white - image, order))
    assert read_image(path).dtype == dtype
    np.testing.assert_array_equal(read_image(path), image)
    path.write_bytes(tiff(image, order, photometric=1))
    np.testing.assert_array_equal(read_image(path), image)


def test_a_float_tiff_whose_lowest_value_is_white_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(picture(channels=1, dtype=np.float32)))
    with pytest.raises(ImageError, match=r"a\.tif: a float TIFF whose lowest value is white; expected"):
        read_image(path)
    path.write_bytes(tiff(picture(channels=1, dtype=np.float32), photometric=1))
    np.testing.assert_array_equal(read_image(path), picture(channels=1, dtype=np.float32))
