"""What is exported: one store, or several one after the other, under the names that the export gives its images."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate

from ..errors import StoreError
from .checked_rows import CheckedRows, Rows
from .image_names import name_images


class ExportSource:
    """Rows of all stores with features of `dtype`, f32 or f16; `ids` are their names in the export.

    Raises StoreError where stores do not fit together or two images would have one name.
    """

    def __init__(self, paths: Sequence[str], dtype: str, id_mode: str) -> None:
        self.stores = [CheckedRows(path, dtype) for path in paths]
        self.dtype = self.stores[0].dtype
        self.names = self.stores[0].names
        _check_columns(self.stores)
        self.ids = name_images([img_id for store in self.stores for img_id in store.ids], id_mode)
        self._starts = [0, *accumulate(map(len, self.stores))]

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def paths(self) -> list[str]:
        return [store.path for store in self.stores]

    @property
    def lossless(self) -> bool:
        """Whether every store has features of f32."""
        return all(store.header.dtype == "f32" for store in self.stores)

    def read_all(self) -> Iterator[Rows]:
        """Every row, in order; see CheckedRows."""
        for start, store in zip(self._starts, self.stores):
            for rows in store.read_all():
                yield self._rename(rows, start)

    def read_single(self, indexes: Sequence[int]) -> Iterator[Rows]:
        """Single rows; `indexes` ascend."""
        for at, (start, store) in enumerate(zip(self._starts, self.stores)):
            low = bisect.bisect_left(indexes, start)
            high = bisect.bisect_left(indexes, self._starts[at + 1])
            for rows in store.read([index - start for index in indexes[low:high]], 1):
                yield self._rename(rows, start)

    def _rename(self, rows: Rows, start: int) -> Rows:
        begin = start + rows.begin
        return Rows(begin, self.ids[begin : begin + len(rows.ids)], rows.columns)


def _check_columns(stores: Sequence[CheckedRows]) -> None:
    for store in stores:
        if store.names != stores[0].names:
            raise StoreError(
                "stores with and without object classes cannot be exported together",
                store.path,
                f"the columns of {stores[0].path}: {', '.join(stores[0].names)}",
                ", ".join(store.names),
                "export them apart from each other",
            )
