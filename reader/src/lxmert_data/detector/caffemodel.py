"""Reads the blobs of a caffemodel (protobuf `NetParameter`), without protobuf."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError

_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5
# NetParameter: `layer`, and `layers` in files of before 2014. Numbers of the fields `name` and `blobs` in each.
_LAYERS = {100: (1, 7), 2: (4, 6)}
# BlobProto
_LEGACY_SIZES = (1, 2, 3, 4)
_DATA, _SHAPE, _DOUBLE_DATA = 5, 7, 8
_HIGHEST_FIELD = 100

Floats = NDArray[np.float32]
Message = memoryview


def read_caffemodel(path: Path, content: bytes) -> dict[str, Floats]:
    """`LAYER/INDEX` to its values, float32, in the file's shape. Of layers with the same name the last one counts.

    Raises WeightsError where the bytes are no caffemodel or end early.
    """
    blobs: dict[str, Floats] = {}
    try:
        for number, value in _fields(memoryview(content)):
            if number > _HIGHEST_FIELD:
                raise ValueError(f"a caffemodel has no field {number}")
            if number in _LAYERS and isinstance(value, Message):
                blobs |= _read_layer(value, *_LAYERS[number])
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise WeightsError(
            "this is not a whole caffemodel",
            str(path),
            got=f"{error} in a file of {len(content)} bytes",
            hint="fetch the file again: resnet101_faster_rcnn_final_iter_320000.caffemodel has 262 MB",
        ) from error
    return blobs


def _read_layer(layer: Message, name_field: int, blobs_field: int) -> dict[str, Floats]:
    name = ""
    blobs: list[Floats] = []
    for number, value in _fields(layer):
        if number == name_field and isinstance(value, Message):
            name = bytes(value).decode()
        elif number == blobs_field and isinstance(value, Message):
            blobs.append(_read_blob(value))
    return {f"{name}/{index}": blob for index, blob in enumerate(blobs)}


def _read_blob(blob: Message) -> Floats:
    legacy: dict[int, int] = {}
    shape: list[int] | None = None
    parts: list[Floats] = []
    for number, value in _fields(blob):
        if number in _LEGACY_SIZES and isinstance(value, int):
            legacy[number] = value
        elif number == _SHAPE and isinstance(value, Message):
            shape = _read_shape(value)
        elif number in (_DATA, _DOUBLE_DATA) and isinstance(value, Message):
            parts.append(np.frombuffer(value, "<f4" if number == _DATA else "<f8").astype(np.float32))
    values = np.concatenate(parts) if parts else np.empty(0, np.float32)
    sizes = shape if shape is not None else [legacy.get(field, 1) for field in _LEGACY_SIZES]
    if math.prod(sizes) != values.size:
        raise ValueError(f"a blob of shape {sizes} has {values.size} values")
    return values.reshape(sizes)


def _read_shape(shape: Message) -> list[int]:
    sizes: list[int] = []
    for number, value in _fields(shape):
        if number != 1:
            continue
        if isinstance(value, int):
            sizes.append(value)
            continue
        position = 0
        while position < len(value):
            size, position = _varint(value, position)
            sizes.append(size)
    return sizes


def _fields(message: Message) -> Iterator[tuple[int, int | Message]]:
    """Numbers and values of the fields of a message: integers, or the bytes of anything else."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if number < 1:
            raise ValueError("a field without a number")
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind not in (_DOUBLE, _BYTES, _FLOAT):
            raise ValueError(f"a field of the unknown kind {kind}")
        length, position = _varint(message, position) if kind == _BYTES else (8 if kind == _DOUBLE else 4, position)
        end = position + length
        if end > len(message):
            raise ValueError(f"a field that would reach to byte {end}")
        yield number, message[position:end]
        position = end


def _varint(message: Message, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than ten bytes")
