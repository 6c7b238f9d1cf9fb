"""Caffe's own output for a few images, with the formula's weights. It is not part of the project."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ORACLE = Path(__file__).parents[4] / "shared" / "oracle"
HAS_ORACLE = (ORACLE / "report.json").is_file()
REPORT: dict[str, dict[str, Any]] = json.loads((ORACLE / "report.json").read_text()) if HAS_ORACLE else {}
IMAGES = {name: ORACLE / "images" / entry["file"] for name, entry in REPORT.items()}
IMAGES = {name: path for name, path in IMAGES.items() if path.is_file()}
_DTYPES = {"objects_id": np.int64, "attrs_id": np.int64}
_COLUMNS = ("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes", "boxes", "features")


def read_expected_row(name: str) -> dict[str, NDArray[Any]]:
    """Arrays of the row that the original extraction wrote."""
    lines = (ORACLE / "expected_obj36.tsv").read_text("latin1").splitlines()
    fields = next(line.split("\t") for line in lines if line.startswith(f"{name}\t"))
    row = dict(zip(_COLUMNS, fields))
    decoded = {
        key: np.frombuffer(base64.b64decode(row[key]), _DTYPES.get(key, np.float32)) for key in _COLUMNS[3:] if key != "num_boxes"
    }
    return decoded | {"boxes": decoded["boxes"].reshape(36, 4), "features": decoded["features"].reshape(36, 2048)}


def read_intermediates(name: str) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load_file

    return dict(load_file(ORACLE / "intermediates" / f"{name}.safetensors"))
