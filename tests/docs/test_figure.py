"""The README's picture."""

import cv2
import numpy as np

import net
from docs import figure

DOCS = figure.ROOT / "docs"


def test_the_picture_has_visible_infrared_and_fused_side_by_side(tmp_path, monkeypatch):
    def model(name):
        return net.build({"cmmdl": "average"}[name])  # which takes no time

    monkeypatch.setattr(figure, "open_model", model)
    assert figure.main(["--out", str(tmp_path / "made.png")]) == 0
    made, shipped = (cv2.imread(str(path))[..., ::-1] for path in (tmp_path / "made.png", DOCS / "fused.png"))
    vis, ir, fused = (slice(start, start + 320) for start in (0, 326, 652))  # a gap of six pixels between two
    assert made.shape == shipped.shape == (738, 978, 3)
    np.testing.assert_array_equal(made[:, :652], shipped[:, :652])
    pair = made[246:486, vis], made[246:486, ir, 0]
    np.testing.assert_array_equal(made[246:486, fused], net.Fuser(model("cmmdl"))(*pair))
