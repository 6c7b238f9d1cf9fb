"""Copies rows of stored tensors into a batch, once, widening half-precision features on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HALF_INFINITY = 0x7C00
_HALF_TO_SINGLE = np.float32(2.0**112)


def gather_features(source: NDArray[Any], dtype: str, rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Writes features of `rows` as float32 into `out` [len(rows), 36, 2048].

    `source` is the whole tensor as stored, `dtype` its name: f32, f16 or bf16 (as uint16 bits).
    """
    # Row by row: fancy indexing would make a temporary, and np.take would copy a source that is not aligned.
    copy = _COPIERS[dtype]
    for at, row in enumerate(rows.tolist()):
        copy(source[row], out[at])


def widen_features(row: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    """One image's features as a new float32 array of the same shape."""
    out = np.empty(row.shape, np.float32)
    _COPIERS[dtype](row, out)
    return out


def scale_boxes(boxes: NDArray[np.float32], image_size: NDArray[np.int32]) -> None:
    """Divides boxes [B, 36, 4] in place by the width and height of their images; `image_size` [B, 2] is h, w."""
    # In float32 as LXMERT does it, so that the results are equal bit for bit.
    sizes = image_size.astype(np.float32)[:, None, None, :]
    boxes[:, :, 0::2] /= sizes[..., 1]
    boxes[:, :, 1::2] /= sizes[..., 0]


def _copy_single(row: NDArray[Any], out: NDArray[np.float32]) -> None:
    out[...] = row


def _copy_half(row: NDArray[Any], out: NDArray[np.float32]) -> None:
    bits = row.view("<i2")
    if bits.min() < 0 or bits.max() >= _HALF_INFINITY:
        out[...] = row
        return
    # For finite values >= 0, moving exponent and mantissa to their places and scaling is exact, and several
    # times as fast as NumPy's own conversion.
    np.left_shift(row.view("<u2"), 13, out=out.view(np.uint32), dtype=np.uint32)
    np.multiply(out, _HALF_TO_SINGLE, out=out)


def _copy_brain(row: NDArray[Any], out: NDArray[np.float32]) -> None:
    # bfloat16 is the upper half of a float32.
    np.left_shift(row, 16, out=out.view(np.uint32), dtype=np.uint32)


_COPIERS: dict[str, Callable[[NDArray[Any], NDArray[np.float32]], None]] = {
    "f32": _copy_single,
    "f16": _copy_half,
    "bf16": _copy_brain,
}
