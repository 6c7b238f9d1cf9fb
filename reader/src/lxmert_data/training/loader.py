"""A DataLoader whose workers are threads: batches are gathered beside each other and handed over without a copy.

Sending a batch between processes costs more than gathering it. Gathering lets go of Python's lock, so threads do it
side by side, in memory that is used again as soon as nobody holds the batch.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from .batches import pin
from .collate import collate

_BATCHES_AHEAD = 2


class ThreadedDataLoader(torch.utils.data.DataLoader):  # type: ignore[misc,name-defined,unused-ignore]
    """PyTorch's DataLoader in everything but `num_workers`, which counts threads; 0 gathers when a batch is asked for.

    It is meant for the datasets of this package, whose batches are gathered at once. Order, epochs and draws are those
    of PyTorch's loader: the sampler, a dataset's `plan_items` and `collate_fn` (default `collate`) run in the thread
    that iterates, in order, and only gathering runs in others. At most `prefetch_factor` (default 2) batches for each
    thread are under way. An error is raised where its batch would have come.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        *,
        num_workers: int = 0,
        prefetch_factor: int = _BATCHES_AHEAD,
        collate_fn: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        if num_workers < 0 or prefetch_factor < 1:
            raise ValueError("num_workers must be at least 0 and prefetch_factor at least 1")
        super().__init__(dataset, batch_size, shuffle, collate_fn=collate_fn or collate, **options)
        if self.batch_sampler is None:
            raise ValueError("batch_size=None has no batches to gather")
        self.num_threads = num_workers
        self._ahead = prefetch_factor * num_workers

    def __iter__(self) -> Iterator[Any]:
        # As PyTorch's loader does before each epoch, so that the samplers draw the same order from the same seed.
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)
        batches = map(self._plan, self.batch_sampler)
        if self.num_threads == 0:
            return (self._finish(self._gather(plan)) for plan in batches)
        return self._iterate_threads(batches)

    def _iterate_threads(self, plans: Iterator[Any]) -> Iterator[Any]:
        pool = ThreadPoolExecutor(self.num_threads, thread_name_prefix="lxmert-data-gather")
        under_way: collections.deque[Future[Any]] = collections.deque()
        try:
            for plan in plans:
                under_way.append(pool.submit(self._gather, plan))
                if len(under_way) > self._ahead:
                    yield self._finish(under_way.popleft().result())
            while under_way:
                yield self._finish(under_way.popleft().result())
        finally:
            for future in under_way:
                future.cancel()
            pool.shutdown()

    def _plan(self, indices: Any) -> Any:
        plan_items = getattr(self.dataset, "plan_items", None)
        return indices if plan_items is None else plan_items(indices)

    def _gather(self, plan: Any) -> Any:
        for name in ("gather_items", "__getitems__"):
            if hasattr(self.dataset, name):
                return getattr(self.dataset, name)(plan)
        return [self.dataset[index] for index in plan]

    def _finish(self, batch: Any) -> Any:
        result = self.collate_fn(batch)
        return pin(result) if self.pin_memory and torch.cuda.is_available() else result
