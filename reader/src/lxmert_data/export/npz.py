"""A folder with one uncompressed `.npz` file for each image, `<img_id>.npz`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .._format.header import BOX_COUNT, OBJECT_TENSORS
from .checked_rows import Rows
from .file_names import check_file_names
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer


class NpzWriter(Writer):
    """Variants: features as rows [36, 2048], or as columns [2048, 36]."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        # Members of the zip, and the last block of the file.
        return self.plan.feature_bytes + 8192

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        check_file_names(self.plan.ids, ".npz")
        yield _FolderSink(self.plan)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        yield _FolderReader(self.plan)


make_writer = NpzWriter


class _FolderSink(Sink):
    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def add(self, rows: Rows) -> None:
        for at, img_id in enumerate(rows.ids):
            image = rows.image(at)
            features = image["features"]
            arrays: dict[str, Any] = {name: image[name] for name in OBJECT_TENSORS if name in image}
            with open(_path(self._plan, img_id), "xb") as file:
                np.savez(
                    file,
                    x=np.ascontiguousarray(features.T) if self._plan.variant == "columns" else features,
                    bbox=image["boxes"],
                    num_bbox=np.int64(BOX_COUNT),
                    image_h=np.int64(image["image_size"][0]),
                    image_w=np.int64(image["image_size"][1]),
                    # OpenVQA's loader of GQA asks for these.
                    height=np.int64(image["image_size"][0]),
                    width=np.int64(image["image_size"][1]),
                    **arrays,
                )


class _FolderReader(Reader):
    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @property
    def count(self) -> int:
        return sum(entry.name.endswith(".npz") for entry in os.scandir(self._plan.path))

    def read(self, row: int, img_id: str) -> Columns:
        with np.load(_path(self._plan, img_id), allow_pickle=False) as file:
            features = file["x"].T if self._plan.variant == "columns" else file["x"]
            image = {name: file[name] for name in OBJECT_TENSORS if name in self._plan.names}
            size = np.array([file["image_h"], file["image_w"]], "<i4")
            return {"features": features, "boxes": file["bbox"], "image_size": size, **image}


def _path(plan: Plan, img_id: str) -> str:
    return os.path.join(plan.path, f"{img_id}.npz")
