"""MMF's LMDB, written with lmdb: a pickled dict for each image under its img_id, and the list of all under `keys`."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lmdb
import numpy as np

from .._format.header import BOX_COUNT
from ..errors import StoreError
from .checked_rows import Rows
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer

_LIST_KEY = b"keys"
_PICKLE_PROTOCOL = 4


class LmdbWriter(Writer):
    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        # A large value takes whole pages; its key and its entry in the tree, and dead pages, some more.
        return self.plan.feature_bytes + 3 * 4096

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        if _LIST_KEY.decode() in self.plan.ids:
            raise StoreError("MMF's LMDB cannot hold this img_id", None, "another", "'keys', the list of all images")
        # Addresses only: the file grows as it is written (writemap=True would make it as large, and sparse).
        map_size = 2 * len(self.plan.ids) * self.row_bytes + (64 << 20)
        with lmdb.open(self.plan.path, map_size=map_size, sync=False, metasync=False, max_dbs=0) as env:
            yield _LmdbSink(env)
            with env.begin(write=True) as txn:
                txn.put(_LIST_KEY, _pickle_ids(self.plan.ids))
            env.sync(force=True)
        os.remove(os.path.join(self.plan.path, "lock.mdb"))

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        with lmdb.open(self.plan.path, readonly=True, lock=False, max_dbs=0) as env, env.begin(buffers=True) as txn:
            yield _LmdbReader(env.stat()["entries"] - 1, txn, self.plan.ids)


make_writer = LmdbWriter


class _LmdbSink(Sink):
    def __init__(self, env: Any) -> None:
        self._env = env

    def add(self, rows: Rows) -> None:
        # A transaction for these few rows: what it has changed waits in memory for its end.
        with self._env.begin(write=True) as txn:
            for at, img_id in enumerate(rows.ids):
                txn.put(img_id.encode("utf-8"), _pickle_image(img_id, rows.image(at)))


class _LmdbReader(Reader):
    """Compares bytes with those that the store gives: to unpickle what is on the disk would run what it says."""

    def __init__(self, count: int, txn: Any, ids: Sequence[str]) -> None:
        self._count = count
        self._txn = txn
        self._has_list = bytes(txn.get(_LIST_KEY, b"")) == _pickle_ids(ids)

    @property
    def count(self) -> int:
        return self._count

    def find_difference(self, row: int, img_id: str, wanted: Columns) -> str | None:
        if not self._has_list:
            return "the list of images"
        found = bytes(self._txn.get(img_id.encode("utf-8"), b""))
        return None if found == _pickle_image(img_id, wanted) else "the record"


class _PlainPickler(pickle.Pickler):
    """Names nothing inside NumPy but `numpy.ndarray`: NumPy 2's own pickles cannot be read by NumPy 1.25 and older."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.ndarray):
            return np.ndarray, (value.shape, value.dtype.str, value.tobytes())
        return NotImplemented


def _pickle_image(img_id: str, image: Columns) -> bytes:
    height, width = image["image_size"].tolist()
    item = {
        "feature_path": img_id,
        "features": image["features"],
        "image_height": height,
        "image_width": width,
        "num_boxes": BOX_COUNT,
        "objects": image.get("objects_id"),
        "cls_prob": None,
        "bbox": image["boxes"],
    }
    buffer = io.BytesIO()
    _PlainPickler(buffer, _PICKLE_PROTOCOL).dump(item)
    return buffer.getvalue()


def _pickle_ids(ids: Sequence[str]) -> bytes:
    return pickle.dumps([img_id.encode("utf-8") for img_id in ids], _PICKLE_PROTOCOL)
