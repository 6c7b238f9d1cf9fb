"""The page cache for bench/formats.py: files out of it, into it, how much of them is there; and limits of memory."""

from __future__ import annotations

import ctypes
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LIBC = ctypes.CDLL(None, use_errno=True)
_PAGE = mmap.PAGESIZE


def list_files(path: str) -> list[str]:
    return [entry.path for entry in os.scandir(path)] if os.path.isdir(path) else [path]


def disk_bytes(path: str) -> int:
    """What a file or folder takes on the disk."""
    return sum(os.stat(file).st_blocks * 512 for file in list_files(path))


def evict(path: str) -> None:
    os.sync()
    for file in list_files(path):
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def load(path: str) -> None:
    for file in list_files(path):
        with open(file, "rb", buffering=0) as handle:
            while handle.read(8 << 20):
                pass


def resident(path: str) -> float:
    """The part of the pages of a file or folder that are in memory, from 0 to 1, as mincore tells."""
    pages = there = 0
    for file in list_files(path):
        size = os.path.getsize(file)
        if size == 0:
            continue
        count = -(-size // _PAGE)
        with open(file, "rb") as handle:
            there += _count_resident(handle.fileno(), size, count)
        pages += count
    return there / max(pages, 1)


def _count_resident(handle: int, size: int, count: int) -> int:
    _LIBC.mmap.restype = ctypes.c_void_p
    _LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    _LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    _LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    address = _LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, handle, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap failed")
    vector = ctypes.create_string_buffer(count)
    failed = _LIBC.mincore(address, size, vector)
    _LIBC.munmap(address, size)
    if failed:
        raise OSError(ctypes.get_errno(), "mincore failed")
    return sum(byte & 1 for byte in vector.raw)


@contextmanager
def memory_limit(limit: int) -> Iterator[str | None]:
    """A cgroup, of version 2 or 1, whose processes and their page cache have `limit` bytes; None where none can be had.

    A process joins it by writing its id to the file that is given.
    """
    for root, file in (
        ("/sys/fs/cgroup", "memory.max"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ):
        folder = f"{root}/lxmert-data-bench-{os.getpid()}"
        try:
            os.mkdir(folder)
        except OSError:
            continue
        try:
            with open(f"{folder}/{file}", "w") as limit_file:
                limit_file.write(str(limit))
        except OSError:
            os.rmdir(folder)
            continue
        try:
            yield f"{folder}/cgroup.procs"
        finally:
            _remove_group(folder)
        return
    yield None


def _remove_group(folder: str) -> None:
    # Processes that have just ended may still be listed for a moment.
    for _ in range(100):
        try:
            os.rmdir(folder)
            return
        except OSError:
            time.sleep(0.1)
