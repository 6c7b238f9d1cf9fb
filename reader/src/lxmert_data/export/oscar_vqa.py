"""Oscar's TSV for VQA, with the byte at which each row begins in `…_offset_map.json` beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from .._format.header import BOX_COUNT, FEATURE_SIZE
from .checked_rows import Rows
from .oscar_regions import REGION_SIZE, check_field, make_regions, number_images
from .plan import Plan
from .writer import Columns, OnWarning, Reader, Sink, Writer

_TEXT_BYTES = (BOX_COUNT * REGION_SIZE * 4 + 2) // 3 * 4


class OscarVqaWriter(Writer):
    """Rows have `img_id`, 36 and base64 of float32 [36, 2054]."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        return _TEXT_BYTES + 512

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        for img_id in self.plan.ids:
            check_field(img_id)
        with open(self.plan.path, "wb") as table:
            yield _TableSink(table)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        offsets = self._offsets()
        with open(self.plan.path, "rb") as table:
            yield _TableReader(table, offsets)

    def make_companions(self, on_warning: OnWarning | None) -> dict[str, bytes]:
        """`X_offset_map.json` beside `X.tsv`: offsets by img_id and by number."""
        offsets = self._offsets()
        return {
            "_offset_map.json": json.dumps(
                {name: offsets[row] for name, row in number_images(self.plan.ids).items()}
            ).encode()
        }

    def _offsets(self) -> list[int]:
        """Known before anything is written, since rows differ in the length of their img_id only."""
        offsets, offset = [], 0
        for img_id in self.plan.ids:
            offsets.append(offset)
            offset += len(_start_of(img_id)) + _TEXT_BYTES + 1
        return offsets


make_writer = OscarVqaWriter


def _start_of(img_id: str) -> bytes:
    return b"%b\t%d\t" % (img_id.encode("utf-8"), BOX_COUNT)


class _TableSink(Sink):
    def __init__(self, table: IO[bytes]) -> None:
        self._table = table

    def add(self, rows: Rows) -> None:
        regions = make_regions(rows)
        for at, img_id in enumerate(rows.ids):
            self._table.write(b"%b%b\n" % (_start_of(img_id), base64.b64encode(regions[at].data)))


class _TableReader(Reader):
    def __init__(self, table: IO[bytes], offsets: list[int]) -> None:
        self._table = table
        self._offsets = offsets

    @property
    def count(self) -> int:
        self._table.seek(0)
        return sum(1 for _ in self._table)

    def read(self, row: int, img_id: str) -> Columns:
        self._table.seek(self._offsets[row])
        name, _, text = self._table.readline().decode("utf-8").rstrip("\n").split("\t")
        if name != img_id:
            return {}
        regions = np.frombuffer(base64.b64decode(text), "<f4").reshape(BOX_COUNT, REGION_SIZE)
        return {"features": regions[:, :FEATURE_SIZE]}
