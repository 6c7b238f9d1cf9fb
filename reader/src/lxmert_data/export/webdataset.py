"""Tar shards for webdataset, with `index.json`: a group of files for each image, under its img_id."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .._format.header import BOX_COUNT, CHECKSUM_ORDER
from ..errors import StoreError
from .checked_rows import Rows
from .file_names import check_file_names
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARRAYS = tuple(name for name in CHECKSUM_ORDER if name != "image_size")
_RECORD_BYTES = 10_240


class WebDatasetWriter(Writer):
    """Shards `shard-000000.tar`, …; `index.json` lists them with images and bytes, as the `wids` reader takes it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def row_bytes(self) -> int:
        # Each file has a header of 512 bytes, one of its own format, and whole blocks; long names take two more.
        return self.plan.feature_bytes + 2048 + 8 * 2048

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        _check_ids(self.plan)
        sink = _ShardSink(self.plan)
        try:
            yield sink
        finally:
            sink.close_shard()
        sink.write_index()

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        reader = _ShardReader(self.plan)
        try:
            yield reader
        finally:
            reader.close()


make_writer = WebDatasetWriter


def _check_ids(plan: Plan) -> None:
    check_file_names(plan.ids, ".objects_conf.npy", folders=True)
    for img_id in plan.ids:
        # What follows the first dot is taken for the kind of the file.
        if "." in img_id or "__" in (img_id[:2], img_id[-2:]):
            raise StoreError(
                "webdataset cannot hold this img_id",
                None,
                "no dot in it, and no two underscores at its ends",
                repr(img_id),
                "export as mds",
            )


class _ShardSink(Sink):
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tar: tarfile.TarFile | None = None
        self._shards: list[dict[str, Any]] = []

    def add(self, rows: Rows) -> None:
        for at, img_id in enumerate(rows.ids):
            files = _make_files(img_id, rows.image(at))
            size = sum(1024 + len(content) for content in files.values())
            if self._tar is not None and self._tar.offset + size + _RECORD_BYTES > self._plan.shard_bytes:
                self.close_shard()
            self._add_files(img_id, files)

    def _add_files(self, img_id: str, files: dict[str, bytes]) -> None:
        if self._tar is None:
            name = f"shard-{len(self._shards):06d}.tar"
            self._tar = tarfile.open(os.path.join(self._plan.path, name), "w")  # noqa: SIM115 (closed when it is full)
            self._shards.append({"url": name, "nsamples": 0})
        for ending, content in files.items():
            # Neither time nor owner, so that the same store gives the same bytes.
            member = tarfile.TarInfo(f"{img_id}.{ending}")
            member.size = len(content)
            self._tar.addfile(member, io.BytesIO(content))
        self._shards[-1]["nsamples"] += 1

    def close_shard(self) -> None:
        if self._tar is not None:
            path = str(self._tar.name)
            self._tar.close()
            self._tar = None
            self._shards[-1]["filesize"] = os.path.getsize(path)

    def write_index(self) -> None:
        index = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": self._shards}
        with open(os.path.join(self._plan.path, "index.json"), "w", encoding="utf-8") as file:
            json.dump(index, file)


def _make_files(img_id: str, image: Columns) -> dict[str, bytes]:
    height, width = image["image_size"].tolist()
    about = {"img_id": img_id, "img_h": height, "img_w": width, "num_boxes": BOX_COUNT}
    files = {"json": json.dumps(about).encode()}
    files.update({f"{name}.npy": _encode(image[name]) for name in _ARRAYS if name in image})
    return files


def _encode(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


class _ShardReader(Reader):
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        with open(os.path.join(plan.path, "index.json"), encoding="utf-8") as file:
            self._shards = json.load(file)["shardlist"]
        self._ends = np.cumsum([shard["nsamples"] for shard in self._shards])
        self._number = -1
        self._tar: tarfile.TarFile | None = None

    @property
    def count(self) -> int:
        return int(self._ends[-1])

    def read(self, row: int, img_id: str) -> Columns:
        tar = self._open(int(np.searchsorted(self._ends, row, side="right")))
        about = json.loads(self._content(tar, f"{img_id}.json"))
        if about["img_id"] != img_id:
            return {}
        image = {
            name: np.load(io.BytesIO(self._content(tar, f"{img_id}.{name}.npy")), allow_pickle=False)
            for name in _ARRAYS
            if name in self._plan.names
        }
        return {**image, "image_size": np.array([about["img_h"], about["img_w"]], "<i4")}

    def close(self) -> None:
        if self._tar is not None:
            self._tar.close()

    def _open(self, number: int) -> tarfile.TarFile:
        if self._tar is None or number != self._number:
            self.close()
            self._number = number
            path = os.path.join(self._plan.path, self._shards[number]["url"])
            self._tar = tarfile.open(path)  # noqa: SIM115 (closed when another is needed)
        return self._tar

    def _content(self, tar: tarfile.TarFile, name: str) -> bytes:
        member = tar.extractfile(name)
        return b"" if member is None else member.read()
