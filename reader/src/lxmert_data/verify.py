"""Reads a whole store and compares it with its checksums (docs/format.md)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO

import numpy as np

from ._format.header import CHECKSUM_ORDER, Header, Tensor, find_header_checksum
from ._format.mapped_file import Identity, MappedFile, reopen
from .errors import StoreError

_CHUNK_ROWS = 32
_DATA_ALIGNMENT = 32 * 1024


@dataclass(frozen=True)
class DamagedImage:
    """An image whose bytes do not give its checksum."""

    index: int
    img_id: str
    expected: int
    got: int

    def __str__(self) -> str:
        return f"row {self.index}, {self.img_id}: CRC-32 {self.expected:08x} expected, {self.got:08x} got"


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found: `problems` of the file as a whole, and the `damaged` images."""

    path: str
    rows: int
    problems: tuple[str, ...]
    damaged: tuple[DamagedImage, ...]

    @property
    def ok(self) -> bool:
        return not self.problems and not self.damaged


def verify_file(path: str, identity: Identity | None = None) -> VerifyReport:
    """Checks the store at `path`; memory stays flat. Raises StoreError if it cannot be opened or has changed."""
    file = MappedFile(path) if identity is None else reopen(path, identity)
    header = file.header
    file.close()
    with ExitStack() as stack:
        # One handle a tensor keeps each of them sequential for the kernel's read-ahead.
        handles = {name: stack.enter_context(open(path, "rb", buffering=0)) for name in header.tensors}
        problems = [*_check_header(path, header), *_check_table(header, handles)]
        damaged: list[DamagedImage] = []
        ids: list[bytes] = []
        for begin in range(0, header.rows, _CHUNK_ROWS):
            end = min(begin + _CHUNK_ROWS, header.rows)
            chunk_ids = read_ids(header, handles, begin, end)
            ids.extend(chunk_ids)
            damaged.extend(_check_rows(header, handles, begin, end, chunk_ids))
    problems.extend(_check_ids(ids))
    return VerifyReport(path, header.rows, tuple(problems), tuple(damaged))


def _check_header(path: str, header: Header) -> Iterator[str]:
    with open(path, "rb") as file:
        raw = bytearray(file.read(header.data_start))
    digits = find_header_checksum(bytes(raw))
    if digits is None:
        yield "the header checksum cannot be found in the header"
        return
    expected = raw[slice(*digits)].decode()
    raw[slice(*digits)] = b"00000000"
    got = f"{zlib.crc32(raw):08x}"
    if got != expected:
        yield (f"the header is damaged or was written by another tool: CRC-32 {expected} expected, {got} got")
    elif header.data_start % _DATA_ALIGNMENT:
        yield f"the data section begins at {header.data_start}, not on a multiple of {_DATA_ALIGNMENT}"


def _check_table(header: Header, handles: dict[str, FileIO]) -> Iterator[str]:
    checksum = 0
    for name in ("crc32", "source_form"):
        if name in header.tensors:
            checksum = zlib.crc32(_read(handles[name], header.tensors[name]), checksum)
    expected, got = header.metadata["crc32_table"], f"{checksum:08x}"
    if got != expected:
        yield f"the table of checksums or source_form is damaged: CRC-32 {expected} expected, {got} got"


def _check_rows(
    header: Header, handles: dict[str, FileIO], begin: int, end: int, ids: list[bytes]
) -> Iterator[DamagedImage]:
    tensors = [
        (read_rows(handles[name], header, name, begin, end), row_bytes(header, name))
        for name in CHECKSUM_ORDER
        if name in header.tensors
    ]
    table = np.frombuffer(read_rows(handles["crc32"], header, "crc32", begin, end), "<u4").tolist()
    for at in range(end - begin):
        checksum = 0
        for data, size in tensors:
            checksum = zlib.crc32(data[at * size : (at + 1) * size], checksum)
        checksum = zlib.crc32(ids[at], checksum)
        if checksum != table[at]:
            yield DamagedImage(begin + at, ids[at].decode("utf-8", "replace"), table[at], checksum)


def _check_ids(ids: list[bytes]) -> Iterator[str]:
    seen: dict[bytes, int] = {}
    for index, key in enumerate(ids):
        if not key:
            yield f"row {index}: the img_id is empty"
        elif b"\0" in key:
            yield f"row {index}: the img_id {key!r} has a zero byte inside"
        elif key in seen:
            yield f"row {index}: the img_id {key!r} is that of row {seen[key]} too"
        seen.setdefault(key, index)
        try:
            key.decode("utf-8")
        except UnicodeDecodeError:
            yield f"row {index}: the img_id {key!r} is no UTF-8"


def read_ids(header: Header, handles: dict[str, FileIO], begin: int, end: int) -> list[bytes]:
    """The img_ids of rows `begin` to `end`, without their padding."""
    data = bytes(read_rows(handles["img_id"], header, "img_id", begin, end))
    width = row_bytes(header, "img_id")
    return [data[at * width : (at + 1) * width].rstrip(b"\0") for at in range(end - begin)]


def row_bytes(header: Header, name: str) -> int:
    """Bytes of one row of a tensor."""
    tensor = header.tensors[name]
    return (tensor.end - tensor.start) // header.rows


def read_rows(file: FileIO, header: Header, name: str, begin: int, end: int) -> memoryview:
    """The bytes of rows `begin` to `end` of a tensor."""
    tensor, size = header.tensors[name], row_bytes(header, name)
    return _read(file, Tensor(tensor.dtype, (), tensor.start + begin * size, tensor.start + end * size))


def _read(file: FileIO, span: Tensor) -> memoryview:
    """The bytes of a span; a plain read, since a bad disk sector under a mapping would kill the process."""
    buffer = memoryview(bytearray(span.end - span.start))
    file.seek(span.start)
    done = 0
    while done < len(buffer):
        count = file.readinto(buffer[done:])
        if not count:
            raise StoreError(
                "the file became shorter while it was read",
                str(file.name),
                f"{span.end} bytes",
                f"{span.start + done} bytes",
                "see which program writes to it, and verify again",
            )
        done += count
    return buffer
