"""Untrained weights made by a formula, with which two implementations of the network can be compared."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layers import list_blobs

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
_STEPS = 2.0**24


class FormulaBlobs(Mapping[str, Floats]):
    """Blobs of weights that are scaled so that every layer sees values of a trained size. Made when asked for."""

    def __getitem__(self, blob: str) -> Floats:
        return _make_blob(blob)

    def __iter__(self) -> Iterator[str]:
        return iter(list_blobs())

    def __len__(self) -> int:
        return len(list_blobs())


@functools.cache
def _constants() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("formula.json").read_text("utf-8")
    return dict(json.loads(text))


def _make_blob(blob: str) -> Floats:
    """Float32 values of one blob. All arithmetic is in double and is rounded once."""
    shape = list_blobs()[blob]
    layer, _, index = blob.rpartition("/")
    draws = _draw(blob, int(np.prod(shape)))
    gain = _constants()["gains"].get(layer, 1.0)
    if layer.startswith("bn"):
        values = _batch_norm(layer, index, draws / _STEPS)
    elif layer.startswith("scale"):
        values = _scale(layer, index, draws / _STEPS)
    elif layer == "cls_embedding":
        values = gain * (2 * (draws / _STEPS) - 1)
    elif index == "1":
        values = _constants()["bias_amplitudes"][layer] * (draws / _STEPS - 0.5)
        if layer == "cls_score":
            values[0] += _constants()["class_background_bias"]
    else:
        # Rows of mean zero exactly, so that no layer adds a constant of its own.
        rows = draws.reshape(shape[0], -1)
        size = rows.shape[1]
        means = rows.sum(axis=1, keepdims=True) / size
        values = ((rows - means) / _STEPS) * (gain * np.sqrt(12 / size))
    return values.reshape(shape).astype(np.float32)


def _draw(blob: str, count: int) -> Doubles:
    """n(blob, i): 24-bit integers from a hash of the name and the position."""
    seed = 0x811C9DC5
    for byte in blob.encode():
        seed = ((seed ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = np.uint32(seed) + np.arange(1, count + 1, dtype=np.uint32) * np.uint32(0x9E3779B9)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float64)


def _batch_norm(layer: str, index: str, uniform: Doubles) -> Doubles:
    variance = _constants()["variances"][layer]
    factor = float(np.float32(0.5 + _draw(f"{layer}/2", 1)[0] / _STEPS))
    if index == "0":
        return np.asarray(np.sqrt(variance) * (0.4 * (uniform - 0.5)) * factor)
    return variance * (0.5 + uniform) * factor if index == "1" else np.array([factor])


def _scale(layer: str, index: str, uniform: Doubles) -> Doubles:
    if index == "1":
        return 0.3 * (uniform - 0.5)
    return (0.35 if layer.endswith("branch2c") else 1.0) * (0.75 + 0.5 * uniform)
