"""HDF5, written with h5py: a group for each image, or whole columns (flat), with or without `pos_boxes`."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from .._format.header import BOX_COUNT, FEATURE_SIZE
from ..errors import StoreError, StoreWarning
from .checked_rows import Rows
from .numeric_ids import numeric_ids
from .plan import Plan
from .spatial import make_spatial_features
from .writer import Columns, OnWarning, Reader, Sink, Writer

# Names of VL-T5's groups for the store's columns.
_GROUP_NAMES = {
    "features": "features",
    "objects_id": "obj_id",
    "objects_conf": "obj_conf",
    "attrs_id": "attr_id",
    "attrs_conf": "attr_conf",
    "boxes": "boxes",
}
_PAGE_BYTES = 4096


def make_writer(plan: Plan) -> Writer:
    return GroupWriter(plan) if plan.variant == "groups" else FlatWriter(plan)


class GroupWriter(Writer):
    """A group for each image, in the order of the store."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        # Headers of a group with its eight datasets.
        return self.plan.feature_bytes + 6000

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        _check_group_names(self.plan.ids)
        # In order of creation, so that keys() gives the order of the store.
        with h5py.File(self.plan.path, "w", track_order=True) as file:
            file.attrs["lxmert_data"] = self.plan.provenance_json()
            yield _GroupSink(file)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        with h5py.File(self.plan.path, "r") as file:
            yield _GroupReader(file, self.plan)


class FlatWriter(Writer):
    """Whole columns: `flat` over images, `pos_boxes` over boxes as BAN has them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        # With the spatial features and the boxes.
        return self.plan.feature_bytes + BOX_COUNT * 10 * 4

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        # Whole pages, for readers that map the file.
        pages = {"alignment_threshold": _PAGE_BYTES, "alignment_interval": _PAGE_BYTES}
        with h5py.File(self.plan.path, "w", **pages) as file:
            file.attrs["lxmert_data"] = self.plan.provenance_json()
            yield _PosBoxesSink(file, self.plan) if self.plan.variant == "pos_boxes" else _FlatSink(file, self.plan)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        with h5py.File(self.plan.path, "r") as file:
            yield _FlatReader(file)

    def make_companions(self, on_warning: OnWarning | None) -> dict[str, bytes]:
        """`X_imgid2idx.pkl` and `.json` beside `X.hdf5`: the row of each image, by number where ids have one."""
        wants_names = self.plan.id_mode == "name"
        numbers = None if wants_names else numeric_ids(self.plan.ids)
        if numbers is None and not wants_names and on_warning is not None:
            message = "not all img_ids are numbers (COCO's end in one), so imgid2idx has them as they are, as strings"
            on_warning(StoreWarning(message, "string_ids"))
        keys = self.plan.ids if numbers is None else numbers
        indexes: dict[Any, int] = {key: row for row, key in enumerate(keys)}
        # Protocol 2 is the newest that the Python 2 of these code bases reads.
        return {"_imgid2idx.pkl": pickle.dumps(indexes, protocol=2), "_imgid2idx.json": json.dumps(indexes).encode()}


class _GroupSink(Sink):
    def __init__(self, file: Any) -> None:
        self._file = file

    def add(self, rows: Rows) -> None:
        for at, img_id in enumerate(rows.ids):
            group = self._file.create_group(img_id)
            image = rows.image(at)
            for name, stored_as in _GROUP_NAMES.items():
                if name in image:
                    group[stored_as] = image[name]
            height, width = image["image_size"].tolist()
            group["img_w"] = width
            group["img_h"] = height


class _FlatSink(Sink):
    def __init__(self, file: Any, plan: Plan) -> None:
        shape = self._shape(len(plan.ids))
        self._columns = {
            name: file.create_dataset(name, (*shape, size), "<f4")
            for name, size in (("image_features", FEATURE_SIZE), ("image_bb", 4), ("spatial_features", 6))
        }

    def _shape(self, count: int) -> tuple[int, ...]:
        return (count, BOX_COUNT)

    def add(self, rows: Rows) -> None:
        self._add(rows, rows.begin, rows.begin + len(rows.ids))

    def _add(self, rows: Rows, begin: int, end: int) -> None:
        boxes = rows.columns["boxes"]
        for name, value in (
            ("image_features", rows.columns["features"]),
            ("image_bb", boxes),
            ("spatial_features", make_spatial_features(boxes, rows.columns["image_size"])),
        ):
            column = self._columns[name]
            column[begin:end] = value.reshape(end - begin, *column.shape[1:])


class _PosBoxesSink(_FlatSink):
    def __init__(self, file: Any, plan: Plan) -> None:
        super().__init__(file, plan)
        self._pos_boxes = file.create_dataset("pos_boxes", (len(plan.ids), 2), "<i4")

    def _shape(self, count: int) -> tuple[int, ...]:
        return (count * BOX_COUNT,)

    def add(self, rows: Rows) -> None:
        begin, end = rows.begin, rows.begin + len(rows.ids)
        starts = np.arange(begin, end, dtype="<i4")[:, None] * BOX_COUNT
        self._pos_boxes[begin:end] = starts + np.array([0, BOX_COUNT], "<i4")
        self._add(rows, begin * BOX_COUNT, end * BOX_COUNT)


class _GroupReader(Reader):
    def __init__(self, file: Any, plan: Plan) -> None:
        self._file = file
        self._names = plan.names
        # Slashes in ids make groups of groups.
        self._is_nested = any("/" in img_id for img_id in plan.ids)

    @property
    def count(self) -> int:
        if not self._is_nested:
            return len(self._file)
        found: list[str] = []
        self._file.visit(lambda name: found.append(name) if name.endswith("/features") else None)
        return len(found)

    def read(self, row: int, img_id: str) -> Columns:
        group = self._file[img_id]
        image = {name: group[_GROUP_NAMES[name]][()] for name in self._names if name in _GROUP_NAMES}
        image["image_size"] = np.array([group["img_h"][()], group["img_w"][()]], "<i4")
        return image


class _FlatReader(Reader):
    def __init__(self, file: Any) -> None:
        self._file = file
        self._spans = file.get("pos_boxes")

    @property
    def count(self) -> int:
        return len(self._file["image_features"] if self._spans is None else self._spans)

    def read(self, row: int, img_id: str) -> Columns:
        place: Any = row if self._spans is None else slice(*self._spans[row])
        return {"features": self._file["image_features"][place], "boxes": self._file["image_bb"][place]}


def _check_group_names(ids: Sequence[str]) -> None:
    known = set(ids)
    for img_id in ids:
        parts = img_id.split("/")
        if "" in parts or "." in parts:
            raise StoreError(
                "this img_id cannot name a group of HDF5",
                None,
                "no empty part and no single dot between slashes",
                repr(img_id),
                "export as hdf5-flat",
            )
        parents = ("/".join(parts[:end]) for end in range(1, len(parts)))
        parent = next((name for name in parents if name in known), None)
        if parent is not None:
            raise StoreError(
                "the group of one image would lie inside that of another",
                None,
                "no img_id that is another one and a slash and more",
                f"{parent!r} and {img_id!r}",
                "export as hdf5-flat",
            )
