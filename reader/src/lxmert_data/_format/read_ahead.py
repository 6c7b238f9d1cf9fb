"""Tells the kernel which rows a batch will touch before the copy waits for them one page at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from .mapped_file import OpenFile

with contextlib.suppress(ImportError):  # not on Windows
    import resource

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows from this size on are asked for one by one; smaller ones in blocks, each block once in a process.
_LARGE_ROW_BYTES = 32 * 1024
_BLOCK_BYTES = 16 * 1024
# After so many batches without a read from disk the rows are taken to be in memory.
_WARM_BATCHES = 4


def count_disk_reads() -> tuple[int, int] | None:
    """Blocks read and pages waited for by this thread so far; None where the system does not tell."""
    try:
        usage = resource.getrusage(resource.RUSAGE_THREAD)
    except (NameError, AttributeError):
        return None
    return usage.ru_inblock, usage.ru_majflt


class _History(threading.local):
    reads: tuple[int, int] | None = None
    warm_batches = 0


class ReadAhead:
    """Read-ahead requests for one mapped file."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._asked: dict[str, NDArray[np.bool_]] = {}
        # Of each thread by itself, as the counts of reads are.
        self._history = _History()

    def request_batch(self, rows: NDArray[np.int64], names: Iterable[str]) -> None:
        """Like `request`, but lets it be while batches come from memory, where asking would only cost time."""
        reads, history = count_disk_reads(), self._history
        # Unchanged since the batch before began: neither its requests nor its copy had to wait for the disk.
        history.warm_batches = history.warm_batches + 1 if reads is not None and reads == history.reads else 0
        history.reads = reads
        if history.warm_batches < _WARM_BATCHES:
            self.request(rows, names)

    def request(self, rows: NDArray[np.int64], names: Iterable[str]) -> None:
        """Requests `rows` of the named tensors; returns at once, reading goes on behind."""
        rows = np.unique(rows)
        if not len(rows):
            return
        for name in names:
            array = self._file.arrays[name]
            row_bytes = array.itemsize * int(np.prod(array.shape[1:]))
            start = self._file.header.tensors[name].start
            if row_bytes >= _LARGE_ROW_BYTES:
                self._request_runs(start, row_bytes, rows)
            else:
                first = (start + rows * row_bytes) // _BLOCK_BYTES
                last = (start + (rows + 1) * row_bytes - 1) // _BLOCK_BYTES
                self._request_runs(0, _BLOCK_BYTES, self._new_blocks(name, np.union1d(first, last)))

    def request_features(self, row: int) -> None:
        """Requests the features of one row."""
        tensor = self._file.header.tensors["features"]
        size = (tensor.end - tensor.start) // tensor.shape[0]
        self._file.will_need(tensor.start + row * size, tensor.start + (row + 1) * size)

    def _new_blocks(self, name: str, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        tensor = self._file.header.tensors[name]
        base = tensor.start // _BLOCK_BYTES
        asked = self._asked.get(name)
        if asked is None:
            asked = self._asked[name] = np.zeros(tensor.end // _BLOCK_BYTES - base + 1, np.bool_)
        new = blocks[~asked[blocks - base]]
        asked[new - base] = True
        return new

    def _request_runs(self, start: int, unit: int, units: NDArray[np.int64]) -> None:
        """Requests units of `unit` bytes, counted from `start`, neighbours together; `units` is sorted."""
        breaks = np.flatnonzero(np.diff(units) != 1) + 1
        size = self._file.identity.size
        for run in np.split(units, breaks):
            if len(run):
                end = start + (int(run[-1]) + 1) * unit
                self._file.will_need(start + int(run[0]) * unit, min(end, size))
