"""The html page of a test run: every pair beside its fused images and scores, in one file that opens from disk."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from string import Template
from urllib.parse import quote

import cv2
import numpy as np

from data.words import counted
from utils.metrics import METRICS
from utils.tables import PRINTED, Row, cell, is_best, label, named

TEMPLATE = Path(__file__).with_name("report.html")
THUMBNAIL = 360  # pixels wide at most
MANY = 4000  # pictures of that width on a page, some 80 MB; if there are more, they are narrower
LINES = 2000  # pairs on a page; a browser takes minutes and gigabytes for ten times as many
TALLEST = 8000  # pixels high at most; a JPEG can have 65535
QUALITY = 85  # of a JPEG, of 100
WORST = 5  # images that each strip of worst ones shows
WORST_BY = ("VIF", "Qabf", "SSIM")


@dataclass
class Pictures:
    """Small copies of what belongs to one pair, as data URLs by caption, and where the fused images lie."""

    width: int = THUMBNAIL  # of a copy, in pixels at most
    thumbnails: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def add(self, caption: str, image: np.ndarray, file: str = "") -> None:
        """Keep an image (uint8, grey or RGB), which lies at `file` relative to the page if it was written."""
        self.thumbnails[caption] = thumbnail(image, self.width)
        if file:
            self.files[caption] = file


def width_for(count: int) -> int:
    """How many pixels wide the copies on a page of so many pictures may be, so that a browser can still open it."""
    return max(1, round(THUMBNAIL * min(1, math.sqrt(MANY / max(1, count)))))


def thumbnail(image: np.ndarray, most: int = THUMBNAIL) -> str:
    """A JPEG data URL of a uint8 image, (H, W) or (H, W, 3) RGB, reduced to at most `most` pixels in width and
    `TALLEST` in height."""
    height, width = image.shape[:2]
    scale = min(most / width, TALLEST / height)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def page(
    tables: Mapping[str, Sequence[Row]],
    pictures: Mapping[str, Mapping[str, Pictures]],
    *,
    title: str,
    protocol: str,
    command: str,
) -> str:
    """The page.

    Args:
        tables: rows of each set.
        pictures: for each set, the pictures of each image by its stem. Beyond `LINES` images, each set has its share
            of them, the first ones, and its worst.
        title: heading.
        protocol: convention of the scores.
        command: how the page was made.
    """
    total = sum(map(len, pictures.values()))
    most = total if total <= LINES else max(1, LINES // len(tables))
    sections = [
        section(f"s{i}", name, rows, pictures.get(name, {}), most) for i, (name, rows) in enumerate(tables.items())
    ]
    links = [f'<a href="#s{i}">{html.escape(name)}</a>' for i, name in enumerate(tables)]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        protocol=html.escape(protocol),
        better="; higher is better except for MSE" if any(row.images for row in chain(*tables.values())) else "",
        command=html.escape(command),
        links="".join(links) if len(links) > 1 else "",
        body="\n".join(sections),
    )


def section(key: str, name: str, rows: Sequence[Row], pictures: Mapping[str, Pictures], most: int) -> str:
    """One set: the means, the worst images, then a sortable table of images with pictures and scores: the first `most`
    and the worst."""
    methods = [row for row in rows if not row.is_reference and row.images]
    above = {stem for row in methods if len(row.images) > WORST for metric in WORST_BY for stem in worst(row, metric)}
    ids = {stem: f"{key}-{i}" for i, stem in enumerate(pictures) if i < most or stem in above}
    left_out = f"; here the first {most}{' and the worst' if above else ''}" if len(ids) < len(pictures) else ""
    shown = PRINTED if methods else ()
    heads = "".join(f'<th class="sort" aria-sort="none">{metric}</th>' for metric in shown)
    names = '<th class="names">method</th>' if len(methods) > 1 else ""
    lines = "".join(line(ids[stem], stem, found, methods) for stem, found in pictures.items() if stem in ids)
    strips = "".join(strip(row, ids, hidden=row is not methods[0]) for row in methods)
    count = max((len(found.thumbnails) for found in pictures.values()), default=1)
    room = f"--count: {count}; --beside: {59 if names else 53}em"  # so that the pictures fit beside the scores
    return (
        f'<section id="{key}" style="{room}"><h2>{html.escape(name)} ({counted(len(pictures), "image")}{left_out})</h2>'
        f'{means(rows)}{choice(methods)}{strips}<div><table class="images">'
        f'<thead><tr><th class="sort" aria-sort="none">image</th>'
        f'<th class="row">pictures</th>{names}{heads}</tr></thead><tbody>{lines}</tbody></table></div></section>'
    )


def means(rows: Sequence[Row]) -> str:
    """The table of means, the best method's figure of each column bold, rows for reference paler."""
    lines = []
    for row in rows:
        if row.mean:
            best = {metric: ' class="best"' if is_best(row, rows, metric) else "" for metric in METRICS}
            cells = "".join(f"<td{best[metric]}>{cell(row, metric)}</td>" for metric in METRICS)
            kind = ' class="reference"' if row.is_reference else ""
            source = f' title="{html.escape(row.source, quote=True)}"' if row.source else ""
            lines.append(f"<tr{kind}{source}><th>{html.escape(named(row, rows))}</th>{cells}</tr>")
    head = "".join(f"<th>{metric}</th>" for metric in METRICS)
    body = f"<thead><tr><th>mean</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="wide"><table class="means">{body}</table></div>' if lines else ""


def choice(methods: Sequence[Row]) -> str:
    """Where several methods were scored: which of them sorts the images and shows its worst."""
    options = "".join(f"<option>{html.escape(row.label)}</option>" for row in methods)
    return f"<p><label>Sort by the scores of <select>{options}</select></label></p>" if len(methods) > 1 else ""


def worst(row: Row, metric: str) -> list[str]:
    """The images with a method's lowest scores in a metric."""
    return sorted(row.images, key=lambda stem: row.images[stem][metric])[:WORST]


def strip(row: Row, ids: Mapping[str, str], *, hidden: bool) -> str:
    """A method's worst images by three metrics, each a link to its line; nothing for a set of so few images."""
    if len(row.images) <= WORST:
        return ""
    groups, method = [], html.escape(row.method, quote=True)
    for metric in WORST_BY:
        figures = "".join(
            f'<a href="#{ids[stem]}"><figure><img data-row="{ids[stem]}" data-of="{method}" alt="">'
            f'<figcaption title="{html.escape(stem, quote=True)}">{row.images[stem][metric]:.3f} '
            f"{html.escape(stem)}</figcaption></figure></a>"
            for stem in worst(row, metric)
        )
        groups.append(f'<div><h3>Worst {WORST} by {metric}</h3><div class="five">{figures}</div></div>')
    return f'<div class="strip"{" hidden" if hidden else ""}>{"".join(groups)}</div>'


def line(key: str, stem: str, found: Pictures, methods: Sequence[Row]) -> str:
    """One image: its pictures side by side and the methods' scores below each other."""
    figures = "".join(figure(caption, found) for caption in found.thumbnails)
    scores = [row.images.get(stem) for row in methods]
    labels = "<br>".join(html.escape(row.label) for row in methods)
    columns = f'<td class="names">{labels}</td>' if len(methods) > 1 else ""
    for metric in PRINTED if methods else ():
        columns += "<td>" + "<br>".join(f"{score[metric]:.3f}" if score else "–" for score in scores) + "</td>"
    return (
        f'<tr id="{key}"><td>{html.escape(stem)}</td><td class="row"><div class="pictures">{figures}</div></td>'
        f"{columns}</tr>"
    )


def figure(caption: str, found: Pictures) -> str:
    """One picture; `data-file` is the full-size image beside the page, if there is one."""
    name = html.escape(caption, quote=True)
    file = f' data-file="{quote(found.files[caption], errors="surrogateescape")}"' if caption in found.files else ""
    image = f'<img src="{found.thumbnails[caption]}" alt="{name}" loading="lazy">'
    return f'<figure data-of="{name}"{file}>{image}<figcaption>{html.escape(label(caption))}</figcaption></figure>'
