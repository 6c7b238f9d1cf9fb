"""Makes a batch: one copy of each wanted column, into new arrays or the caller's NumPy arrays or PyTorch tensors."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._format.gather import gather_features, scale_boxes
from ._format.mapped_file import OpenFile
from ._format.read_ahead import ReadAhead
from .errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def make_batch(
    file: OpenFile,
    read_ahead: ReadAhead,
    rows: NDArray[np.int64],
    names: Sequence[str],
    out: Mapping[str, Any] | None,
    *,
    normalize_boxes: bool,
) -> dict[str, Any]:
    """Copies the columns `names` of `rows`, which are checked already; see FeatureStore.batch."""
    needed = {*names, "image_size"} if normalize_boxes and "boxes" in names else set(names)
    read_ahead.request_batch(rows, sorted(needed))
    result: dict[str, Any] = {}
    for name in names:
        source = file.arrays[name]
        dtype = np.dtype(np.float32) if name == "features" else source.dtype
        result[name], array = _take_buffer(out, name, (len(rows), *source.shape[1:]), dtype)
        if name == "features":
            gather_features(source, file.header.dtype, rows, array)
        else:
            array[...] = source[rows]
        if name == "boxes" and normalize_boxes:
            scale_boxes(array, file.arrays["image_size"][rows])
    return result


def _take_buffer(
    out: Mapping[str, Any] | None, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Any, NDArray[Any]]:
    """What the caller gets back for a column, and the same memory as a NumPy array to write to.

    A buffer in `out` may have more rows than the batch; its first rows are used. Raises StoreError where dtype,
    shape or kind do not fit.
    """
    if out is None or name not in out:
        new = np.empty(shape, dtype)
        return new, new
    given = out[name]
    expected = f"writable {dtype.name} array or CPU tensor [at least {', '.join(map(str, shape))}]"
    array = _as_array(given)
    if array is None:
        raise _misfit(name, expected, f"{type(given).__module__}.{type(given).__qualname__}")
    if array.dtype != dtype or array.ndim != len(shape) or array.shape[1:] != shape[1:]:
        raise _misfit(name, expected, f"{array.dtype} {list(array.shape)}")
    if len(array) < shape[0]:
        raise _misfit(name, expected, f"{array.dtype} {list(array.shape)}")
    if not array.flags.writeable:
        raise _misfit(name, expected, "a read-only array")
    return given[: shape[0]], array[: shape[0]]


def _as_array(given: object) -> NDArray[Any] | None:
    if isinstance(given, np.ndarray):
        return given
    # Only who has imported PyTorch can pass a tensor, so it need not be imported here.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.Tensor) and given.device.type == "cpu":
        array: NDArray[Any] = given.detach().numpy()
        return array
    return None


def _misfit(name: str, expected: str, got: str) -> StoreError:
    return StoreError(f'the buffer out["{name}"] does not fit the batch', None, expected, got)
