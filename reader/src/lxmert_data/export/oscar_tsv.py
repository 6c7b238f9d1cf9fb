"""TSVs of Oscar and VinVL in a folder: `features.tsv`, `features.lineidx` and `imageid2idx.json`."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..errors import StoreError
from ..header import BOX_COUNT, FEATURE_SIZE
from .checked_rows import Rows
from .numeric_ids import numeric_ids
from .plan import Plan
from .spatial import make_spatial_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

ReadImage = Callable[[int, str], Mapping[str, "NDArray[Any]"]]

# Each region's features and the six numbers of its box behind them.
_WIDTH = FEATURE_SIZE + 6


def row_bytes(plan: Plan) -> int:
    return BOX_COUNT * _WIDTH * 4 * 4 // 3 + 512


def make_companions(plan: Plan, on_warning: Callable[[str], None] | None) -> dict[str, bytes]:
    return {}


@contextmanager
def open_writer(plan: Plan) -> Iterator[_TsvWriter]:
    for img_id in plan.ids:
        if any(letter in img_id for letter in "\t\r\n") or img_id != img_id.strip():
            raise StoreError("this img_id cannot stand in a TSV", None, "no tab, line end or outer blank", repr(img_id))
    with open(_path(plan, "features.tsv"), "wb") as table, open(_path(plan, "features.lineidx"), "wb") as index:
        yield _TsvWriter(table, index, plan.variant)
    with open(_path(plan, "imageid2idx.json"), "w", encoding="utf-8") as file:
        json.dump(_number_images(plan.ids), file)


@contextmanager
def open_reader(plan: Plan) -> Iterator[tuple[int, ReadImage]]:
    with open(_path(plan, "features.lineidx"), encoding="ascii") as file:
        offsets = [int(line) for line in file]
    with open(_path(plan, "features.tsv"), encoding="utf-8", newline="\n") as table:

        def read_image(row: int, img_id: str) -> dict[str, NDArray[Any]]:
            table.seek(offsets[row])
            fields = [field.strip() for field in table.readline().split("\t")]
            if fields[0] != img_id:
                return {}
            text = json.loads(fields[1])["features"] if plan.variant == "vinvl" else fields[-1]
            regions = np.frombuffer(base64.b64decode(text), "<f4").reshape(BOX_COUNT, _WIDTH)
            return {"features": regions[:, :FEATURE_SIZE]}

        yield len(offsets), read_image


class _TsvWriter:
    def __init__(self, table: IO[bytes], index: IO[bytes], variant: str) -> None:
        self._table = table
        self._index = index
        self._variant = variant
        self._offset = 0

    def add(self, rows: Rows) -> None:
        spatial = make_spatial_features(rows.columns["boxes"], rows.columns["image_size"])
        regions = np.concatenate((rows.columns["features"], spatial), axis=-1)
        for at, img_id in enumerate(rows.ids):
            text = base64.b64encode(regions[at].data)
            if self._variant == "vinvl":
                fields = b'{"num_boxes": %d, "features": "%b"}' % (BOX_COUNT, text)
            else:
                fields = b"%d\t%b" % (BOX_COUNT, text)
            line = b"%b\t%b\n" % (img_id.encode("utf-8"), fields)
            self._table.write(line)
            self._index.write(b"%d\n" % self._offset)
            self._offset += len(line)


def _number_images(ids: list[str] | Any) -> dict[str, int]:
    """Rows by img_id, and by the number that COCO's ids end in: these code bases ask for both."""
    rows = {img_id: row for row, img_id in enumerate(ids)}
    for row, number in enumerate(numeric_ids(ids) or ()):
        rows.setdefault(str(number), row)
    return rows


def _path(plan: Plan, name: str) -> str:
    return os.path.join(plan.path, name)
