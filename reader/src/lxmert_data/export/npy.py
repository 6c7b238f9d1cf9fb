"""A folder with one `.npy` file for each column, whose data begin on a page of 4,096 bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .checked_rows import Rows
from .plan import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

ReadImage = Callable[[int, str], Mapping[str, "NDArray[Any]"]]

_PAGE_BYTES = 4096


def row_bytes(plan: Plan) -> int:
    return plan.feature_bytes + 1500 + 4 * max(map(len, plan.ids))


def make_companions(plan: Plan, on_warning: Callable[[str], None] | None) -> dict[str, bytes]:
    return {}


@contextmanager
def open_writer(plan: Plan) -> Iterator[_ColumnsWriter]:
    with ExitStack() as stack:
        yield _ColumnsWriter(plan, stack)


@contextmanager
def open_reader(plan: Plan) -> Iterator[tuple[int, ReadImage]]:
    columns = {
        name: np.load(os.path.join(plan.path, f"{name}.npy"), mmap_mode="r", allow_pickle=False)
        for name in (*plan.names, "img_id")
    }

    def read_image(row: int, img_id: str) -> dict[str, NDArray[Any]]:
        if columns["img_id"][row] != img_id:
            return {}
        return {name: columns[name][row] for name in plan.names}

    yield len(columns["img_id"]), read_image


class _ColumnsWriter:
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
        path = os.path.join(self._plan.path, f"{name}.npy")
        file = self._stack.enter_context(open(path, "wb"))  # noqa: SIM115 (the stack closes it)
        shape = (len(self._plan.ids), *column.shape[1:])
        header = {"descr": np.lib.format.dtype_to_descr(column.dtype), "fortran_order": False, "shape": shape}
        magic = np.lib.format.magic(1, 0)
        text = repr(header).encode("latin1")
        size = _PAGE_BYTES - len(magic) - 2
        file.write(magic + size.to_bytes(2, "little") + text.ljust(size - 1) + b"\n")
        return file
