"""The images of some stores as a PyTorch data set, without any question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .batches import ImageBatch
from .feature_source import FeatureSource, Stores
from .item_numbers import read_item_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ImageDataset(torch.utils.data.Dataset):  # type: ignore[misc,name-defined,unused-ignore]
    """Each item a dict of `img_id` and the named columns of FeatureStore.batch, in row order, store after store."""

    def __init__(
        self, stores: Stores, columns: Sequence[str] = ("features", "boxes"), pin_memory: bool = False
    ) -> None:
        self.source = FeatureSource(stores, pin_memory=pin_memory)
        self._columns = tuple(columns)

    @property
    def places(self) -> NDArray[np.int64]:
        """Which image of `source` each item shows, int64 [N, 1]."""
        return np.arange(len(self))[:, None]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item: dict[str, Any] = self.__getitems__([index])[0]
        return item

    def __getitems__(self, indices: Sequence[int]) -> ImageBatch:
        places = np.array(read_item_numbers(indices, len(self)), np.int64)
        return ImageBatch(self.source.names(places), self.source.gather(places, self._columns))
