"""What a writer is told before it begins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._format.header import BOX_COUNT, FEATURE_SIZE


@dataclass(frozen=True)
class Plan:
    """`path` is the temporary file or folder to write; `names` are the store's columns, `ids` its images in order."""

    path: str
    variant: str
    ids: Sequence[str]
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    provenance: Mapping[str, Any]

    @property
    def feature_bytes(self) -> int:
        """Bytes of the features of one image as they are written."""
        return BOX_COUNT * FEATURE_SIZE * self.dtype.itemsize

    def provenance_json(self) -> str:
        return json.dumps(self.provenance, sort_keys=True)


def describe_store(metadata: Mapping[str, Any], dtype: str, format_name: str) -> dict[str, Any]:
    """What an export says of where its features come from."""
    return {
        "exported_as": format_name,
        "feature_dtype": dtype,
        **{key: metadata[key] for key in ("detector", "sources", "conversion", "rows", "tool")},
        "store_dtype": metadata["dtype"],
        "crc32_table": metadata["crc32_table"],
    }
