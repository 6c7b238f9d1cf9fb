"""Finds images by id with little memory: a sorted permutation of the id column, searched by bisection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from ..errors import StoreError, UnknownImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ImageIds(Sequence[str]):
    """All ids of a store in row order; decodes them when asked, so that it stays small."""

    def __init__(self, column: NDArray[np.uint8], where: str) -> None:
        self._where = where
        self._bytes = column
        width = column.shape[1]
        # Fixed-width bytes compare like the ids themselves: NumPy ignores the zero padding, and no id holds zeros.
        self._keys: NDArray[np.bytes_] = np.ndarray(len(column), f"S{width}", column)
        self._order: NDArray[np.intp] | None = None
        self._has_numeric: bool | None = None

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, item: int) -> str: ...
    @overload
    def __getitem__(self, item: slice) -> list[str]: ...
    def __getitem__(self, item: int | slice) -> str | list[str]:
        if isinstance(item, slice):
            return [self._decode(index) for index in range(*item.indices(len(self)))]
        return self._decode(item)

    def __iter__(self) -> Iterator[str]:
        return map(self._decode, range(len(self)))

    def __contains__(self, img_id: object) -> bool:
        return isinstance(img_id, str) and self.search([img_id])[0] >= 0

    def find(self, img_ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers, int64 [len(img_ids)]; raises UnknownImageError for the first id that is not there."""
        rows = self.search(img_ids)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            raise UnknownImageError(
                "no such image in the store",
                self._where,
                f"one of its {len(self)} img_ids",
                f"{img_ids[missing[0]]!r}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
                "check that this is the store of the right split",
            )
        return rows

    @property
    def has_numeric(self) -> bool:
        """Whether any id consists of digits only, so that it can be confused with a row number."""
        if self._has_numeric is None:
            digits = (self._bytes >= ord("0")) & (self._bytes <= ord("9"))
            self._has_numeric = bool((digits[:, 0] & (digits | (self._bytes == 0)).all(axis=1)).any())
        return self._has_numeric

    def _decode(self, index: int) -> str:
        raw: bytes = self._keys[index]
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise StoreError(
                f"the img_id of row {index} is no UTF-8",
                self._where,
                "UTF-8",
                repr(raw),
                "run python -m lxmert_data verify on the store",
            ) from None

    def search(self, img_ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers, int64 [len(img_ids)]; -1 for ids that the store lacks."""
        rows = np.full(len(img_ids), -1, np.int64)
        width = self._keys.itemsize
        wanted = [img_id.encode("utf-8", "surrogatepass") for img_id in img_ids]
        # A longer key would be cut to the width, a trailing zero byte would be taken for padding.
        possible = [at for at, key in enumerate(wanted) if 0 < len(key) <= width and b"\0" not in key]
        if not possible:
            return rows
        keys = np.array([wanted[at] for at in possible], self._keys.dtype)
        order = self._sorted_order()
        places = np.minimum(np.searchsorted(self._keys, keys, sorter=order), len(self) - 1)
        candidates = order[places]
        rows[possible] = np.where(self._keys[candidates] == keys, candidates, -1)
        return rows

    def _sorted_order(self) -> NDArray[np.intp]:
        if self._order is None:
            order = np.argsort(self._keys, kind="stable")
            ids = self._keys[order]
            same = np.flatnonzero(ids[1:] == ids[:-1])
            if len(same):
                first, second = order[same[0]], order[same[0] + 1]
                raise StoreError(
                    "an img_id is there twice",
                    self._where,
                    "distinct img_ids",
                    f"{ids[same[0]]!r} in rows {first} and {second}",
                    "the file is damaged; convert its source again",
                )
            self._order = order
        return self._order
