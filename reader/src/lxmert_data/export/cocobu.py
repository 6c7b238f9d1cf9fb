"""Folders of ImageCaptioning.pytorch and self-critical: cocobu_att, cocobu_fc and cocobu_box, a file an image each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .checked_rows import Rows
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer


class CocoBottomUpWriter(Writer):
    """Images are named by number. `cocobu_fc` is the mean of the features of all regions."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        # Three files, each in whole blocks.
        return self.plan.feature_bytes + 8192 + 3 * 4096

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        for kind in ("att", "fc", "box"):
            os.mkdir(os.path.join(self.plan.path, f"cocobu_{kind}"))
        yield _FolderSink(self.plan.path)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        yield _FolderReader(self.plan.path)


make_writer = CocoBottomUpWriter


def _path(folder: str, kind: str, img_id: str) -> str:
    return os.path.join(folder, f"cocobu_{kind}", f"{img_id}.{'npz' if kind == 'att' else 'npy'}")


class _FolderSink(Sink):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def add(self, rows: Rows) -> None:
        for at, img_id in enumerate(rows.ids):
            image = rows.image(at)
            with open(_path(self._folder, "att", img_id), "xb") as file:
                np.savez(file, feat=image["features"])
            with open(_path(self._folder, "fc", img_id), "xb") as file:
                np.save(file, image["features"].mean(axis=0))
            with open(_path(self._folder, "box", img_id), "xb") as file:
                np.save(file, image["boxes"])


class _FolderReader(Reader):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    @property
    def count(self) -> int:
        return min(len(os.listdir(os.path.join(self._folder, f"cocobu_{kind}"))) for kind in ("att", "fc", "box"))

    def read(self, row: int, img_id: str) -> Columns:
        boxes = np.load(_path(self._folder, "box", img_id), allow_pickle=False)
        with np.load(_path(self._folder, "att", img_id), allow_pickle=False) as file:
            features = file["feat"]
        mean = np.load(_path(self._folder, "fc", img_id), allow_pickle=False)
        return {"boxes": boxes, **({"features": features} if np.array_equal(mean, features.mean(axis=0)) else {})}
