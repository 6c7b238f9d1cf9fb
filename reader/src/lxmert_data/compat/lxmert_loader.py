"""LXMERT's `load_obj_tsv` on a store: the same list of dicts, but nothing is loaded until it is looked at."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, overload

from ..errors import StoreError, StoreWarning
from ..store import FeatureStore
from .lazy_datum import LazyDatum


class LazyData(Sequence[LazyDatum]):
    """What `load_obj_tsv` returns: as LXMERT's list of dicts, for reading. Each access makes a new item."""

    def __init__(self, store: FeatureStore, rows: range) -> None:
        self.store = store
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, item: int) -> LazyDatum: ...
    @overload
    def __getitem__(self, item: slice) -> LazyData: ...
    def __getitem__(self, item: int | slice) -> LazyDatum | LazyData:
        if isinstance(item, slice):
            return LazyData(self.store, self._rows[item])
        return LazyDatum(self.store, self._rows[item])

    def __iter__(self) -> Iterator[LazyDatum]:
        return (LazyDatum(self.store, index) for index in self._rows)

    def __add__(self, other: Sequence[Any]) -> list[Any]:
        return [*self, *other]

    def __radd__(self, other: Sequence[Any]) -> list[Any]:
        return [*other, *self]

    def __repr__(self) -> str:
        return f"<{len(self)} images of {self.store!r}>"


def load_obj_tsv(fname: str | os.PathLike[str], topk: int | None = None) -> LazyData:
    """The images of a store in row order, as LXMERT's function of this name gives those of a TSV.

    `fname` is a store, or the path of a TSV, beside which the store of the same name is opened (X.tsv:
    X.safetensors); the TSV itself need not be there. Each item is a dict with LXMERT's keys, read-only arrays, and
    float32 features of shape [36, 2048]. `topk` takes the first images; None, -1 and, as in LXMERT, 0 take all.
    Raises StoreError where there is no usable store.
    """
    path = os.fspath(fname)
    store_path = path[: -len(".tsv")] + ".safetensors" if path.endswith(".tsv") else path
    if not os.path.exists(store_path):
        raise StoreError(
            "there is no store to load",
            path,
            store_path,
            "no such file",
            f"make it: lxmert-data convert {path}" if path.endswith(".tsv") else "check the path",
        )
    store = FeatureStore(store_path)
    if path != store_path:
        _compare_with_tsv(store, path)
    count = len(store) if topk is None or topk < 1 else min(topk, len(store))
    return LazyData(store, range(count))


def _compare_with_tsv(store: FeatureStore, tsv_path: str) -> None:
    """Warns when the TSV beside the store is not the one it was made from; sizes tell, reading would take minutes."""
    sources = store.metadata["sources"]
    expected = sources[0].get("size") if len(sources) == 1 and isinstance(sources[0], dict) else None
    if expected is not None and os.path.exists(tsv_path) and os.path.getsize(tsv_path) != expected:
        warnings.warn(
            f"{store.path} was made from a TSV of {expected} bytes, but {tsv_path} has "
            f"{os.path.getsize(tsv_path)}; convert it again if it is newer",
            StoreWarning,
            stacklevel=3,
        )
