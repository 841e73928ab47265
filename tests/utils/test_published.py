"""Published figures beside ours."""

import CMMDL_test
from tests.pictures import save_pair
from utils import tables
from utils.metrics import METRICS
from utils.published import FILE, published
from utils.tables import Row


def test_every_published_row_has_a_source_and_a_count_of_images():
    names = {line.split(",")[0] for line in FILE.read_text(encoding="utf-8").splitlines()[1:]}
    for name in names:
        rows = published(name, "cddfuse")
        assert rows and all(row.source.endswith("images") and row.mean for row in rows), name
        assert published(name, "cmmdl") == [], "figures of two conventions never stand in one table"
    assert published("my camera", "cddfuse") == []


def test_tables_show_published_rows_with_their_sources_and_never_as_the_best():
    ours = [Row(name, {"1": dict.fromkeys(METRICS, 0.1 * i)}) for i, name in enumerate(("cmmdl", "mlfuse"))]
    rows = {"MSRS": [*ours, *published("MSRS", "cddfuse")]}
    text = tables.text("MSRS", rows["MSRS"])
    assert "CDDFuse, published (361) 6.70 43.38 11.56 3.47 1.62 1.05 0.69 1.00" in " ".join(text.split())
    emma = next(line for line in text.splitlines() if line.startswith("EMMA"))
    assert emma.split() == ["EMMA,", "published", "(361)", "6.71", "44.13", "11.56", "1.63", "0.97"]
    page = tables.markdown(rows, "cddfuse")
    assert "- CDDFuse, published (361): " in page and "361 images" in page
    assert not [line for line in page.splitlines() if "published" in line and "**" in line]
    assert "EMMA, published" in tables.latex(rows, "cddfuse")


def test_the_test_script_prints_them_when_asked(tmp_path, capsys):
    save_pair(tmp_path / "TNO")
    arguments = ["--data", str(tmp_path / "TNO"), "--method", "average", "--protocol", "cddfuse"]
    for options, count in (([], 0), (["--published"], 2)):
        assert CMMDL_test.main([*arguments, *options, "--out", str(tmp_path / "out")]) == 0
        assert capsys.readouterr().out.count(", published (25)") == count
    assert "CDDFuse, published" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    (tmp_path / "TNO").rename(tmp_path / "test")
    (tmp_path / "MSRS").mkdir()
    (tmp_path / "test").rename(tmp_path / "MSRS" / "test")
    arguments[1] = str(tmp_path / "MSRS" / "test")
    assert CMMDL_test.main([*arguments, "--published", "--out", str(tmp_path / "out")]) == 0
    assert "CDDFuse, published (361)" in capsys.readouterr().out
    (tmp_path / "MSRS" / "test").rename(tmp_path / "MSRS" / "train")
    other = ["--data", str(tmp_path / "MSRS" / "train"), *arguments[2:]]
    assert CMMDL_test.main([*other, "--published", "--out", str(tmp_path / "out")]) == 0
    assert "published (361)" not in capsys.readouterr().out, "those figures are of the test images"
    (tmp_path / "MSRS" / "train").rename(tmp_path / "MSRS" / "test")
    assert CMMDL_test.main([*arguments, "--published", "--protocol", "cmmdl", "--out", str(tmp_path / "out")]) == 0
    said = "no published figures in protocol cmmdl"
    assert said in capsys.readouterr().err
