"""TSVs of Oscar and VinVL in a folder: `features.tsv`, `features.lineidx` and `imageid2idx.json`."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import numpy as np

from .._format.header import BOX_COUNT, FEATURE_SIZE
from ..errors import StoreError
from .checked_rows import Rows
from .numeric_ids import numeric_ids
from .plan import Plan
from .spatial import make_spatial_features
from .writer import Columns, Reader, Sink, Writer

# Each region's features and the six numbers of its box behind them.
_WIDTH = FEATURE_SIZE + 6


class OscarWriter(Writer):
    """Variants: `oscar` has three columns, `vinvl` a JSON object in the second of two."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        return BOX_COUNT * _WIDTH * 4 * 4 // 3 + 512

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        for img_id in self.plan.ids:
            _check_field(img_id)
        with open(self._path("features.tsv"), "wb") as table, open(self._path("features.lineidx"), "wb") as index:
            yield _TsvSink(table, index, self.plan.variant)
        with open(self._path("imageid2idx.json"), "w", encoding="utf-8") as file:
            json.dump(_number_images(self.plan.ids), file)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        with open(self._path("features.lineidx"), encoding="ascii") as file:
            offsets = [int(line) for line in file]
        with open(self._path("features.tsv"), encoding="utf-8", newline="\n") as table:
            yield _TsvReader(table, offsets, self.plan.variant)

    def _path(self, name: str) -> str:
        return os.path.join(self.plan.path, name)


make_writer = OscarWriter


class _TsvSink(Sink):
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


class _TsvReader(Reader):
    def __init__(self, table: IO[str], offsets: list[int], variant: str) -> None:
        self._table = table
        self._offsets = offsets
        self._variant = variant

    @property
    def count(self) -> int:
        return len(self._offsets)

    def read(self, row: int, img_id: str) -> Columns:
        self._table.seek(self._offsets[row])
        fields = [field.strip() for field in self._table.readline().split("\t")]
        if fields[0] != img_id:
            return {}
        text = json.loads(fields[1])["features"] if self._variant == "vinvl" else fields[-1]
        regions = np.frombuffer(base64.b64decode(text), "<f4").reshape(BOX_COUNT, _WIDTH)
        return {"features": regions[:, :FEATURE_SIZE]}


def _check_field(img_id: str) -> None:
    if any(letter in img_id for letter in "\t\r\n") or img_id != img_id.strip():
        raise StoreError("this img_id cannot stand in a TSV", None, "no tab, line end or outer blank", repr(img_id))


def _number_images(ids: Sequence[str]) -> dict[str, int]:
    """Rows by img_id, and by the number that COCO's ids end in: these code bases ask for both."""
    rows = {img_id: row for row, img_id in enumerate(ids)}
    for row, number in enumerate(numeric_ids(ids) or ()):
        rows.setdefault(str(number), row)
    return rows
