"""Maps one store into memory, read-only, and hands out NumPy views of its tensors."""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import StoreError
from .header import LENGTH_BYTES, Header, parse_header, read_header_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

# BF16 has no NumPy dtype; its bits are read as U16 and widened in `gather.py`.
NUMPY_DTYPES = {
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "U32": "<u4",
    "U8": "|u1",
}


@dataclass(frozen=True)
class Identity:
    """What must be unchanged when a store is opened again: bytes, modification time, checksum of the header."""

    size: int
    mtime_ns: int
    header_crc32: int


class OpenFile(Protocol):
    """An open store, mapped or not."""

    header: Header
    identity: Identity
    arrays: dict[str, NDArray[Any]]

    def will_need(self, start: int, end: int) -> None: ...

    def close(self) -> None: ...


class MappedFile(OpenFile):
    """An open store: `header`, `identity`, and `arrays`, one read-only view a tensor."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            length = file.read(LENGTH_BYTES)
            raw = file.read(read_header_size(length, status.st_size, path))
            self.header = parse_header(raw, status.st_size, path)
            self.identity = Identity(status.st_size, status.st_mtime_ns, zlib.crc32(raw, zlib.crc32(length)))
            self._map = mmap.mmap(file.fileno(), status.st_size, access=mmap.ACCESS_READ)
        self.arrays = {
            name: np.ndarray(tensor.shape, NUMPY_DTYPES[tensor.dtype], self._map, tensor.start)
            for name, tensor in self.header.tensors.items()
        }

    def will_need(self, start: int, end: int) -> None:
        """Asks the kernel to bring the bytes [start, end) of the file into memory; does not wait."""
        if hasattr(mmap, "MADV_WILLNEED"):
            start -= start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, start, end - start)

    def close(self) -> None:
        """Lets the mapping go; it stays in memory until the last view of it is gone."""
        # Not mmap.close(): NumPy keeps the map alive but does not lock it, so views left over would point nowhere.
        self.arrays.clear()
        del self._map


def check_identity(file: OpenFile, path: str, identity: Identity) -> None:
    """Raises StoreError, and lets the file go, where a store that was open before is another one by now."""
    if file.identity != identity:
        got = file.identity
        file.close()
        raise StoreError(
            "the store has changed since it was opened",
            path,
            _describe(identity),
            _describe(got),
            "open it again with FeatureStore(path) and start the workers anew",
        )


def reopen(path: str, identity: Identity) -> MappedFile:
    """Opens a store that was open before; raises StoreError when it is another file by now."""
    file = MappedFile(path)
    check_identity(file, path, identity)
    return file


def _describe(identity: Identity) -> str:
    return f"{identity.size} bytes, mtime {identity.mtime_ns} ns, header CRC-32 {identity.header_crc32:08x}"
