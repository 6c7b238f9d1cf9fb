"""What Oscar and VinVL have of each region: 2,054 floats, and the names of the objects in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._format.header import FEATURE_SIZE
from ..errors import StoreError
from .checked_rows import Rows
from .numeric_ids import numeric_ids
from .spatial import make_spatial_features
from .vocabulary import Vocabulary
from .writer import Columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Each region's features and the six numbers of its box behind them.
REGION_SIZE = FEATURE_SIZE + 6


def make_regions(rows: Rows) -> NDArray[np.float32]:
    """float32 [n, 36, 2054]."""
    spatial = make_spatial_features(rows.columns["boxes"], rows.columns["image_size"])
    return np.concatenate((rows.columns["features"], spatial), axis=-1)


def number_images(ids: Sequence[str]) -> dict[str, int]:
    """Rows by img_id, and by the number that COCO's ids end in: these code bases ask for both."""
    rows = {img_id: row for row, img_id in enumerate(ids)}
    for row, number in enumerate(numeric_ids(ids) or ()):
        rows.setdefault(str(number), row)
    return rows


def check_field(img_id: str) -> None:
    """Raises StoreError for an img_id that cannot stand in a column of a TSV."""
    if any(letter in img_id for letter in "\t\r\n") or img_id != img_id.strip():
        raise StoreError("this img_id cannot stand in a TSV", None, "no tab, line end or outer blank", repr(img_id))


def list_objects(image: Columns, vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Class name, confidence and box (x1, y1, x2, y2 in pixels) of each region, in the order of the regions."""
    classes = image["objects_id"].tolist()
    confidences, boxes = image["objects_conf"].tolist(), image["boxes"].tolist()
    return [
        {"class": vocabulary.objects[number], "conf": confidence, "rect": box}
        for number, confidence, box in zip(classes, confidences, boxes)
    ]


def make_tags(image: Columns, vocabulary: Vocabulary) -> tuple[bytes, bytes]:
    """Rows of label.tsv, the objects alone, and of predictions.tsv, the objects with the size of the image."""
    objects = json.dumps(list_objects(image, vocabulary))
    height, width = image["image_size"].tolist()
    return objects.encode(), f'{{"image_h": {height}, "image_w": {width}, "objects": {objects}}}'.encode()
