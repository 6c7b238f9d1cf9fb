"""VOLTA's LMDB: for each image a dict of the fields of LXMERT's TSV, arrays in base64, as its converters write it."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from .._format.header import BOX_COUNT, OBJECT_TENSORS
from .lmdb_file import LmdbWriter
from .plan import Plan
from .writer import Columns, Writer


class VoltaWriter(LmdbWriter):
    """Base64, although VOLTA also takes arrays: it tries to decode them first, and its `in_memory` takes no others."""

    @property
    def row_bytes(self) -> int:
        return (self.plan.feature_bytes + 2048) * 4 // 3 + 4 * 4096

    def make_item(self, img_id: str, image: Columns) -> dict[str, Any]:
        height, width = image["image_size"].tolist()
        arrays = ("features", "boxes", *OBJECT_TENSORS)
        return {
            "img_id": img_id,
            "img_h": height,
            "img_w": width,
            "num_boxes": BOX_COUNT,
            **{name: _encode(image[name]) for name in arrays if name in image},
        }


def make_writer(plan: Plan) -> Writer:
    return VoltaWriter(plan)


def _encode(array: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(array).data).decode("ascii")
