"""An open store that is read, not mapped: a file that becomes shorter is an error then and not the end of the process.

A mapped file that is truncated, or a disk that fails under it, ends the process by SIGBUS at the next touch.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import StoreError
from .header import LENGTH_BYTES, Tensor, parse_header, read_header_size
from .mapped_file import NUMPY_DTYPES, Identity, OpenFile

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PreadFile(OpenFile):
    """Like MappedFile; `arrays` are PreadArrays."""

    def __init__(self, path: str) -> None:
        self._handle = _Handle(os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)))
        status = os.fstat(self._handle.number)
        length = _read_at(self._handle.number, 0, min(LENGTH_BYTES, status.st_size), path)
        raw = _read_at(self._handle.number, LENGTH_BYTES, read_header_size(length, status.st_size, path), path)
        self.header = parse_header(raw, status.st_size, path)
        self.identity = Identity(status.st_size, status.st_mtime_ns, zlib.crc32(raw, zlib.crc32(length)))
        self.arrays: dict[str, Any] = {
            name: PreadArray(self._handle, tensor, path) for name, tensor in self.header.tensors.items()
        }

    def will_need(self, start: int, end: int) -> None:
        """Asks the kernel to bring the bytes [start, end) of the file into memory; does not wait."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._handle.number, start, end - start, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """Lets the file go; it is closed with the last array of it."""
        self.arrays = {}


class _Handle:
    """A descriptor that is closed when the last object that holds it is gone."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class PreadArray:
    """A tensor in a file: `array[row]`, `array[rows]`, `array[slice]` and `np.asarray(array)` read what they need."""

    def __init__(self, handle: _Handle, tensor: Tensor, path: str) -> None:
        self._handle = handle
        self._start = tensor.start
        self._path = path
        self.shape = tensor.shape
        self.dtype = np.dtype(NUMPY_DTYPES[tensor.dtype])
        self.ndim = len(tensor.shape)
        self.itemsize = self.dtype.itemsize
        self._row_bytes = self.itemsize * int(np.prod(tensor.shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, item: Any) -> Any:
        if not isinstance(item, tuple):
            return self._read_rows(item)
        rows, *rest = item
        found = self._read_rows(rows)
        return found[tuple(rest)] if _is_number(rows) else found[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        array = self._read_range(0, len(self))
        return array if dtype is None else array.astype(dtype)

    def _read_rows(self, rows: Any) -> NDArray[Any]:
        if isinstance(rows, slice):
            begin, end, step = rows.indices(len(self))
            if step == 1:
                return self._read_range(begin, max(begin, end))
            rows = range(begin, end, step)
        if _is_number(rows):
            at = range(len(self))[rows]
            one: NDArray[Any] = self._read_range(at, at + 1)[0]
            return one
        numbers = np.asarray(rows)
        if numbers.dtype == np.bool_:
            numbers = np.flatnonzero(numbers)
        out = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        for place, row in enumerate(numbers.tolist()):
            out[place] = self._read_rows(row)
        return out

    def _read_range(self, begin: int, end: int) -> NDArray[Any]:
        size = (end - begin) * self._row_bytes
        data = _read_at(self._handle.number, self._start + begin * self._row_bytes, size, self._path)
        array: NDArray[Any] = np.frombuffer(data, self.dtype).reshape(end - begin, *self.shape[1:])
        return array


def _is_number(item: Any) -> bool:
    return hasattr(item, "__index__") and np.ndim(item) == 0


def _read_at(handle: int, start: int, size: int, path: str) -> bytes:
    """Bytes [start, start + size); raises StoreError where the file ends before."""
    parts, done = [], 0
    while done < size:
        part = os.pread(handle, size - done, start + done)
        if not part:
            raise StoreError(
                "the file became shorter while it was read",
                path,
                f"{start + size} bytes",
                f"{start + done} bytes",
                "see which program writes to it, then open it again",
            )
        parts.append(part)
        done += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
