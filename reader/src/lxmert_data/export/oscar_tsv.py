"""TSVs of Oscar and VinVL in a folder: features.tsv, and label.tsv and predictions.tsv where classes have names.

Beside each TSV its `.lineidx`; `imageid2idx.json` has the row of each image.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

import numpy as np

from .._format.header import BOX_COUNT, FEATURE_SIZE
from ..errors import StoreWarning
from .checked_rows import Rows
from .numeric_ids import numeric_ids
from .oscar_regions import REGION_SIZE, check_field, make_regions, make_tags, number_images
from .plan import Plan
from .vocabulary import Vocabulary
from .writer import Columns, OnWarning, Reader, Sink, Writer


class OscarWriter(Writer):
    """Variants: `oscar` has three columns, `vinvl` a JSON object in the second of two."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        # Two tables of objects, each of them at most some 250 characters.
        tags = 2 * BOX_COUNT * 256 if self.has_tags else 0
        return BOX_COUNT * REGION_SIZE * 4 * 4 // 3 + 512 + tags

    @property
    def has_tags(self) -> bool:
        """Whether the tables of objects can be written."""
        return self.plan.vocabulary is not None and "objects_id" in self.plan.names

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        for img_id in self.plan.ids:
            check_field(img_id)
        with ExitStack() as stack:
            features = stack.enter_context(_Table(self._path("features")))
            tags = stack.enter_context(_TagTables(self.plan)) if self.has_tags else None
            yield _TsvSink(features, tags, self.plan.variant)
        with open(self._path("imageid2idx.json"), "w", encoding="utf-8") as file:
            json.dump(number_images(self.plan.ids), file)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        with open(self._path("features.lineidx"), encoding="ascii") as file:
            offsets = [int(line) for line in file]
        with open(self._path("features.tsv"), encoding="utf-8", newline="\n") as table:
            yield _TsvReader(table, offsets, self.plan.variant)

    def make_companions(self, on_warning: OnWarning | None) -> dict[str, bytes]:
        """Nothing; warns where there is no vocabulary for label.tsv and predictions.tsv."""
        if self.plan.vocabulary is None and "objects_id" in self.plan.names and on_warning is not None:
            message = (
                "no vocabulary was given, so label.tsv and predictions.tsv, the object tags, are not written; "
                "--vocab names its folder, and lxmert-data fetch detector --kind json gets it"
            )
            on_warning(StoreWarning(message, "no_vocabulary"))
        return {}

    def _path(self, name: str) -> str:
        return os.path.join(self.plan.path, name)


make_writer = OscarWriter


class _Table:
    """A TSV and, at the same time, its line index."""

    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._offset = 0

    def __enter__(self) -> _Table:
        self._stack = ExitStack()
        self._rows: IO[bytes] = self._stack.enter_context(open(f"{self._stem}.tsv", "wb"))
        self._index: IO[bytes] = self._stack.enter_context(open(f"{self._stem}.lineidx", "wb"))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, img_id: str, fields: bytes) -> None:
        line = b"%b\t%b\n" % (img_id.encode("utf-8"), fields)
        self._rows.write(line)
        self._index.write(b"%d\n" % self._offset)
        self._offset += len(line)


class _TagTables:
    """label.tsv, under the img_ids, and predictions.tsv, under numbers where every image has one."""

    def __init__(self, plan: Plan) -> None:
        assert plan.vocabulary is not None
        self._vocabulary: Vocabulary = plan.vocabulary
        numbers = numeric_ids(plan.ids)
        # Oscar's retrieval turns them into numbers.
        self._prediction_ids = plan.ids if numbers is None else [str(number) for number in numbers]
        self._labels = _Table(os.path.join(plan.path, "label"))
        self._predictions = _Table(os.path.join(plan.path, "predictions"))

    def __enter__(self) -> _TagTables:
        self._labels.__enter__()
        self._predictions.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._labels.__exit__()
        self._predictions.__exit__()

    def add(self, rows: Rows) -> None:
        for at, img_id in enumerate(rows.ids):
            label, prediction = make_tags(rows.image(at), self._vocabulary)
            self._labels.add(img_id, label)
            self._predictions.add(self._prediction_ids[rows.begin + at], prediction)


class _TsvSink(Sink):
    def __init__(self, features: _Table, tags: _TagTables | None, variant: str) -> None:
        self._features = features
        self._tags = tags
        self._variant = variant

    def add(self, rows: Rows) -> None:
        regions = make_regions(rows)
        for at, img_id in enumerate(rows.ids):
            text = base64.b64encode(regions[at].data)
            if self._variant == "vinvl":
                fields = b'{"num_boxes": %d, "features": "%b"}' % (BOX_COUNT, text)
            else:
                fields = b"%d\t%b" % (BOX_COUNT, text)
            self._features.add(img_id, fields)
        if self._tags is not None:
            self._tags.add(rows)


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
        regions = np.frombuffer(base64.b64decode(text), "<f4").reshape(BOX_COUNT, REGION_SIZE)
        return {"features": regions[:, :FEATURE_SIZE]}
