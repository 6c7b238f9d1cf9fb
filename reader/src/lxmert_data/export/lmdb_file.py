"""An LMDB of pickled images with the list of all under `keys`, written with lmdb and compared byte by byte."""

from __future__ import annotations

import io
import os
import pickle
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lmdb
import numpy as np

from ..errors import StoreError
from .checked_rows import Rows
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer

_LIST_KEY = b"keys"
_PICKLE_PROTOCOL = 4
# The longest key that LMDB is built for.
_MAX_KEY_BYTES = 511


class LmdbWriter(Writer):
    """Subclasses say what an image is; `keys` is a list of the bytes of all img_ids, in order."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @abstractmethod
    def make_item(self, img_id: str, image: Columns) -> dict[str, Any]:
        """What is pickled for an image."""

    @property
    def row_bytes(self) -> int:
        # A large value takes whole pages; its key and its entry in the tree, and dead pages, some more.
        return self.plan.feature_bytes + 4 * 4096

    def encode(self, img_id: str, image: Columns) -> bytes:
        """The record of an image."""
        buffer = io.BytesIO()
        _PlainPickler(buffer, _PICKLE_PROTOCOL).dump(self.make_item(img_id, image))
        return buffer.getvalue()

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        _check_keys(self.plan.ids)
        # Addresses only: the file grows as it is written (writemap=True would make it as large, and sparse).
        map_size = 2 * len(self.plan.ids) * self.row_bytes + (64 << 20)
        with lmdb.open(self.plan.path, map_size=map_size, sync=False, metasync=False, max_dbs=0) as env:
            yield _LmdbSink(self, env)
            with env.begin(write=True) as txn:
                txn.put(_LIST_KEY, _pickle_ids(self.plan.ids))
            env.sync(force=True)
        os.remove(os.path.join(self.plan.path, "lock.mdb"))

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        with lmdb.open(self.plan.path, readonly=True, lock=False, max_dbs=0) as env, env.begin(buffers=True) as txn:
            yield _LmdbReader(self, env.stat()["entries"] - 1, txn)


class _LmdbSink(Sink):
    def __init__(self, writer: LmdbWriter, env: Any) -> None:
        self._writer = writer
        self._env = env

    def add(self, rows: Rows) -> None:
        # A transaction for these few rows: what it has changed waits in memory for its end.
        with self._env.begin(write=True) as txn:
            for at, img_id in enumerate(rows.ids):
                txn.put(img_id.encode("utf-8"), self._writer.encode(img_id, rows.image(at)))


class _LmdbReader(Reader):
    """Compares bytes with those that the store gives: to unpickle what is on the disk would run what it says."""

    def __init__(self, writer: LmdbWriter, count: int, txn: Any) -> None:
        self._writer = writer
        self._count = count
        self._txn = txn
        self._has_list = bytes(txn.get(_LIST_KEY, b"")) == _pickle_ids(writer.plan.ids)

    @property
    def count(self) -> int:
        return self._count

    def find_difference(self, row: int, img_id: str, wanted: Columns) -> str | None:
        if not self._has_list:
            return "the list of images"
        found = bytes(self._txn.get(img_id.encode("utf-8"), b""))
        return None if found == self._writer.encode(img_id, wanted) else "the record"


class Stand:
    """Something that is pickled as a call of a function, so that it takes less room than what the call returns."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)


class _PlainPickler(pickle.Pickler):
    """Names nothing inside NumPy but `numpy.ndarray`: NumPy 2's own pickles cannot be read by NumPy 1.25 and older."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.ndarray):
            return np.ndarray, (value.shape, value.dtype.str, value.tobytes())
        if isinstance(value, Stand):
            return value.call
        return NotImplemented


def _check_keys(ids: Sequence[str]) -> None:
    for img_id in ids:
        if img_id == _LIST_KEY.decode() or len(img_id.encode("utf-8")) > _MAX_KEY_BYTES:
            raise StoreError(
                "this LMDB cannot hold this img_id",
                None,
                f"at most {_MAX_KEY_BYTES} bytes, and not 'keys', the list of all images",
                repr(img_id),
            )


def _pickle_ids(ids: Sequence[str]) -> bytes:
    return pickle.dumps([img_id.encode("utf-8") for img_id in ids], _PICKLE_PROTOCOL)
