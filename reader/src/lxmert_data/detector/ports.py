"""Weights of the same network in files of other programs: torch's and NumPy's pickles with their names of layers.

Which tensor is which blob, and what has to be moved, is in `manifests/detector-keys.json`, which TypeScript reads too.
"""

from __future__ import annotations

import collections
import fnmatch
import functools
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError

Floats = NDArray[np.float32]
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_LEGACY_TORCH = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_ANCHOR_RATIOS, _ANCHOR_SCALES = 3, 4
_HINT = "give a file of the 36-box detector that docs/extract.md names"
_KEYS = "detector-keys.json"


def is_port(content: bytes) -> bool:
    """Whether the bytes are a pickle, or a zip of one. No caffemodel begins so."""
    return content.startswith(_ZIP) or (content[:1] == _PICKLE and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))


def read_port(path: Path, content: bytes) -> dict[str, Floats]:
    """Caffe's blobs out of a port's file. Raises WeightsError for another network's, and for what is not understood."""
    tensors = _find_tensors(_unpickle(path, content))
    keys = _load_keys()
    for before, after in keys["spellings"]:
        tensors = {name[: -len(before)] + after if name.endswith(before) else name: v for name, v in tensors.items()}
    layout = next((entry for entry in keys["layouts"].values() if entry["recognised_by"] in tensors), None)
    if layout is None:
        _refuse_other_network(path, tensors, keys)
    blobs: dict[str, Floats] = {}
    known: set[str] = set()
    for part in keys["convolutions"]:
        for blob, end in keys["convolution"].items():
            kind, _, index = blob.partition("/")
            name = f"{part['key']}.{end}"
            known.add(name)
            blobs[f"{part[kind]}/{index}"] = _take(path, tensors, name)
        factor = keys["batch_norm_factor"]
        kind, _, index = factor["blob"].partition("/")
        blobs[f"{part[kind]}/{index}"] = np.array([factor["value"]], np.float32)
    for entry in layout["tensors"]:
        known.add(entry["key"])
        values = _take(path, tensors, entry["key"])
        if list(values.shape) != entry["shape"]:
            _refuse(path, f"the tensor {entry['key']} has another shape", str(entry["shape"]), str(list(values.shape)))
        for step in entry.get("steps", []):
            values = _move_rows(values, step)
        blobs[entry["blob"]] = values
    others = [n for n in tensors if n not in known and not any(fnmatch.fnmatchcase(n, p) for p in keys["ignored"])]
    if others:
        _refuse(path, "the file has tensors that this detector does not know", got=", ".join(sorted(others)[:5]))
    return blobs


@functools.cache
def _load_keys() -> dict[str, Any]:
    """Beside this file in a wheel; among the manifests in a checkout and in the npm package."""
    here = Path(__file__).parent
    places = [here / _KEYS, here.parents[3] / "manifests" / _KEYS]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise WeightsError("the table of other programs' names is missing", str(places[0]), hint="install again")
    return dict(json.loads(found.read_text("utf-8")))


def _take(path: Path, tensors: Mapping[str, Floats], name: str) -> Floats:
    if name not in tensors:
        _refuse(path, "the file lacks weights that this detector needs", got=f"no tensor {name}")
    return tensors[name]


def _move_rows(values: Floats, step: Mapping[str, Any]) -> Floats:
    kind = step["do"]
    if kind == "last-row-first":
        return np.roll(values, 1, axis=0)
    if kind == "zero-rows-before":
        return np.concatenate([np.zeros((step["rows"], *values.shape[1:]), np.float32), values])
    if kind == "order-anchors":
        grouped = values.reshape(_ANCHOR_SCALES, _ANCHOR_RATIOS, step["group"], *values.shape[1:])
        return np.ascontiguousarray(grouped.swapaxes(0, 1)).reshape(values.shape)
    raise ValueError(f"{_KEYS}: the step {kind} is not known")


def _refuse_other_network(path: Path, tensors: Mapping[str, Floats], keys: Mapping[str, Any]) -> NoReturn:
    for entry in keys["other_networks"]:
        if any(fnmatch.fnmatchcase(name, entry["key"]) for name in tensors):
            _refuse(path, "these are the weights of another network", "the 36-box detector", entry["name"])
    _refuse(path, "these are not weights of this detector", got=", ".join(sorted(tensors)[:5]) or "no tensors")


def _refuse(path: Path, what: str, expected: str | None = None, got: str | None = None) -> NoReturn:
    raise WeightsError(what, str(path), expected, got, _HINT)


def _find_tensors(value: Any) -> dict[str, Floats]:
    """The tensors of a checkpoint, in it or under one of the names that programs put them."""
    for container in _load_keys()["containers"]:
        if isinstance(value, Mapping) and isinstance(value.get(container), Mapping):
            value = value[container]
    found = {}
    for name, tensor in value.items() if isinstance(value, Mapping) else ():
        array = tensor if isinstance(tensor, np.ndarray) else getattr(tensor, "detach", lambda: None)()
        if array is not None:
            found[str(name)] = np.asarray(array, np.float32)
    return found


def _unpickle(path: Path, content: bytes) -> Any:
    try:
        if content.startswith((_ZIP, _LEGACY_TORCH)):
            import torch

            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, RuntimeError, KeyError, IndexError, AttributeError) as error:
        raise WeightsError(
            "this file of weights cannot be read", str(path), got=str(error).split("\n")[0], hint=_HINT
        ) from error


class _ArrayUnpickler(pickle.Unpickler):
    """Builds dicts and NumPy arrays and refuses everything else, so that no file can run anything."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core")
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("_codecs", "encode"):
            import _codecs

            return _codecs.encode
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if (module, name) in {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy.core.numeric", "_frombuffer"),
        }:
            source = getattr(np, "_core", None) or np.core
            return getattr(getattr(source, module.rpartition(".")[2]), name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not needed for weights")
