"""Shards of mosaicml-streaming (MDS, version 2) with `index.json`, after the layout that its reader documents.

A shard is the number of samples, the offset of each and the end (all uint32), the columns as JSON, then the samples.
Its own writer is not used, as the package brings the SDKs of several clouds along.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from .._format.header import BOX_COUNT, FEATURE_SIZE
from ..errors import ExportRequestError
from .checked_rows import Rows
from .plan import Plan
from .writer import Columns, Reader, Sink, Writer

_SHAPES: dict[str, tuple[int, ...]] = {
    "attrs_conf": (BOX_COUNT,),
    "attrs_id": (BOX_COUNT,),
    "boxes": (BOX_COUNT, 4),
    "features": (BOX_COUNT, FEATURE_SIZE),
    "objects_conf": (BOX_COUNT,),
    "objects_id": (BOX_COUNT,),
}
_MAX_SHARD_BYTES = (1 << 32) - 1


class MdsWriter(Writer):
    """Columns `img_id`, `img_h`, `img_w` and the store's, all of fixed size but the first."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.layout = _Layout(plan)

    @property
    def row_bytes(self) -> int:
        return self.layout.fixed_bytes + 512

    @contextmanager
    def open_sink(self) -> Iterator[Sink]:
        if self.plan.shard_bytes > _MAX_SHARD_BYTES:
            raise ExportRequestError("a shard of MDS is too large", None, "less than 4 GiB", f"{self.plan.shard_bytes}")
        shards = _split(self.plan.ids, self.layout, self.plan.shard_bytes)
        sink = _ShardSink(self.plan, self.layout, shards)
        try:
            yield sink
        finally:
            sink.close()
        with open(os.path.join(self.plan.path, "index.json"), "w", encoding="utf-8") as file:
            json.dump({"shards": [self.layout.describe(shard) for shard in shards], "version": 2}, file, sort_keys=True)

    @contextmanager
    def open_reader(self) -> Iterator[Reader]:
        yield _ShardReader(self.plan, self.layout)


make_writer = MdsWriter


class _Layout:
    """Columns in the order of the alphabet, as MDS has them: name, encoding, and size unless it varies."""

    def __init__(self, plan: Plan) -> None:
        kinds = {"features": plan.dtype.name, "boxes": "float32"}
        columns: dict[str, tuple[str, int | None]] = {"img_id": ("str", None), "img_h": ("int", 8), "img_w": ("int", 8)}
        for name in plan.names:
            if name in _SHAPES:
                kind = kinds.get(name, "int64" if name.endswith("_id") else "float32")
                size = int(np.prod(_SHAPES[name])) * np.dtype(kind).itemsize
                columns[name] = (f"ndarray:{kind}:{','.join(map(str, _SHAPES[name]))}", size)
        self.columns = dict(sorted(columns.items()))
        self.fixed_bytes = sum(size or 0 for _, size in self.columns.values())
        self._config = {
            "column_encodings": [encoding for encoding, _ in self.columns.values()],
            "column_names": list(self.columns),
            "column_sizes": [size for _, size in self.columns.values()],
            "compression": None,
            "format": "mds",
            "hashes": [],
            "size_limit": plan.shard_bytes,
            "version": 2,
        }
        self.config = json.dumps(self._config, sort_keys=True).encode()

    def sample_bytes(self, img_id: str) -> int:
        # The length of the one column that varies stands before all.
        return 4 + len(img_id.encode("utf-8")) + self.fixed_bytes

    def head_bytes(self, samples: int) -> int:
        return 4 + 4 * (samples + 1) + len(self.config)

    def describe(self, shard: _Shard) -> dict[str, Any]:
        raw = {"basename": shard.name, "bytes": shard.offsets[-1], "hashes": {}}
        return {**self._config, "raw_data": raw, "samples": len(shard.offsets) - 1, "zip_data": None}


@dataclass(frozen=True)
class _Shard:
    """`offsets` has where each sample begins, and the end of the file."""

    name: str
    begin: int
    offsets: Sequence[int]


def _split(ids: Sequence[str], layout: _Layout, limit: int) -> list[_Shard]:
    """Which images go into which shard; at least one into each."""
    groups: list[list[int]] = []
    total = limit
    for img_id in ids:
        size = layout.sample_bytes(img_id)
        if not groups or total + size + 4 > limit:
            groups.append([])
            total = layout.head_bytes(0)
        groups[-1].append(size)
        total += size + 4
    shards, begin = [], 0
    for number, sizes in enumerate(groups):
        offsets = np.cumsum([layout.head_bytes(len(sizes)), *sizes]).tolist()
        shards.append(_Shard(f"shard.{number:05d}.mds", begin, offsets))
        begin += len(sizes)
    return shards


class _ShardSink(Sink):
    def __init__(self, plan: Plan, layout: _Layout, shards: Sequence[_Shard]) -> None:
        self._plan = plan
        self._layout = layout
        self._shards = {shard.begin: shard for shard in shards}
        self._file: IO[bytes] | None = None

    def add(self, rows: Rows) -> None:
        for at, img_id in enumerate(rows.ids):
            file = self._open(rows.begin + at)
            file.write(_encode(img_id, rows.image(at), self._layout.columns))

    def _open(self, row: int) -> IO[bytes]:
        if row in self._shards:
            self.close()
            shard = self._shards[row]
            self._file = open(os.path.join(self._plan.path, shard.name), "wb")  # noqa: SIM115 (closed when it is full)
            counts = np.array([len(shard.offsets) - 1, *shard.offsets], "<u4")
            self._file.write(counts.tobytes() + self._layout.config)
        assert self._file is not None
        return self._file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _encode(img_id: str, image: Columns, columns: Mapping[str, Any]) -> bytes:
    name = img_id.encode("utf-8")
    height, width = image["image_size"].astype("<i8")
    values = {"img_id": name, "img_h": height.tobytes(), "img_w": width.tobytes()}
    parts = [values[column] if column in values else image[column].tobytes() for column in columns]
    return b"".join([np.uint32(len(name)).astype("<u4").tobytes(), *parts])


class _ShardReader(Reader):
    def __init__(self, plan: Plan, layout: _Layout) -> None:
        self._plan = plan
        self._layout = layout
        with open(os.path.join(plan.path, "index.json"), encoding="utf-8") as file:
            self._shards = json.load(file)["shards"]
        self._ends = np.cumsum([shard["samples"] for shard in self._shards])

    @property
    def count(self) -> int:
        return int(self._ends[-1])

    def read(self, row: int, img_id: str) -> Columns:
        number = int(np.searchsorted(self._ends, row, side="right"))
        shard = self._shards[number]
        at = row - int(self._ends[number]) + shard["samples"]
        with open(os.path.join(self._plan.path, shard["raw_data"]["basename"]), "rb") as file:
            file.seek(4 + 4 * at)
            begin, end = np.frombuffer(file.read(8), "<u4").tolist()
            file.seek(begin)
            data = file.read(end - begin)
        return self._decode(data, img_id)

    def _decode(self, data: bytes, img_id: str) -> Columns:
        (length,) = np.frombuffer(data[:4], "<u4").tolist()
        image: dict[str, Any] = {}
        sizes, offset = {}, 4
        for name, (encoding, fixed) in self._layout.columns.items():
            size = length if fixed is None else fixed
            value = data[offset : offset + size]
            offset += size
            if name == "img_id" and value.decode("utf-8") != img_id:
                return {}
            if name in ("img_h", "img_w"):
                sizes[name] = int(np.frombuffer(value, "<i8")[0])
            elif name in _SHAPES:
                kind = encoding.split(":")[1]
                image[name] = np.frombuffer(value, kind).reshape(_SHAPES[name])
        return {**image, "image_size": np.array([sizes["img_h"], sizes["img_w"]], "<i4")}
