"""FeatureStore: one store, mapped into memory, as training code uses it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from ._format.gather import widen_features
from ._format.header import OBJECT_TENSORS
from ._format.image_ids import ImageIds
from ._format.mapped_file import Identity, MappedFile, OpenFile, check_identity
from ._format.pread_file import PreadFile
from ._format.read_ahead import ReadAhead
from .batch import make_batch
from .errors import AmbiguousRowError, StoreError, StoreWarning
from .row import ImageRow
from .verify import VerifyReport, verify_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

Items = Union[Sequence[str], Sequence[int], "NDArray[Any]"]


class FeatureStore:
    """A store opened for reading. Opening reads and checks the header only; views are read-only and copy nothing.

    Pickling keeps the path and what identifies the file; the copy opens it again on first use, and raises
    StoreError if it is another file by then. Raises StoreError for a file that docs/format.md does not allow.

    A mapped file that another program truncates ends the process by SIGBUS. With `safe` rows are read instead of
    mapped, which costs a copy: a file that became shorter raises StoreError, and whole columns are array-likes that
    read what is asked of them.
    """

    def __init__(self, path: str | os.PathLike[str], *, safe: bool = False) -> None:
        self._path = os.path.abspath(os.fspath(path))
        self._safe = safe
        # Folder of the images themselves, for notebooks, which show boxes on them; set it where it is at hand.
        self.images: str | None = None
        self._attach(self._open())
        if self.metadata["detector"]["weights"] == "untrained":
            warnings.warn(
                f"{self._path}: these features come from an untrained detector; they are for trying things out, "
                "not for training",
                StoreWarning,
                stacklevel=2,
            )

    def _open(self) -> OpenFile:
        return PreadFile(self._path) if self._safe else MappedFile(self._path)

    def _attach(self, file: OpenFile) -> None:
        self._file: OpenFile | None = file
        self._identity: Identity = file.identity
        self._ids = ImageIds(np.asarray(file.arrays["img_id"]), self._path)
        self._read_ahead = ReadAhead(file)
        self._closed = False

    def _mapped(self) -> OpenFile:
        if self._file is None:
            if self._closed:
                raise StoreError("the store is closed", self._path)
            file = self._open()
            check_identity(file, self._path, self._identity)
            self._attach(file)
        assert self._file is not None
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        self._mapped()
        return {"path": self._path, "identity": self._identity, "safe": self._safe, "images": self.images}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._path = state["path"]
        self._identity = state["identity"]
        self._safe = state.get("safe", False)
        self.images = state.get("images")
        self._file = None
        self._closed = False

    @property
    def path(self) -> str:
        return self._path

    @property
    def metadata(self) -> Mapping[str, Any]:
        """`__metadata__` of the file, its JSON values parsed."""
        return MappingProxyType(dict(self._mapped().header.metadata))

    @property
    def dtype(self) -> str:
        """How features are stored: f32, f16 or bf16."""
        return self._mapped().header.dtype

    @property
    def has_objects(self) -> bool:
        """False where the source rows had no object and attribute classes."""
        return self._mapped().header.has_objects

    @property
    def ids(self) -> ImageIds:
        """The img_ids in row order, decoded when asked."""
        self._mapped()
        return self._ids

    def raw(self, name: str) -> NDArray[Any]:
        """A whole tensor as stored, read-only; the features of a bf16 store as uint16 bits. An array-like if `safe`."""
        arrays = self._mapped().arrays
        if name not in arrays:
            missing = "the six-column rows it was made of have none" if name in OBJECT_TENSORS else None
            raise StoreError(f"the store has no {name}", self._path, f"one of {', '.join(arrays)}", name, missing)
        return arrays[name]

    @property
    def features(self) -> NDArray[Any]:
        """[N, 36, 2048] float32 or float16, as stored. NumPy has no bf16: of such a store use rows or `batch`."""
        if self.dtype == "bf16":
            raise StoreError(
                "NumPy has no dtype for the features of this store",
                self._path,
                "f32 or f16",
                "bf16",
                'use batch() or store[i].features, which give float32, or raw("features") for the bits',
            )
        return self.raw("features")

    @property
    def boxes(self) -> NDArray[np.float32]:
        """[N, 36, 4], x1, y1, x2, y2 in pixels."""
        return self.raw("boxes")

    @property
    def image_size(self) -> NDArray[np.int32]:
        """[N, 2], height and width in pixels."""
        return self.raw("image_size")

    @property
    def objects_id(self) -> NDArray[np.int64]:
        """[N, 36], 0 to 1599."""
        return self.raw("objects_id")

    @property
    def objects_conf(self) -> NDArray[np.float32]:
        """[N, 36]."""
        return self.raw("objects_conf")

    @property
    def attrs_id(self) -> NDArray[np.int64]:
        """[N, 36], 0 to 399."""
        return self.raw("attrs_id")

    @property
    def attrs_conf(self) -> NDArray[np.float32]:
        """[N, 36]."""
        return self.raw("attrs_conf")

    def row_features(self, index: int) -> NDArray[Any]:
        """Features of one row, [36, 2048]: a view as stored, of a bf16 store a float32 copy."""
        file = self._mapped()
        # One request for the row: plain page faults would fetch it in several small reads from a cold disk.
        self._read_ahead.request_features(index)
        row: NDArray[Any] = file.arrays["features"][index]
        return widen_features(row, "bf16") if file.header.dtype == "bf16" else row

    def __len__(self) -> int:
        return self._mapped().header.rows

    def __contains__(self, img_id: object) -> bool:
        return img_id in self.ids

    def __iter__(self) -> Iterator[ImageRow]:
        return (ImageRow(self, index) for index in range(len(self)))

    def __getitem__(self, item: int | str) -> ImageRow:
        """The row with this img_id (str) or number (int; negative: from the end).

        Raises UnknownImageError and IndexError. In a store of numeric ids such as "132417" an int that is the number of
        one row and the id of another raises AmbiguousRowError: give the id as a str, or use `row_at`.
        """
        if isinstance(item, str):
            return ImageRow(self, self.index(item))
        if isinstance(item, slice) or not hasattr(item, "__index__"):
            raise TypeError("a row number or an img_id is needed; batch() takes several")
        number = int(item)
        if self.ids.has_numeric:
            named = int(self.ids.search([str(number)])[0])
            if named >= 0 and named != number:
                raise AmbiguousRowError(
                    f"{number} may be a row number or an img_id",
                    self._path,
                    f'store["{number}"] for the img_id (row {named}), or store.row_at({number}) for the row',
                    f"store[{number}]",
                )
        return self.row_at(number)

    def row_at(self, number: int) -> ImageRow:
        """The row with this number, 0 to N - 1, or negative from the end; raises IndexError."""
        size = len(self)
        if not -size <= number < size:
            raise IndexError(f"{self._path}: row {number} is outside 0 to {size - 1}; an img_id is a str")
        return ImageRow(self, number % size)

    def index(self, img_id: str) -> int:
        """The row number of an img_id; raises UnknownImageError."""
        if not isinstance(img_id, str):
            raise TypeError(f"an img_id is a str, got {img_id!r}")
        return int(self.ids.find([img_id])[0])

    def row_numbers(self, items: Items) -> NDArray[np.int64]:
        """Row numbers, int64 [len(items)], of img_ids or of row numbers from 0 to N - 1, which are checked."""
        if len(items) and isinstance(items[0], str):
            if not all(isinstance(item, str) for item in items):
                raise TypeError("all items must be img_ids, or all row numbers")
            return self.ids.find([str(item) for item in items])
        rows = np.asarray(items)
        if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
            raise TypeError(f"img_ids or row numbers are needed, got an array of {rows.dtype} {list(rows.shape)}")
        rows = rows.astype(np.int64)
        wrong = np.flatnonzero((rows < 0) | (rows >= len(self)))
        if len(wrong):
            raise IndexError(f"{self._path}: row {rows[wrong[0]]} is outside 0 to {len(self) - 1}")
        return rows

    @property
    def batch_columns(self) -> tuple[str, ...]:
        """What `batch` gives: features, boxes, image_size, and the object columns where the store has them."""
        return ("features", "boxes", "image_size", *(OBJECT_TENSORS if self.has_objects else ()))

    def prefetch(self, items: Items, columns: Sequence[str] | None = None, *, only_if_cold: bool = False) -> None:
        """Asks the kernel to read these rows into memory; returns at once.

        `only_if_cold` lets it be while the batches asked for came from memory, as `batch` does.
        """
        names = self.batch_columns if columns is None else columns
        for name in names:
            self.raw(name)
        request = self._read_ahead.request_batch if only_if_cold else self._read_ahead.request
        request(self.row_numbers(items), names)

    def batch(
        self,
        items: Items,
        out: Mapping[str, Any] | None = None,
        *,
        normalize_boxes: bool = True,
        columns: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Copies B rows, by img_id or row number, repeats allowed, into one array a column.

        features float32 [B, 36, 2048] whatever the stored dtype; boxes float32 [B, 36, 4], divided by the width and
        height of the image (0 to 1) unless `normalize_boxes` is False; image_size int32 [B, 2], h, w; objects_id and
        attrs_id int64, objects_conf and attrs_conf float32 [B, 36] where the store has them. `columns` names fewer.
        `out` may hold arrays or CPU tensors of at least B rows to write to, for some columns or all; the result then
        has their first B rows.
        """
        names = self.batch_columns if columns is None else tuple(columns)
        for name in (*names, *(out or ())):
            if name not in self.batch_columns:
                raise StoreError(
                    f"no column {name!r} in a batch", self._path, ", ".join(self.batch_columns), repr(name)
                )
        rows = self.row_numbers(items)
        return make_batch(self._mapped(), self._read_ahead, rows, names, out, normalize_boxes=normalize_boxes)

    def to_torch_dataset(self, columns: Sequence[str] = ("features", "boxes"), *, pin_memory: bool = False) -> Any:
        """A PyTorch dataset of all images, in row order, with these columns of `batch`: an `ImageDataset`.

        Needs PyTorch. For several stores, or for questions, see `lxmert_data.training`.
        """
        from .training import ImageDataset

        return ImageDataset([self], columns, pin_memory)

    def to_dataloader(
        self, batch_size: int = 256, *, columns: Sequence[str] = ("features", "boxes"), **options: Any
    ) -> Any:
        """A DataLoader of `to_torch_dataset()`: a `ThreadedDataLoader`, whose `num_workers` are threads.

        Each batch is a dict of `img_id`, a list, and one tensor a column; `options` are those of PyTorch's loader, such
        as `shuffle=True` or `num_workers=2`. Needs PyTorch.
        """
        from .training import ThreadedDataLoader

        return ThreadedDataLoader(self.to_torch_dataset(columns), batch_size, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows: the facts about the store and its first images."""
        from ._html import describe_store

        return describe_store(self)

    def verify(self) -> VerifyReport:
        """Reads the whole file and compares it with its checksums; the report names every damaged image."""
        self._mapped()
        return verify_file(self._path, self._identity)

    def close(self) -> None:
        """Lets the file go. Views taken before stay usable; the file is unmapped with the last of them."""
        self._closed = True
        if self._file is not None:
            file, self._file = self._file, None
            del self._ids, self._read_ahead
            file.close()

    def __enter__(self) -> FeatureStore:
        self._mapped()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return f"FeatureStore({self._path!r}, closed)"
        return f"FeatureStore({self._path!r}, {len(self)} images, {self.dtype})"
