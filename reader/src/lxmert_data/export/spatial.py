"""Boxes as six numbers from 0 to 1, as bottom-up-attention's users give them to their networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def make_spatial_features(boxes: NDArray[Any], image_size: NDArray[Any]) -> NDArray[np.float32]:
    """float32 [n, 36, 6]: x1/w, y1/h, x2/w, y2/h, (x2-x1)/w, (y2-y1)/h; x2/w is the sum of x1/w and the width."""
    size = image_size[:, None, ::-1].astype(np.float32)
    corner = boxes[..., :2] / size
    extent = (boxes[..., 2:] - boxes[..., :2]) / size
    return np.concatenate((corner, corner + extent, extent), axis=-1).astype("<f4", copy=False)
