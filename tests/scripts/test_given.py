"""CMMDL_test.py --fused: images of another program, found in their folder and scored under a name of their own."""

import csv

import pytest

import CMMDL_test
from data.images import read_image
from data.scenes import render
from tests.pictures import save


@pytest.fixture
def pairs(tmp_path):
    """A folder of two sets, A with two pairs and B with one."""
    for seed, name in enumerate(("A/{}/1.png", "A/{}/2.png", "B/{}/1.png")):
        scene = render(seed, 48, 64)
        for kind, image in (("vi", scene.vis), ("ir", scene.ir)):
            save(tmp_path / "pairs" / name.format(kind), image)
    return tmp_path / "pairs"


@pytest.fixture
def score(tmp_path):
    """Score the images of a folder; the exit status."""
    return lambda data, fused: CMMDL_test.main(["--data", str(data), "--fused", str(fused), "--out", str(tmp_path)])


def scores(path):
    return list(csv.reader(path.open(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("max", "max (given)"), ("dwt", "dwt (given)"), ("maximum", "maximum (given)"), ("infrared", "infrared (given)"),
     ("mine", "mine"), ("cmmdl", "CMMDL")],
)  # fmt: skip
def test_a_folder_called_as_a_rule_or_a_source_is_scored_beside_it(pairs, score, tmp_path, capsys, name, shown):
    for i in (1, 2):
        save(tmp_path / name / f"{i}.png", read_image(pairs / "A" / "vi" / f"{i}.png")[..., 1])
    assert score(pairs / "A", tmp_path / name) == 0
    assert [row[0] for row in scores(tmp_path / "A" / "metrics.csv")] == ["image", "1", "2", "mean"]
    table = capsys.readouterr().out.splitlines()[-6:-1]
    assert [line[:-64].rstrip() for line in table] == [shown, "average", "maximum", "laplacian", "DWT"]
    page = (tmp_path / "index.html").read_text()
    for caption in ("visible", "infrared", shown if "(given)" in shown else name):
        assert page.count(f"<figcaption>{caption}</figcaption>") == 2
