"""CMMDL_test.py as a user calls it: what it writes, prints and refuses."""

import base64
import csv
import re
import shutil
from functools import partial

import cv2
import numpy as np
import pytest
import torch

import CMMDL_test
import net
from data.images import read_image
from tests.commands import status_of
from tests.pictures import rendered, save
from utils import report
from utils.metrics import METRICS, evaluate, grey

HEADER = ["image", *METRICS]


@pytest.fixture
def pairs(tmp_path):
    """A folder of two sets: A with a colour pair and a grey one, B with one odd-sized pair."""
    for name, seed, height, width in (("A/{}/1.png", 0, 48, 64), ("A/{}/2.png", 1, 48, 64), ("B/{}/x.png", 2, 51, 43)):
        scene = rendered(seed, height, width)
        vis = scene.vis if seed != 1 else scene.vis[..., 1]
        for kind, image in (("vi", vis), ("ir", scene.ir)):
            save(tmp_path / "pairs" / name.format(kind), image)
    return tmp_path / "pairs"


@pytest.fixture
def weights(tmp_path, small):
    torch.save({"model": small.state_dict()}, tmp_path / "small.pth")
    return tmp_path / "small.pth"


run = partial(status_of, CMMDL_test.main)


def rows(path):
    return list(csv.reader(path.open(encoding="utf-8")))


def test_every_set_is_fused_scored_and_reported(pairs, weights, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--data", pairs, "--weights", weights, "--out", out) == 0
    assert {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} == {
        "A/1.png", "A/2.png", "A/metrics.csv", "B/x.png", "B/metrics.csv", "run.jsonl", "table.md",
        "table.tex", "index.html",
    }  # fmt: skip
    assert read_image(out / "A" / "1.png").shape == (48, 64, 3)
    assert read_image(out / "A" / "2.png").shape == (48, 64), "a grey visible image gives a grey one"
    assert read_image(out / "B" / "x.png").shape == (51, 43, 3)
    printed = capsys.readouterr().out
    assert "Scoring protocol: cmmdl" in printed
    assert "=" * 80 + "\nThe test result of A :\n" in printed
    assert f"{'':<11}      EN      SD      SF      MI     SCD     VIF    Qabf    SSIM\nCMMDL " in printed
    assert all(printed.count(f"\n{rule}") == 2 for rule in ("average", "maximum", "laplacian", "DWT"))


def test_the_csv_has_full_precision_and_the_mean(pairs, weights, tmp_path):
    out = tmp_path / "out"
    run("--data", pairs / "A", "--weights", weights, "--out", out)
    found = rows(out / "A" / "metrics.csv")
    assert found[0] == HEADER
    assert [row[0] for row in found[1:]] == ["1", "2", "mean"]
    vis, ir = (grey(read_image(pairs / "A" / kind / "1.png")) for kind in ("vi", "ir"))
    expected = evaluate(grey(read_image(out / "A" / "1.png")), ir, vis)
    assert [float(value) for value in found[1][1:]] == [expected[name] for name in METRICS]
    means = np.mean([[float(v) for v in row[1:]] for row in found[1:3]], axis=0)
    assert [float(v) for v in found[3][1:]] == pytest.approx(means, rel=1e-12)


@pytest.mark.parametrize("protocol", ["cmmdl", "cddfuse"])
def test_scoring_the_written_images_again_gives_the_same_figures(pairs, weights, tmp_path, protocol):
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("--data", pairs, "--weights", weights, "--out", first, "--protocol", protocol) == 0
    assert run("--data", pairs, "--fused", first, "--out", second, "--protocol", protocol) == 0
    for name in ("A", "B"):
        assert rows(first / name / "metrics.csv") == rows(second / name / "metrics.csv")


def test_fused_images_of_one_set_may_lie_directly_in_the_folder(pairs, weights, tmp_path):
    run("--data", pairs / "A", "--weights", weights, "--out", tmp_path / "out")
    assert run("--data", pairs / "A", "--fused", tmp_path / "out" / "A", "--out", tmp_path / "again") == 0
    assert len(rows(tmp_path / "again" / "A" / "metrics.csv")) == 4


def test_cddfuse_images_are_grey_and_use_the_full_range(pairs, weights, tmp_path):
    run("--data", pairs / "A", "--weights", weights, "--out", tmp_path / "out", "--protocol", "cddfuse")
    image = read_image(tmp_path / "out" / "A" / "1.png")
    assert image.ndim == 2
    assert (image.min(), image.max()) == (0, 255)


def test_data_may_be_given_more_than_once_and_a_method_twice_is_one(pairs, tmp_path):
    given = ["--data", pairs / "A", "--data", pairs / "B", "--method", "average", "--method", "average"]
    assert run(*given, "--no-metrics", "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "A" / "1.png").exists() and (tmp_path / "out" / "B" / "x.png").exists()


def test_several_methods_share_one_table_and_page(pairs, weights, tmp_path, capsys):
    out = tmp_path / "out"
    status = run("--data", pairs / "A", "--method", "cmmdl", "--method", "max", "--weights", f"cmmdl={weights}",
                 "--out", out, "--protocol", "cddfuse")  # fmt: skip
    assert status == 0
    assert (out / "cmmdl" / "A" / "1.png").exists()
    assert (out / "max" / "A" / "metrics.csv").exists()
    printed = capsys.readouterr().out
    assert printed.index("\nCMMDL ") < printed.index("\nmaximum ") < printed.index("\naverage ")
    assert "**" in (out / "table.md").read_text()
    assert r"\textbf" in (out / "table.tex").read_text()
    page = (out / "index.html").read_text()
    assert page.count("<figcaption>CMMDL<") == page.count("<figcaption>maximum<") == 2
    assert "Fused by CMMDL, maximum<" in page  # and not by the rules beside them


def test_the_page_stands_alone_but_for_links_to_full_size_images(pairs, weights, tmp_path):
    out = tmp_path / "out"
    run("--data", pairs / "A", "--weights", weights, "--out", out)
    page = (out / "index.html").read_text()
    assert page.count('src="data:image/jpeg;base64,') == 6
    assert 'src="http' not in page
    assert 'data-file="A/1.png"' in page


def test_the_pictures_of_all_sets_together_decide_how_large_each_is_on_the_page(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MANY", 3)  # of 9: two sources and a fused one of each pair
    monkeypatch.setattr(report, "THUMBNAIL", 40)
    run("--data", pairs, "--method", "average", "--no-metrics", "--out", tmp_path)
    pictures = re.findall('base64,([^"]*)"', (tmp_path / "index.html").read_text())
    widths = [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), 0).shape[1] for one in pictures]
    assert widths == [round(40 * (3 / 9) ** 0.5)] * 9


def test_refused_pairs_are_named_with_the_reason_and_the_rest_is_done(pairs, weights, tmp_path, capsys):
    (pairs / "A" / "vi" / "2.png").write_bytes(b"")
    save(pairs / "A" / "vi" / "3.png", np.zeros((48, 60), np.uint8))
    for stem in "34":
        save(pairs / "A" / "ir" / f"{stem}.png", np.zeros((48, 64), np.uint8))
    assert run("--data", pairs, "--weights", weights, "--out", tmp_path / "out") == 1
    errors = capsys.readouterr().err
    assert "2.png" in errors
    assert "infrared 64x48, visible 60x48; a pair must have one size" in errors
    assert "4.png: in ir but not in vi" in errors
    assert [row[0] for row in rows(tmp_path / "out" / "A" / "metrics.csv")] == ["image", "1", "mean"]
    assert (tmp_path / "out" / "B" / "x.png").exists()


def test_images_too_small_to_score_are_fused_and_refused_by_name(weights, tmp_path, capsys):
    for kind in ("vi", "ir"):
        save(tmp_path / "tiny" / kind / "t.png", np.random.default_rng(0).integers(0, 255, (20, 20), np.uint8))
    assert run("--data", tmp_path / "tiny", "--weights", weights, "--out", tmp_path / "out") == 1
    assert "20x20" in capsys.readouterr().err
    assert (tmp_path / "out" / "tiny" / "t.png").exists()


def test_sixteen_bit_infrared_is_fused_and_scored(pairs, weights, tmp_path):
    thermal = read_image(pairs / "A" / "ir" / "1.png").astype(np.uint16) * 10 + 20000
    (pairs / "A" / "ir" / "1.png").unlink()
    save(pairs / "A" / "ir" / "1.tiff", thermal)
    assert run("--data", pairs / "A", "--weights", weights, "--out", tmp_path / "out") == 0
    assert len(rows(tmp_path / "out" / "A" / "metrics.csv")) == 4


def test_what_one_method_cannot_take_is_refused_and_the_others_fuse_it(pairs, weights, tmp_path, capsys):
    for kind in ("vi", "ir"):
        save(pairs / "A" / kind / "small.png", np.full((16, 14), 90, np.uint8))
    torch.save(net.build("mlfuse").state_dict(), tmp_path / "mlfuse.pth")
    methods = ["--method", "cmmdl", "--method", "mlfuse", "--weights", f"cmmdl={weights}"]
    out = tmp_path / "out"
    assert run("--data", pairs / "A", *methods, "--weights", f"mlfuse={tmp_path / 'mlfuse.pth'}", "--out", out) == 1
    assert "small: mlfuse: the pair is 14x16 pixels; expected at least 15x15" in capsys.readouterr().err
    assert (out / "cmmdl" / "A" / "small.png").exists() and not (out / "mlfuse" / "A" / "small.png").exists()
    page = (out / "index.html").read_text()
    assert all(page.count(f"<figcaption>{name}</figcaption>") == n for name, n in (("CMMDL", 3), ("MLFuse", 2)))
    for table, best in (("table.md", "**"), ("table.tex", r"\textbf")):
        text = (out / table).read_text()
        assert all(label in text for label in ("CMMDL", "MLFuse", "average", "DWT")) and best in text


def test_limit_takes_the_first_pairs_and_no_metrics_only_fuses(pairs, weights, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--data", pairs, "--weights", weights, "--out", out, "--limit", 1, "--no-metrics") == 0
    assert sorted(p.name for p in out.rglob("*.png")) == ["1.png", "x.png"]
    assert not list(out.rglob("metrics.csv"))
    printed = capsys.readouterr().out
    assert "The test result" not in printed and "Scoring protocol" not in printed


@pytest.mark.parametrize("given", ["rate=0.1.pth", "cmmdl=rate=0.1.pth", "cmmdl"])
def test_an_equals_sign_in_the_path_of_weights_or_a_methods_name_as_path_names_no_method(
    pairs, weights, tmp_path, monkeypatch, given
):
    monkeypatch.chdir(tmp_path)
    shutil.copy(weights, given.removeprefix("cmmdl="))
    assert run("--data", pairs / "B", "--weights", given, "--no-metrics", "--out", "out") == 0
    assert (tmp_path / "out" / "B" / "x.png").exists()


def test_a_folder_that_is_not_there_is_refused_and_the_other_one_fused(pairs, weights, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--data", pairs / "B", tmp_path / "nothing", "--weights", weights, "--out", out) == 1
    assert (out / "B" / "x.png").exists()
    assert f"refused: {tmp_path / 'nothing'}: no such folder" in capsys.readouterr().err


def test_sets_of_one_name_from_two_places_are_kept_apart(pairs, weights, tmp_path):
    out = tmp_path / "out"
    assert run("--data", *[pairs / "B"] * 3, "--weights", weights, "--out", out) == 0
    assert {path.parent.name for path in out.rglob("x.png")} == {"B", "B_2", "B_3"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{pairs}", "--weights", "mlfuse=x.pth"], "not among the methods"),
        (["--data", "{pairs}", "--method", "mlfuse", "--weights", "{weights}"], "weights of CMMDL; expected those of"),
        (["--data", "{pairs}", "--method", "sfdfuse"], "give --weights sfdfuse=PATH"),
        (["--data", "{pairs}", "--method", "max", "--weights", "{weights}"], "max is a rule without weights"),
        (["--data", "{pairs}", "--method", "cmmdl", "--method", "mlfuse", "--weights", "{weights}"], "NAME=PATH"),
        (["--data", "{pairs}", "--weights", "{weights}", "--tile", "5"], "at least 32"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error_in_one_sentence(pairs, weights, tmp_path, capsys, arguments, message):
    places = {"tmp": tmp_path, "pairs": pairs, "weights": weights}
    assert run(*(a.format(**places) for a in arguments), "--out", tmp_path / "out") == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "arguments",
    [["--fused", ".", "--weights", "w"], ["--out", __file__], ["--out", "fused.png"], ["--out", "fused.PNG"]],
)
def test_what_cannot_be_fused_or_written_to_is_refused_by_the_parser(arguments):
    assert run(*arguments) == 2


def test_a_folder_of_fused_images_that_do_not_fit_is_refused(pairs, tmp_path, capsys):
    save(tmp_path / "fused" / "1.png", np.zeros((10, 10), np.uint8))
    assert run("--data", pairs / "A", "--fused", tmp_path / "fused", "--out", tmp_path / "out") == 1
    errors = capsys.readouterr().err
    assert "10x10, its pair 64x48" in errors
    assert "2: fused: no image in" in errors


def test_the_same_command_twice_gives_the_same_files(pairs, weights, tmp_path):
    for out in ("one", "two"):
        run("--data", pairs / "A", "--weights", weights, "--out", tmp_path / out)
    for name in ("A/1.png", "A/metrics.csv", "table.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(("name", "figures"), [
    ("TNO", {"average": (6.77, 33.44, 8.89, 1.64, 1.72, 0.63, 0.45, 1.05),
             "max": (6.81, 48.12, 12.09, 4.71, 1.54, 1.02, 0.59, 0.94)}),
    ("RoadScene", {"average": (6.95, 36.86, 9.80, 2.04, 1.73, 0.62, 0.48, 0.94),
                   "max": (7.03, 61.14, 16.37, 5.11, 1.45, 0.97, 0.58, 0.84)}),
])  # fmt: skip
def test_the_rules_without_learning_have_their_known_figures(shared, tmp_path, name, figures):
    run("--data", shared / "data" / "test" / name, "--method", "average", "--method", "max", "--protocol", "cddfuse",
        "--out", tmp_path)  # fmt: skip
    for rule, expected in figures.items():
        mean = [float(value) for value in rows(tmp_path / rule / name / "metrics.csv")[-1][1:9]]
        assert mean == pytest.approx(expected, abs=0.0151), rule  # printed to 0.01 on both sides


@pytest.mark.slow
def test_mlfuse_with_its_released_weights_has_its_published_figures(shared, tmp_path):
    weights = shared / "vectors" / "mlfuse_state.pth"
    run("--data", shared / "data" / "test" / "TNO", "--method", "mlfuse", "--weights", weights,
        "--protocol", "cddfuse", "--out", tmp_path)  # fmt: skip
    mean = dict(zip(METRICS, map(float, rows(tmp_path / "TNO" / "metrics.csv")[-1][1:]), strict=True))
    assert [mean[name] for name in ("VIF", "Qabf", "SSIM")] == pytest.approx([0.628, 0.468, 1.035], abs=0.002)


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_images_but_for_rounding(pairs, weights, tmp_path):
    for name, option in (("eager", []), ("compiled", ["--compile"])):
        assert run("--data", pairs / "A", "--weights", weights, "--out", tmp_path / name, *option) == 0
    eager, compiled = (read_image(tmp_path / name / "A" / "1.png").astype(int) for name in ("eager", "compiled"))
    assert abs(eager - compiled).max() <= 1


def test_bf16_on_a_cpu_is_refused_in_one_sentence(pairs, weights, tmp_path, capsys):
    options = ["--precision", "bf16", "--device", "cpu"]
    assert run("--data", pairs, "--weights", weights, "--out", tmp_path / "out", *options) == 2
    assert "precision bf16 is for GPUs" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "keeps"), [([], True), (["--tile", "64"], False)])
def test_tiles_do_not_keep_freed_memory(monkeypatch, pairs, tmp_path, options, keeps):
    kept = []
    monkeypatch.setattr(CMMDL_test, "keep_freed_memory", lambda every_size: kept.append(every_size))
    assert run("--data", pairs, "--method", "average", "--no-metrics", "--out", tmp_path / "out", *options) == 0
    assert bool(kept) is keeps  # called at all


@pytest.mark.parametrize(
    ("methods", "every_size"),
    [(["cmmdl"], False), (["average"], False), (["mlfuse"], True), (["cmmdl", "mlfuse"], True)],
)
def test_every_freed_block_is_kept_for_networks_that_do_not_work_by_bands(monkeypatch, pairs, methods, every_size):
    kept = []
    monkeypatch.setattr(CMMDL_test, "keep_freed_memory", lambda every_size: kept.append(every_size))
    monkeypatch.setattr(CMMDL_test, "open_sets", None)  # goes no further
    with pytest.raises(TypeError):
        run("--data", pairs, *(f"--method={name}" for name in methods))
    assert kept == [every_size]
