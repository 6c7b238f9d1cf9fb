"""What a writer is given before it begins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._format.header import BOX_COUNT, FEATURE_SIZE
from .vocabulary import Vocabulary


@dataclass(frozen=True)
class Plan:
    """`path` is the temporary file or folder to write; `names` are the store's columns, `ids` its images in order.

    `id_mode` is what the caller asked images to be named by, None where nothing was asked. `vocabulary` names the
    detector's classes, where it is known. A shard has at most `shard_bytes`, in formats that have shards.
    """

    path: str
    variant: str
    ids: Sequence[str]
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    provenance: Mapping[str, Any]
    id_mode: str | None = None
    vocabulary: Vocabulary | None = None
    shard_bytes: int = 256 << 20

    @property
    def feature_bytes(self) -> int:
        """Bytes of the features of one image as they are written."""
        return BOX_COUNT * FEATURE_SIZE * self.dtype.itemsize

    def provenance_json(self) -> str:
        return json.dumps(self.provenance, sort_keys=True)


def describe_stores(metadata: Sequence[Mapping[str, Any]], dtype: str, format_name: str) -> dict[str, Any]:
    """What an export says of where its features come from; of several stores a list under `stores`."""
    stores = [
        {
            **{key: one[key] for key in ("detector", "sources", "conversion", "rows", "tool")},
            "store_dtype": one["dtype"],
            "crc32_table": one["crc32_table"],
        }
        for one in metadata
    ]
    start = {"exported_as": format_name, "feature_dtype": dtype}
    return {**start, **stores[0]} if len(stores) == 1 else {**start, "stores": stores}
