"""Weights of the detector: the canonical safetensors file, the caffemodel, files of other programs, or a formula.

The canonical file has the Caffe blobs under their names, `LAYER/INDEX`, as float32 in Caffe's shapes. Its
`__metadata__` has `format`, which is FORMAT, and `weights`, the sha256 of the file it was made of.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np
from numpy.typing import NDArray

from .._format.strict_json import load_json
from ..errors import WeightsError
from ..export.output import Output
from .caffemodel import read_caffemodel
from .formula import FormulaBlobs
from .layers import list_blobs
from .ports import is_port, read_port

FORMAT = "lxmert-data detector 1"
UNTRAINED = "untrained"
_MOST_BYTES = 2**31
_MOST_HEADER_BYTES = 2**20
_HINT = (
    "give detector.safetensors, resnet101_faster_rcnn_final_iter_320000.caffemodel, "
    'another file of the 36-box detector that docs/extract.md names, or "untrained"'
)

Floats = NDArray[np.float32]
WeightsSource = Union[str, "os.PathLike[str]"]


class Weights(NamedTuple):
    """Blobs by name, and the sha256 of the file (or `untrained`), which rows are stamped with."""

    id: str
    blobs: Mapping[str, Floats]


def load_weights(source: WeightsSource) -> Weights:
    """Reads a file of weights, whose content decides its form, and checks every blob that the network reads.

    Nothing in a file is run: pickles may build arrays and dicts only. Raises WeightsError.
    """
    if source == UNTRAINED:
        return Weights(UNTRAINED, FormulaBlobs())
    path = Path(source)
    content = _read(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if _header_length(content) is not None:
        metadata, blobs = _read_safetensors(path, content)
        sha256 = _origin(metadata) or sha256
    elif is_port(content):
        blobs = read_port(path, content)
    else:
        blobs = read_caffemodel(path, content)
    return Weights(sha256, _check(path, blobs))


def save_weights(weights: Weights, path: WeightsSource, *, force: bool = False) -> None:
    """Writes the canonical file, which gets its name when it is whole. Raises OutputError, OutputExistsError."""
    entries: dict[str, object] = {"__metadata__": {"format": FORMAT, "weights": weights.id}}
    offset = 0
    for name, shape in list_blobs().items():
        size = 4 * int(np.prod(shape))
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    output = Output(os.fspath(path), is_folder=False, force=force)
    output.check([], {}, offset)
    try:
        output.begin()
        with open(output.path, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for name in list_blobs():
                file.write(weights.blobs[name].astype("<f4").tobytes())
        output.publish([])
    finally:
        output.discard()


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise WeightsError("the file of weights does not exist, or is no regular file", str(path), hint=_HINT)
        if path.stat().st_size > _MOST_BYTES:
            raise WeightsError(
                "the file is too large for weights of this detector", str(path), got=f"{path.stat().st_size} bytes"
            )
        return path.read_bytes()
    except OSError as error:
        raise WeightsError("cannot read the weights", str(path), got=str(error), hint=_HINT) from error


def _header_length(content: bytes) -> int | None:
    """Bytes of a safetensors header, or None where the file is something else."""
    length = int.from_bytes(content[:8], "little")
    return length if content[8:9] == b"{" and 2 <= length <= min(_MOST_HEADER_BYTES, len(content) - 8) else None


def _read_safetensors(path: Path, content: bytes) -> tuple[dict[str, str], dict[str, Floats]]:
    start = 8 + (_header_length(content) or 0)
    try:
        header = load_json(content[8:start].decode())
        metadata = header.pop("__metadata__", {})
        blobs = {name: _view(entry, content, start) for name, entry in header.items() if name in list_blobs()}
        return {str(key): str(value) for key, value in dict(metadata).items()}, blobs
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            "this is not a whole safetensors file", str(path), got=str(error), hint="copy or make it again"
        ) from error


def _view(entry: Mapping[str, Any], content: bytes, start: int) -> Floats:
    if entry["dtype"] != "F32":
        raise ValueError(f"a tensor of {entry['dtype']}, not of F32")
    begin, end = (int(offset) for offset in entry["data_offsets"])
    shape = tuple(int(size) for size in entry["shape"])
    count = int(np.prod(shape))
    if not 0 <= begin <= end <= len(content) - start or end - begin != 4 * count:
        raise ValueError(f"a tensor of shape {shape} at the offsets {begin} to {end}")
    return np.frombuffer(content, "<f4", count, start + begin).reshape(shape)


def _origin(metadata: Mapping[str, str]) -> str | None:
    origin = metadata.get("weights", "")
    known = metadata.get("format") == FORMAT and re.fullmatch(r"[0-9a-f]{64}|untrained", origin)
    return origin if known else None


def _check(path: Path, blobs: Mapping[str, Floats]) -> dict[str, Floats]:
    expected = list_blobs()
    missing = [name for name in expected if name not in blobs]
    if missing:
        raise WeightsError(
            "the file lacks weights that this detector needs",
            str(path),
            expected=f"{len(expected)} blobs",
            got=f"{len(missing)} missing: {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}",
            hint=_HINT,
        )
    checked = {}
    for name, shape in expected.items():
        blob = blobs[name]
        # Old caffemodels give every blob four sizes, with ones in front.
        if tuple(size for size in blob.shape if size != 1) != tuple(size for size in shape if size != 1):
            raise WeightsError(
                f"blob {name} has another shape than this detector's", str(path), str(shape), str(blob.shape), _HINT
            )
        if not np.isfinite(blob).all():
            raise WeightsError(f"blob {name} holds values that are not finite", str(path), hint="fetch the file again")
        checked[name] = blob.reshape(shape)
    return checked
