"""One image of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._format.header import BOX_COUNT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .store import FeatureStore


class ImageRow:
    """One image: two references, whose properties make read-only views of the mapped file when asked.

    `boxes` are float32 [36, 4], x1, y1, x2, y2 in pixels. Object and attribute columns raise StoreError in a store
    made of six-column rows, which lack them.
    """

    __slots__ = ("_store", "index")

    num_boxes = BOX_COUNT

    def __init__(self, store: FeatureStore, index: int) -> None:
        self._store = store
        self.index = index

    @property
    def img_id(self) -> str:
        return self._store.ids[self.index]

    @property
    def img_h(self) -> int:
        """Height in pixels."""
        return int(self._store.image_size[self.index, 0])

    @property
    def img_w(self) -> int:
        """Width in pixels."""
        return int(self._store.image_size[self.index, 1])

    @property
    def boxes(self) -> NDArray[np.float32]:
        return self._store.boxes[self.index]

    @property
    def features(self) -> NDArray[Any]:
        """[36, 2048]: a view, float32 or float16 as stored; of a bf16 store a float32 copy."""
        return self._store.row_features(self.index)

    @property
    def objects_id(self) -> NDArray[np.int64]:
        return self._store.objects_id[self.index]

    @property
    def objects_conf(self) -> NDArray[np.float32]:
        return self._store.objects_conf[self.index]

    @property
    def attrs_id(self) -> NDArray[np.int64]:
        return self._store.attrs_id[self.index]

    @property
    def attrs_conf(self) -> NDArray[np.float32]:
        return self._store.attrs_conf[self.index]

    @property
    def has_objects(self) -> bool:
        """False where the source rows had no object and attribute classes."""
        return self._store.has_objects

    @property
    def images(self) -> str | None:
        """The folder of the images, as the store has it."""
        return self._store.images

    def _repr_html_(self) -> str:
        """What a notebook shows: the boxes, on the image where `store.images` has it."""
        from ._html import describe_row

        return describe_row(self)

    def __repr__(self) -> str:
        return f"ImageRow({self.img_id!r}, index={self.index}, {self.img_w} x {self.img_h})"
