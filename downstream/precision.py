"""Average precision as COCO defines it (Lin et al., ECCV 2014), by its own program, pycocotools."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np

from downstream.boxes import KINDS
from downstream.detector import Found
from downstream.training import missing


def coco_program() -> tuple[type, type]:
    """COCO's objects and their evaluation, two classes of pycocotools. Raises UsageError where it is not installed."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise missing(error) from None
    return COCO, COCOeval


def average_precision(truth: Sequence[np.ndarray], found: Sequence[Found], shape: tuple[int, int]) -> dict[str, float]:
    """AP and AP50 over all classes and of each class, in percent; NaN of a class that does not occur.

    AP is the mean over overlaps (IoU) of 0.50 to 0.95 that a detection must have, AP50 that at 0.50 alone; at most 100
    detections an image, objects of every size.

    Args:
        truth: of each image, float32 (objects, 5) as `downstream.boxes` reads them.
        found: what was detected in each image.
        shape: height and width of the images in pixels.

    Raises:
        UsageError: pycocotools is not installed.
    """
    COCO, COCOeval = coco_program()  # noqa: N806 - classes
    coco = COCO()
    images = [{"id": i, "height": shape[0], "width": shape[1]} for i in range(len(truth))]
    categories = [{"id": i, "name": name} for i, name in enumerate(KINDS)]
    objects = [(i, kind, pixels) for i, boxes in enumerate(truth)
               for kind, pixels in zip(boxes[:, 0], in_pixels(boxes[:, 1:], shape), strict=True)]  # fmt: skip
    annotations = [
        {"id": number, "image_id": i, "category_id": int(kind), "bbox": pixels, "area": pixels[2] * pixels[3],
         "iscrowd": 0}
        for number, (i, kind, pixels) in enumerate(objects, start=1)
    ]  # fmt: skip
    coco.dataset = {"info": {}, "images": images, "categories": categories, "annotations": annotations}
    detections = [
        {"image_id": i, "category_id": int(kind), "score": float(score), "bbox": pixels}
        for i, (kinds, scores, boxes) in enumerate(found)
        for kind, score, pixels in zip(kinds, scores, in_pixels(boxes, shape), strict=True)
    ]
    if annotations and detections:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints reports
            coco.createIndex()
            evaluation = COCOeval(coco, coco.loadRes(detections), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
        precision = evaluation.eval["precision"][..., 0, -1]  # (overlaps, recalls, classes), -1 of absent classes
    else:  # COCO's program fails without an object or a detection
        occurs = np.isin(range(len(KINDS)), [kind for _, kind, _ in objects])
        precision = np.where(occurs, 0, -1)[None, None]
    precision = np.where(precision < 0, np.nan, 100 * precision)
    figures = {}
    for name, row in (("AP", precision.mean((0, 1))), ("AP50", precision[0].mean(0))):  # (classes,) each
        figures[name] = np.nan if np.isnan(row).all() else float(np.nanmean(row))
        figures |= {f"{name} {kind}": float(value) for kind, value in zip(KINDS, row, strict=True)}
    return figures


def in_pixels(boxes: np.ndarray, shape: tuple[int, int]) -> list[list[float]]:
    """Boxes (D, 4) of centre, width and height in fractions, as COCO's left, top, width and height in pixels."""
    scale = np.array([shape[1], shape[0]] * 2, np.float64)
    corner = boxes[:, :2] - boxes[:, 2:] / 2
    return (np.concatenate([corner, boxes[:, 2:]], axis=1) * scale).tolist()
