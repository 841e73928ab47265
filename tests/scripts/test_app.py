"""The page in a real browser: upload, fuse, read the scores, download; and sentences for what cannot be used."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest
import torch

import CMMDL_app
import net
from data.images import read_image
from data.interrupt import SIGNALS
from data.scenes import render
from tests.pictures import save
from utils.metrics import METRICS, evaluate, grey

ROOT = Path(CMMDL_app.__file__).parent
SECONDS = 120  # that a machine under load may take for one answer of the page
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1200,1600"
)


STUB = """
import sys, threading
from unittest.mock import MagicMock
sys.modules[__name__] = gradio = MagicMock()
gradio.Blocks().__enter__().block_thread = threading.Event().wait
"""  # a page that waits


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page's address."""
    pytest.importorskip("gradio", reason="gradio is not installed (make test-app)")
    page = CMMDL_app.serve(tmp_path_factory.mktemp("page"))
    yield page.local_url
    page.close(verbose=False)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """Where the browser puts what it downloads."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    """Chromium without a window."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (make test-app)")
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if not all(programs):
        pytest.skip("chromium and chromedriver are not installed (make test-app)")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for option in [*OPTIONS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(option)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(programs[1]))
    yield browser
    browser.quit()


class Page:
    """The page as a person uses it."""

    def __init__(self, browser, address):
        self.browser = browser
        browser.get(address)
        self.wait(lambda: self.find("#infrared input[type=file]"))

    def find(self, selector):
        return self.browser.find_elements("css selector", selector)

    def text(self, selector):
        return " ".join(element.text for element in self.find(selector))

    def wait(self, condition):
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        ignored = [StaleElementReferenceException]
        return WebDriverWait(self.browser, SECONDS, ignored_exceptions=ignored).until(lambda _: condition())

    def upload(self, vis, ir):
        for role, file in (("visible", vis), ("infrared", ir)):
            self.find(f"#{role} input[type=file]")[0].send_keys(str(file))
            self.wait(lambda role=role, file=file: file.stem in self.text(f"#{role} .file-preview"))

    def fuse(self):
        self.find("#fuse")[0].click()

    def scores(self):
        """The table's row of CMMDL, once it is there."""
        self.wait(lambda: "PSNR" in self.text("#scores"))
        names = self.text("#scores thead").split()
        method, *values = self.text("#scores tbody tr:first-child").split()
        assert method == "CMMDL"
        return dict(zip(names, map(float, values), strict=True))

    def says(self, words):
        self.wait(lambda: words in self.text("#status"))
        return self.text("#status")


@pytest.fixture
def page(browser, address):
    return Page(browser, address)


@pytest.fixture
def files(tmp_path):
    """A rendered pair of 64x48 as files."""
    scene = render(3, 48, 64)
    files = tmp_path / "photo.png", tmp_path / "heat.png"
    for file, image in zip(files, (scene.vis, scene.ir), strict=True):
        save(file, image)
    return files


def test_an_uploaded_pair_is_fused_scored_and_downloaded(page, files, downloads):
    page.upload(*files)
    page.fuse()
    shown = page.scores()
    vis, ir = map(read_image, files)
    fused = net.Fuser(net.load(ROOT / "models" / "CMMDL.pth"))(vis, ir)
    expected = evaluate(grey(fused), grey(ir), grey(vis))
    assert list(shown) == list(METRICS)
    assert shown == pytest.approx(expected, abs=0.0051)
    page.wait(lambda: page.find("#download")[0].is_enabled())
    page.find("#download")[0].click()
    page.wait((downloads / "photo_fused.png").exists)
    np.testing.assert_array_equal(read_image(downloads / "photo_fused.png"), fused)


def test_pictures_of_other_kinds_and_sizes_are_taken(page, files, tmp_path):
    vis, ir = map(read_image, files)
    files = tmp_path / "clear.png", tmp_path / "counts.tiff"
    save(files[0], np.dstack([vis, np.full(vis.shape[:2], 128, np.uint8)]))
    save(files[1], cv2.resize(ir, (32, 24)).astype(np.uint16) * 30 + 7000)
    page.upload(*files)
    page.fuse()
    assert "infrared 32x24, visible 64x48; a pair must have one size" in page.says("Cannot be used")
    page.find("#resize input")[0].click()
    page.fuse()
    assert "32x24 to 64x48" in page.says("resized")
    assert len(page.scores()) == 12


def test_previews_that_come_late_do_not_wipe_what_the_fusing_said(page, files, monkeypatch):
    preview = CMMDL_app.preview
    monkeypatch.setattr(CMMDL_app, "preview", lambda file: time.sleep(0.5) or preview(file))
    save(files[1], np.zeros((9, 9), np.uint8))
    page.upload(*files)
    page.fuse()
    page.wait(lambda: len(page.find("img")) == 2)
    assert "infrared 9x9, visible 64x48" in page.says("Cannot be used")


def test_a_bad_upload_is_named_in_a_sentence(page, files, tmp_path):
    letter = tmp_path / "letter.png"
    letter.write_text("dear reader")
    page.upload(letter, files[1])
    assert page.says("no image data").startswith("Cannot be used: letter.png: no image data")
    page.fuse()
    page.wait(lambda: "no image data" in page.text("#status"))
    assert "Traceback" not in page.text("body")
    assert str(tmp_path.parent) not in page.text("body")


def test_one_picture_is_not_enough(page):
    page.fuse()
    page.says("two pictures are needed")


def test_weights_of_another_method_are_refused(page, files, tmp_path):
    weights = tmp_path / "other.pth"
    torch.save(net.build("mlfuse").state_dict(), weights)
    page.upload(*files)
    page.find("#weights input[type=file]") or page.find(".label-wrap")[-1].click()
    page.wait(lambda: page.find("#weights input[type=file]"))[0].send_keys(str(weights))
    page.wait(lambda: "other" in page.text("#weights .file-preview"))
    page.fuse()
    assert "other.pth: weights of MLFuse; expected those of CMMDL" in page.says("Cannot be used")


def test_nothing_is_asked_of_the_network(page, files, monkeypatch):
    contacted, connect = [], socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda s, where: contacted.append(where) or connect(s, where))
    page.browser.get_log("performance")  # what was before is forgotten
    page.browser.refresh()
    page.wait(lambda: page.find("#infrared input[type=file]"))
    page.upload(*files)
    page.fuse()
    page.scores()
    messages = [json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert asked
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))] == []
    assert {where[0] for where in contacted if isinstance(where, tuple)} <= {"127.0.0.1", "localhost"}


def test_what_a_message_quotes_of_a_file_is_words_on_the_page_and_no_picture():
    error = ValueError("its keys are ![x](http://a/b.png), <img src=http://a/b.png>, a_b")
    said = CMMDL_app.sentence(error, Path("/home"))
    assert said == r"**Cannot be used**: its keys are \!\[x\](http://a/b.png), \<img src=http://a/b.png\>, a\_b"


def test_small_freed_blocks_are_kept_before_the_page_is_served(monkeypatch):
    order = []
    monkeypatch.setattr(CMMDL_app, "keep_freed_memory", lambda **options: order.append(options))
    monkeypatch.setattr(CMMDL_app, "serve", lambda *_, **__: order.append("served"))
    with pytest.raises(AttributeError):  # there is no page
        CMMDL_app.main([])
    assert order == [{}, "served"]


def test_the_page_answers_this_computer_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", MagicMock())
    monkeypatch.setattr(CMMDL_app.os, "environ", {})
    launched = CMMDL_app.serve(tmp_path, port=8123).launch.call_args.kwargs
    assert (launched["server_name"], launched["server_port"], launched["share"]) == ("127.0.0.1", 8123, False)
    assert os.environ == {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(tmp_path)}


def test_a_page_that_stays_open_keeps_a_picture_for_a_day(files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", gradio := MagicMock())
    CMMDL_app.build(tmp_path)
    assert gradio.Blocks.call_args.kwargs["delete_cache"] == (3600, 24 * 3600)
    files[1].unlink()  # as gradio does with older ones
    with pytest.raises(ValueError, match="heat.png: no longer there, as the page keeps a file for a day"):
        CMMDL_app.fuse_inputs(tmp_path, *map(str, files), "average", None, "cmmdl", False)


def test_a_port_that_is_taken_is_told(monkeypatch, capsys):
    asked = []

    def taken(_, port):
        asked.append(port)
        raise OSError(f"Cannot find empty port in range: {port}-{port}.")

    monkeypatch.setattr(CMMDL_app, "serve", taken)
    assert CMMDL_app.main(["--port", "8123"]) == 2 and asked == [8123]
    assert capsys.readouterr().err == "error: port 8123 is taken\n"


def test_a_pair_is_fused_by_the_weights_protocol_and_size_that_are_asked_for(files, tmp_path, small):
    torch.save({"model": small.state_dict()}, tmp_path / "small.pth")
    given, (vis, ir) = [*map(str, files)], map(read_image, files)
    own = CMMDL_app.fuse_inputs(tmp_path, *given, "cmmdl", str(tmp_path / "small.pth"), "cmmdl", False)
    np.testing.assert_array_equal(own.fused, net.Fuser(small)(vis, ir))
    assert tmp_path in own.file.parents, "which is emptied at the end"
    save(files[1], cv2.resize(ir, (32, 24)))
    rule = CMMDL_app.fuse_inputs(tmp_path, *given, "average", None, "cddfuse", True)
    assert rule.fused.ndim == 2 and "| average |" in rule.scores and "`cddfuse`" in rule.scores


def test_what_the_page_cannot_fuse_is_told_without_the_folder_of_uploads(files, tmp_path, small):
    torch.save({"model": small.state_dict()}, tmp_path / "small.pth")
    given = [*map(str, files)]
    refused = [
        ([given[0], None, "cmmdl", None], "two pictures are needed"),
        ([*given, "mlfuse", None], "no weights of MLFuse ship; drop a file of them"),
        ([*given, "mlfuse", str(tmp_path / "small.pth")], "small.pth: weights of CMMDL; expected those of MLFuse"),
    ]
    for inputs, words in refused:
        with pytest.raises(ValueError) as error:
            CMMDL_app.fuse_inputs(tmp_path, *inputs, "cmmdl", False)
        assert CMMDL_app.sentence(error.value, tmp_path).startswith(f"**Cannot be used**: {words}")
    words = CMMDL_app.sentence(OSError(f"{tmp_path}/0a1b/photo.png: no image data\nmore"), tmp_path)
    assert words == "**Cannot be used**: photo.png: no image data"


def test_without_gradio_a_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)  # importing it now fails
    assert CMMDL_app.main([]) == 2
    assert "pip install -r requirements-app.txt" in capsys.readouterr().err


def test_no_place_for_what_is_uploaded_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(CMMDL_app.tempfile, "tempdir", str(tmp_path / "missing"))
    assert CMMDL_app.main(["--port", "8123"]) == 2
    assert capsys.readouterr().err == (
        "error: no place for what is uploaded (No such file or directory); TMPDIR names another\n"
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_a_page_that_is_ended_leaves_no_picture(tmp_path, number):
    (tmp_path / "gradio.py").write_text(STUB)
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    page = subprocess.Popen([sys.executable, "CMMDL_app.py"], cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    try:
        assert b"The page is at" in page.stdout.readline()
        (home,) = tmp_path.glob("cmmdl-*")
        (home / "uploaded.png").write_bytes(b"private")
        page.send_signal(number)
        page.wait()
        assert not home.exists()
    finally:
        page.kill()
        page.wait()
