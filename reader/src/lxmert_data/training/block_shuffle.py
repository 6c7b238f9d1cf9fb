"""An order that is random but reads a store in large pieces, for stores larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .._format.read_ahead import count_disk_reads

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PIECE_IMAGES = 32
# After so many requests that read nothing, the data are taken to be in memory, and only every so-manieth is made.
_WARM_PIECES = 8


class BlockShuffleSampler(torch.utils.data.Sampler):  # type: ignore[misc,name-defined,unused-ignore]
    """Shuffles blocks of neighbouring images, then the items of some blocks, a window, among each other.

    Every item comes once an epoch. Only two windows need to be in memory: while one is used, the kernel is asked for
    the next, block by block. A window holds `window_blocks` blocks of `block_images` images; 8 x 1024 are 2.4 GB in
    f32. `dataset` is one of this package (it has `places` and `source`).

    The order depends on `seed` and the epoch alone. Each iteration begins the next epoch; `set_epoch` names it. With
    `world_size` processes, process `rank` takes every `world_size`-th item of the same order; as in PyTorch's
    DistributedSampler, the first items come again where the division leaves a rest, or with `drop_last` the rest goes.
    """

    def __init__(
        self,
        dataset: Any,
        block_images: int = 1024,
        window_blocks: int = 8,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        read_ahead: bool = True,
    ) -> None:
        if block_images < 1 or window_blocks < 1 or not 0 <= rank < world_size:
            raise ValueError("block_images and window_blocks are at least 1, rank is below world_size")
        self._dataset = dataset
        self._window_blocks = window_blocks
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._drop_last = drop_last
        self._read_ahead = read_ahead
        self._epoch = 0
        images, image_of = np.unique(dataset.places[:, 0], return_inverse=True)
        image_of = image_of.reshape(-1)
        # Items by image, and where each block of images begins among them.
        self._items = np.argsort(image_of, kind="stable")
        edges = np.arange(0, len(images) + block_images, block_images)
        self._edges = np.searchsorted(image_of[self._items], np.minimum(edges, len(images)))

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next iteration."""
        self._epoch = epoch

    def __len__(self) -> int:
        count, ranks = len(self._items), self._world_size
        return count // ranks if self._drop_last else -(-count // ranks)

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng([self._seed, self._epoch])
        self._epoch += 1
        return self._take_share(self._order(random))

    def _take_share(self, order: Iterator[NDArray[np.int64]]) -> Iterator[int]:
        """This rank's items of the order that all ranks have in common."""
        ranks, wanted, seen = self._world_size, len(self), 0
        first: list[int] = []
        for items in order:
            if len(first) < ranks:
                first.extend(items[: ranks - len(first)].tolist())
            begin = (self._rank - seen) % ranks
            seen += len(items)
            share = items[begin::ranks][:wanted]
            wanted -= len(share)
            yield from share.tolist()
        if wanted:
            yield first[(self._rank - seen) % ranks % len(first)]

    def _order(self, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """All items of the epoch in pieces; asks for the images of the window after, a piece a piece."""
        blocks = random.permutation(len(self._edges) - 1)
        windows = [blocks[at : at + self._window_blocks] for at in range(0, len(blocks), self._window_blocks)]
        ahead = _Requests(self._dataset) if self._read_ahead else None
        for number, window in enumerate(windows):
            items = self._items_of(window)
            random.shuffle(items)
            if ahead is not None:
                ahead.begin(self._items_of(windows[number + 1]) if number + 1 < len(windows) else items[:0])
            pieces = max(1, ahead.pieces if ahead is not None else 1)
            for piece in np.array_split(items, pieces):
                if ahead is not None:
                    ahead.request_next()
                yield piece

    def _items_of(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        parts = [self._items[self._edges[block] : self._edges[block + 1]] for block in blocks.tolist()]
        return np.concatenate(parts)


class _Requests:
    """Asks for the images of one window, in pieces of neighbouring images."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._pieces: list[NDArray[np.int64]] = []
        self._next = 0
        self._without_read = 0

    def begin(self, items: NDArray[np.int64]) -> None:
        places = np.unique(self._dataset.places[items])
        self._pieces = [places[at : at + _PIECE_IMAGES] for at in range(0, len(places), _PIECE_IMAGES)]
        self._next = 0

    @property
    def pieces(self) -> int:
        return len(self._pieces)

    def request_next(self) -> None:
        if self._next >= len(self._pieces):
            return
        piece = self._pieces[self._next]
        self._next += 1
        if self._without_read >= _WARM_PIECES and self._next % _WARM_PIECES:
            return
        before = count_disk_reads()
        self._dataset.source.prefetch(piece, ("features",))
        read = before is None or count_disk_reads() != before
        self._without_read = 0 if read else self._without_read + 1
