"""MMF's LMDB, written with lmdb: a pickled dict for each image under its img_id, and the list of all under `keys`."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import lmdb
import numpy as np

from ..errors import StoreError
from ..header import BOX_COUNT
from .checked_rows import Rows
from .plan import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

ReadImage = Callable[[int, str], Mapping[str, "NDArray[Any]"]]

_LIST_KEY = b"keys"
_PICKLE_PROTOCOL = 4


def row_bytes(plan: Plan) -> int:
    # A large value takes whole pages; its key and place in the tree, and dead pages, some more.
    return plan.feature_bytes + 3 * 4096


def make_companions(plan: Plan, on_warning: Callable[[str], None] | None) -> dict[str, bytes]:
    return {}


@contextmanager
def open_writer(plan: Plan) -> Iterator[_LmdbWriter]:
    if _LIST_KEY.decode() in plan.ids:
        raise StoreError("MMF's LMDB has no place for this img_id", None, "another", "'keys', the list of all images")
    # Addresses only: the file grows as it is written (writemap=True would make it as large, and sparse).
    map_size = 2 * len(plan.ids) * row_bytes(plan) + (64 << 20)
    with lmdb.open(plan.path, map_size=map_size, sync=False, metasync=False, max_dbs=0) as env:
        writer = _LmdbWriter(env)
        yield writer
        writer.close(plan)
        env.sync(True)
    os.remove(os.path.join(plan.path, "lock.mdb"))


@contextmanager
def open_reader(plan: Plan) -> Iterator[tuple[int, ReadImage]]:
    with lmdb.open(plan.path, readonly=True, lock=False, max_dbs=0) as env, env.begin(buffers=True) as txn:
        keys = pickle.loads(txn.get(_LIST_KEY, b""))

        def read_image(row: int, img_id: str) -> dict[str, NDArray[Any]]:
            item = pickle.loads(txn.get(keys[row], b""))
            if item["feature_path"] != img_id:
                return {}
            image = {"features": item["features"], "boxes": item["bbox"]}
            if "objects_id" in plan.names:
                image["objects_id"] = item["objects"]
            image["image_size"] = np.array([item["image_height"], item["image_width"]], "<i4")
            return image

        yield env.stat()["entries"] - 1, read_image


class _LmdbWriter:
    def __init__(self, env: Any) -> None:
        self._env = env

    def add(self, rows: Rows) -> None:
        # A transaction for these few rows: what it has changed waits in memory for its end.
        with self._env.begin(write=True) as txn:
            for at, img_id in enumerate(rows.ids):
                image = rows.image(at)
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
                txn.put(img_id.encode("utf-8"), _pickle(item))

    def close(self, plan: Plan) -> None:
        with self._env.begin(write=True) as txn:
            txn.put(_LIST_KEY, pickle.dumps([img_id.encode("utf-8") for img_id in plan.ids], _PICKLE_PROTOCOL))


class _PlainPickler(pickle.Pickler):
    """Names nothing inside NumPy but `numpy.ndarray`: NumPy 2's own pickles cannot be read by NumPy 1.25 and older."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.ndarray):
            return np.ndarray, (value.shape, value.dtype.str, value.tobytes())
        return NotImplemented


def _pickle(item: object) -> bytes:
    buffer = io.BytesIO()
    _PlainPickler(buffer, _PICKLE_PROTOCOL).dump(item)
    return buffer.getvalue()
