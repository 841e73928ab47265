"""What a weight file may ask for."""

import zipfile

import pytest
import torch

import net
from net.files.states import check_options, listed


def test_widths_up_to_1024_are_taken_where_there_are_as_many_weights():
    state = {"weight": torch.zeros(2000)}
    assert check_options({"dim": 1024, "rate": 1e4}, state) == {"dim": 1024, "rate": 1e4}
    with pytest.raises(ValueError, match=r"options {'dim': 1025} do not fit its tensors"):
        check_options({"dim": 1025}, state)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_zip_file_that_would_swell_is_refused(tmp_path, method):
    path, swollen = tmp_path / "weights.pth", tmp_path / "swollen.pth"
    torch.save({"w": torch.zeros(10_000)}, path)
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(swollen, "w", method) as other:
        for name in file.namelist():
            other.writestr(name, file.read(name))
    with pytest.raises(net.WeightsError, match="a compressed zip file"):
        net.load(swollen)


def test_of_more_names_than_eight_the_others_are_counted():
    assert listed("abcdefgh") == "a, b, c, d, e, f, g, h" and listed("abcdefghij").endswith(", h and 2 more")
