"""MMF's LMDB: for each image its features, boxes, size and classes, with the scores of all classes as `cls_prob`."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .._format.header import BOX_COUNT
from .lmdb_file import LmdbWriter, Stand
from .plan import Plan
from .vocabulary import OBJECT_CLASSES
from .writer import Columns, Writer

_CLASSES = np.arange(OBJECT_CLASSES, dtype="<i2")


class MmfWriter(LmdbWriter):
    def make_item(self, img_id: str, image: Columns) -> dict[str, Any]:
        height, width = image["image_size"].tolist()
        return {
            "feature_path": img_id,
            "features": image["features"],
            "image_height": height,
            "image_width": width,
            "num_boxes": BOX_COUNT,
            "objects": image.get("objects_id"),
            "cls_prob": _make_scores(image),
            "bbox": image["boxes"],
        }


def make_writer(plan: Plan) -> Writer:
    return MmfWriter(plan)


def _make_scores(image: Columns) -> Stand:
    """float32 [36, 1600]: the confidence at the class of each region, 0 elsewhere, and everywhere without classes.

    MMF's LXMERT takes the largest for class and confidence. Pickled as (class == all classes) * confidence, 4 kB
    instead of 230.
    """
    objects = image.get("objects_id", np.zeros(BOX_COUNT, "<i8"))
    confidence = image.get("objects_conf", np.zeros(BOX_COUNT, "<f4"))
    is_class = Stand(operator.eq, objects.astype("<i2")[:, None], _CLASSES)
    return Stand(operator.mul, is_class, confidence[:, None])
