"""A folder with one `.npy` file for each column, whose data begin on a page of 4,096 bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .checked_rows import Rows
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAGE_BYTES = 4096


class NpyWriter(Writer):
    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        return self.plan.feature_bytes + 1500 + 4 * max(map(len, self.plan.ids))

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        with ExitStack() as stack:
            yield _ColumnsSink(self.plan, stack)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        yield _ColumnsReader(self.plan)


make_writer = NpyWriter


class _ColumnsSink(Sink):
    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        self._plan = plan
        self._stack = stack
        self._files: dict[str, IO[bytes]] = {}
        self._id_dtype = f"<U{max(map(len, plan.ids))}"

    def add(self, rows: Rows) -> None:
        for name, column in (*rows.columns.items(), ("img_id", np.array(rows.ids, self._id_dtype))):
            if name not in self._files:
                self._files[name] = self._create(name, column)
            # Plain writes: to a mapping, a full disk would end the process.
            self._files[name].write(np.ascontiguousarray(column).data.cast("B"))

    def _create(self, name: str, column: NDArray[Any]) -> IO[bytes]:
        file = self._stack.enter_context(open(_path(self._plan, name), "wb"))  # noqa: SIM115 (the stack closes it)
        shape = (len(self._plan.ids), *column.shape[1:])
        header = {"descr": np.lib.format.dtype_to_descr(column.dtype), "fortran_order": False, "shape": shape}
        magic = np.lib.format.magic(1, 0)
        text = repr(header).encode("latin1")
        size = _PAGE_BYTES - len(magic) - 2
        file.write(magic + size.to_bytes(2, "little") + text.ljust(size - 1) + b"\n")
        return file


class _ColumnsReader(Reader):
    def __init__(self, plan: Plan) -> None:
        self._names = plan.names
        self._columns = {
            name: np.load(_path(plan, name), mmap_mode="r", allow_pickle=False) for name in (*plan.names, "img_id")
        }

    @property
    def count(self) -> int:
        return len(self._columns["img_id"])

    def read(self, row: int, img_id: str) -> Columns:
        if self._columns["img_id"][row] != img_id:
            return {}
        return {name: self._columns[name][row] for name in self._names}


def _path(plan: Plan, name: str) -> str:
    return os.path.join(plan.path, f"{name}.npy")
