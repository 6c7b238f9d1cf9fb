"""Several stores as one: finds images in them and gathers batches from them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import torch

from .._format.gather import scale_boxes
from .._format.header import BOX_COUNT, FEATURE_SIZE
from ..errors import SplitError, StoreError
from ..store import FeatureStore
from .batch_memory import BatchMemory

if TYPE_CHECKING:
    from numpy.typing import NDArray

Stores = Sequence[Union[str, "os.PathLike[str]", FeatureStore]]

_BOX_TOLERANCE = 1e-5
# An image is widened in so many parts, each below the size from which PyTorch uses threads (32,768 elements).
_PARTS = 3


class FeatureSource:
    """The images of some stores, or of the first `topk` rows of each.

    A *place* numbers an image over all stores: its row number plus the lengths of the stores before. Pickles as the
    stores do.
    """

    def __init__(self, stores: Stores, topk: int | None = None, pin_memory: bool = False) -> None:
        self.stores = [store if isinstance(store, FeatureStore) else FeatureStore(store) for store in stores]
        if not self.stores:
            raise ValueError("at least one store is needed")
        self._starts = np.cumsum([0, *map(len, self.stores)])
        self._topk = None if topk is None or topk < 1 else topk
        self.memory = BatchMemory(pin_memory)
        self._tensors: dict[int, torch.Tensor] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tensors": {}}

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def complete(self) -> bool:
        """Whether `topk` leaves nothing out."""
        return self._topk is None or all(self._topk >= len(store) for store in self.stores)

    def find(self, images: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Places of img_ids given as UTF-8, of the same shape; -1 for those that are not there.

        An image that several stores have is taken from the last one.
        """
        unique, back = np.unique(images, return_inverse=True)
        names = [name.decode("utf-8", "surrogatepass") for name in unique.tolist()]
        found = np.full(len(names), -1, np.int64)
        for start, store in zip(self._starts.tolist(), self.stores):
            rows = store.ids.search(names)
            there = (rows >= 0) & (rows < (len(store) if self._topk is None else self._topk))
            found[there] = rows[there] + start
        return found[back].reshape(images.shape)

    def names(self, places: NDArray[np.int64]) -> list[str]:
        """The img_ids at some places."""
        stores = self._store_of(places)
        rows = places - self._starts[stores]
        return [self.stores[at].ids[row] for at, row in zip(stores.tolist(), rows.tolist())]

    def prefetch(self, places: NDArray[np.int64], columns: Sequence[str] = ("features", "boxes", "image_size")) -> None:
        """Asks the kernel to read these images; returns at once."""
        for at, _, rows in self._split(places):
            self.stores[at].prefetch(rows, columns)

    def gather(self, places: NDArray[np.int64], columns: Sequence[str] = ("features", "boxes")) -> dict[str, Any]:
        """Tensors of B images in the order of `places`: see FeatureStore.batch, whose columns they are.

        Boxes are divided by width and height. Raises StoreError where one then is outside of 0 to 1, as LXMERT does.
        """
        parts = list(self._split(places))
        wanted = [*columns, "image_size"] if "boxes" in columns else list(columns)
        for at, _, rows in parts:
            self.stores[at].prefetch(rows, wanted, only_if_cold=True)
        batch: dict[str, Any] = {}
        for name in columns:
            batch[name] = self._gather_features(parts, len(places)) if name == "features" else self._take(parts, name)
        if "boxes" in columns:
            scale_boxes(batch["boxes"].numpy(), self._take(parts, "image_size").numpy())
            self._check_boxes(batch["boxes"].numpy(), places)
        return batch

    def region(self, place: int, box: int) -> NDArray[np.float32]:
        """The features of one region, a new float32 [2048]."""
        at = self._store_of(np.array([place]))[0]
        region: NDArray[np.float32] = np.asarray(
            self.stores[at].row_features(int(place - self._starts[at]))[box], np.float32
        ).copy()
        return region

    def _store_of(self, places: NDArray[np.int64]) -> NDArray[np.intp]:
        return np.searchsorted(self._starts, places, side="right") - 1

    def _split(self, places: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int64]]]:
        """For each store that is needed: its number, positions in the batch, rows."""
        stores = self._store_of(places)
        for at in np.unique(stores).tolist():
            positions = np.flatnonzero(stores == at)
            yield at, positions, places[positions] - self._starts[at]

    def _take(self, parts: Sequence[tuple[int, NDArray[np.intp], NDArray[np.int64]]], name: str) -> torch.Tensor:
        columns = [self.stores[at].raw(name) for at, _, _ in parts]
        count = sum(len(rows) for _, _, rows in parts)
        out = np.empty((count, *columns[0].shape[1:]), columns[0].dtype)
        for column, (_, positions, rows) in zip(columns, parts):
            out[positions] = column[rows]
        return torch.from_numpy(out)

    def _gather_features(
        self, parts: Sequence[tuple[int, NDArray[np.intp], NDArray[np.int64]]], count: int
    ) -> torch.Tensor:
        out = self.memory.take((count, BOX_COUNT, FEATURE_SIZE))
        for at, positions, rows in parts:
            pairs = zip(positions.tolist(), rows.tolist())
            if self.stores[at].dtype == "f32":
                features, target = self.stores[at].raw("features"), out.numpy()
                for position, row in pairs:
                    target[position] = features[row]
                continue
            # PyTorch widens half precision faster than NumPy. It does so in this thread, as the parts of an image are
            # small: its threads wait for each other on a busy machine, and for ever in a process forked by hand.
            source, parts_out = self._parts(at), out.view(-1, BOX_COUNT // _PARTS, FEATURE_SIZE)
            if source is None:
                for position, row in pairs:
                    out[position] = torch.from_numpy(self.stores[at].batch([row], columns=("features",))["features"])[0]
                continue
            for position, row in pairs:
                for part in range(_PARTS):
                    parts_out[position * _PARTS + part].copy_(source[row * _PARTS + part])
        return out

    def _parts(self, at: int) -> torch.Tensor | None:
        """The features of a store in half precision, [N x parts, 12, 2048]; writing to them would end the process.

        None for a store that is not mapped.
        """
        tensor = self._tensors.get(at)
        if not isinstance(self.stores[at].raw("features"), np.ndarray):
            return None
        if tensor is None:
            raw = self.stores[at].raw("features")
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*not write?able")
                if self.stores[at].dtype == "bf16":
                    tensor = torch.from_numpy(raw.view(np.int16)).view(torch.bfloat16)
                else:
                    tensor = torch.from_numpy(raw)
            tensor = self._tensors[at] = tensor.view(-1, BOX_COUNT // _PARTS, FEATURE_SIZE)
        return tensor

    def _check_boxes(self, boxes: NDArray[np.float32], places: NDArray[np.int64]) -> None:
        good = (boxes < 1 + _BOX_TOLERANCE) & (boxes > -_BOX_TOLERANCE)
        if not good.all():
            at = int(np.argwhere(~good)[0][0])
            (name,) = self.names(places[at : at + 1])
            raise StoreError(
                f"a box of {name!r} is outside of its image",
                None,
                "coordinates of 0 to 1 after division by width and height",
                f"{boxes[at].min():g} to {boxes[at].max():g}",
                "run lxmert-data validate on the rows the store was made from",
            )


def no_image_found(split: str, wanted: str, source: FeatureSource) -> SplitError:
    """The error for a split none of whose images the stores hold: training on nothing helps nobody."""
    store = source.stores[0]
    return SplitError(
        f"none of the images of {split} is in the stores",
        str(store.path),
        f"images such as {wanted}",
        f"images such as {store.ids[0]}",
        "name the right stores, or convert the source again with --ids and the JSON of the split",
    )
