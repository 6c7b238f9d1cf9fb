"""Memory for batches. Fresh memory costs more than the copy into it: every page of it is a fault.

In the main process, memory of batches that nobody holds any more is used again, in huge pages where the system has
them. In a worker of a DataLoader it is shared memory, so that the batch need not be copied to send it. Pinned memory
comes from PyTorch, which keeps it too.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import weakref

import numpy as np
import torch

_LARGE_BYTES = 1 << 20
_HUGE_PAGE_BYTES = 2 << 20
_KEPT_BLOCKS = 4


class BatchMemory:
    """Gives uninitialised tensors; see the module."""

    def __init__(self, pin_memory: bool = False) -> None:
        self.pin_memory = pin_memory
        self._free: list[mmap.mmap] = []

    def take(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """An uninitialised CPU tensor. Its memory is used again only after its last view is gone."""
        if torch.utils.data.get_worker_info() is not None:
            return _take_shared(shape, dtype)
        if self.pin_memory and torch.cuda.is_available():
            return torch.empty(shape, dtype=dtype, pin_memory=True)
        size = math.prod(shape) * torch.empty(0, dtype=dtype).element_size()
        if size < _LARGE_BYTES:
            return torch.empty(shape, dtype=dtype)
        return self._lease(size).view(dtype).view(shape)

    def _lease(self, size: int) -> torch.Tensor:
        block = self._find(size)
        # The array, not the block, is what the tensor holds: when the tensor goes, the array goes, and the block is
        # free for the next batch.
        array = np.frombuffer(block, np.uint8, size)
        weakref.finalize(array, self._give_back, block).atexit = False
        return torch.from_numpy(array)

    def _find(self, size: int) -> mmap.mmap:
        # Any thread may give back or take meanwhile; a lock would wait for ever where this very thread gives back.
        for block in self._free.copy():
            if size <= len(block) <= 2 * size + _HUGE_PAGE_BYTES:
                with contextlib.suppress(ValueError):  # another thread has it
                    self._free.remove(block)
                    return block
        return _map_memory(-(-size // _HUGE_PAGE_BYTES) * _HUGE_PAGE_BYTES)

    def _give_back(self, block: mmap.mmap) -> None:
        self._free.append(block)
        del self._free[:-_KEPT_BLOCKS]

    def __reduce__(self) -> tuple[type[BatchMemory], tuple[bool]]:
        return BatchMemory, (self.pin_memory,)


def _map_memory(size: int) -> mmap.mmap:
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size)
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


def _take_shared(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    # As PyTorch's own collate function does it; there is no public way to new shared memory without a copy.
    empty = torch.empty(0, dtype=dtype)
    storage = (empty._typed_storage if hasattr(empty, "_typed_storage") else empty.storage)()
    return empty.new(storage._new_shared(math.prod(shape))).view(shape)
