"""One item of LXMERT's image list: a dict whose values are made when they are asked for."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any

import numpy as np

from .._format.gather import widen_features
from .._format.header import BOX_COUNT
from .._format.metadata import TEN_COLUMNS

if TYPE_CHECKING:
    from ..store import FeatureStore

KEYS = tuple(TEN_COLUMNS)
SIX_COLUMN_KEYS = ("img_id", "img_h", "img_w", "num_boxes", "boxes", "features")


class LazyDatum(dict[str, Any]):
    """A dict with LXMERT's keys. Until it is changed it holds a store and a row number and pickles as these two.

    Values: img_id str, img_h, img_w and num_boxes int, the others read-only arrays: views of the mapped file, and of
    an f16 or bf16 store new float32 features at every access. The first change turns it into a plain dict of views.
    """

    __slots__ = ("_index", "_store")

    def __init__(self, store: FeatureStore, index: int) -> None:
        super().__init__()
        self._store: FeatureStore | None = store
        self._index = index

    def __missing__(self, key: str) -> Any:
        # dict calls this for every key while the dict itself is empty.
        if self._store is None or key not in self._keys():
            raise KeyError(key)
        return _read_value(self._store, self._index, key)

    def _keys(self) -> tuple[str, ...]:
        assert self._store is not None
        return KEYS if self._store.has_objects else SIX_COLUMN_KEYS

    def _settle(self) -> None:
        """Becomes a plain dict, of views still."""
        if self._store is not None:
            values = {key: self[key] for key in self._keys()}
            self._store = None
            super().update(values)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) if self._store is None else key in self._keys()

    def __iter__(self) -> Iterator[str]:
        return super().__iter__() if self._store is None else iter(self._keys())

    def __reversed__(self) -> Iterator[str]:
        return super().__reversed__() if self._store is None else reversed(self._keys())

    def __len__(self) -> int:
        return super().__len__() if self._store is None else len(self._keys())

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        return KeysView(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return ValuesView(self)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return ItemsView(self)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def copy(self) -> dict[str, Any]:
        return {key: self[key] for key in self}

    def __eq__(self, other: object) -> bool:
        return self.copy() == (other.copy() if isinstance(other, LazyDatum) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        self._settle()
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._settle()
        super().__delitem__(key)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._settle()
        return super().setdefault(key, default)

    def update(self, *others: Any, **values: Any) -> None:
        self._settle()
        super().update(*others, **values)

    def pop(self, *arguments: Any) -> Any:
        self._settle()
        return super().pop(*arguments)

    def popitem(self) -> tuple[str, Any]:
        self._settle()
        return super().popitem()

    def clear(self) -> None:
        self._store = None
        super().clear()

    def __reduce__(self) -> Any:
        return (dict, (self.copy(),)) if self._store is None else (LazyDatum, (self._store, self._index))

    def __repr__(self) -> str:
        return repr(self.copy())


def _read_value(store: FeatureStore, index: int, key: str) -> Any:
    if key == "img_id":
        return store.ids[index]
    if key == "num_boxes":
        return BOX_COUNT
    if key in ("img_h", "img_w"):
        return int(store.image_size[index, 0 if key == "img_h" else 1])
    if key != "features":
        return store.raw(key)[index]
    features = store.row_features(index)
    if features.dtype != np.float32:
        features = widen_features(features, store.dtype)
    features.setflags(write=False)
    return features
