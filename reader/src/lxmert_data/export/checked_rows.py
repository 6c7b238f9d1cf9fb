"""Reads a store in order, a few rows at a time, and compares each image with its checksum on the way."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._format.gather import gather_features
from .._format.header import CHECKSUM_ORDER, Header
from .._format.mapped_file import MappedFile
from ..errors import StoreError
from ..verify import read_ids, read_rows, row_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_ROWS = 64

_NUMPY_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}


@dataclass(frozen=True)
class Rows:
    """Neighbours: `columns` has features [n, 36, 2048] in the dtype asked for and the store's other tensors."""

    begin: int
    ids: list[str]
    columns: dict[str, NDArray[Any]]

    def image(self, at: int) -> dict[str, NDArray[Any]]:
        """The columns of one image of these."""
        return {name: column[at] for name, column in self.columns.items()}


class CheckedRows:
    """A store as rows with features of `dtype`, f32 or f16. Raises StoreError at the first damaged image."""

    def __init__(self, path: str, dtype: str) -> None:
        file = MappedFile(path)
        self.path = path
        self.header: Header = file.header
        self.dtype = np.dtype("<f2" if dtype == "f16" else "<f4")
        self.ids = _decode_ids(file.arrays["img_id"], path)
        file.close()
        self.names = tuple(name for name in CHECKSUM_ORDER if name in self.header.tensors)

    def __len__(self) -> int:
        return self.header.rows

    def read_all(self) -> Iterator[Rows]:
        """Every row, in order; memory is bounded by `CHUNK_ROWS`."""
        yield from self.read(range(0, len(self), CHUNK_ROWS), CHUNK_ROWS)

    def read(self, begins: range | list[int], count: int) -> Iterator[Rows]:
        """Up to `count` rows from each of `begins` on."""
        with ExitStack() as stack:
            # One handle a tensor keeps each of them sequential for the kernel's read-ahead.
            names = (*self.names, "crc32", "img_id")
            handles = {name: stack.enter_context(open(self.path, "rb", buffering=0)) for name in names}
            for begin in begins:
                end = min(begin + count, len(self))
                data = {name: read_rows(handles[name], self.header, name, begin, end) for name in self.names}
                keys = read_ids(self.header, handles, begin, end)
                table = np.frombuffer(read_rows(handles["crc32"], self.header, "crc32", begin, end), "<u4")
                self._check(begin, data, keys, table)
                yield Rows(begin, [key.decode("utf-8") for key in keys], self._columns(begin, end - begin, data))

    def _check(self, begin: int, data: dict[str, memoryview], keys: list[bytes], table: NDArray[Any]) -> None:
        for at, key in enumerate(keys):
            checksum = 0
            for name in self.names:
                size = row_bytes(self.header, name)
                checksum = zlib.crc32(data[name][at * size : (at + 1) * size], checksum)
            if zlib.crc32(key, checksum) != table[at]:
                raise StoreError(
                    f"image {key.decode('utf-8', 'replace')} (row {begin + at}) is damaged",
                    self.path,
                    hint="run verify to see all damage, then convert again",
                )

    def _columns(self, begin: int, count: int, data: dict[str, memoryview]) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {}
        for name in self.names:
            tensor = self.header.tensors[name]
            columns[name] = np.frombuffer(data[name], _NUMPY_DTYPES[tensor.dtype]).reshape(count, *tensor.shape[1:])
        columns["features"] = self._features(begin, columns["features"])
        return columns

    def _features(self, begin: int, stored: NDArray[Any]) -> NDArray[Any]:
        if stored.dtype == self.dtype:
            return stored
        wide = np.empty(stored.shape, "<f4")
        gather_features(stored, self.header.dtype, np.arange(len(stored)), wide)
        if self.dtype == wide.dtype:
            return wide
        with np.errstate(over="ignore"):
            half = wide.astype("<f2")
        if np.isinf(half).any():
            row = begin + int(np.flatnonzero(np.isinf(half).any(axis=(1, 2)))[0])
            raise StoreError(
                f"the features of image {self.ids[row]} (row {row}) are too large for f16",
                self.path,
                "at most 65504",
                f"{wide[row - begin].max()}",
                "export with --dtype f32",
            )
        return half


def _decode_ids(column: NDArray[np.uint8], path: str) -> list[str]:
    raw = column.tobytes()
    width = column.shape[1]
    keys = [raw[at : at + width].rstrip(b"\0") for at in range(0, len(raw), width)]
    try:
        ids = [key.decode("utf-8") for key in keys]
    except UnicodeDecodeError:
        ids = []
    if len(ids) != len(keys) or "" in ids or len(set(ids)) != len(ids):
        raise StoreError("the img_ids are damaged", path, "distinct ids in UTF-8", None, "run verify on the store")
    return ids
