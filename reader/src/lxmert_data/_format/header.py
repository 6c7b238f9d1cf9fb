"""Reads the header of a store (docs/format.md) and checks every claim it makes before any data is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import MAKE_AGAIN, StoreError, quote, refuse
from .metadata import FEATURE_DTYPES, SIX_COLUMNS, check_metadata
from .strict_json import load_json

BOX_COUNT = 36
FEATURE_SIZE = 2048
LENGTH_BYTES = 8
MAX_HEADER_BYTES = 1 << 20
MAX_ID_BYTES = 255

OBJECT_TENSORS = ("objects_id", "attrs_id", "objects_conf", "attrs_conf")
# The order in which an image's bytes go into its checksum; img_id follows without its padding.
CHECKSUM_ORDER = (
    "features",
    "objects_id",
    "attrs_id",
    "boxes",
    "objects_conf",
    "attrs_conf",
    "image_size",
)

_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U32": 4, "U8": 1}


@dataclass(frozen=True)
class Tensor:
    """One tensor: its safetensors dtype, its shape, and its bytes [start, end) in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """A checked header. `tensors` is in file order, `data_start` is the file offset D of the data section."""

    rows: int
    dtype: str
    data_start: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, Any]

    @property
    def has_objects(self) -> bool:
        """False for a store made of six-column rows, which have no object and attribute classes."""
        return "objects_id" in self.tensors


def read_header_size(prefix: bytes, file_bytes: int, where: str) -> int:
    """Checks the first 8 bytes against the size of the file; returns the length H of the header in bytes."""
    if file_bytes < LENGTH_BYTES or len(prefix) < LENGTH_BYTES:
        raise StoreError(
            "the file is too short to be a store",
            where,
            "at least 8 bytes",
            f"{file_bytes} bytes",
            MAKE_AGAIN,
        )
    size = int.from_bytes(prefix[:LENGTH_BYTES], "little")
    if size > file_bytes - LENGTH_BYTES:
        raise StoreError(
            "the header is longer than the file",
            where,
            f"at most {file_bytes - LENGTH_BYTES} bytes",
            f"{size} bytes",
            "the file is cut short or no safetensors file; convert its source again",
        )
    if size > MAX_HEADER_BYTES:
        raise StoreError(
            "the header is too long",
            where,
            f"at most {MAX_HEADER_BYTES} bytes",
            f"{size} bytes",
            MAKE_AGAIN,
        )
    return size


def parse_header(raw: bytes, file_bytes: int, where: str) -> Header:
    """Parses the H header bytes that follow the length field of a file of `file_bytes` bytes.

    Raises StoreError at the first thing that docs/format.md does not allow, in its order: JSON, metadata,
    dtypes and shapes, offsets.
    """
    document = _parse_json(raw, where)
    metadata = check_metadata(document.pop("__metadata__", None), where)
    rows, dtype = int(metadata["rows"]), metadata["dtype"]
    data_start = LENGTH_BYTES + len(raw)
    found = {name: _parse_tensor(name, entry, data_start, where) for name, entry in document.items()}
    _check_tensors(found, rows, dtype, metadata["columns"], where)
    tensors = dict(sorted(found.items(), key=lambda item: (item[1].start, item[1].end)))
    _check_offsets(tensors, data_start, file_bytes, where)
    return Header(rows, dtype, data_start, tensors, metadata)


def find_header_checksum(raw: bytes) -> tuple[int, int] | None:
    """Where the 8 digits of `header_crc32` stand in the header, or None; quotes inside values are escaped."""
    found = re.search(rb'"header_crc32"\s*:\s*"([0-9a-f]{8})"', raw)
    return None if found is None else found.span(1)


def _parse_json(raw: bytes, where: str) -> dict[str, Any]:
    expected = "a JSON object in UTF-8, padded with spaces"
    if not raw.startswith(b"{"):
        refuse("the header is no JSON object", where, expected, f"it begins with {raw[:8]!r}")
    body = raw.rstrip(b" ")
    if not body.endswith(b"}"):
        refuse("the header is no JSON object", where, expected, f"it ends with {body[-8:]!r}")
    try:
        document = load_json(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        refuse("the header is no JSON object", where, expected, f"no UTF-8 at byte {error.start}")
    except ValueError as error:
        refuse("the header is no JSON object", where, expected, str(error))
    assert isinstance(document, dict)
    return document


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def _parse_tensor(name: str, entry: object, data_start: int, where: str) -> Tensor:
    at = f"tensor {quote(name)}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        refuse(f"{at} is described wrongly", where, "dtype, shape and data_offsets", quote(entry))
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str):
        refuse(f"{at} is described wrongly", where, "a dtype name", quote(dtype))
    if not isinstance(shape, list) or not all(_is_size(size) for size in shape):
        refuse(f"{at} is described wrongly", where, "a shape of whole numbers", quote(shape))
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_size(size) for size in offsets):
        refuse(f"{at} is described wrongly", where, "two offsets", quote(offsets))
    return Tensor(dtype, tuple(shape), data_start + offsets[0], data_start + offsets[1])


def _check_tensors(tensors: Mapping[str, Tensor], rows: int, dtype: str, columns: list[str], where: str) -> None:
    layout: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "features": (FEATURE_DTYPES[dtype], (rows, BOX_COUNT, FEATURE_SIZE)),
        "objects_id": ("I64", (rows, BOX_COUNT)),
        "attrs_id": ("I64", (rows, BOX_COUNT)),
        "boxes": ("F32", (rows, BOX_COUNT, 4)),
        "objects_conf": ("F32", (rows, BOX_COUNT)),
        "attrs_conf": ("F32", (rows, BOX_COUNT)),
        "image_size": ("I32", (rows, 2)),
        "crc32": ("U32", (rows,)),
        "img_id": ("U8", (rows, None)),
        "source_form": ("U8", (None,)),
    }
    if columns == SIX_COLUMNS:
        for name in OBJECT_TENSORS:
            del layout[name]
    for name in tensors:
        if name not in layout:
            refuse(f"tensor {quote(name)} is unknown", where, f"only {', '.join(layout)}", quote(name))
    for name in layout:
        if name not in tensors and name != "source_form":
            refuse(f"tensor {quote(name)} is missing", where, ", ".join(layout), ", ".join(tensors))
    for name, tensor in tensors.items():
        want_dtype, want_shape = layout[name]
        if tensor.dtype != want_dtype:
            refuse(f"tensor {quote(name)} has the wrong dtype", where, want_dtype, quote(tensor.dtype))
        if len(tensor.shape) != len(want_shape) or any(
            want is not None and size != want for size, want in zip(tensor.shape, want_shape)
        ):
            text = quote(["any" if want is None else want for want in want_shape])
            refuse(f"tensor {quote(name)} has the wrong shape", where, text, quote(list(tensor.shape)))
    id_bytes = tensors["img_id"].shape[1]
    if not 1 <= id_bytes <= MAX_ID_BYTES:
        refuse('tensor "img_id" has the wrong shape', where, f"1 to {MAX_ID_BYTES} bytes an id", f"{id_bytes}")


def _check_offsets(tensors: Mapping[str, Tensor], data_start: int, file_bytes: int, where: str) -> None:
    position = data_start
    for name, tensor in tensors.items():
        if tensor.start != position:
            refuse(
                f"tensor {quote(name)} leaves a hole or overlaps",
                where,
                f"it begins at {position - data_start}",
                f"{tensor.start - data_start}",
            )
        size = _ITEM_BYTES[tensor.dtype]
        for extent in tensor.shape:
            size *= extent
        if tensor.end - tensor.start != size:
            refuse(
                f"tensor {quote(name)} has the wrong length",
                where,
                f"{size} bytes",
                f"{tensor.end - tensor.start} bytes",
            )
        position = tensor.end
    if position != file_bytes:
        refuse(
            "the file has the wrong length",
            where,
            f"{position} bytes",
            f"{file_bytes} bytes",
            "the file is cut short or has foreign bytes at its end; convert its source again",
        )
