"""An independent writer of stores, after docs/format.md alone, and the rows to put into them."""

from __future__ import annotations

import base64
import csv
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

TEN_COLUMNS = [
    "img_id",
    "img_h",
    "img_w",
    "objects_id",
    "objects_conf",
    "attrs_id",
    "attrs_conf",
    "num_boxes",
    "boxes",
    "features",
]
SIX_COLUMNS = ["image_id", "image_w", "image_h", "num_boxes", "boxes", "features"]
ROW_TENSORS = ["features", "objects_id", "attrs_id", "boxes", "objects_conf", "attrs_conf", "image_size"]
NAMES = {"<f4": "F32", "<f2": "F16", "<u2": "BF16", "<i8": "I64", "<i4": "I32", "<u4": "U32", "|u1": "U8"}

Row = dict[str, Any]


def make_rows(count: int, seed: int = 7, ids: list[str] | None = None) -> list[Row]:
    """Synthetic rows of the true shape, with values float16 and bfloat16 must round."""
    random = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        height, width = int(random.integers(80, 640)), int(random.integers(80, 640))
        x = np.sort(random.random((36, 2)), axis=1) * [width * 0.9] + [0, width * 0.05]
        y = np.sort(random.random((36, 2)), axis=1) * [height * 0.9] + [0, height * 0.05]
        features = np.maximum(random.normal(size=(36, 2048)) * 3, 0).astype("<f4")
        rows.append(
            {
                "img_id": ids[index] if ids else f"COCO_train2014_{index:012d}",
                "img_h": height,
                "img_w": width,
                "objects_id": random.integers(0, 1600, 36, dtype="<i8"),
                "objects_conf": random.random(36).astype("<f4"),
                "attrs_id": random.integers(0, 400, 36, dtype="<i8"),
                "attrs_conf": random.random(36).astype("<f4"),
                "num_boxes": 36,
                "boxes": np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1).astype("<f4"),
                "features": features,
            }
        )
    return rows


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """Bits of the nearest bfloat16, ties to even, for finite values."""
    bits = values.astype("<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def make_tensors(rows: list[Row], dtype: str = "f32", six: bool = False) -> dict[str, np.ndarray]:
    """The tensors of a store in file order."""
    features = np.stack([row["features"] for row in rows]).astype("<f4")
    keys = [row["img_id"].encode() for row in rows]
    width = max(map(len, keys))
    tensors = {
        "features": {
            "f32": lambda: features,
            "f16": lambda: features.astype("<f2"),
            "bf16": lambda: to_bfloat16(features),
        }[dtype](),
        "objects_id": np.stack([row["objects_id"] for row in rows]),
        "attrs_id": np.stack([row["attrs_id"] for row in rows]),
        "boxes": np.stack([row["boxes"] for row in rows]),
        "objects_conf": np.stack([row["objects_conf"] for row in rows]),
        "attrs_conf": np.stack([row["attrs_conf"] for row in rows]),
        "image_size": np.array([[row["img_h"], row["img_w"]] for row in rows], "<i4"),
    }
    if six:
        for name in ("objects_id", "attrs_id", "objects_conf", "attrs_conf"):
            del tensors[name]
    checksums = []
    for index, key in enumerate(keys):
        checksum = 0
        for name in ROW_TENSORS:
            if name in tensors:
                checksum = zlib.crc32(tensors[name][index].tobytes(), checksum)
        checksums.append(zlib.crc32(key, checksum))
    tensors["crc32"] = np.array(checksums, "<u4")
    tensors["img_id"] = np.frombuffer(b"".join(key.ljust(width, b"\0") for key in keys), "|u1").reshape(-1, width)
    return tensors


def make_metadata(tensors: dict[str, np.ndarray], dtype: str = "f32", weights: str = "unknown") -> dict[str, str]:
    rows = len(tensors["crc32"])
    six = "objects_id" not in tensors
    table = zlib.crc32(tensors["crc32"].tobytes())
    if "source_form" in tensors:
        table = zlib.crc32(tensors["source_form"].tobytes(), table)
    source = {"name": "rows.tsv", "size": 395182 * rows, "sha256": "0" * 64, "rows": rows, "rejected": 0}
    return {
        "format": "lxmert-data/obj36",
        "format_version": "1",
        "rows": str(rows),
        "dtype": dtype,
        "columns": json.dumps(SIX_COLUMNS if six else TEN_COLUMNS),
        "detector": json.dumps({"name": "unknown", "weights": weights, "caffe_edge": [0, rows]}),
        "sources": json.dumps([source]),
        "conversion": json.dumps({"first": None, "skip_bad": False}),
        "tool": "lxmert-data 0.1.0",
        "crc32_table": f"{table:08x}",
        "header_crc32": "00000000",
    }


def make_header(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> dict[str, Any]:
    """The header document: metadata and one entry a tensor, in the order of `tensors`."""
    document: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for name, array in tensors.items():
        dtype = NAMES[array.dtype.str]
        document[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    return document


def encode_header(document: dict[str, Any], alignment: int = 32768) -> bytes:
    """Length and padded JSON, with the header checksum put in."""
    body = json.dumps(document, separators=(",", ":")).encode()
    body += b" " * (-(8 + len(body)) % alignment)
    raw = struct.pack("<Q", len(body)) + body
    return raw.replace(b'"header_crc32":"00000000"', b'"header_crc32":"%08x"' % zlib.crc32(raw))


def write_store(path: Path, rows: list[Row], dtype: str = "f32", six: bool = False, weights: str = "unknown") -> Path:
    tensors = make_tensors(rows, dtype, six)
    return write_tensors(path, tensors, make_metadata(tensors, dtype, weights))


def write_tensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> Path:
    header = encode_header(make_header(tensors, metadata))
    path.write_bytes(header + b"".join(array.tobytes() for array in tensors.values()))
    return path


def write_tsv(path: Path, rows: list[Row]) -> Path:
    """The rows as LXMERT publishes them."""
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, TEN_COLUMNS, delimiter="\t")
        for row in rows:
            writer.writerow(
                {
                    key: base64.b64encode(value.tobytes()).decode() if isinstance(value, np.ndarray) else value
                    for key, value in row.items()
                }
            )
    return path


def read_tsv(path: Path, topk: int | None = None) -> list[Row]:
    """What LXMERT's own loader makes of a TSV, restated from its description: csv, base64, little-endian."""
    csv.field_size_limit(1 << 30)
    kinds = {
        "objects_id": ("<i8", (36,)),
        "objects_conf": ("<f4", (36,)),
        "attrs_id": ("<i8", (36,)),
        "attrs_conf": ("<f4", (36,)),
        "boxes": ("<f4", (36, 4)),
        "features": ("<f4", (36, 2048)),
    }
    rows: list[Row] = []
    with open(path, newline=None) as file:
        for fields in csv.reader(file, delimiter="\t"):
            row: Row = dict(zip(TEN_COLUMNS, fields))
            for key in ("img_h", "img_w", "num_boxes"):
                row[key] = int(row[key])
            for key, (dtype, shape) in kinds.items():
                row[key] = np.frombuffer(base64.b64decode(row[key]), dtype).reshape(shape)
            rows.append(row)
            if topk is not None and len(rows) == topk:
                break
    return rows
