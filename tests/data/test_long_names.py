"""Images in odd places: under names as long as a name can be, below what is no folder."""

import numpy as np
import pytest

from data.images import ImageError, read_image, write_image
from tests.pictures import picture


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "夜" * 83 + "ab.png"])
def test_an_image_with_the_longest_name_is_written_and_leaves_no_other_file(tmp_path, name):
    assert len(name.encode()) == 255
    for channels in (3, 1):  # a new file, and one that is there
        write_image(tmp_path / name, picture(channels=channels))
        np.testing.assert_array_equal(read_image(tmp_path / name), picture(channels=channels))
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize(("place", "reason"), [("file/a.png", "Not a directory"), ("a" * 252 + ".png", "too long")])
def test_a_place_that_cannot_be_is_refused_with_its_reason(tmp_path, place, reason):
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match=rf"a\.png: cannot be written \(.*{reason}\)"):
        write_image(tmp_path / place, picture())
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
