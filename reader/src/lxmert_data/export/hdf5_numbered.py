"""HDF5 of meshed-memory-transformer: `<number>_features`, `<number>_boxes` and `<number>_cls_prob` for each image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py

from .checked_rows import Rows
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer


class NumberedWriter(Writer):
    """`cls_prob` is float32 [36, 1], the confidence of the region's class: M2 sorts regions by their largest one."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        return self.plan.feature_bytes + 4000

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        with h5py.File(self.plan.path, "w") as file:
            file.attrs["lxmert_data"] = self.plan.provenance_json()
            yield _FileSink(file)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        with h5py.File(self.plan.path, "r") as file:
            yield _FileReader(file, 3 if "objects_conf" in self.plan.names else 2)


make_writer = NumberedWriter


class _FileSink(Sink):
    def __init__(self, file: Any) -> None:
        self._file = file

    def add(self, rows: Rows) -> None:
        for at, img_id in enumerate(rows.ids):
            image = rows.image(at)
            self._file[f"{img_id}_features"] = image["features"]
            self._file[f"{img_id}_boxes"] = image["boxes"]
            if "objects_conf" in image:
                self._file[f"{img_id}_cls_prob"] = image["objects_conf"][:, None]


class _FileReader(Reader):
    def __init__(self, file: Any, parts: int) -> None:
        self._file = file
        self._parts = parts

    @property
    def count(self) -> int:
        return len(self._file) // self._parts

    def read(self, row: int, img_id: str) -> Columns:
        image = {name: self._file[f"{img_id}_{name}"][()] for name in ("features", "boxes")}
        if f"{img_id}_cls_prob" in self._file:
            image["objects_conf"] = self._file[f"{img_id}_cls_prob"][:, 0]
        return image
