"""An Arrow IPC stream, written with pyarrow, as `datasets.Dataset.from_file` of Hugging Face opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from .._format.header import BOX_COUNT, FEATURE_SIZE
from .checked_rows import Rows
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHAPES: dict[str, tuple[int, ...]] = {
    "features": (BOX_COUNT, FEATURE_SIZE),
    "boxes": (BOX_COUNT, 4),
    "objects_id": (BOX_COUNT,),
    "objects_conf": (BOX_COUNT,),
    "attrs_id": (BOX_COUNT,),
    "attrs_conf": (BOX_COUNT,),
}


class ArrowWriter(Writer):
    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        return self.plan.feature_bytes + 2048

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        schema = _make_schema(self.plan)
        with pa.OSFile(self.plan.path, "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            yield _StreamSink(stream, schema)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        with pa.memory_map(self.plan.path) as file:
            yield _TableReader(pa.ipc.open_stream(file).read_all(), self.plan.names)


make_writer = ArrowWriter


class _StreamSink(Sink):
    def __init__(self, stream: Any, schema: Any) -> None:
        self._stream = stream
        self._schema = schema

    def add(self, rows: Rows) -> None:
        size = rows.columns["image_size"]
        values: dict[str, Any] = {
            "img_id": pa.array(rows.ids, pa.string()),
            "img_h": pa.array(np.ascontiguousarray(size[:, 0])),
            "img_w": pa.array(np.ascontiguousarray(size[:, 1])),
        }
        for field in self._schema:
            if field.name in _SHAPES:
                values[field.name] = _wrap(rows.columns[field.name], field.type)
        arrays = [values[field.name] for field in self._schema]
        self._stream.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))


class _TableReader(Reader):
    def __init__(self, table: Any, names: tuple[str, ...]) -> None:
        self._table = table
        self._names = names

    @property
    def count(self) -> int:
        rows: int = self._table.num_rows
        return rows

    def read(self, row: int, img_id: str) -> Columns:
        one = self._table.slice(row, 1).combine_chunks()
        if one["img_id"][0].as_py() != img_id:
            return {}
        image = {name: _flatten(one[name].chunk(0)) for name in self._names if name in _SHAPES}
        image["image_size"] = np.array([one["img_h"][0].as_py(), one["img_w"][0].as_py()], "<i4")
        return image


def _make_schema(plan: Plan) -> Any:
    fields = [pa.field("img_id", pa.string()), pa.field("img_h", pa.int32()), pa.field("img_w", pa.int32())]
    for name, shape in _SHAPES.items():
        if name in plan.names:
            kind = _item_type(name, plan)
            for extent in reversed(shape):
                kind = pa.list_(kind, extent)
            fields.append(pa.field(name, kind))
    return pa.schema(fields, {b"lxmert_data": plan.provenance_json().encode()})


def _item_type(name: str, plan: Plan) -> Any:
    if name == "features":
        return pa.from_numpy_dtype(plan.dtype)
    return pa.int64() if name.endswith("_id") else pa.float32()


def _wrap(column: NDArray[Any], kind: Any) -> Any:
    """A column [n, …] as nested lists of fixed sizes over its own memory."""
    levels = []
    while pa.types.is_fixed_size_list(kind):
        levels.append(kind)
        kind = kind.value_type
    array = pa.array(column.reshape(-1))
    for level in reversed(levels):
        array = pa.FixedSizeListArray.from_arrays(array, type=level)
    return array


def _flatten(array: Any) -> NDArray[Any]:
    while pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values
