"""The arrays a batch is written to: the caller's NumPy arrays or PyTorch tensors, or new ones."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def take_buffer(
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
