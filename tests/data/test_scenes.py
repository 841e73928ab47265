"""The rendered sample scenes: repeatable, true to their masks, and such that fusing them is worth it."""

import re
from functools import cache
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from data import scenes
from data.rendering.canvas import HEAT, SALIENT, Canvas
from data.rendering.people import person
from data.rendering.props import board
from data.rendering.shapes import wrap
from data.scenes import KINDS, Scene, pairs, render
from tests.commands import status_of

TEST_IMG = Path(__file__).resolve().parents[2] / "test_img"
SIZE = (72, 96)
SMALLEST = ["--count", "1", "--height", "32", "--width", "32"]


@cache
def drawn(kind: str, seed: int) -> Scene:
    """A small scene, kept for the tests that only look at it."""
    return render(seed, *SIZE, kind)


def same(a: Scene, b: Scene) -> bool:
    pictures = ("vis", "ir", "mask")
    return a.name == b.name and all(np.array_equal(getattr(a, part), getattr(b, part)) for part in pictures)


def brightness(scene: Scene) -> np.ndarray:
    return cv2.cvtColor(scene.vis, cv2.COLOR_RGB2GRAY).astype(float)


def against_surroundings(picture: np.ndarray, mask: np.ndarray, width: int = 9) -> float:
    """Mean inside the mask minus mean of a rim around it."""
    rim = (cv2.dilate(mask, np.ones((width, width), np.uint8)) > 0) & (mask == 0)
    return float(picture[mask > 0].mean()) - float(picture[rim].mean())


def in_pieces(mask: np.ndarray, smallest: int) -> list[np.ndarray]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    return [(labels == i).astype(np.uint8) for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= smallest]


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_is_the_same_whatever_was_drawn_before(kind):
    first = render(7, 48, 64, kind)
    render(8, 33, 40)
    assert same(first, render(7, 48, 64, kind))


def test_seed_and_kind_change_the_scene():
    different = [drawn(kind, seed) for kind in KINDS for seed in (0, 1)]
    for one, other in combinations(different, 2):
        assert np.abs(one.vis.astype(int) - other.vis).mean() > 3
        assert np.abs(one.ir.astype(int) - other.ir).mean() > 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (101, 64), (32, 200)])
def test_any_size_gives_bytes_of_that_size(kind, height, width):
    scene = render(3, height, width, kind)
    assert scene.vis.shape == (height, width, 3)
    assert scene.ir.shape == scene.mask.shape == (height, width)
    assert scene.vis.dtype == scene.ir.dtype == scene.mask.dtype == np.uint8
    assert scene.mask.max() <= 1
    assert scene.ir.std() > 8
    assert brightness(scene).std() > 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_arrangement_scales_with_the_size(kind):
    large, small = render(2, 180, 240, kind), render(2, 90, 120, kind)
    shrunk = cv2.resize(large.mask.astype(np.float32), (120, 90), interpolation=cv2.INTER_AREA) >= 0.5
    overlap = np.logical_and(shrunk, small.mask).sum() / np.logical_or(shrunk, small.mask).sum()
    assert overlap > 0.75
    halved = cv2.resize(large.ir, (120, 90), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(halved.ravel(), small.ir.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [((-1, 64, 64), "seed -1"), ((0, 31, 64), "64x31"), ((0, 64, 2049), "2049x64"), ((0, 64, 64, "sea"), "kind 'sea'")],
)
def test_a_scene_that_cannot_be_drawn_is_refused(arguments, complaint):
    with pytest.raises(ValueError, match=f"{complaint}; expected"):
        render(*arguments)


def test_pairs_take_the_kinds_in_turn():
    six = list(pairs(6, seed=10, height=32, width=40))
    assert [scene.name.rsplit("_", 1)[0] for scene in six] == [*KINDS, KINDS[0]]
    assert len({scene.name for scene in six}) == 6 and six[0].name == f"{KINDS[0]}_00010"
    assert same(six[3], render(13, 32, 40))


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_mask_marks_is_warmer_than_what_surrounds_it(kind):
    for seed in range(6):
        scene = drawn(kind, seed)
        assert scene.mask.any()
        assert against_surroundings(scene.ir.astype(float), scene.mask) > 25


def test_every_scene_has_something_to_find_but_is_mostly_background():
    shares = [scene.mask.mean() for scene in pairs(20, seed=100, height=40, width=54)]
    assert sum(share > 0.005 for share in shares) == 20
    assert max(shares) < 0.4


def test_mask_is_where_a_person_is_drawn_and_nothing_hides_them():
    canvas = Canvas(120, 160, horizon=0.4, eye=1.7)
    canvas.layers[HEAT] = 0.3
    person(canvas, np.random.default_rng(0), 0.0, 6.0)
    warm = np.abs(canvas.layers[HEAT] - 0.3) > 1e-3
    marked = canvas.layers[SALIENT].copy()
    assert warm.sum() > 500
    assert (warm ^ (marked > 0)).sum() < 0.01 * warm.sum()
    in_the_way = 0.26
    board(canvas, 0.0, 4.0, low=0.0, width=6.0, height=1.2, tone=(0.1, 0.3, 0.6), word="PARK")
    hidden = np.abs(canvas.layers[HEAT] - in_the_way) < 1e-5
    assert marked[hidden].sum() > 0.3 * marked.sum()
    assert canvas.layers[SALIENT][hidden].max() < 1e-5
    untouched = slice(0, int(hidden.any(1).argmax()) - 2)
    assert marked[untouched].any()
    assert np.array_equal(canvas.layers[SALIENT][untouched], marked[untouched])


@pytest.mark.parametrize("place", ["road", "field"])
def test_night_is_darker_than_day_in_visible_and_not_in_infrared(place):
    days = [drawn(f"{place}_day", seed) for seed in range(6)]
    nights = [drawn(f"{place}_night", seed) for seed in range(6)]
    assert max(brightness(s).mean() for s in nights) < 0.6 * min(brightness(s).mean() for s in days)
    assert np.mean([s.ir.mean() for s in nights]) > 0.7 * np.mean([s.ir.mean() for s in days])


def test_visible_pictures_are_noisier_by_night():
    def grain(scene: Scene) -> float:
        """Deviation from the neighbours where the picture is flat."""
        grey = brightness(scene)
        return float(np.median(np.abs(grey - cv2.blur(grey, (3, 3))) / np.sqrt(grey + 1)))

    day, night = ([grain(drawn(f"field_{time}", seed)) for seed in range(4)] for time in ("day", "night"))
    assert min(night) > max(day)


def test_smoke_hides_people_in_visible_but_not_in_infrared():
    def inside(kind: str, measure) -> float:
        return float(np.mean([measure(scene) for scene in (drawn(kind, seed) for seed in range(6))]))

    def detail(scene: Scene) -> float:
        return float(brightness(scene)[scene.mask > 0].std())

    def warmth(scene: Scene) -> float:
        return against_surroundings(scene.ir.astype(float), scene.mask)

    for clear in ("road_day", "field_day"):
        assert inside("smoke", detail) < 0.5 * inside(clear, detail)
        assert inside("smoke", warmth) > 0.6 * inside(clear, warmth)


def test_road_paint_shows_in_visible_only():
    contrasts = []
    for seed in range(5):
        scene = render(seed, 120, 160, "road_day")
        grey, near = brightness(scene), slice(84, 118)
        bare = cv2.dilate(scene.mask, np.ones((7, 7), np.uint8))[near] == 0
        painted = (grey[near] > grey[near][bare].mean() + 40) & bare
        if painted.sum() > 30:
            differences = [p[near][painted].mean() - p[near][bare & ~painted].mean() for p in (grey, scene.ir)]
            contrasts.append(np.abs(differences))
    assert len(contrasts) >= 3
    visible, thermal = np.mean(contrasts, axis=0)
    assert visible > 50
    assert thermal < 8


def test_colour_is_in_the_visible_picture():
    for kind in ("road_day", "field_day"):
        vis = drawn(kind, 4).vis.astype(int)
        assert (vis.max(2) - vis.min(2)).mean() > 10


def test_fast_remainder_is_the_remainder():
    values = np.random.default_rng(0).uniform(-2000, 2000, 5000).astype(np.float32)
    for period in (0.3, 6, 256):
        apart = np.abs(wrap(values, period) - np.mod(values.astype(float), period))
        assert np.minimum(apart, period - apart).max() < 1e-3


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_command_line_writes_a_pair_folder_with_masks(tmp_path):
    out = tmp_path / "new" / "pairs"
    assert scenes.main(["--out", str(out), "--count", "3", "--seed", "4", "--height", "40", "--width", "53"]) == 0
    stems = [scene.name for scene in pairs(3, 4, 40, 53)]
    assert files_of(out) == sorted(f"{part}/{stem}.png" for part in ("ir", "vi", "mask") for stem in stems)
    scene = render(5, 40, 53)
    assert np.array_equal(read(out / "vi" / f"{scene.name}.png")[..., ::-1], scene.vis)
    assert np.array_equal(read(out / "ir" / f"{scene.name}.png"), scene.ir)
    assert np.array_equal(read(out / "mask" / f"{scene.name}.png"), 255 * scene.mask)


def test_command_line_writes_ten_pairs_of_240x320_unless_told_otherwise(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(scenes, "render", lambda *what: asked.append(what) or drawn(KINDS[0], 0))
    assert scenes.main(["--out", str(tmp_path)]) == 0
    assert asked == [(seed, 240, 320) for seed in range(10)]
    assert status_of(scenes.main, "--help") == 0
    helped = " ".join(capsys.readouterr().out.split())
    assert re.findall(r"default: (\d+)", helped) == ["10", "0", "240", "320"]


@pytest.mark.parametrize("arguments", [
    "", "--out x --count 0", "--out x --count two", "--out x --seed -1", "--out x --height 31", "--out x --width 1e3",
    "--out x --test-img y", "--test-img y --count 2",
])  # fmt: skip
def test_command_line_refuses_bad_arguments(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert status_of(scenes.main, *arguments.split()) == 2
    assert "error:" in capsys.readouterr().err
    assert files_of(tmp_path) == []


def test_command_line_refuses_a_file_where_the_folder_should_be(tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    assert status_of(scenes.main, "--out", tmp_path / "taken") == 2
    assert f"{tmp_path / 'taken'}: is a file" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


def test_command_line_names_what_it_could_not_write(tmp_path, capsys):
    (tmp_path / "vi").write_text("in the way")
    assert status_of(scenes.main, "--out", tmp_path, *SMALLEST) == 1
    said = capsys.readouterr().err
    assert re.search(rf"^error: {tmp_path / 'vi'}/\S+: cannot be written \(Not a directory\)$", said, re.M)


def test_ctrl_c_leaves_whole_files(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        yield render(0, 32, 32)
        raise KeyboardInterrupt

    monkeypatch.setattr(scenes, "pairs", interrupted)
    assert scenes.main(["--out", str(tmp_path)]) == 130
    assert "interrupted; what lies in" in capsys.readouterr().err
    assert len(files_of(tmp_path)) == 3


def test_closed_streams_are_no_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert status_of(scenes.main, "--out", tmp_path, *SMALLEST) == 0
    assert len(files_of(tmp_path)) == 3


def test_nothing_half_written_stays_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    assert status_of(scenes.main, "--out", tmp_path, *SMALLEST) == 1
    assert files_of(tmp_path) == []


def test_regenerating_test_img_gives_what_ships(tmp_path):
    """Same files, same layout; pixels may differ where builds of OpenCV or NumPy round or rasterise differently."""
    assert scenes.main(["--test-img", str(tmp_path)]) == 0
    assert files_of(tmp_path) == files_of(TEST_IMG)
    for name in files_of(TEST_IMG):
        fresh, shipped = read(tmp_path / name), read(TEST_IMG / name)
        assert fresh.shape == shipped.shape, name
        apart = np.abs(fresh.astype(int) - shipped)
        assert np.mean(apart > 1) < 0.002, name


def test_test_img_covers_sizes_and_channels_and_stays_small():
    visible, thermal = ([read(path) for path in sorted(TEST_IMG.glob(f"*/{part}/*.png"))] for part in ("vi", "ir"))
    names = files_of(TEST_IMG)
    assert [name.replace("/vi/", "/ir/") for name in names if "/vi/" in name] == [n for n in names if "/ir/" in n]
    assert len(visible) >= 6
    assert all(v.shape[:2] == t.shape for v, t in zip(visible, thermal, strict=True))
    assert all(t.shape[0] <= 240 and t.shape[1] <= 320 for t in thermal)
    assert any(t.shape[0] % 2 and t.shape[1] % 2 for t in thermal)
    assert {v.ndim for v in visible} == {2, 3}
    assert sum(path.stat().st_size for path in TEST_IMG.rglob("*.png")) < 1_500_000


def test_a_shipped_night_scene_has_a_person_that_only_infrared_shows():
    found = []
    for sample in scenes.TEST_IMG:
        if not sample.kind.endswith("night"):
            continue
        scene = render(sample.seed, sample.height, sample.width, sample.kind)
        for piece in in_pieces(scene.mask, smallest=150):
            seen = abs(against_surroundings(brightness(scene), piece, width=7))
            found.append(seen < 5 and against_surroundings(scene.ir.astype(float), piece, width=7) > 60)
    assert any(found)
