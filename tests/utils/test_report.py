"""The html page: what stands on it, in which order, and that it works in a real browser."""

import base64
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from utils import report
from utils.metrics import METRICS
from utils.report import MANY, THUMBNAIL, Pictures, page, thumbnail, width_for
from utils.tables import Row

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WORDS = {"title": "", "protocol": "", "command": ""}


def scores(**given):
    return {metric: float(given.get(metric, 1)) for metric in METRICS}


def pictures(*captions):
    found = Pictures()
    for shade, caption in enumerate(captions):
        found.add(caption, np.full((60, 80), 40 * shade, np.uint8), f"{caption} 1.png" if shade > 1 else "")
    return found


def decoded(address):
    """The picture in a data: address."""
    data = base64.b64decode(address.partition("base64,")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture
def made():
    """A page of seven images by two methods, `a` worst at image 3 in VIF, `b` worst at image 5, and a reference."""
    a = Row("a", {f"{i}": scores(VIF=abs(i - 3) + 0.5, Qabf=i, SSIM=-i) for i in range(7)})
    b = Row("b", {f"{i}": scores(VIF=abs(i - 5) + 0.5, Qabf=2) for i in range(7)})
    reference = Row("average", {f"{i}": scores(VIF=9, MSE=0) for i in range(7)}, is_reference=True)
    shown = {f"{i}": pictures("visible", "infrared", "a", "b") for i in range(7)}
    return page({"Set <1>": [a, b, reference]}, {"Set <1>": shown}, title="T & T", protocol="cmmdl",
                command="run 'x y' <z>")  # fmt: skip


def test_the_page_is_one_file_that_names_its_command(made):
    assert "<code>run &#x27;x y&#x27; &lt;z&gt;</code>" in made
    assert "<h1>T &amp; T</h1>" in made
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", made)
    assert "<link" not in made
    assert "@import" not in made
    assert made.count("data:image/jpeg") == 7 * 4, "every picture once"


def test_means_come_first_then_the_worst_then_all(made):
    assert made.index('class="means"') < made.index("Worst 5 by VIF") < made.index('class="images"')


def test_the_worst_images_of_each_method_are_listed_lowest_first(made):
    by_a, by_b = re.findall(r'<div class="strip".*?</div></div></div>', made)
    worst = re.search(r"by VIF</h3>(.*?)<h3>", by_a).group(1)
    assert re.findall(r'title="(\d)"', worst) == ["3", "2", "4", "1", "5"]
    assert re.findall(r'title="(\d)"', re.search(r"by SSIM</h3>(.*)", by_a).group(1)) == ["6", "5", "4", "3", "2"]
    assert re.findall(r'title="(\d)"', by_b)[0] == "5"
    assert "hidden" not in by_a[:30]
    assert "hidden" in by_b[:30]


def test_the_best_mean_among_methods_is_bold_and_a_reference_is_not(made):
    reference = re.search(r'<tr class="reference">.*?</tr>', made).group()
    assert "best" not in reference
    means = re.search(r'class="means".*?</table>', made).group()
    assert means.count('class="best"') >= 2


def test_five_images_need_no_strip_and_no_scores_no_columns():
    shown = {"S": {f"{i}": pictures("visible", "infrared", "a") for i in range(5)}}
    few = page({"S": [Row("a", {name: scores() for name in shown["S"]})]}, shown, **WORDS)
    assert "Worst" not in few and 'href="#s0"' not in few
    assert "<select>" not in few
    none = page({"S": [Row("a")]}, shown, **WORDS)
    assert ">VIF<" not in none and "higher is better" not in none and "higher is better" in few
    assert none.count("<figure") == 5 * 3


def test_several_methods_have_their_names_and_scores_in_one_order_and_a_dash_where_there_is_none():
    shown = {name: pictures("visible", "infrared", "cmmdl", "mlfuse") for name in ("1", "2", "3")}
    rows = [Row("cmmdl", {name: scores(EN=2) for name in shown}), Row("mlfuse", {"1": scores(EN=3), "3": scores(EN=4)})]
    made = page({"S": rows, "T": rows}, {"S": shown}, **WORDS)
    assert '<a href="#s0">S</a><a href="#s1">T</a>' in made and "S (3 images)" in made and "T (0 images)" in made
    assert "<option>CMMDL</option><option>MLFuse</option>" in made and "<th>MLFuse (2 of 3)</th>" in made
    figures = re.findall(r'<td class="names">CMMDL<br>MLFuse</td><td>(.*?)</td>', made)
    assert figures == ["2.000<br>3.000", "2.000<br>–", "2.000<br>4.000"]
    heads = re.search(r'class="means"><thead><tr><th>mean</th>(.*?)</tr>', made).group(1)
    assert re.findall("<th>(.*?)</th>", heads) == list(METRICS)
    assert re.search("<th>CMMDL</th>(.*?)</tr>", made).group(1).count("<td") == len(METRICS)


@pytest.mark.parametrize(("width", "shown"), [(40, 40), (2 * THUMBNAIL, THUMBNAIL)])
def test_small_copies_keep_colours_and_are_never_larger(width, shown):
    orange = np.full((width // 2, width, 3), (250, 120, 10), np.uint8)
    copy = decoded(thumbnail(orange))[..., ::-1]
    assert copy.shape == (shown // 2, shown, 3)
    assert np.abs(copy.astype(int) - (250, 120, 10)).max() < 5


@pytest.mark.parametrize(("shape", "shown"), [((3, 5000), (1, 360)), ((70_000, 4), (8000, 1))])
def test_small_copies_of_lines_of_pixels_have_at_least_one_and_fit_into_a_jpeg(shape, shown):
    assert decoded(thumbnail(np.zeros(shape, np.uint8))).shape == shown


def test_a_page_of_many_pictures_has_smaller_copies_of_as_many_pixels_together():
    assert width_for(0) == width_for(MANY) == THUMBNAIL
    assert width_for(100 * MANY) == THUMBNAIL // 10
    found = Pictures(width_for(4 * MANY))
    found.add("visible", np.zeros((2 * THUMBNAIL, THUMBNAIL), np.uint8))
    assert decoded(found.thumbnails["visible"]).shape == (THUMBNAIL, THUMBNAIL // 2)


def test_of_very_many_images_the_first_and_the_worst_have_a_line_and_links_lead_to_one(monkeypatch):
    monkeypatch.setattr(report, "LINES", 40)
    sets = {
        name: [Row("a", {f"{i}": scores(VIF=-i, Qabf=abs(i - 50), SSIM=i) for i in range(count)})]
        for name, count in (("many", 100), ("few", 20))
    }
    shown = {name: dict.fromkeys(row.images, pictures("visible", "infrared", "a")) for name, (row,) in sets.items()}
    made = page(sets, shown, **WORDS)
    lines = [int(number) for number in re.findall(r'<tr id="s0-(\d+)">', made)]
    assert lines == [*range(20), *range(48, 53), *range(95, 100)]
    assert "many (100 images; here the first 20 and the worst)" in made and "few (20 images)" in made
    assert made.count('<tr id="s1-') == 20
    assert set(re.findall('href="#(s.-.*?)"', made)) <= set(re.findall('<tr id="(.*?)"', made))
    monkeypatch.setattr(report, "LINES", 120)
    assert page(sets, shown, **WORDS).count("<tr id=") == 120, "all, where they are no more"
    monkeypatch.setattr(report, "LINES", 4)
    short = {name: dict(list(found.items())[:5]) for name, found in shown.items()}
    unscored = page({name: [Row("a")] for name in sets}, short, **WORDS)
    assert "many (5 images; here the first 2)" in unscored and unscored.count("<tr id=") == 4


def test_small_copies_are_averaged():
    stripes = np.tile(np.array([0, 250], np.uint8), (12, THUMBNAIL))  # every second column is bright
    copy = decoded(thumbnail(stripes))
    assert copy.shape == (6, THUMBNAIL) and np.abs(copy.astype(int) - 125).max() < 5


def test_names_with_blanks_become_addresses(made):
    assert 'data-file="a%201.png"' in made


def test_names_of_images_methods_and_captions_are_words_and_not_html():
    name = 'a<script>&"'
    row = Row(name, {f"{name}{i}": scores(VIF=i) for i in range(6)})
    row.source = name
    shown = {f"{name}{i}": pictures("visible", "infrared", name) for i in range(6)}
    made = page({name: [row, Row("b", row.images)]}, {name: shown}, title=name, protocol=name, command=name)
    assert "a<script" not in made and '&"' not in made
    for i in range(6):
        assert f"<td>a&lt;script&gt;&amp;&quot;{i}</td>" in made
    assert 'title="a&lt;script&gt;&amp;&quot;1"' in made and 'data-file="a%3Cscript%3E%26%22%201.png"' in made


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
def test_sorting_choosing_and_zooming_work_in_a_browser(made, tmp_path):
    clicks = """
      const vif = all("th.sort").find(h => h.innerText.startsWith("VIF")), out = document.createElement("output");
      const body = document.querySelector(".images").tBodies[0];
      const first = () => [...body.rows].map(r => r.cells[0].innerText).join("");
      const log = [first()];
      vif.click(); log.push(first()); vif.click(); log.push(first());
      const select = document.querySelector("select");
      select.selectedIndex = 1; select.dispatchEvent(new Event("change")); vif.click(); log.push(first());
      log.push(all(".strip").map(s => s.hidden).join());
      log.push(all(".strip img").every(i => i.src.startsWith("data:")));
      document.querySelector(".images figure img").click();
      log.push(document.querySelector("dialog").open, all("dialog figure").length);
      out.value = log.join("|"); document.body.append(out); </script></body>"""
    (tmp_path / "page.html").write_text(made.replace("</script></body>", clicks), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([BROWSER, *options, (tmp_path / "page.html").as_uri()], capture_output=True)
    found = re.search(r"<output>(.*?)</output>", done.stdout.decode())
    assert found, done.stderr.decode()[-2000:]
    assert found.group(1).split("|") == [
        "0123456", "3241506", "0615243", "5643210", "true,false", "true", "true", "4",
    ]  # fmt: skip
