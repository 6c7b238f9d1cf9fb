"""HDF5, written with h5py: a group for each image, or whole columns (flat), with or without `pos_boxes`."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h5py
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


def row_bytes(plan: Plan) -> int:
    # Headers of a group with its eight data sets; the spatial features of the flat forms.
    return plan.feature_bytes + (6000 if plan.variant == "groups" else BOX_COUNT * 10 * 4)


def make_companions(plan: Plan, on_warning: Callable[[str], None] | None) -> dict[str, bytes]:
    """`X_imgid2idx.pkl` and `.json` beside a flat `X.hdf5`: the row of each image, by number where ids have one."""
    if plan.variant == "groups":
        return {}
    numbers = numeric_ids(plan.ids)
    if numbers is None and on_warning is not None:
        on_warning("not all img_ids are numbers (COCO's end in one), so imgid2idx has them as they are, as strings")
    keys = plan.ids if numbers is None else numbers
    indexes: dict[Any, int] = {key: row for row, key in enumerate(keys)}
    # Protocol 2 is the newest that the Python 2 of these code bases reads.
    return {"_imgid2idx.pkl": pickle.dumps(indexes, protocol=2), "_imgid2idx.json": json.dumps(indexes).encode()}


@contextmanager
def open_writer(plan: Plan) -> Iterator[_GroupWriter | _FlatWriter]:
    if plan.variant == "groups":
        for img_id in plan.ids:
            _check_group_name(img_id)
        # In order of creation, so that keys() gives the order of the store.
        with h5py.File(plan.path, "w", track_order=True) as file:
            file.attrs["lxmert_data"] = plan.provenance_json()
            yield _GroupWriter(file)
    else:
        with h5py.File(
            plan.path, "w", alignment_threshold=_PAGE_BYTES, alignment_interval=_PAGE_BYTES
        ) as file:  # whole pages for readers that map
            file.attrs["lxmert_data"] = plan.provenance_json()
            yield _FlatWriter(file, len(plan.ids), plan.variant == "pos_boxes")


@contextmanager
def open_reader(plan: Plan) -> Iterator[tuple[int, ReadImage]]:
    with h5py.File(plan.path, "r") as file:
        if plan.variant == "groups":
            yield len(file), lambda row, img_id: _read_group(file, plan, img_id)
        elif plan.variant == "flat":
            yield len(file["image_features"]), lambda row, img_id: _read_flat(file, row)
        else:
            yield len(file["pos_boxes"]), lambda row, img_id: _read_flat(file, slice(*file["pos_boxes"][row]))


class _GroupWriter:
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


class _FlatWriter:
    def __init__(self, file: Any, count: int, has_pos_boxes: bool) -> None:
        # BAN's file is flat over boxes, the other over images.
        shape = (count * BOX_COUNT,) if has_pos_boxes else (count, BOX_COUNT)
        self._columns = {
            name: file.create_dataset(name, (*shape, size), "<f4")
            for name, size in (("image_features", FEATURE_SIZE), ("image_bb", 4), ("spatial_features", 6))
        }
        self._pos_boxes = file.create_dataset("pos_boxes", (count, 2), "<i4") if has_pos_boxes else None

    def add(self, rows: Rows) -> None:
        begin, end = rows.begin, rows.begin + len(rows.ids)
        if self._pos_boxes is not None:
            starts = np.arange(begin, end, dtype="<i4")[:, None] * BOX_COUNT
            self._pos_boxes[begin:end] = starts + np.array([0, BOX_COUNT], "<i4")
            begin, end = begin * BOX_COUNT, end * BOX_COUNT
        boxes = rows.columns["boxes"]
        for name, value in (
            ("image_features", rows.columns["features"]),
            ("image_bb", boxes),
            ("spatial_features", make_spatial_features(boxes, rows.columns["image_size"])),
        ):
            column = self._columns[name]
            column[begin:end] = value.reshape(end - begin, *column.shape[1:])


def _read_group(file: Any, plan: Plan, img_id: str) -> dict[str, NDArray[Any]]:
    group = file[img_id]
    image = {name: group[_GROUP_NAMES[name]][()] for name in plan.names if name in _GROUP_NAMES}
    image["image_size"] = np.array([group["img_h"][()], group["img_w"][()]], "<i4")
    return image


def _read_flat(file: Any, place: int | slice) -> dict[str, NDArray[Any]]:
    return {"features": file["image_features"][place], "boxes": file["image_bb"][place]}


def _check_group_name(img_id: str) -> None:
    parts = img_id.split("/")
    if "" in parts or "." in parts:
        raise StoreError(
            "this img_id cannot name a group of HDF5", None, "no empty part and no single dot between slashes",
            repr(img_id), "export as hdf5-flat",
        )  # fmt: skip
