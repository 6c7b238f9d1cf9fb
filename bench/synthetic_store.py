"""A large store of made-up rows with true checksums, written without holding it in memory."""

from __future__ import annotations

import base64
import os
import sys
import zlib

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "reader", "tests"))

from store_writer import ROW_TENSORS, encode_header, make_header, make_metadata, make_rows, make_tensors

_DISTINCT = 128


def write_large_store(path: str, count: int, dtype: str = "f32") -> list[str]:
    """Writes `count` images, 128 of them different, and returns their ids; about a third of the features are zero."""
    names = [f"COCO_train2014_{index * 7919 % 1000003:012d}" for index in range(count)]
    few = make_tensors(make_rows(_DISTINCT), dtype)
    keys = np.array(names, "S").view("u1").reshape(count, -1)
    # Broadcast, they have shape and size and take no memory.
    tensors = {name: np.broadcast_to(few[name][:1], (count, *few[name].shape[1:])) for name in ROW_TENSORS}
    tensors["crc32"] = _checksums(few, keys)
    tensors["img_id"] = keys
    metadata = make_metadata(tensors, dtype)
    with open(path, "wb") as file:
        file.write(encode_header(make_header(tensors, metadata)))
        for name, tensor in tensors.items():
            if name not in ROW_TENSORS:
                file.write(tensor.tobytes())
                continue
            block = few[name].tobytes()
            for begin in range(0, count, _DISTINCT):
                file.write(block[: min(_DISTINCT, count - begin) * (len(block) // _DISTINCT)])
    return names


def write_large_tsv(path: str, names: list[str]) -> None:
    """The same images as LXMERT's TSV."""
    ends = []
    for row in make_rows(_DISTINCT):
        text = [str(row["img_h"]), str(row["img_w"])]
        for name in ("objects_id", "objects_conf", "attrs_id", "attrs_conf"):
            text.append(base64.b64encode(row[name].tobytes()).decode())
        text.append("36")
        text.extend(base64.b64encode(row[name].tobytes()).decode() for name in ("boxes", "features"))
        ends.append(("\t" + "\t".join(text) + "\r\n").encode())
    with open(path, "wb") as file:
        for index, name in enumerate(names):
            file.write(name.encode() + ends[index % _DISTINCT])


def _checksums(few: dict[str, np.ndarray], keys: np.ndarray) -> np.ndarray:
    starts = []
    for index in range(_DISTINCT):
        checksum = 0
        for name in ROW_TENSORS:
            checksum = zlib.crc32(few[name][index].tobytes(), checksum)
        starts.append(checksum)
    return np.array([zlib.crc32(key.tobytes(), starts[at % _DISTINCT]) for at, key in enumerate(keys)], "<u4")
