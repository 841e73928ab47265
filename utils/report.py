"""The html page of a test run: every pair beside its fused images and scores, in one file that opens from disk."""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from utils.metrics import METRICS
from utils.tables import PRINTED, Row

THUMBNAIL = 320  # pixels wide at most
QUALITY = 85


@dataclass
class Pictures:
    """Small copies of what belongs to one pair, as data URLs by caption, and where the fused images lie."""

    thumbnails: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def add(self, caption: str, image: np.ndarray, file: str = "") -> None:
        """Keep an image (uint8, grey or RGB), which lies at `file` relative to the page if it was written."""
        self.thumbnails[caption] = thumbnail(image)
        if file:
            self.files[caption] = file


def thumbnail(image: np.ndarray) -> str:
    """A JPEG data URL of a uint8 image, (H, W) or (H, W, 3) RGB, reduced to `THUMBNAIL` pixels in width."""
    height, width = image.shape[:2]
    if width > THUMBNAIL:
        size = (THUMBNAIL, max(1, round(height * THUMBNAIL / width)))
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
        pictures: for each set, the pictures of each image by its stem.
        title: heading.
        protocol: convention of the scores.
        command: how the page was made.
    """
    sections = [section(name, rows, pictures.get(name, {})) for name, rows in tables.items()]
    return TEMPLATE.format(
        title=html.escape(title), protocol=html.escape(protocol), command=html.escape(command), body="\n".join(sections)
    )


def section(name: str, rows: Sequence[Row], pictures: Mapping[str, Pictures]) -> str:
    """One set: the table of means, then a sortable table of images with pictures and scores."""
    means = "".join(
        f"<tr><th>{html.escape(row.label)}</th>{cells(row.mean(), METRICS)}</tr>" for row in rows if row.images
    )
    head = "".join(f"<th>{metric}</th>" for metric in METRICS)
    scored = [row for row in rows if not row.is_floor]
    sortable = "".join(f'<th class="sort" title="sort">{metric}</th>' for metric in PRINTED)
    lines = "".join(line(stem, found, scored) for stem, found in pictures.items())
    summary = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{means}</tbody></table>" if means else ""
    return (
        f"<h2>{html.escape(name)}</h2>{summary}"
        f'<table class="images"><thead><tr><th class="sort">image</th><th>pictures</th>{sortable}</tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )


def line(stem: str, found: Pictures, rows: Sequence[Row]) -> str:
    """One image: its pictures side by side and the first method's scores, other methods' below."""
    figures = "".join(figure(caption, found) for caption in found.thumbnails)
    scores = [row.images.get(stem) for row in rows]
    columns = "".join(
        "<td>" + "<br>".join(f"{score[metric]:.3f}" if score else "" for score in scores) + "</td>"
        for metric in PRINTED
    )
    return f'<tr><td>{html.escape(stem)}</td><td class="row">{figures}</td>{columns}</tr>'


def figure(caption: str, found: Pictures) -> str:
    image = f'<img src="{found.thumbnails[caption]}" alt="{html.escape(caption)}" loading="lazy">'
    if caption in found.files:
        image = f'<a href="{html.escape(found.files[caption], quote=True)}">{image}</a>'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"


def cells(scores: Mapping[str, float], names: Sequence[str]) -> str:
    return "".join(f"<td>{scores[name]:.2f}</td>" for name in names)


TEMPLATE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; margin: 0 0 2em; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .25em .6em; text-align: right; border-bottom: 1px solid #8884; vertical-align: middle; }}
th:first-child, td:first-child {{ text-align: left; }}
.images thead th {{ position: sticky; top: 0; background: Canvas; z-index: 1; }}
.row {{ display: flex; gap: .5em; }}
figure {{ margin: 0; }} figcaption {{ text-align: center; opacity: .7; }}
img {{ display: block; width: 260px; height: auto; transition: transform .1s; }}
img:hover {{ transform: scale(1.6); position: relative; z-index: 2; }}
.sort {{ cursor: pointer; text-decoration: underline dotted; }}
code {{ overflow-wrap: anywhere; }}
</style></head><body>
<h1>{title}</h1>
<p>Protocol <b>{protocol}</b>. Click a column's name to sort: the first click puts the lowest on top.
A fused picture opens at full size.</p>
{body}
<p>Made by <code>{command}</code></p>
<script>
document.querySelectorAll("th.sort").forEach(head => head.addEventListener("click", () => {{
  const body = head.closest("table").tBodies[0], column = head.cellIndex;
  const sign = head.dataset.up === "1" ? -1 : 1;
  head.dataset.up = sign === 1 ? "1" : "0";
  const value = row => row.cells[column].innerText.split("\\n")[0];
  [...body.rows].sort((a, b) => sign * (column ? value(a) - value(b)
    : value(a).localeCompare(value(b), undefined, {{numeric: true}}))).forEach(row => body.append(row));
}}));
</script></body></html>
"""
